// SPDX-License-Identifier: GPL-2.0-or-later
// Decisions -> the chain MAILWEIR, through the real iptables-restore; reads back its own chain.
// Touches nothing else but its one jump at FORWARD 1. Blocking: call it from a worker thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/result.h"
#include "mirror/shield.h"

namespace mailweir {

struct MirrorRule {
  Prefix source;
  std::string comment;            ///< from encode_comment()
  std::optional<WallTime> stops;  ///< -m time --datestop; none: never
  /// The kernel's drops, set as the rule's counters. ip6tables-nft 1.8.9, Debian 12's own, ignores
  /// them (netfilter bug 1647) and the rule starts at 0: a difference here is no drift.
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  bool operator==(const MirrorRule&) const = default;
};

/// All that the chain should hold, in order.
struct MirrorTable {
  std::vector<std::uint16_t> ports;  ///< the judged ports; the jump and the rules match them
  std::vector<Prefix> servers;       ///< destinations never judged: RETURN before all else
  std::vector<MirrorRule> rules;
};

/// What one family's chain is found to hold.
struct MirrorFound {
  bool available = true;  ///< false: the host lacks this family, there is nothing to compare
  bool jump_is_first = false;
  std::size_t jumps = 0;
  std::vector<Prefix> servers;    ///< of our RETURN rules
  std::vector<MirrorRule> rules;  ///< ours, counters included
  std::size_t foreign_rules = 0;  ///< rules in the chain that are not ours
};

struct IptablesOptions {
  std::chrono::seconds lock_wait{3};  ///< -w: Debian's legacy iptables waits for ever without
  std::chrono::seconds timeout{20};   ///< of our own, for each command; then it is killed
};

class Iptables {
 public:
  /// Finds the commands and asks which backend they are. Fails with the package to install.
  [[nodiscard]] static Result<Iptables> open(IptablesOptions options = {});

  /// "nft" or "legacy": what `iptables` is on this host.
  [[nodiscard]] const std::string& backend() const { return backend_; }
  /// A line for the operator if the other backend also holds rules, which packets meet as well.
  [[nodiscard]] std::optional<std::string> other_backend_in_use() const;

  /// Replaces the chain in both families and puts the one jump at FORWARD 1: each family in one
  /// commit, so that no packet finds a gap. One family's failure does not keep the other from being
  /// written. A host without IPv6, or without ip6tables, fails only a table that holds IPv6 rules.
  /// EAGAIN: somebody else holds the xtables lock.
  [[nodiscard]] Result<> write(const MirrorTable& table) const;
  [[nodiscard]] Result<MirrorFound> read(bool ipv6) const;
  /// Makes the chain MAILWEIR_SHIELD hold what the table says, in both families; touches nothing
  /// that does already. Returns what was not so, or nothing.
  [[nodiscard]] Result<std::string> shield(const ShieldTable& table) const;
  /// Takes jumps and chains away in both families; it is no error if they are gone. An admin's own
  /// rule that leads into the chain keeps the emptied chain alive, and is an error.
  [[nodiscard]] Result<> remove() const;

 private:
  Iptables(IptablesOptions options, std::string backend);
  IptablesOptions options_;
  std::string backend_;
};

/// What `-S FORWARD` prints, of each backend and family that this host has.
struct ForwardListing {
  std::string tool;  ///< "iptables-nft", "ip6tables-legacy", ...
  std::string rules;
};
[[nodiscard]] Result<std::vector<ForwardListing>> list_forward(IptablesOptions options = {});
/// Takes one rule out of FORWARD. `spec`: the words behind -A FORWARD, as listed.
[[nodiscard]] Result<> delete_from_forward(const std::string& tool,
                                           const std::vector<std::string>& spec,
                                           IptablesOptions options = {});

}  // namespace mailweir
