// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/checks.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <set>

#include "bpf/abi.h"
#include "config/rate.h"

namespace mailweir {
namespace {

constexpr std::size_t kMostGroups = MW_GROUPS - 1;  // 0 stands for no group
constexpr double kLongestBurstSeconds = 365.0 * 86400;
constexpr std::chrono::seconds kBusyController = 10s;

std::string group_path(std::size_t index) {
  return element("group", index);
}

bool covered(const std::set<Prefix>& covers, const Prefix& network) {
  for (unsigned bits = 0; bits <= network.bits; ++bits) {
    const auto length = static_cast<std::uint8_t>(bits);
    if (covers.contains({masked(network.addr, length), length})) return true;
  }
  return false;
}

void require_inside(Draft& draft, const std::string& section, bool empty, std::string_view what) {
  const std::string key = section + ".inside";
  if (empty && !draft.refused.contains(key))
    draft.findings.error(draft.places.of({key, section}),
                         fmt::format("[{}] inside is required: {}", section, what));
}

void check_ports(Draft& draft) {
  const auto& smtp = draft.config.smtp;
  if (smtp.judge.empty() && !draft.refused.contains("smtp.judge"))
    draft.findings.error(draft.places.of({"smtp.judge"}),
                         "[smtp] judge names no port: to only watch, write mode = \"observe\"");
  for (std::size_t i = 0; i < smtp.watch.size(); ++i)
    if (std::find(smtp.judge.begin(), smtp.judge.end(), smtp.watch[i]) != smtp.judge.end())
      draft.findings.error(draft.places.of({element("smtp.watch", i), "smtp.judge"}),
                           fmt::format("[smtp] watch: port {} is judged already; a port is judged "
                                       "or watched, not both",
                                       smtp.watch[i]));
}

/// The kernel keeps the burst as a time; and one that takes a year to refill is a slip of the pen.
void check_burst(Draft& draft, const Limit& limit, std::string_view name, const Place& place) {
  if (const double seconds = burst_seconds(limit); seconds > kLongestBurstSeconds)
    draft.findings.error(
        place, fmt::format("{}: a burst of {} at a rate of {} takes {:.0f} days to refill; at most "
                           "365",
                           name, limit.burst, to_string(limit.rate), seconds / 86400));
}

void check_networks(Draft& draft) {
  const auto& [inside, ipv6_prefix] = draft.config.networks;
  for (std::size_t i = 0; i < inside.size(); ++i)
    if (!inside[i].is_ipv4() && inside[i].length() > ipv6_prefix)
      draft.findings.error(
          draft.places.of({element("networks.inside", i)}),
          fmt::format("[networks] inside: {} is longer than ipv6_prefix = {}, by which clients are "
                      "told apart",
                      to_string(inside[i]), ipv6_prefix));
}

void check_group_networks(Draft& draft, std::size_t index, const std::set<Prefix>& inside,
                          std::map<Prefix, std::string>& owners) {
  const GroupDraft& group = draft.groups[index];
  const int ipv6_prefix = draft.config.networks.ipv6_prefix;
  for (std::size_t i = 0; i < group.networks.size(); ++i) {
    const Prefix& network = group.networks[i];
    const Place place = draft.places.of({element(group_path(index) + ".networks", i)});
    // The kernel knows no IPv6 client smaller than this.
    const Prefix seen = network.is_ipv4() || network.length() <= ipv6_prefix
                            ? network
                            : source_prefix(source_key(network.addr, ipv6_prefix), ipv6_prefix);
    if (const auto [owner, is_new] = owners.emplace(seen, group.name); !is_new)
      draft.findings.error(place, fmt::format("[[group]] {}: {} is in group '{}' already",
                                              group.name, to_string(seen), owner->second));
    if (!inside.empty() && !covered(inside, network))
      draft.findings.warning(place, fmt::format("[[group]] {}: {} is outside [networks] inside, "
                                                "so it has no effect there",
                                                group.name, to_string(network)));
  }
}

void check_groups(Draft& draft) {
  const std::set<Prefix> inside(draft.config.networks.inside.begin(),
                                draft.config.networks.inside.end());
  std::map<Prefix, std::string> owners;
  std::map<std::string, Place> names;
  for (std::size_t i = 0; i < draft.groups.size(); ++i) {
    const GroupDraft& group = draft.groups[i];
    const std::string path = group_path(i);
    const Place place = draft.places.of({path + ".name", path});
    if (group.name.empty() && !draft.refused.contains(path + ".name"))
      draft.findings.error(place, "[[group]] has no name: add name = \"...\"");
    if (const auto [first, is_new] = names.emplace(group.name, place);
        !is_new && !group.name.empty())
      draft.findings.error(place, fmt::format("[[group]] '{}' is defined twice (first in {}:{})",
                                              group.name, first->second.file, first->second.line));
    const std::string networks = path + ".networks";
    if (group.networks.empty() && !draft.refused.contains(networks))
      draft.findings.error(draft.places.of({networks, path}),
                           fmt::format("[[group]] '{}' has no networks", group.name));
    check_group_networks(draft, i, inside, owners);
    check_burst(draft, draft.config.groups[i].limit, "[[group]] " + group.name,
                draft.places.of({path + ".burst", path + ".rate", path}));
  }
  if (draft.groups.size() > kMostGroups)
    draft.findings.error(draft.places.of({group_path(kMostGroups)}),
                         fmt::format("{} groups: at most {}", draft.groups.size(), kMostGroups));
}

void check_block(Draft& draft) {
  const auto& block = draft.config.block;
  if (block.durations.empty() && !draft.refused.contains("block.for"))
    draft.findings.error(draft.places.of({"block.for"}),
                         "[block] for is empty: name at least one duration, such as [\"1h\"]");
  if (!std::is_sorted(block.durations.begin(), block.durations.end()))
    draft.findings.warning(draft.places.of({"block.for"}),
                           "[block] for: a later block is shorter than an earlier one");
}

void check_allow(Draft& draft) {
  std::set<Prefix> allowed;
  for (const AllowEntry& entry : draft.config.allow.networks) allowed.insert(entry.prefix);
  const auto& inside = draft.config.networks.inside;
  for (std::size_t i = 0; i < inside.size(); ++i)
    if (covered(allowed, inside[i]))
      draft.findings.warning(draft.places.of({element("networks.inside", i)}),
                             fmt::format("[networks] inside: the allowlist covers all of {}, so "
                                         "nothing from it is ever held back",
                                         to_string(inside[i])));
}

/// One rule of iptables matches so many.
constexpr std::size_t kMostShielded = 15;

void check_shield(Draft& draft) {
  const std::size_t ports = draft.config.shield.ports.size();
  if (ports > kMostShielded)
    draft.findings.error(
        draft.places.of({"shield.ports"}),
        fmt::format("[shield] ports: {} ports, at most {} are possible", ports, kMostShielded));
}

void check_pool(Draft& draft) {
  if (draft.config.pool.name_servers.size() == 1 && !draft.refused.contains("pool.name_servers"))
    draft.findings.warning(draft.places.of({"pool.name_servers"}),
                           "[pool] name_servers: one only; a reverse zone is delegated to at least "
                           "two");
}

}  // namespace

void resolve_groups(Draft& draft) {
  for (const GroupDraft& group : draft.groups)
    draft.config.groups.push_back({group.name,
                                   group.networks,
                                   {group.limit.rate.value_or(draft.config.limit.rate),
                                    group.limit.burst.value_or(draft.config.limit.burst)},
                                   group.mode});
}

void check(Draft& draft) {
  require_inside(draft, "interfaces", draft.config.interfaces.inside.empty(),
                 "the interfaces that clients come in by, such as inside = [\"eth1\"]");
  require_inside(draft, "networks", draft.config.networks.inside.empty(),
                 "the clients' networks, such as inside = [\"172.16.0.0/12\"]");
  check_ports(draft);
  check_burst(draft, draft.config.limit, "[limit]", draft.places.of({"limit.burst", "limit.rate"}));
  check_burst(draft, draft.config.brake, "[brake]", draft.places.of({"brake.burst", "brake.rate"}));
  check_networks(draft);
  check_shield(draft);
  check_groups(draft);
  check_block(draft);
  check_allow(draft);
  check_pool(draft);
  if (draft.config.interfaces.dead_man < kBusyController)
    draft.findings.warning(draft.places.of({"interfaces.dead_man"}),
                           "[interfaces] dead_man is below 10s: a controller that is busy for so "
                           "long counts as dead, and the kernel only observes");
}

}  // namespace mailweir
