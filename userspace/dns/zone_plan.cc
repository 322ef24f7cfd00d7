// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/zone_plan.h"

#include <algorithm>
#include <map>

#include "dns/name.h"

namespace mailweir {
namespace {

constexpr int kUsualIpv6 = 64;

/// Without the first `count` labels.
std::string less_labels(const std::string& name, int count) {
  std::size_t at = 0;
  for (int i = 0; i < count; ++i) at = name.find('.', at) + 1;
  return name.substr(at);
}

ReverseZone zone_of(const mw_addr& addr, const Prefix& delegation) {
  const std::string whole = reverse_name(addr);
  const int length = delegation.length();
  if (!is_ipv4(addr)) return {less_labels(whole, 32 - (length + 3) / 4), "", {}};
  if (length <= 16) return {less_labels(whole, 2), "", {}};
  if (length <= 24 || length == 32) return {less_labels(whole, 1), "", {}};
  const std::string parent = less_labels(whole, 1);
  return {octet(delegation.addr, 3) + "/" + std::to_string(length) + "." + parent, parent, {}};
}

Prefix delegation_of(const mw_addr& addr, const std::vector<Prefix>& delegations) {
  for (const Prefix& each : delegations)
    if (each.is_ipv4() == is_ipv4(addr) && each.contains(addr)) return each;
  const auto bits = static_cast<std::uint8_t>(is_ipv4(addr) ? 96 + 24 : kUsualIpv6);
  return {masked(addr, bits), bits};
}

}  // namespace

std::string ReverseZone::file_name() const {
  std::string file = name;
  std::ranges::replace(file, '/', '-');
  return file + ".zone";
}

std::string owner_in(const ReverseZone& zone, const mw_addr& addr) {
  if (zone.classless()) return octet(addr, 3);
  const std::string whole = reverse_name(addr);
  return whole.substr(0, whole.size() - zone.name.size() - 1);
}

Prefix usual_delegation(const Prefix& network) {
  if (network.is_ipv4() || network.bits <= kUsualIpv6) return network;
  return {masked(network.addr, kUsualIpv6), kUsualIpv6};
}

std::vector<ReverseZone> plan_zones(const std::vector<mw_addr>& addresses,
                                    const std::vector<Prefix>& delegations) {
  std::vector<ReverseZone> zones;
  std::map<std::string, std::size_t> places;
  for (const mw_addr& addr : addresses) {
    ReverseZone zone = zone_of(addr, delegation_of(addr, delegations));
    const auto [place, is_new] = places.emplace(zone.name, zones.size());
    if (is_new) zones.push_back(std::move(zone));
    zones[place->second].addresses.push_back(addr);
  }
  return zones;
}

}  // namespace mailweir
