// SPDX-License-Identifier: GPL-2.0-or-later
// Which reverse zones the addresses of a pool belong to, and what their owners are called in them.
#pragma once

#include <string>
#include <vector>

#include "base/address.h"

namespace mailweir {

struct ReverseZone {
  std::string name;    ///< canonical: "100.51.198.in-addr.arpa", "64/26.100.51.198.in-addr.arpa"
  std::string parent;  ///< of a classless one (RFC 2317), whose holder adds the CNAMEs; else empty
  std::vector<mw_addr> addresses;

  [[nodiscard]] bool classless() const { return !parent.empty(); }
  /// A file of that name can be made: '/' becomes '-'.
  [[nodiscard]] std::string file_name() const;
};

/// Relative to its zone: "7"; "7.100" in a /16; nibbles in ip6.arpa.
[[nodiscard]] std::string owner_in(const ReverseZone& zone, const mw_addr& addr);

/// What a network of the pool is taken to be delegated as: itself, but an IPv6 one longer than a
/// /64 as its /64.
[[nodiscard]] Prefix usual_delegation(const Prefix& network);

/// The zones in the order of their addresses. Of `delegations` the first that has an address says
/// its zone: IPv4 up to /16: the /16; up to /24: the /24; /25 to /31: classless; IPv6: the next
/// nibble. An address in none of them: the zone of its /24, or of its /64.
[[nodiscard]] std::vector<ReverseZone> plan_zones(const std::vector<mw_addr>& addresses,
                                                  const std::vector<Prefix>& delegations);

}  // namespace mailweir
