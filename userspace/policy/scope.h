// SPDX-License-Identifier: GPL-2.0-or-later
// Networks, groups, allowlist and servers -> the entries of the kernel's `hosts` and `networks`.
// The kernel asks for one entry only, so each carries the union of all that covers it: a group's
// /28 must not hide an allowed /16.
#pragma once

#include <map>
#include <vector>

#include "base/address.h"
#include "bpf/abi.h"

namespace mailweir {

struct ScopeInput {
  std::vector<Prefix> inside;
  std::vector<Prefix> allowed;
  std::vector<Prefix> servers;
  std::vector<Prefix> exposed;              ///< on either side: not shielded
  std::vector<std::vector<Prefix>> groups;  ///< group i + 1; the longest match decides the group
  int ipv6_prefix = 64;
};

struct ScopeEntries {
  std::map<mw_addr, mw_scope> hosts;  ///< IPv4 /32, IPv6 keys and /128
  std::map<Prefix, mw_scope> networks;
};

/// An inside, allowed or grouped IPv6 prefix longer than the clients' is widened to it: evidence
/// and blocks know nothing smaller. ::/0 means IPv6 only. Of two groups with one prefix the first
/// wins.
[[nodiscard]] ScopeEntries flatten(const ScopeInput& input);

/// What the kernel would find for this source; the longest match of `entries`.
[[nodiscard]] mw_scope scope_of(const ScopeEntries& entries, const mw_addr& key);

}  // namespace mailweir
