// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/scope.h"

#include <algorithm>
#include <span>

namespace mailweir {
namespace {

/// What prefixes say themselves, before they inherit. In map order each prefix stands after all
/// that cover it.
using OwnScopes = std::map<Prefix, mw_scope>;

constexpr std::uint16_t kOfSources = MW_SCOPE_INSIDE | MW_SCOPE_ALLOWED;
constexpr std::uint16_t kOfDestinations = MW_SCOPE_SERVER | MW_SCOPE_EXPOSED;
constexpr Prefix kAllIpv4{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}}, 96};

Prefix widened(const Prefix& prefix, int ipv6_prefix) {
  const auto most = static_cast<std::uint8_t>(ipv6_prefix);
  if (prefix.is_ipv4() || prefix.bits <= most) return prefix;
  return {masked(prefix.addr, most), most};
}

OwnScopes own_scopes(const ScopeInput& input) {
  OwnScopes own;
  const auto add_flag = [&](std::span<const Prefix> prefixes, mw_scope_flags flag, int ipv6_most) {
    for (const Prefix& prefix : prefixes) own[widened(prefix, ipv6_most)].flags |= flag;
  };
  add_flag(input.inside, MW_SCOPE_INSIDE, input.ipv6_prefix);
  add_flag(input.allowed, MW_SCOPE_ALLOWED, input.ipv6_prefix);
  // A destination is looked up with its whole address.
  add_flag(input.servers, MW_SCOPE_SERVER, 128);
  add_flag(input.exposed, MW_SCOPE_EXPOSED, 128);

  for (std::size_t i = 0; i < input.groups.size(); ++i)
    for (const Prefix& prefix : input.groups[i])
      if (mw_scope& scope = own[widened(prefix, input.ipv6_prefix)]; scope.group == 0)
        scope.group = static_cast<std::uint16_t>(i + 1);
  return own;
}

/// To one trie ::/0 covers the v4-mapped keys too; to people it means IPv6. An IPv4 root that
/// inherits nothing keeps the families apart.
void part_families(OwnScopes& own) {
  const bool covered = std::any_of(own.begin(), own.end(), [](const auto& entry) {
    return !entry.first.is_ipv4() && entry.first.contains(kAllIpv4);
  });
  if (covered) own.try_emplace(kAllIpv4);
}

void inherit(mw_scope& scope, const mw_scope& from) {
  scope.flags |= from.flags;
  if (scope.group == 0) scope.group = from.group;
}

/// `own` is what the prefix said itself, `scope` what holds for it.
void place(ScopeEntries& entries, const Prefix& prefix, const mw_scope& own, const mw_scope& scope,
           int ipv6_prefix) {
  const bool is_client_key = !prefix.is_ipv4() && prefix.bits == ipv6_prefix &&
                             ((own.flags & kOfSources) != 0 || own.group != 0);
  // An entry found in `hosts` ends the search, so it must know longer prefixes of its address too:
  // a server may have the very address that stands for a client's /64.
  if (prefix.bits == 128 || is_client_key || entries.hosts.contains(prefix.addr))
    entries.hosts[prefix.addr] = scope;
  // The client's /64 in `hosts` is not found by a destination within it.
  if (prefix.bits != 128 && (!is_client_key || (own.flags & kOfDestinations) != 0))
    entries.networks[prefix] = scope;
}

}  // namespace

ScopeEntries flatten(const ScopeInput& input) {
  OwnScopes own = own_scopes(input);
  part_families(own);

  ScopeEntries entries;
  std::vector<std::pair<Prefix, mw_scope>> covering;  // from the widest to the narrowest
  for (const auto& [prefix, said] : own) {
    while (!covering.empty() && !covering.back().first.contains(prefix)) covering.pop_back();
    mw_scope scope = said;
    if (!covering.empty() && prefix != kAllIpv4) inherit(scope, covering.back().second);
    covering.emplace_back(prefix, scope);
    place(entries, prefix, said, scope, input.ipv6_prefix);
  }
  return entries;
}

mw_scope scope_of(const ScopeEntries& entries, const mw_addr& key) {
  if (const auto exact = entries.hosts.find(key); exact != entries.hosts.end())
    return exact->second;
  for (int bits = 128; bits >= 0; --bits) {
    const auto length = static_cast<std::uint8_t>(bits);
    const auto match = entries.networks.find({masked(key, length), length});
    if (match != entries.networks.end()) return match->second;
  }
  return {};
}

}  // namespace mailweir
