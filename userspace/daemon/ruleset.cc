// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/ruleset.h"

#include <algorithm>
#include <cmath>

#include "base/time_text.h"

namespace mailweir {

mw_rate to_abi(const Limit& limit) {
  using std::chrono::nanoseconds;
  const auto per_ns = static_cast<std::uint64_t>(nanoseconds(limit.rate.per).count());
  const std::uint64_t interval_ns = std::max<std::uint64_t>(1, per_ns / limit.rate.events);
  return {interval_ns, interval_ns * (std::max(limit.burst, 1U) - 1)};
}

mw_quota to_quota(const Rate& rate) {
  return {.window_ns = static_cast<__u64>(std::chrono::nanoseconds(rate.per).count()),
          .events = rate.events,
          .pad = 0};
}

Ruleset make_ruleset(const Config& config, const std::vector<Prefix>& allow_edits, Mode mode,
                     const std::vector<mw_addr>& own_addresses) {
  ScopeInput input{.inside = config.networks.inside,
                   .allowed = allow_edits,
                   .servers = config.allow.servers,
                   .exposed = config.shield.allow,
                   .groups = {},
                   .ipv6_prefix = config.networks.ipv6_prefix};
  // The gateway's own servers are no clients: iptables would meet them in INPUT, not in FORWARD.
  for (const mw_addr& own : own_addresses) input.exposed.push_back({own, 128});
  for (const AllowEntry& entry : config.allow.networks) input.allowed.push_back(entry.prefix);

  Ruleset rules;
  rules.groups.push_back({.limit = to_abi(config.limit), .mode = MW_MODE_INHERIT, .pad = 0});
  for (const Group& group : config.groups) {
    input.groups.push_back(group.networks);
    rules.groups.push_back(
        {.limit = to_abi(group.limit),
         .mode = static_cast<__u32>(group.mode ? to_abi(*group.mode) : MW_MODE_INHERIT),
         .pad = 0});
  }
  ScopeEntries scopes = flatten(input);
  rules.hosts = std::move(scopes.hosts);
  rules.networks = std::move(scopes.networks);
  rules.judged_ports = config.smtp.judge;
  rules.watched_ports = config.smtp.watch;
  rules.shielded_ports = config.shield.ports;
  rules.brake = to_abi(config.brake);
  rules.mode = to_abi(mode);
  rules.ipv6_prefix = config.networks.ipv6_prefix;
  rules.has_servers = !config.allow.servers.empty();
  rules.message_bytes = config.block.message_bytes;
  rules.message_bytes_tls = config.block.message_bytes_tls;
  if (config.interfaces.dead_man != kForever) rules.dead_man = config.interfaces.dead_man;
  return rules;
}

Rule make_rule(const Config& config) {
  const auto in_256ths = [](double score) {
    return static_cast<std::uint32_t>(std::lround(score * MW_SCORE_ONE));
  };
  Rule rule;
  rule.networks = config.block.servers;
  rule.score_256ths = in_256ths(config.block.score);
  rule.score_proven_256ths = in_256ths(std::max(config.block.score, config.block.score_proven));
  rule.message_bytes = config.block.message_bytes;
  rule.breaker = {config.block.breaker.events, config.block.breaker.per};
  rule.durations = config.block.durations;
  rule.manual_grace = config.block.manual_grace;
  return rule;
}

AttachChoice to_choice(Attach attach) {
  switch (attach) {
    case Attach::xdp:
      return AttachChoice::xdp;
    case Attach::xdp_generic:
      return AttachChoice::xdp_generic;
    case Attach::tc:
      return AttachChoice::tc;
    case Attach::automatic:
      break;
  }
  return AttachChoice::automatic;
}

}  // namespace mailweir
