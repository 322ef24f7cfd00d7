// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/zone_survey.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "dns/name.h"

namespace mailweir {
namespace {

/// Addresses that surely lie in one zone: those of a /24, or of a smaller zone that is planned.
struct Unit {
  const ReverseZone* planned;
  mw_addr first;
};

/// What one server, or the resolver, says of where a unit is.
struct Finding {
  std::optional<Record> soa;
  bool lame = false;
  bool nx_domain = false;
  std::string reason;  ///< if there is no SOA
};

std::vector<Unit> units_of(const std::vector<ReverseZone>& zones) {
  std::vector<Unit> units;
  for (const ReverseZone& zone : zones) {
    std::optional<mw_addr> last;
    for (const mw_addr& addr : zone.addresses) {
      const mw_addr net = masked(addr, is_ipv4(addr) ? 96 + 24 : 64);
      if (last != net) units.push_back({&zone, addr});
      last = net;
    }
  }
  return units;
}

std::string other_name(const Unit& unit) {
  if (!unit.planned->classless()) return "";
  return owner_in(*unit.planned, unit.first) + "." + unit.planned->name;
}

Finding finding_of(const Reply& reply, bool direct) {
  Finding finding;
  if (!reply.message) {
    finding.reason = reply.silence;
    return finding;
  }
  const Message& message = *reply.message;
  finding.nx_domain = message.rcode == Rcode::nx_domain;
  const bool answered = message.rcode == Rcode::no_error || finding.nx_domain;
  if (answered) finding.soa = zone_of_answer(message);
  if (direct && (is_foreign(message) || !finding.soa || is_registry_zone(finding.soa->owner))) {
    finding.soa.reset();
    finding.lame = true;
  }
  if (!finding.soa)
    finding.reason = !answered      ? to_string(message.rcode)
                     : finding.lame ? "not authoritative"
                                    : "no SOA in the answer";
  return finding;
}

/// One finding a unit.
std::vector<Finding> find_zones(const std::vector<Unit>& units, Asker& asker, bool direct) {
  std::vector<Finding> findings(units.size());
  for (std::size_t i = 0; i < units.size(); ++i) {
    const auto take = [&findings, i, direct](const Reply& reply) {
      findings[i] = finding_of(reply, direct);
    };
    asker.ask(reverse_name(units[i].first), RecordType::soa,
              [&, i, take, other = other_name(units[i])](const Reply& reply) {
                take(reply);
                if (findings[i].lame && !other.empty())
                  asker.ask(other, RecordType::soa, take, true);
              });
  }
  Asker* const all[] = {&asker};
  Asker::run(all);
  return findings;
}

/// The names, or nothing if they could not be asked for.
using NameServers = std::map<std::string, std::optional<std::vector<std::string>>>;

void ask_name_servers(const std::string& zone, Asker& asker, NameServers& found) {
  asker.ask(zone, RecordType::ns, [&found, zone](const Reply& reply) {
    if (!reply.message || reply.message->rcode != Rcode::no_error) return;
    std::vector<std::string> names;
    for (const Record& record : answers_about(*reply.message, zone, RecordType::ns))
      names.push_back(record.target);
    std::ranges::sort(names);
    found[zone] = std::move(names);
  });
}

/// Why the name of a server led to no address; nothing: it did.
std::optional<Finding> take_address(const std::string& name, RecordType type, const Reply& reply,
                                    std::map<std::string, mw_addr>& addresses) {
  if (!reply.message) return Finding{.reason = "its address: " + reply.silence};
  const auto found = answers_about(*reply.message, end_of_aliases(*reply.message, name), type);
  if (!found.empty()) {
    addresses.emplace(name, found.front().address);
    return std::nullopt;
  }
  const Rcode rcode = reply.message->rcode;
  if (rcode != Rcode::no_error && rcode != Rcode::nx_domain)
    return Finding{.reason = "its address: " + to_string(rcode)};
  return Finding{.lame = true, .reason = "it has no address"};
}

/// The first IPv4 address of each, or else the first IPv6 one: this machine may have no IPv6.
/// Returns why others have none.
std::map<std::string, Finding> ask_addresses(const NameServers& name_servers, Asker& resolver,
                                             std::map<std::string, mw_addr>& addresses) {
  std::map<std::string, Finding> failures;
  for (const auto& [zone, names] : name_servers)
    for (const std::string& name : names.value_or(std::vector<std::string>{}))
      failures.emplace(name, Finding{});
  Asker* const all[] = {&resolver};
  for (const RecordType type : {RecordType::a, RecordType::aaaa}) {
    for (auto& entry : failures)
      if (!addresses.contains(entry.first))
        resolver.ask(entry.first, type, [&addresses, &entry, type](const Reply& reply) {
          if (const auto failure = take_address(entry.first, type, reply, addresses))
            entry.second = *failure;
        });
    Asker::run(all);
  }
  return failures;
}

ServerState state_of(const std::string& server, const std::string& zone, const Finding& finding) {
  using Kind = ServerState::Kind;
  if (!finding.soa)
    return {server, finding.lame ? Kind::lame : Kind::unknown, 0, finding.reason, ""};
  if (finding.soa->owner != zone) return {server, Kind::lame, 0, "has " + finding.soa->owner, ""};
  return {server, Kind::serves, finding.soa->serial, "", ""};
}

/// Asks each name server for the SOA of each zone that names it.
class DirectCheck {
 public:
  DirectCheck(const std::map<std::string, mw_addr>& addresses,
              const std::map<std::string, Finding>& failures)
      : addresses_(addresses), failures_(failures) {}

  void ask(ZoneVerdict& zone) {
    zone.servers.resize(zone.name_servers.size());
    for (std::size_t i = 0; i < zone.name_servers.size(); ++i) {
      const std::string& name = zone.name_servers[i];
      ServerState& state = zone.servers[i];
      const auto address = addresses_.find(name);
      if (address == addresses_.end()) {
        state = state_of(name, zone.zone, failures_.at(name));
        continue;
      }
      const auto asker = asker_of(address->second);
      if (!asker) {
        state = state_of(name, zone.zone, {.reason = asker.error().message});
        continue;
      }
      (*asker)->ask(zone.zone, RecordType::soa, [&state, &zone, name, address](const Reply& reply) {
        state = state_of(name, zone.zone, finding_of(reply, true));
        state.address = to_string(address->second);
      });
    }
  }

  void run() {
    std::vector<Asker*> all;
    for (const auto& [address, asker] : askers_) all.push_back(asker.get());
    Asker::run(all);
  }

 private:
  Result<Asker*> asker_of(const mw_addr& address) {
    auto& asker = askers_[address];
    if (!asker) {
      auto opened = Asker::open({.server = Endpoint{address, 53}, .recurse = false});
      if (!opened) return opened.error();
      asker = std::move(*opened);
    }
    return asker.get();
  }

  const std::map<std::string, mw_addr>& addresses_;
  const std::map<std::string, Finding>& failures_;
  std::map<mw_addr, std::unique_ptr<Asker>> askers_;
};

/// By name, each once; in the order of their first units.
ZoneVerdict& zone_named(std::vector<ZoneVerdict>& zones, const std::string& name) {
  const auto found = std::ranges::find(zones, name, &ZoneVerdict::zone);
  if (found != zones.end()) return *found;
  zones.push_back({.zone = name});
  return zones.back();
}

/// Judged where there is no more to ask; the others are in `name_servers`.
std::vector<ZoneVerdict> found_zones(const std::vector<Unit>& units, Asker& resolver,
                                     NameServers& name_servers) {
  const std::vector<Finding> findings = find_zones(units, resolver, false);
  std::vector<ZoneVerdict> verdicts;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const auto& soa = findings[i].soa;
    if (soa && is_registry_zone(soa->owner) && findings[i].nx_domain) {
      ZoneVerdict& zone = zone_named(verdicts, units[i].planned->name);
      zone = undelegated_zone(zone.zone, soa->owner.empty() ? "the root" : soa->owner);
    } else if (!soa) {
      ZoneVerdict& zone = zone_named(verdicts, units[i].planned->name);
      if (zone.grade != Grade::bad) zone.text = "unknown: " + findings[i].reason;
    } else {
      (void)zone_named(verdicts, soa->owner);
      name_servers.emplace(soa->owner, std::nullopt);
    }
  }
  return verdicts;
}

}  // namespace

std::vector<ZoneVerdict> survey_zones(const std::vector<ReverseZone>& zones, Asker& resolver) {
  NameServers name_servers;
  std::vector<ZoneVerdict> verdicts = found_zones(units_of(zones), resolver, name_servers);
  for (const auto& [zone, names] : name_servers) ask_name_servers(zone, resolver, name_servers);
  Asker* const all[] = {&resolver};
  Asker::run(all);
  std::map<std::string, mw_addr> addresses;
  const auto failures = ask_addresses(name_servers, resolver, addresses);
  DirectCheck check(addresses, failures);
  for (ZoneVerdict& zone : verdicts) {
    const auto found = name_servers.find(zone.zone);
    if (found == name_servers.end()) continue;
    zone.name_servers = found->second.value_or(std::vector<std::string>{});
    check.ask(zone);
  }
  check.run();
  for (ZoneVerdict& zone : verdicts)
    if (const auto found = name_servers.find(zone.zone); found != name_servers.end())
      judge_zone(zone, found->second.has_value());
  return verdicts;
}

std::vector<ZoneVerdict> survey_zones(const std::vector<ReverseZone>& zones,
                                      const std::vector<Party>& servers) {
  const std::vector<Unit> units = units_of(zones);
  std::vector<std::vector<Finding>> findings;
  for (const Party& each : servers) findings.push_back(find_zones(units, *each.asker, true));

  std::vector<ZoneVerdict> verdicts;
  std::map<std::string, Asker*> serving;
  for (std::size_t i = 0; i < units.size(); ++i) {
    // The deepest zone that any of them has; none has one: the zone that should be there.
    std::string name;
    for (std::size_t s = 0; s < servers.size(); ++s)
      if (const auto& soa = findings[s][i].soa; soa && soa->owner.size() > name.size()) {
        name = soa->owner;
        serving[name] = servers[s].asker;
      }
    ZoneVerdict& zone = zone_named(verdicts, name.empty() ? units[i].planned->name : name);
    if (!zone.servers.empty()) continue;
    for (std::size_t s = 0; s < servers.size(); ++s)
      zone.servers.push_back(state_of(servers[s].server, zone.zone, findings[s][i]));
  }
  NameServers name_servers;
  for (const auto& [zone, asker] : serving) ask_name_servers(zone, *asker, name_servers);
  std::vector<Asker*> all;
  for (const Party& each : servers) all.push_back(each.asker);
  Asker::run(all);
  for (ZoneVerdict& zone : verdicts) {
    const auto found = name_servers.find(zone.zone);
    const bool known = found != name_servers.end() && found->second.has_value();
    if (known) zone.name_servers = *found->second;
    judge_zone(zone, known);
  }
  return verdicts;
}

}  // namespace mailweir
