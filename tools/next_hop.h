// SPDX-License-Identifier: GPL-2.0-or-later
// The link-layer address of the default gateway, as the kernel's route and neighbour tables know
// it.
#pragma once

#include <optional>

#include "base/result.h"
#include "frame.h"

namespace mailweir {

/// `family`: AF_INET or AF_INET6. If the kernel knows the gateway but not its address yet, one
/// datagram to its discard port makes it ask, for at most a second. None: no such gateway behind
/// the interface, or it does not answer.
[[nodiscard]] Result<std::optional<Mac>> gateway_mac(unsigned ifindex, int family);

}  // namespace mailweir
