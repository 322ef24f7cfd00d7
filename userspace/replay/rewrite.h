// SPDX-License-Identifier: GPL-2.0-or-later
// Gives the clients of a recording addresses of another prefix. Headers only: checksums are wrong
// afterwards, and nobody here looks at them.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "base/address.h"
#include "replay/frames.h"

namespace mailweir {

class Rewriter {
 public:
  /// `ipv6_prefix`: how much of an IPv6 address is the client.
  Rewriter(const Prefix& into, const std::vector<std::uint16_t>& ports, int ipv6_prefix)
      : into_(into),
        ports_(ports.begin(), ports.end()),
        client_bits_(static_cast<std::uint8_t>(into.is_ipv4() ? 128 : ipv6_prefix)) {}

  /// Changes the source of a TCP packet to one of the ports; leaves all others, and those of the
  /// other address family. False: the prefix has no address left for another client.
  [[nodiscard]] bool rewrite(ReplayFrame& frame);
  /// Packets to the ports that have no place in the prefix: they are of the other family.
  [[nodiscard]] std::uint64_t other_family() const { return other_family_; }
  /// Where a client that was rewritten came from.
  [[nodiscard]] mw_addr recorded(const mw_addr& rewritten) const;

 private:
  [[nodiscard]] std::optional<mw_addr> place_of(const mw_addr& recorded);

  Prefix into_;
  std::set<std::uint16_t> ports_;
  std::uint8_t client_bits_;
  std::uint64_t other_family_ = 0;
  std::map<mw_addr, mw_addr> places_;
  std::map<mw_addr, mw_addr> origins_;
};

}  // namespace mailweir
