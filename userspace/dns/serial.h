// SPDX-License-Identifier: GPL-2.0-or-later
// A zone's serial: YYYYMMDDnn, and it only grows, as secondaries count (RFC 1982).
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace mailweir {

/// `a` is newer than `b`. Of two that are 2^31 apart neither is.
[[nodiscard]] bool is_newer_serial(std::uint32_t a, std::uint32_t b);

/// Today's first one, or the one after `last` if that is not older. Never 0, which some servers
/// take for "none".
[[nodiscard]] std::uint32_t next_serial(std::optional<std::uint32_t> last, WallTime now);

}  // namespace mailweir
