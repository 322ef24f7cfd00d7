// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/rate.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <limits>
#include <optional>
#include <span>

#include "base/time_text.h"

namespace mailweir {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t size;
};
// The largest first: the first that divides a value is the one that it is written in.
constexpr Unit kRateUnits[] = {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
constexpr Unit kDurationUnits[] = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}};
constexpr Unit kSizeUnits[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}};

constexpr std::uint64_t kLongestPeriod = 365 * 86400;
constexpr std::uint64_t kFastest = 10'000'000;
constexpr std::uint64_t kMostEvents = std::numeric_limits<std::uint32_t>::max();

const Unit* unit_named(std::span<const Unit> units, std::string_view name) {
  for (const Unit& unit : units)
    if (unit.name == name) return &unit;
  return nullptr;
}

const Unit& unit_of(std::span<const Unit> units, std::uint64_t value) {
  for (const Unit& unit : units)
    if (value % unit.size == 0) return unit;
  return units.back();
}

/// Takes the digits from the front of `text`. None: there are none, or too many for 64 bits.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

Error wrong(std::string_view text, std::string_view why) {
  return {EINVAL, fmt::format("'{}' {}", text, why)};
}

bool all_digits(std::string_view text) {
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// "10min" or "s" -> seconds; 0: not a period of 1 s to kLongestPeriod.
std::uint64_t period_of(std::string_view text) {
  std::uint64_t count = 1;
  if (!text.empty() && all_digits(text.substr(0, 1))) count = take_number(text).value_or(0);
  const Unit* unit = unit_named(kRateUnits, text);
  if (unit == nullptr || count > kLongestPeriod / unit->size) return 0;
  return count * unit->size;
}

}  // namespace

Result<Rate> parse_rate(std::string_view text) {
  if (text.starts_with('-')) return wrong(text, "is negative; a rate is at least 1/365d");
  const auto slash = text.find('/');
  std::string_view count = text.substr(0, slash);
  if (slash == std::string_view::npos || count.empty() || !all_digits(count))
    return wrong(text, "is not a rate: write 600/min, 50/s, 30/h, 1/d or 10/10min");

  const std::string_view period = text.substr(slash + 1);
  if (period.ends_with('m') && all_digits(period.substr(0, period.size() - 1)))
    return wrong(text, fmt::format("has the unit 'm': write min for minutes, {}in", text));
  const std::uint64_t seconds = period_of(period);
  if (seconds == 0)
    return wrong(text,
                 "is not a rate: after the / comes s, min, h, d or a number of them, "
                 "at most 365d");

  const std::uint64_t events = take_number(count).value_or(kMostEvents + 1);
  if (events == 0) return wrong(text, "lets nothing through; a rate is at least 1/365d");
  if (events > kMostEvents || events > kFastest * seconds)
    return wrong(text, fmt::format("is too fast: at most {} events, and at most {}/s", kMostEvents,
                                   kFastest));
  return Rate{static_cast<std::uint32_t>(events),
              std::chrono::seconds(static_cast<std::int64_t>(seconds))};
}

std::string to_string(const Rate& rate) {
  const auto seconds = static_cast<std::uint64_t>(rate.per.count());
  const Unit& unit = unit_of(kRateUnits, seconds);
  const std::uint64_t count = seconds / unit.size;
  return fmt::format("{}/{}{}", rate.events, count == 1 ? "" : std::to_string(count), unit.name);
}

double burst_seconds(const Limit& limit) {
  return static_cast<double>(limit.burst) * static_cast<double>(limit.rate.per.count()) /
         static_cast<double>(limit.rate.events);
}

Result<std::uint64_t> parse_size(std::string_view text) {
  std::string_view rest = text;
  const auto number = take_number(rest);
  const Unit* unit = unit_named(kSizeUnits, rest);
  if (!number || unit == nullptr)
    return wrong(text, "is not a size: write 512MiB, with B, KiB, MiB or GiB");
  if (*number > std::numeric_limits<std::uint64_t>::max() / unit->size)
    return wrong(text, "has too many digits");
  return *number * unit->size;
}

std::string size_text(std::uint64_t bytes) {
  const Unit& unit = unit_of(kSizeUnits, bytes);
  return fmt::format("{}{}", bytes / unit.size, unit.name);
}

std::string exact_text(std::chrono::seconds duration) {
  if (duration == kForever) return "forever";
  const auto seconds = static_cast<std::uint64_t>(duration.count());
  const Unit& unit = unit_of(kDurationUnits, seconds);
  return fmt::format("{}{}", seconds / unit.size, unit.name);
}

}  // namespace mailweir
