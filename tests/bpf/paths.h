// SPDX-License-Identifier: GPL-2.0-or-later
// The ways a packet can reach the program: each hook, address family and encapsulation. And the
// actors of the tests: clients inside, servers outside, by number.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/address.h"
#include "datapath/kernel_datapath.h"
#include "packet_builder.h"

namespace mailweir {

enum class Family : std::uint8_t { ipv4, ipv6 };

enum class Wrap : std::uint8_t {
  plain,
  vlan,
  two_vlans,
  service_vlan,  ///< 802.1ad around 802.1Q
  pppoe,
  vlan_pppoe,
  ip_options,     ///< IPv4
  ip_extensions,  ///< IPv6: five, a first fragment among them
};

struct Path {
  Program program = Program::xdp;
  Family family = Family::ipv4;
  Wrap wrap = Wrap::plain;

  /// 172.16.0.N, or 2001:db8:1:N::5; in the default rules they are inside.
  [[nodiscard]] std::string client(int number) const;
  /// The same client's other address: of its /64, or for IPv4 the only one.
  [[nodiscard]] std::string other_address(int client) const;
  [[nodiscard]] mw_addr key(int client) const;
  /// 198.18.N.25, or 2001:db8:(F000+N)::25: each in a network of its own.
  [[nodiscard]] std::string server(int number) const;
  [[nodiscard]] std::string foreigner() const;

  /// All up to the TCP header.
  [[nodiscard]] Packet ip(const std::string& source, const std::string& destination) const;
};

[[nodiscard]] std::string_view name(Program program);
void PrintTo(const Path& path, std::ostream* out);

/// Every combination that exists: limit_tc_ip sees no Ethernet header, hence no tags.
[[nodiscard]] std::vector<Path> all_paths();
/// One plain path for each hook and family.
[[nodiscard]] std::vector<Path> plain_paths();
[[nodiscard]] std::string path_name(const ::testing::TestParamInfo<Path>& path);

}  // namespace mailweir
