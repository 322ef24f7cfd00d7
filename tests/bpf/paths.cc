// SPDX-License-Identifier: GPL-2.0-or-later
#include "paths.h"

#include <spdlog/fmt/fmt.h>

namespace mailweir {
namespace {

constexpr const char* kWrapNames[] = {"plain", "vlan",       "two_vlans",  "service_vlan",
                                      "pppoe", "vlan_pppoe", "ip_options", "ip_extensions"};

void add_link_layer(Packet& packet, Wrap wrap) {
  packet.eth();
  if (wrap == Wrap::service_vlan) packet.service_vlan(100);
  if (wrap == Wrap::two_vlans) packet.vlan(100);
  if (wrap == Wrap::vlan || wrap == Wrap::two_vlans || wrap == Wrap::service_vlan ||
      wrap == Wrap::vlan_pppoe)
    packet.vlan(7);
  if (wrap == Wrap::pppoe || wrap == Wrap::vlan_pppoe) packet.pppoe();
}

std::string text(const Path& path) {
  return fmt::format("{}_{}_{}", name(path.program), path.family == Family::ipv4 ? "ipv4" : "ipv6",
                     kWrapNames[static_cast<int>(path.wrap)]);
}

}  // namespace

std::string Path::client(int number) const {
  return family == Family::ipv4 ? fmt::format("172.16.0.{}", number)
                                : fmt::format("2001:db8:1:{:x}::5", number);
}

std::string Path::other_address(int client_number) const {
  return family == Family::ipv4 ? client(client_number)
                                : fmt::format("2001:db8:1:{:x}:1234::6", client_number);
}

mw_addr Path::key(int client_number) const {
  return source_key(*parse_address(client(client_number)), 64);
}

std::string Path::server(int number) const {
  return family == Family::ipv4 ? fmt::format("198.18.{}.25", number)
                                : fmt::format("2001:db8:{:x}::25", 0xf000 + number);
}

std::string Path::foreigner() const {
  return family == Family::ipv4 ? "203.0.113.9" : "2001:db8:2::9";
}

Packet Path::ip(const std::string& source, const std::string& destination) const {
  Packet packet;
  if (program != Program::tc_ip) add_link_layer(packet, wrap);
  packet.ip(source, destination);
  if (wrap == Wrap::ip_options) packet.ip_options(40);
  if (wrap == Wrap::ip_extensions)
    packet.hop_by_hop().destination_options().routing().fragment(0, true).authentication();
  return packet;
}

std::string_view name(Program program) {
  return program == Program::xdp ? "xdp" : program == Program::tc ? "tc" : "tc_ip";
}

void PrintTo(const Path& path, std::ostream* out) {
  *out << text(path);
}

std::vector<Path> all_paths() {
  std::vector<Path> paths;
  for (const Program program : {Program::xdp, Program::tc, Program::tc_ip})
    for (const Family family : {Family::ipv4, Family::ipv6})
      for (const Wrap wrap :
           {Wrap::plain, Wrap::vlan, Wrap::two_vlans, Wrap::service_vlan, Wrap::pppoe,
            Wrap::vlan_pppoe, Wrap::ip_options, Wrap::ip_extensions}) {
        const bool tagged = wrap != Wrap::plain && wrap < Wrap::ip_options;
        if (program == Program::tc_ip && tagged) continue;
        if (wrap == Wrap::ip_options && family == Family::ipv6) continue;
        if (wrap == Wrap::ip_extensions && family == Family::ipv4) continue;
        paths.push_back({program, family, wrap});
      }
  return paths;
}

std::vector<Path> plain_paths() {
  auto paths = all_paths();
  std::erase_if(paths, [](const Path& path) { return path.wrap != Wrap::plain; });
  return paths;
}

std::string path_name(const ::testing::TestParamInfo<Path>& path) {
  return text(path.param);
}

}  // namespace mailweir
