// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/stamp.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>

namespace mailweir {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr double kMostSeconds = 200.0 * 366 * 86400;
constexpr std::size_t kNanosecondDigits = 9;
/// "1800000000.123456", journalctl -o short-unix: no time before 2001.
constexpr std::size_t kUnixDigits = 10;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool take(std::string_view& text, std::string_view front) {
  if (!text.starts_with(front)) return false;
  text.remove_prefix(front.size());
  return true;
}

std::size_t digits_at(std::string_view text) {
  const auto* end = std::ranges::find_if_not(text, is_digit);
  return static_cast<std::size_t>(end - text.begin());
}

std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  if (digits == 0 || digits_at(text) < digits) return std::nullopt;
  int number = 0;
  std::from_chars(text.data(), text.data() + digits, number);
  text.remove_prefix(digits);
  return number;
}

/// ".123456" or ",123"; nothing if there is none.
nanoseconds take_fraction(std::string_view& text) {
  if (text.size() < 2 || (text[0] != '.' && text[0] != ',') || !is_digit(text[1]))
    return nanoseconds(0);
  text.remove_prefix(1);
  const std::size_t digits = digits_at(text);
  std::int64_t nanos = 0;
  for (std::size_t i = 0; i < kNanosecondDigits; ++i)
    nanos = nanos * 10 + (i < digits ? text[i] - '0' : 0);
  text.remove_prefix(digits);
  return nanoseconds(nanos);
}

/// "14:03:08.5"
std::optional<nanoseconds> take_time_of_day(std::string_view& text) {
  const auto hour = take_number(text, 2);
  if (!hour || !take(text, ":")) return std::nullopt;
  const auto minute = take_number(text, 2);
  if (!minute || !take(text, ":")) return std::nullopt;
  const auto second = take_number(text, 2);
  // 60: a leap second.
  if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return std::chrono::hours(*hour) + std::chrono::minutes(*minute) + seconds(*second) +
         take_fraction(text);
}

/// "Nov 24 14:03:08", "Nov  4 14:03:08"
std::optional<YearlessTime> take_yearless(std::string_view& text) {
  const auto* month = std::ranges::find(kMonths, text.substr(0, 3));
  if (month == std::end(kMonths)) return std::nullopt;
  text.remove_prefix(3);
  if (!take(text, " ")) return std::nullopt;
  (void)take(text, " ");
  const auto day = take_number(text, std::min<std::size_t>(digits_at(text), 2));
  if (!day || !take(text, " ")) return std::nullopt;
  const auto in_day = take_time_of_day(text);
  const std::chrono::year_month_day in_leap_year{
      std::chrono::year(2000), std::chrono::month(static_cast<unsigned>(month - kMonths) + 1),
      std::chrono::day(static_cast<unsigned>(*day))};
  if (!in_day || !in_leap_year.ok()) return std::nullopt;
  return YearlessTime{static_cast<std::uint8_t>(month - std::begin(kMonths) + 1),
                      static_cast<std::uint8_t>(*day), *in_day};
}

/// "[Tue Nov 24 14:03:08 2026]", dmesg -T.
std::optional<WallTime> take_dmesg_date(std::string_view& text) {
  std::string_view rest = text;
  if (!take(rest, "[") || rest.size() < 4 || rest[3] != ' ') return std::nullopt;
  rest.remove_prefix(4);
  const auto time = take_yearless(rest);
  if (!time || !take(rest, " ")) return std::nullopt;
  const auto year = take_number(rest, 4);
  if (!year || !take(rest, "]")) return std::nullopt;
  text = rest;
  return local_time(*year, *time);
}

/// "[12345.678901]", "[    5.000123]": the first such bracket.
std::optional<nanoseconds> find_since_boot(std::string_view line) {
  for (auto at = line.find('['); at != std::string_view::npos; at = line.find('[', at + 1)) {
    std::string_view rest = line.substr(at + 1);
    while (take(rest, " ")) continue;
    const auto end = rest.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view number = rest.substr(0, end);
    // printk writes six digits; a process number ("postfix[123]") has no point.
    if (number.find('.') == digits_at(number) && number.size() == digits_at(number) + 7)
      if (const auto parsed = parse_seconds(number)) return parsed;
  }
  return std::nullopt;
}

/// "kern  :warn  : ", dmesg -x.
void skip_decoded_priority(std::string_view& line) {
  const auto take_word = [](std::string_view& text) {
    const auto* const end =
        std::ranges::find_if_not(text, [](char c) { return c >= 'a' && c <= 'z'; });
    const auto letters = static_cast<std::size_t>(end - text.begin());
    text.remove_prefix(letters);
    while (take(text, " ")) continue;
    return letters > 0 && take(text, ":");
  };
  std::string_view rest = line;
  if (take_word(rest) && take_word(rest) && take(rest, " ")) line = rest;
}

/// "Tue 2026-11-24", journalctl -o short-full.
void skip_weekday(std::string_view& line) {
  if (line.size() > 8 && line[3] == ' ' && digits_at(line.substr(4)) == 4 && line[8] == '-')
    line.remove_prefix(4);
}

/// "<6>", and the "1 " that RFC 5424 puts after it.
void skip_priority(std::string_view& line) {
  std::string_view rest = line;
  if (!take(rest, "<")) return;
  const std::size_t digits = digits_at(rest);
  rest.remove_prefix(digits);
  if (digits == 0 || !take(rest, ">")) return;
  (void)take(rest, "1 ");
  line = rest;
}

}  // namespace

std::optional<WallTime> local_time(int year, const YearlessTime& time) {
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(time.month),
                                         std::chrono::day(time.day)};
  if (!date.ok() || year < 1970 || year > 2200) return std::nullopt;
  std::tm parts{};
  parts.tm_year = year - 1900;
  parts.tm_mon = time.month - 1;
  parts.tm_mday = time.day;
  parts.tm_sec = static_cast<int>(time.in_day / seconds(1));
  parts.tm_hour = parts.tm_sec / 3600;
  parts.tm_sec %= 3600;
  parts.tm_isdst = -1;
  return WallTime(seconds(std::mktime(&parts)) + time.in_day % seconds(1));
}

std::optional<WallTime> take_iso_time(std::string_view& text) {
  std::string_view rest = text;
  const auto year = take_number(rest, 4);
  if (!year || !take(rest, "-")) return std::nullopt;
  const auto month = take_number(rest, 2);
  if (!month || !take(rest, "-")) return std::nullopt;
  const auto day = take_number(rest, 2);
  if (!day || (!take(rest, "T") && !take(rest, " "))) return std::nullopt;
  const auto in_day = take_time_of_day(rest);
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!in_day || !date.ok() || *year < 1970 || *year > 2200) return std::nullopt;
  text = rest;
  const WallTime utc = std::chrono::sys_days(date) + *in_day;
  if (take(text, "Z") || take(text, " UTC")) return utc;
  if (text.empty() || (text[0] != '+' && text[0] != '-'))
    return local_time(
        *year, {static_cast<std::uint8_t>(*month), static_cast<std::uint8_t>(*day), *in_day});
  rest = text.substr(1);
  const auto hours = take_number(rest, 2);
  (void)take(rest, ":");
  const auto minutes = take_number(rest, 2);
  if (!hours || !minutes) return std::nullopt;
  const auto ahead = std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
  const bool is_west = text[0] == '-';
  text = rest;
  return is_west ? utc + ahead : utc - ahead;
}

std::optional<nanoseconds> parse_seconds(std::string_view text) {
  const std::size_t digits = digits_at(text);
  if (digits > 0 && digits <= kUnixDigits) {
    std::string_view rest = text;
    std::int64_t whole = 0;
    std::from_chars(rest.data(), rest.data() + digits, whole);
    rest.remove_prefix(digits);
    const nanoseconds fraction = take_fraction(rest);
    if (rest.empty() && static_cast<double>(whole) < kMostSeconds) return seconds(whole) + fraction;
  }
  double number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || end != text.data() + text.size() || !(number >= 0) ||
      number >= kMostSeconds)
    return std::nullopt;
  return nanoseconds(std::llround(number * 1e9));
}

std::optional<JournalEntry> parse_journal(std::string_view line) {
  const auto object = nlohmann::json::parse(line, nullptr, false);
  const auto text_of = [&](const char* key) {
    const bool has = object.is_object() && object.contains(key) && object[key].is_string();
    return has ? object[key].get<std::string>() : std::string();
  };
  const std::string since_epoch_us = text_of("__REALTIME_TIMESTAMP");
  std::string_view digits = since_epoch_us;
  std::int64_t micros = 0;
  if (digits.empty() || digits.size() > 17 || digits_at(digits) != digits.size())
    return std::nullopt;
  std::from_chars(digits.data(), digits.data() + digits.size(), micros);
  return JournalEntry{text_of("MESSAGE"), WallTime(std::chrono::microseconds(micros))};
}

Stamp parse_stamp(std::string_view line) {
  Stamp stamp;
  skip_priority(line);
  skip_decoded_priority(line);
  skip_weekday(line);
  std::string_view rest = line;
  if (rest.size() > kUnixDigits && digits_at(rest) == kUnixDigits && rest[kUnixDigits] == '.') {
    if (const auto since_epoch = parse_seconds(rest.substr(0, rest.find(' '))))
      stamp.wall = WallTime(*since_epoch);
  } else if (line.starts_with('[')) {
    stamp.wall = take_dmesg_date(rest);
  } else if (line.starts_with("19") || line.starts_with("20")) {
    stamp.wall = take_iso_time(rest);
  } else {
    stamp.yearless = take_yearless(rest);
  }
  stamp.since_boot = find_since_boot(line);
  const auto in_second = [](auto since) { return since % seconds(1) == nanoseconds(0); };
  stamp.is_whole_second = stamp.wall       ? in_second(stamp.wall->time_since_epoch())
                          : stamp.yearless ? in_second(stamp.yearless->in_day)
                                           : false;
  return stamp;
}

}  // namespace mailweir
