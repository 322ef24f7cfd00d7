// SPDX-License-Identifier: GPL-2.0-or-later
// The chain MAILWEIR_SHIELD: what comes in from elsewhere toward the clients. Its rules drop, and
// count, by themselves: they are written only where they differ. Pure: runs nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace mailweir {

inline constexpr std::string_view kShieldChain = "MAILWEIR_SHIELD";

struct ShieldTable {
  std::vector<std::uint16_t> ports;  ///< none: no chain
  std::vector<Prefix> inside;        ///< the clients
  std::vector<Prefix> open;          ///< clients that may be connected to, and servers
  std::vector<Prefix> may_connect;   ///< whoever they connect to
  bool operator==(const ShieldTable&) const = default;
};

/// "SMTP_Blocked_to_local" for port 25, as it was always called; else "SHIELD_445".
[[nodiscard]] std::string shield_comment(std::uint16_t port);

/// What of FORWARD and the chain is not as the table has it, in a few words; or nothing. Listings
/// of `iptables -S` (the chain with -v); an empty one: there is no such chain.
[[nodiscard]] std::string shield_drift(const ShieldTable& table, bool ipv6,
                                       std::string_view forward, std::string_view chain);

/// The batch for `iptables-restore --noflush` that makes it so, with one jump behind that of
/// MAILWEIR. Without ports: the jumps go, and the chain, which must exist, is emptied.
/// A rule that is there already keeps its counters, a chain that is right is left alone.
[[nodiscard]] std::string shield_text(const ShieldTable& table, bool ipv6, std::string_view forward,
                                      std::string_view chain);

}  // namespace mailweir
