// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/interface.h"

#include <fnmatch.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <set>

#include "base/unique_fd.h"

namespace mailweir {

Result<InterfaceFacts> interface_facts(const std::string& name) {
  InterfaceFacts facts{.name = name, .ifindex = ::if_nametoindex(name.c_str())};
  if (facts.ifindex == 0) return sys_error(errno, "find interface " + name);

  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return sys_error(errno, "open a socket");
  ifreq request{};
  name.copy(request.ifr_name, sizeof(request.ifr_name) - 1);
  if (::ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0)
    return sys_error(errno, "ask for the type of interface " + name);
  facts.has_ethernet = request.ifr_hwaddr.sa_family == ARPHRD_ETHER;

  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  request.ifr_data = reinterpret_cast<char*>(&driver);
  if (::ioctl(socket.get(), SIOCETHTOOL, &request) == 0)
    facts.driver.assign(driver.driver, ::strnlen(driver.driver, sizeof(driver.driver)));
  return facts;
}

std::string interface_name(unsigned ifindex) {
  char name[IF_NAMESIZE] = {};
  return ::if_indextoname(ifindex, name) != nullptr ? name : "";
}

std::vector<std::string> matching_interfaces(const std::vector<std::string>& patterns) {
  std::set<std::string> found;
  struct if_nameindex* all = ::if_nameindex();
  for (const std::string& pattern : patterns) {
    if (pattern.find_first_of("*?[") == std::string::npos) {
      found.insert(pattern);
      continue;
    }
    for (const auto* each = all; each != nullptr && each->if_index != 0; ++each)
      if (::fnmatch(pattern.c_str(), each->if_name, 0) == 0) found.insert(each->if_name);
  }
  if (all != nullptr) ::if_freenameindex(all);
  return {found.begin(), found.end()};
}

bool driver_keeps_link(const std::string& driver) {
  static constexpr std::array<std::string_view, 4> kKnown = {"veth", "virtio_net", "tun",
                                                             "netdevsim"};
  return std::ranges::find(kKnown, driver) != kKnown.end();
}

std::vector<mw_addr> own_addresses() {
  ifaddrs* listed = nullptr;
  std::vector<mw_addr> found;
  if (::getifaddrs(&listed) != 0) return found;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(listed, ::freeifaddrs);
  for (const ifaddrs* each = listed; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    mw_addr addr{};
    if (each->ifa_addr->sa_family == AF_INET) {
      addr.bytes[10] = addr.bytes[11] = 0xff;
      std::memcpy(addr.bytes + 12, &reinterpret_cast<const sockaddr_in*>(each->ifa_addr)->sin_addr,
                  4);
    } else if (each->ifa_addr->sa_family == AF_INET6) {
      std::memcpy(addr.bytes, &reinterpret_cast<const sockaddr_in6*>(each->ifa_addr)->sin6_addr,
                  16);
    } else {
      continue;
    }
    found.push_back(addr);
  }
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace mailweir
