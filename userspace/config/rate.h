// SPDX-License-Identifier: GPL-2.0-or-later
// Rates and sizes as the configuration writes them, and back without loss.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/config.h"

namespace mailweir {

/// "600/min", "50/s", "30/h", "10/10min": at least 1 event, over at most 365 days, at most ten
/// million a second (the kernel counts the interval between two events in nanoseconds).
[[nodiscard]] Result<Rate> parse_rate(std::string_view text);
[[nodiscard]] std::string to_string(const Rate& rate);

/// How long a source that used up its burst waits until it has the whole of it again.
[[nodiscard]] double burst_seconds(const Limit& limit);

/// "512MiB"; B, KiB, MiB, GiB.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
[[nodiscard]] std::string size_text(std::uint64_t bytes);

/// parse_duration() reads it back to the same second, unlike duration_text(): "90m", "7d".
[[nodiscard]] std::string exact_text(std::chrono::seconds duration);

}  // namespace mailweir
