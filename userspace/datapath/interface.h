// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel says of a network interface, by ioctl: /sys may show another namespace.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace mailweir {

struct InterfaceFacts {
  std::string name;
  unsigned ifindex = 0;
  std::string driver;         ///< "veth", "ixgbe"; empty if it does not say
  bool has_ethernet = false;  ///< by its ARPHRD; ppp and tun have none
};

[[nodiscard]] Result<InterfaceFacts> interface_facts(const std::string& name);
/// Now; empty if it is gone. It may have been renamed since it was attached.
[[nodiscard]] std::string interface_name(unsigned ifindex);

/// The interfaces that match any of the names or globs, in name order; a plain name is returned
/// even if there is no such interface.
[[nodiscard]] std::vector<std::string> matching_interfaces(
    const std::vector<std::string>& patterns);

/// Does an attach of native XDP leave the link up on this driver? docs/attach.md has the table.
[[nodiscard]] bool driver_keeps_link(const std::string& driver);

/// The addresses of this host in this network namespace, as keys; sorted.
[[nodiscard]] std::vector<mw_addr> own_addresses();

}  // namespace mailweir
