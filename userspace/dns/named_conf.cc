// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/named_conf.h"

#include <spdlog/fmt/fmt.h>

namespace mailweir {
namespace {

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

std::string host_of(const NameServer& server) {
  const auto endpoint = parse_endpoint(server.address);
  return endpoint ? to_string(endpoint->address) : server.address;
}

/// "192.0.2.53;", "127.0.0.1 port 5353;"
std::string with_port(const NameServer& server) {
  const auto endpoint = parse_endpoint(server.address);
  if (!endpoint || endpoint->port == 53) return host_of(server) + ";";
  return fmt::format("{} port {};", host_of(server), endpoint->port);
}

}  // namespace

std::string primary_conf(const std::vector<NamedZone>& zones, const Authority& authority,
                         const std::string& folder) {
  std::string notified;
  std::string allowed;
  for (std::size_t i = 1; i < authority.name_servers.size(); ++i) {
    notified += " " + with_port(authority.name_servers[i]);
    allowed += " " + host_of(authority.name_servers[i]) + ";";
  }
  std::string text =
      fmt::format("// {}: for named.conf of {}\n", kWrittenBy, authority.name_servers.front().name);
  for (const NamedZone& named : zones)
    text += fmt::format(
        "zone {} {{\n"
        "\ttype primary;\n"
        "\tfile {};\n"
        "\tallow-transfer {{{} }};\n"
        "\tnotify explicit;\n"
        "\talso-notify {{{} }};\n"
        "}};\n",
        quoted(named.zone.name), quoted(folder + "/" + named.zone.file_name()), allowed, notified);
  return text;
}

std::string secondary_conf(const std::vector<NamedZone>& zones, const Authority& authority) {
  std::string names;
  for (std::size_t i = 1; i < authority.name_servers.size(); ++i)
    names += (i > 1 ? ", " : "") + authority.name_servers[i].name;
  std::string text = fmt::format("// {}: for named.conf of {}\n", kWrittenBy, names);
  for (const NamedZone& named : zones)
    text += fmt::format(
        "zone {} {{\n"
        "\ttype secondary;\n"
        "\tfile {};\n"
        "\tprimaries {{ {} }};\n"
        "\tallow-transfer {{ none; }};\n"
        "\tnotify no;\n"
        "}};\n",
        quoted(named.zone.name), quoted(named.zone.file_name()),
        with_port(authority.name_servers.front()));
  return text;
}

std::string ripe_objects(const std::vector<NamedZone>& zones, const Authority& authority) {
  std::string text = fmt::format(
      "% {}. Replace each FILL-IN. Both servers must serve the zones first:\n"
      "% mailweir ptr check --servers ...\n",
      kWrittenBy);
  for (const NamedZone& named : zones) {
    if (named.zone.classless()) {
      text += fmt::format(
          "\n% {}: the registry delegates no less than a /24. Ask the holder of\n"
          "% {} to add the records that stand in {}.\n",
          named.zone.name, named.zone.parent, named.zone.file_name());
      continue;
    }
    text += fmt::format(
        "\ndomain:         {}\n"
        "descr:          Reverse DNS of {} to {}\n"
        "admin-c:        FILL-IN\n"
        "tech-c:         FILL-IN\n"
        "zone-c:         FILL-IN\n",
        named.zone.name, to_string(named.zone.addresses.front()),
        to_string(named.zone.addresses.back()));
    for (const NameServer& server : authority.name_servers)
      text += fmt::format("nserver:        {}\n", server.name);
    text += "mnt-by:         FILL-IN\nsource:         RIPE\n";
  }
  return text;
}

}  // namespace mailweir
