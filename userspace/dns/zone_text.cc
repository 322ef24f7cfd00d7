// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/zone_text.h"

#include <spdlog/fmt/fmt.h>

#include "dns/name.h"

namespace mailweir {
namespace {

/// What the holder of the parent must add, as comments (RFC 2317).
std::string for_the_parent(const NamedZone& named, const Authority& authority) {
  const ReverseZone& zone = named.zone;
  const std::string label = zone.name.substr(0, zone.name.find('.'));
  std::string text =
      fmt::format("; {} is less than a /24 (RFC 2317). The holder of {}\n; must add to it:\n;\n",
                  zone.name, zone.parent);
  for (const NameServer& server : authority.name_servers)
    text += fmt::format(";\t{}\tIN NS\t{}.\n", label, server.name);
  for (const mw_addr& addr : zone.addresses)
    text += fmt::format(";\t{}\tIN CNAME\t{}.{}\n", octet(addr, 3), octet(addr, 3), label);
  return text + "\n";
}

std::string relative_to(const std::string& name, const std::string& domain) {
  if (domain.empty() || !is_within(name, domain)) return name + ".";
  return name == domain ? "@" : name.substr(0, name.size() - domain.size() - 1);
}

}  // namespace

std::string zone_text(const NamedZone& named, const Authority& authority, std::uint32_t serial) {
  const ReverseZone& zone = named.zone;
  std::string text =
      fmt::format("; {}, which writes it anew: {} to {}\n", kWrittenBy,
                  to_string(zone.addresses.front()), to_string(zone.addresses.back()));
  if (zone.classless()) text += for_the_parent(named, authority);
  text += fmt::format(
      "$TTL 3600\n"
      "$ORIGIN {}.\n"
      "@\tIN SOA\t{}. hostmaster.{}. (\n"
      "\t\t{}\t; serial\n"
      "\t\t21600\t\t; refresh\n"
      "\t\t3600\t\t; retry\n"
      "\t\t3600000\t\t; expire\n"
      "\t\t3600 )\t\t; negative answers\n",
      zone.name, authority.name_servers.front().name, authority.domain, serial);
  for (const NameServer& server : authority.name_servers)
    text += fmt::format("\tIN NS\t{}.\n", server.name);
  text += '\n';
  for (std::size_t i = 0; i < zone.addresses.size(); ++i)
    text += fmt::format("{}\tIN PTR\t{}.\n", owner_in(zone, zone.addresses[i]), named.names[i]);
  return text;
}

std::string forward_text(const std::vector<NamedZone>& zones, const std::string& domain) {
  std::string text =
      fmt::format("; {}: include it in the zone of {}, and raise its serial\n", kWrittenBy, domain);
  if (!domain.empty()) text += fmt::format("$ORIGIN {}.\n", domain);
  for (const NamedZone& named : zones)
    for (std::size_t i = 0; i < named.names.size(); ++i) {
      const mw_addr& addr = named.zone.addresses[i];
      text += fmt::format("{}\tIN {}\t{}\n", relative_to(named.names[i], domain),
                          is_ipv4(addr) ? "A" : "AAAA", to_string(addr));
    }
  return text;
}

}  // namespace mailweir
