// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/verdict.h"

#include <algorithm>
#include <set>

#include "dns/generic.h"
#include "dns/name.h"

namespace mailweir {
namespace {

/// The smallest IPv6 block that a registry hands on is a /32: 8 nibbles; IPv4: 2 octets, mostly.
constexpr std::size_t kRegistryNibbles = 8;
constexpr std::size_t kRegistryOctets = 2;

std::string lame_text(const std::vector<ServerState>& servers) {
  std::string text;
  for (const ServerState& each : servers)
    if (each.kind == ServerState::Kind::lame)
      text += (text.empty() ? "" : "; ") + each.server + " does not serve it (" + each.reason + ")";
  return text;
}

std::string serials_text(const std::vector<ServerState>& servers) {
  std::string text;
  for (const ServerState& each : servers)
    if (each.kind == ServerState::Kind::serves)
      text += (text.empty() ? "" : ", ") + each.server + " " + std::to_string(each.serial);
  return text;
}

bool serials_differ(const std::vector<ServerState>& servers) {
  std::set<std::uint32_t> serials;
  for (const ServerState& each : servers)
    if (each.kind == ServerState::Kind::serves) serials.insert(each.serial);
  return serials.size() > 1;
}

/// Two names of one machine are one server. Only known addresses tell.
bool share_one_address(const std::vector<ServerState>& servers) {
  std::set<std::string> addresses;
  for (const ServerState& each : servers) {
    if (each.address.empty()) return false;
    addresses.insert(each.address);
  }
  return servers.size() >= 2 && addresses.size() == 1;
}

}  // namespace

std::string to_string(Grade grade) {
  constexpr const char* kWords[] = {"ok", "generic", "unknown", "bad"};
  return kWords[static_cast<int>(grade)];
}

std::optional<AddressVerdict> judge_names(const mw_addr& address, std::vector<std::string> names) {
  const auto bad = [&](std::string text) {
    return AddressVerdict{address, std::move(names), {}, Grade::bad, std::move(text), ""};
  };
  if (names.empty()) return bad("missing PTR");
  if (names.size() > 1) return bad(std::to_string(names.size()) + " PTRs");
  if (!is_host_name(names.front())) return bad("no host name");
  return std::nullopt;
}

AddressVerdict judge_back(const mw_addr& address, const std::string& name,
                          std::vector<mw_addr> back, Rcode answer) {
  AddressVerdict verdict{address, {name}, std::move(back), Grade::bad, "", ""};
  if (verdict.back.empty()) {
    verdict.text = answer == Rcode::nx_domain ? "name does not exist"
                   : is_ipv4(address)         ? "name has no A"
                                              : "name has no AAAA";
  } else if (std::ranges::find(verdict.back, address) == verdict.back.end()) {
    verdict.text = "mismatch";
  } else if (const auto why = why_generic(name, address)) {
    verdict.grade = Grade::generic;
    verdict.text = "generic name: " + *why;
  } else {
    verdict.grade = Grade::good;
    verdict.text = "ok";
  }
  return verdict;
}

AddressVerdict unknown_address(const mw_addr& address, std::vector<std::string> names,
                               const std::string& reason) {
  return {address, std::move(names), {}, Grade::unknown, "unknown: " + reason, ""};
}

AddressVerdict worse_of(AddressVerdict a, AddressVerdict b) {
  // A generic name is a name.
  const auto has_name = [](const AddressVerdict& each) {
    return each.grade == Grade::good || each.grade == Grade::generic;
  };
  if (has_name(a) && has_name(b) && a.names != b.names) {
    a.grade = Grade::bad;
    a.text = "servers differ: " + a.server + " " + a.names.front() + ", " + b.server + " " +
             b.names.front();
    return a;
  }
  return a.grade < b.grade ? std::move(b) : std::move(a);
}

void judge_zone(ZoneVerdict& zone, bool knows_name_servers) {
  using Kind = ServerState::Kind;
  const auto is = [](Kind kind) {
    return [kind](const ServerState& each) { return each.kind == kind; };
  };
  zone.grade = Grade::bad;
  zone.text = lame_text(zone.servers);
  if (!zone.text.empty()) return;
  if (knows_name_servers && zone.name_servers.size() < 2)
    zone.text = zone.name_servers.empty() ? "no NS record" : "one name server only";
  else if (share_one_address(zone.servers))
    zone.text = "all name servers have one address";
  else if (serials_differ(zone.servers))
    zone.text = "serials differ: " + serials_text(zone.servers);
  if (!zone.text.empty()) return;
  zone.grade = Grade::unknown;
  if (const auto silent = std::ranges::find_if(zone.servers, is(Kind::unknown));
      silent != zone.servers.end())
    zone.text = "unknown: " + silent->server + " " + silent->reason;
  else if (!knows_name_servers || zone.servers.empty())
    zone.text = "unknown: its name servers could not be asked for";
  if (!zone.text.empty()) return;
  zone.grade = Grade::good;
  zone.text = "ok";
}

ZoneVerdict undelegated_zone(const std::string& zone, const std::string& above) {
  return {zone, {}, {}, Grade::bad, "not delegated (by " + above + ")"};
}

std::optional<Record> zone_of_answer(const Message& message) {
  for (const auto* section : {&message.answers, &message.authority})
    for (const Record& record : *section)
      if (record.type == RecordType::soa) return record;
  return std::nullopt;
}

bool is_registry_zone(const std::string& zone) {
  const std::size_t labels = zone.empty() ? 0 : labels_of(zone).size();
  if (is_within(zone, "ip6.arpa")) return labels < kRegistryNibbles + 2;
  return labels < kRegistryOctets + 2;
}

bool is_foreign(const Message& message) {
  return message.rcode == Rcode::refused || !message.authoritative;
}

}  // namespace mailweir
