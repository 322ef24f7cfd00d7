// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/time_text.h"

#include <charconv>
#include <ctime>

namespace mailweir {
namespace {

using std::chrono::seconds;

struct Unit {
  char letter;
  std::int64_t seconds;
};
constexpr Unit kUnits[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
constexpr std::int64_t kLongest = 100LL * 365 * 86400;

std::string format(const std::tm& time, const char* pattern) {
  char text[64];
  return {text, std::strftime(text, sizeof(text), pattern, &time)};
}

std::tm utc(WallTime time) {
  const std::time_t whole = std::chrono::system_clock::to_time_t(std::chrono::floor<seconds>(time));
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  return parts;
}

}  // namespace

Result<seconds> parse_duration(std::string_view text) {
  const Error wrong{EINVAL, "'" + std::string(text) +
                                "' is not a duration (90s, 10m, 24h, 7d, 1h30m or forever)"};
  if (text == "forever") return kForever;

  std::int64_t total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    std::int64_t number = 0;
    const auto [end, failed] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (failed != std::errc{} || number < 0 || number > kLongest ||
        end == rest.data() + rest.size())
      return wrong;
    std::int64_t unit = 0;
    for (const Unit& known : kUnits)
      if (*end == known.letter) unit = known.seconds;
    if (unit == 0) return wrong;
    total += number * unit;
    if (total > kLongest)
      return Error{EINVAL, "'" + std::string(text) + "' is too long; write forever"};
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()) + 1);
  }
  if (total <= 0) return wrong;
  return seconds(total);
}

std::string duration_text(seconds duration) {
  if (duration == kForever) return "forever";
  std::int64_t left = duration.count() < 0 ? 0 : duration.count();
  std::string text;
  int units = 0;
  for (const Unit& unit : kUnits) {
    const std::int64_t number = left / unit.seconds;
    left %= unit.seconds;
    // Two neighbouring units at most: "12d 4h", not "12d 4h 3m 2s" or "12d 2s".
    if (units == 1 && number == 0) break;
    if (number == 0) continue;
    if (units > 0) text += ' ';
    text += std::to_string(number) + unit.letter;
    if (++units == 2) break;
  }
  return text.empty() ? "0s" : text;
}

std::string rfc3339(WallTime time) {
  return format(utc(time), "%Y-%m-%dT%H:%M:%SZ");
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  std::tm parts{};
  const std::string terminated(text);
  const char* end = ::strptime(terminated.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  const seconds since_epoch(::timegm(&parts));
  // The nanoseconds of WallTime last from 1677 to 2262.
  if (since_epoch <= std::chrono::ceil<seconds>(WallTime::min().time_since_epoch()) ||
      since_epoch >= std::chrono::floor<seconds>(WallTime::max().time_since_epoch()))
    return std::nullopt;
  // strptime takes 31 February, blanks and lone digits; none of them comes back the same.
  const WallTime time(since_epoch);
  if (rfc3339(time) != text) return std::nullopt;
  return time;
}

std::string local_text(WallTime time) {
  const std::time_t whole = std::chrono::system_clock::to_time_t(std::chrono::floor<seconds>(time));
  std::tm parts{};
  ::localtime_r(&whole, &parts);
  return format(parts, "%Y-%m-%d %H:%M:%S %z");
}

std::string date_text(WallTime time) {
  return format(utc(time), "%Y-%m-%d");
}

}  // namespace mailweir
