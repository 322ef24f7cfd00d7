// SPDX-License-Identifier: GPL-2.0-or-later
// The texts that iptables-restore reads and `iptables -S` prints. Pure: runs nothing.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mirror/iptables.h"

namespace mailweir {

inline constexpr std::string_view kMirrorChain = "MAILWEIR";
inline constexpr std::string_view kServerComment = "MAILWEIR_server";
/// What one multiport match takes.
inline constexpr std::size_t kPortsPerRule = 15;

/// The jumps to a chain of ours, as FORWARD is found to hold them: by ports and by nothing else. A
/// rule with any other match leads there too, but is an admin's.
struct FoundJumps {
  bool first = false;              ///< one stands in its place
  std::vector<std::string> specs;  ///< as listed; what -D needs
  std::size_t place = 1;           ///< in FORWARD, where it belongs
};
/// `listing`: of `iptables -S FORWARD`. `behind`: the chain whose jumps may stand before.
[[nodiscard]] FoundJumps parse_jumps(std::string_view listing,
                                     std::string_view chain = kMirrorChain,
                                     std::string_view behind = {});

/// The rules of our chain in `iptables -v -S MAILWEIR` or `iptables-save -c`; no jumps.
[[nodiscard]] MirrorFound parse_chain(std::string_view listing, bool ipv6);

/// How many rules a listing holds, in any chain.
[[nodiscard]] std::size_t count_rules(std::string_view listing);

/// "nft" or "legacy" from `iptables --version`; none: no iptables that we know.
[[nodiscard]] std::optional<std::string> parse_backend(std::string_view version);

/// Whether the table holds rules for this family that block something.
[[nodiscard]] bool has_rules(const MirrorTable& table, bool ipv6);

/// Refuses a comment that encode_comment() cannot have written, and more ports than rules match.
[[nodiscard]] Result<> check_table(const MirrorTable& table);

/// The batch for `iptables-restore --noflush --counters`: the whole chain, and what leaves one jump
/// at FORWARD 1. Without judged ports the chain is empty and nothing jumps. Checks the table.
[[nodiscard]] Result<std::string> restore_text(const MirrorTable& table, bool ipv6,
                                               const FoundJumps& found);

/// The batch that takes the jumps away and empties the chain, which must exist.
[[nodiscard]] std::string removal_text(const FoundJumps& found);

}  // namespace mailweir
