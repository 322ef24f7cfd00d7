// SPDX-License-Identifier: GPL-2.0-or-later
// `ptr zone`: the zones as they should be: printed, compared with a file, or written to a folder.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <set>
#include <sstream>

#include "cli/body.h"
#include "cli/ptr_files.h"
#include "cli/ptr_plan.h"
#include "cli/verbs.h"
#include "dns/master_file.h"
#include "dns/name.h"
#include "dns/named_conf.h"
#include "dns/naming.h"
#include "dns/serial.h"

namespace mailweir {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// Where named looks on Debian, if no --out says otherwise.
constexpr const char* kUsualFolder = "/etc/bind";

const std::vector<CsvColumn> kFileColumns = {{"file"}, {"state"}, {"serial"}};

struct Wanted {
  std::vector<NamedZone> zones;
  Authority authority;
};

/// The secondary must be told where the primary is, and the primary whom to serve.
Result<> find_addresses(std::vector<NameServer>& servers, const Config& config) {
  const auto resolver = open_resolver(config);
  if (!resolver) return resolver.error();
  for (NameServer& server : servers) {
    if (!server.address.empty()) continue;
    const auto address = look_up(server.name, **resolver);
    if (!address)
      return Error{ENOEXEC,
                   "the stanzas of named.conf need the address of " + address.error().message +
                       "\nwrite it into [pool] name_servers: \"" + server.name + "=192.0.2.53\""};
    server.address = to_string(*address);
  }
  return Ok{};
}

Result<Authority> authority_of(const Config& config, const PtrZone& order,
                               const std::string& domain) {
  const auto& given = order.name_servers.empty() ? config.pool.name_servers : order.name_servers;
  Authority authority{{}, domain};
  for (const std::string& text : given) {
    authority.name_servers.push_back(parse_name_server(text));
    const NameServer& server = authority.name_servers.back();
    if (!is_host_name(server.name) ||
        (text.find('=') != std::string::npos && !parse_endpoint(server.address)))
      return Error{EINVAL, "'" + text +
                               "' is no name server: write ns1.example.net or "
                               "ns1.example.net=192.0.2.53"};
  }
  std::set<std::string> names;
  for (const NameServer& server : authority.name_servers)
    if (!names.insert(server.name).second)
      return Error{EINVAL, "name servers: " + server.name + " is named twice"};
  if (given.size() < 2)
    return Error{ENOEXEC, std::string(given.empty() ? "no name servers" : "one name server only") +
                              ": a reverse zone needs at least two\nset [pool] name_servers = "
                              "[\"ns1.example.net\", \"ns2.example.net\"], or give --name-servers"};
  const std::string& primary = authority.name_servers.front().name;
  if (authority.domain.empty()) authority.domain = primary.substr(primary.find('.') + 1);
  return authority;
}

Result<Wanted> wanted_of(const PtrPlan& plan, const PtrZone& order) {
  const auto& pool = plan.config.pool;
  const std::string domain = canonical_name(order.domain.empty() ? pool.domain : order.domain);
  if (!domain.empty() && !is_host_name("a." + domain))
    return Error{EINVAL, "'" + domain + "' is no domain name such as example.net"};
  const Naming naming{pool.ptr_pattern, pool.ptr_pattern_ipv6, domain};
  Wanted wanted;
  // All at once: names must not collide between zones either.
  std::vector<mw_addr> addresses;
  for (const ReverseZone& zone : plan.zones)
    addresses.insert(addresses.end(), zone.addresses.begin(), zone.addresses.end());
  const auto names = names_of(addresses, naming);
  if (!names) return names.error();
  auto next = names->begin();
  for (const ReverseZone& zone : plan.zones) {
    const auto end = next + static_cast<std::ptrdiff_t>(zone.addresses.size());
    wanted.zones.push_back({zone, {next, end}});
    next = end;
  }
  auto authority = authority_of(plan.config, order, domain);
  if (!authority) return std::move(authority).error();
  wanted.authority = std::move(*authority);
  return wanted;
}

Result<std::string> text_of(const std::string& path) {
  std::error_code failed;
  if (fs::is_directory(path, failed)) return sys_error(EISDIR, "read " + path);
  errno = 0;
  std::ifstream file(path);
  if (!file) return sys_error(errno == 0 ? EIO : errno, "read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The zone that a file is of: the only one, or the one whose SOA it has, or whose name it bears.
Result<const NamedZone*> zone_of_file(const std::vector<NamedZone>& zones, const std::string& text,
                                      const std::string& path) {
  if (zones.size() == 1) return &zones.front();
  const auto parsed = parse_zone(text, "");
  const std::string file = fs::path(path).filename().string();
  for (const NamedZone& each : zones) {
    std::string bare = each.zone.file_name();
    bare.resize(bare.size() - std::string_view(".zone").size());
    if ((parsed && parsed->zone == each.zone.name) || file == bare || file == bare + ".zone" ||
        file == "db." + bare)
      return &each;
  }
  return Error{EINVAL, path + fmt::format(": which of the {} zones is it of?\nname its RANGE: "
                                          "mailweir ptr zone {} --diff {}",
                                          zones.size(), to_string(zones.front().zone.addresses[0]),
                                          shell_word(path))};
}

struct Compared {
  std::vector<std::string> lines;
  const NamedZone* zone = nullptr;
  std::optional<std::uint32_t> serial;  ///< of the file
};

Result<Compared> compare(const Wanted& wanted, const std::string& path) {
  const auto text = text_of(path);
  if (!text) return text.error();
  const auto zone = zone_of_file(wanted.zones, *text, path);
  if (!zone) return zone.error();
  const auto before = parse_zone(*text, (*zone)->zone.name);
  if (!before) return Error{0, path + ":" + before.error().message};
  if (!before->zone.empty() && before->zone != (*zone)->zone.name)
    return Error{EINVAL, path + " is the zone " + before->zone + ", not " + (*zone)->zone.name +
                             "\nname the RANGE that it is of"};
  const auto after = parse_zone(zone_text(**zone, wanted.authority, 1), (*zone)->zone.name);
  if (!after) return Error{0, "compare with " + path + ": " + after.error().message};
  return Compared{zone_diff(*before, *after), *zone, before->serial};
}

/// The pieces beside the zones.
std::vector<PtrFile> other_files(const Wanted& wanted, const PtrZone& order) {
  const std::string& domain = wanted.authority.domain;
  const std::string folder =
      order.out.empty() ? kUsualFolder : fs::absolute(order.out).lexically_normal().string();
  std::vector<PtrFile> files = {
      {.name = domain + ".forward", .text = forward_text(wanted.zones, domain)},
      {.name = "named.conf.primary",
       .text = primary_conf(wanted.zones, wanted.authority,
                            folder.size() > 1 && folder.ends_with('/')
                                ? folder.substr(0, folder.size() - 1)
                                : folder)},
      {.name = "named.conf.secondary", .text = secondary_conf(wanted.zones, wanted.authority)}};
  if (order.ripe)
    files.push_back({.name = "ripe.objects", .text = ripe_objects(wanted.zones, wanted.authority)});
  return files;
}

/// A zone file's text, with the serial that is in `existing` if nothing else would change.
Result<PtrFile> zone_file(const NamedZone& named, const Authority& authority,
                          const std::optional<std::string>& existing,
                          std::optional<std::uint32_t> beyond, WallTime now) {
  PtrFile file{.name = named.zone.file_name()};
  std::optional<std::uint32_t> last = beyond;
  if (existing) {
    const auto parsed = parse_zone(*existing, named.zone.name);
    if (!parsed) return Error{0, file.name + ":" + parsed.error().message};
    if (parsed->serial) {
      if (!last || is_newer_serial(*parsed->serial, *last)) last = parsed->serial;
      file.text = zone_text(named, authority, *parsed->serial);
      file.serial = *parsed->serial;
      if (file.text == *existing && last == parsed->serial) return file;
    }
  }
  file.serial = next_serial(last, now);
  file.text = zone_text(named, authority, *file.serial);
  return file;
}

Result<std::vector<PtrFile>> files_of(const Console& console, const Wanted& wanted,
                                      const PtrZone& order,
                                      const std::optional<Compared>& compared) {
  std::vector<PtrFile> files;
  for (const NamedZone& named : wanted.zones) {
    std::optional<std::string> existing;
    if (!order.out.empty()) {
      auto found = existing_file(order.out, named.zone.file_name());
      if (!found) return std::move(found).error();
      existing = std::move(*found);
    }
    std::optional<std::uint32_t> beyond;
    if (compared && compared->zone == &named) beyond = compared->serial;
    auto file = zone_file(named, wanted.authority, existing, beyond, console.now);
    if (!file) return std::move(file).error().in(order.out);
    files.push_back(std::move(*file));
  }
  for (PtrFile& each : other_files(wanted, order)) files.push_back(std::move(each));
  return files;
}

json files_json(const std::vector<PtrFile>& files) {
  json list = json::array();
  for (const PtrFile& each : files)
    list.push_back({{"file", each.name},
                    {"state", each.state},
                    {"serial", each.serial ? json(*each.serial) : json()},
                    {"text", each.text}});
  return {{"files", list}};
}

void print_files(const Console& console, const std::vector<PtrFile>& files) {
  bool first = true;
  for (const PtrFile& each : files) {
    console.out << (first ? "" : "\n") << "; file " << printable(each.name) << '\n' << each.text;
    first = false;
  }
}

int write_files(const Console& console, std::vector<PtrFile> files, const PtrZone& order) {
  if (auto written = write_ptr_files(order.out, files, order.dry_run); !written)
    return fail_ptr(console, written.error());
  if (print_for_machines(console, files_json(files), "files", kFileColumns)) return kDone;
  if (order.diff.empty())
    for (const PtrFile& each : files)
      console.out << printable(order.out + "/" + each.name) << ": " << each.state
                  << (each.serial ? fmt::format(", serial {}", *each.serial) : "") << '\n';
  if (!console.globals.quiet && !order.dry_run)
    console.err << "next: serve them on both servers, then mailweir ptr check --servers NS1,NS2\n";
  return kDone;
}

}  // namespace

int make_ptr_zone(const Console& console, const PtrZone& order) {
  if (order.dry_run && order.out.empty())
    return fail_ptr(console, {EINVAL, "--dry-run goes with --out: without it nothing is written"});
  const auto plan = plan_ptr(console, order.ranges);
  if (!plan) return fail_ptr(console, plan.error());
  auto wanted = wanted_of(*plan, order);
  if (!wanted) return fail_ptr(console, wanted.error());

  std::optional<Compared> compared;
  if (!order.diff.empty()) {
    auto result = compare(*wanted, order.diff);
    if (!result) return fail_ptr(console, result.error());
    compared = std::move(*result);
    if (console.format == Format::table)
      for (const std::string& line : compared->lines) console.out << printable(line) << '\n';
    else if (order.out.empty())
      print_for_machines(console, {{"differences", compared->lines}}, "", {});
    if (order.out.empty()) return compared->lines.empty() ? kDone : kNo;
  }
  if (auto found = find_addresses(wanted->authority.name_servers, plan->config); !found)
    return fail_ptr(console, found.error());
  auto files = files_of(console, *wanted, order, compared);
  if (!files) return fail_ptr(console, files.error());
  if (!order.out.empty()) return write_files(console, std::move(*files), order);
  if (!print_for_machines(console, files_json(*files), "files", kFileColumns))
    print_files(console, *files);
  return kDone;
}

}  // namespace mailweir
