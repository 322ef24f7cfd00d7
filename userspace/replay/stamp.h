// SPDX-License-Identifier: GPL-2.0-or-later
// The times that logs write before their lines, in the forms of syslog, journalctl and dmesg.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace mailweir {

/// "Nov 24 14:03:08": local time of a year that is not told.
struct YearlessTime {
  std::uint8_t month = 1;  ///< from 1
  std::uint8_t day = 1;
  std::chrono::nanoseconds in_day{0};

  auto operator<=>(const YearlessTime&) const = default;
};

/// What the beginning of a line tells of its time; more than one may be known.
struct Stamp {
  std::optional<WallTime> wall;
  std::optional<YearlessTime> yearless;
  std::optional<std::chrono::nanoseconds> since_boot;  ///< "[12345.678901]", printk's
  bool is_whole_second = false;                        ///< of wall or yearless
};

[[nodiscard]] Stamp parse_stamp(std::string_view line);

/// A line of journalctl -o json.
struct JournalEntry {
  std::string message;
  WallTime time;
};
[[nodiscard]] std::optional<JournalEntry> parse_journal(std::string_view line);

/// "2026-11-24T14:03:08", with T or a blank, with or without a fraction, with Z, +01:00, +0100 or
/// without a zone (local time). Takes what it read from the front of `text`.
[[nodiscard]] std::optional<WallTime> take_iso_time(std::string_view& text);

/// None: there is no such day in that year.
[[nodiscard]] std::optional<WallTime> local_time(int year, const YearlessTime& time);

/// "12.345" as a duration, up to nanoseconds. Also "1.2e-05", as JSON writes it. None: not a
/// number, negative, or beyond 200 years.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_seconds(std::string_view text);

}  // namespace mailweir
