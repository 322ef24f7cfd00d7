// SPDX-License-Identifier: GPL-2.0-or-later
// Durations and times as people write and read them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace mailweir {

/// No end: written "forever".
inline constexpr std::chrono::seconds kForever = std::chrono::seconds::max();

/// "90s", "10m", "24h", "7d", "1h30m", "forever". Zero, a sign and a bare number are errors.
[[nodiscard]] Result<std::chrono::seconds> parse_duration(std::string_view text);
/// The two leading units: "41m", "12d 4h", "2h 5m", "forever".
[[nodiscard]] std::string duration_text(std::chrono::seconds duration);

/// RFC 3339, UTC, whole seconds: "2026-11-24T14:03:11Z".
[[nodiscard]] std::string rfc3339(WallTime time);
[[nodiscard]] std::optional<WallTime> parse_rfc3339(std::string_view text);
/// Local, with its zone: "2026-11-24 15:03:11 +0100".
[[nodiscard]] std::string local_text(WallTime time);
/// UTC date: "2026-11-24".
[[nodiscard]] std::string date_text(WallTime time);

}  // namespace mailweir
