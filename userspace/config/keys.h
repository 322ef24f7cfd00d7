// SPDX-License-Identifier: GPL-2.0-or-later
// Every key once: its name, its place in Config, its form and range. The reader and the writer
// both walk this list, so neither can know a key that the other does not.
#pragma once

#include "config/config.h"
#include "config/forms.h"

namespace mailweir {

inline constexpr std::chrono::seconds kOrForever = std::chrono::seconds::max();

/// The table at the top, and what says where mailweir stands and whom it looks at.
template <typename C, typename Visitor>
void visit_places(C& c, Visitor& visit) {
  const Text path{"a path in quotes", check_path};

  visit.section("");
  visit.key("mode", c.mode, Word<Mode>{});
  visit.key("node", c.node, Text{"a name in quotes", check_node});
  visit.key("bpffs_dir", c.bpffs_dir, path);
  visit.key("socket", c.socket, Text{"a path in quotes", check_socket});
  visit.key("state_dir", c.state_dir, path);

  visit.section("interfaces");
  visit.key("inside", c.interfaces.inside,
            ListOf<Text>{{"an interface name or glob in quotes", check_interface}});
  visit.key("attach", c.interfaces.attach, Word<Attach>{});
  visit.key("on_stop", c.interfaces.on_stop, Word<OnStop>{});
  visit.key("dead_man", c.interfaces.dead_man, Duration{1s, kOrForever});
  visit.key("missing", c.interfaces.missing, Word<Missing>{});

  visit.section("networks");
  visit.key("inside", c.networks.inside, ListOf<Network>{});
  visit.key("ipv6_prefix", c.networks.ipv6_prefix, Whole<int>{32, 128});

  visit.section("smtp");
  visit.key("judge", c.smtp.judge, ListOf<Whole<std::uint16_t>>{kPort});
  visit.key("watch", c.smtp.watch, ListOf<Whole<std::uint16_t>>{kPort});
}

template <typename L, typename Visitor>
void visit_limit(L& limit, Visitor& visit) {
  visit.key("rate", limit.rate, RateText{});
  visit.key("burst", limit.burst, Whole<std::uint32_t>{});
}

/// One [[group]]; `G` is Group or GroupDraft.
template <typename G, typename Visitor>
void visit_group(G& group, Visitor& visit) {
  visit.key("name", group.name, Text{"a name in quotes", check_group_name});
  visit.key("networks", group.networks, ListOf<Network>{});
  visit_limit(group.limit, visit);
  visit.key("mode", group.mode, Word<Mode>{});
}

/// What is held back.
template <typename C, typename Visitor>
void visit_rules(C& c, Visitor& visit) {
  visit.section("limit");
  visit_limit(c.limit, visit);

  visit.groups();

  visit.section("block");
  visit.key("servers", c.block.servers, Whole<std::uint32_t>{1, 1000});
  visit.key("score", c.block.score, Positive{1000});
  visit.key("score_proven", c.block.score_proven, Positive{1000});
  visit.key("message_bytes", c.block.message_bytes, Whole<std::uint32_t>{1, 1 << 20});
  visit.key("message_bytes_tls", c.block.message_bytes_tls, Whole<std::uint32_t>{1, 1 << 20});
  visit.key("confirm", c.block.confirm, Word<Confirm>{});
  visit.key("for", c.block.durations, ListOf<Duration>{{1s, kOrForever}, true});
  visit.key("breaker", c.block.breaker, RateText{});
  visit.key("manual_grace", c.block.manual_grace, Duration{});

  visit.section("brake");
  visit_limit(c.brake, visit);

  visit.section("maps");
  visit.key("sources", c.maps.sources, Whole<std::uint32_t>{1024, 16777216});
  visit.key("blocks", c.maps.blocks, Whole<std::uint32_t>{1024, 4194304});

  visit.section("shield");
  visit.key("ports", c.shield.ports, ListOf<Whole<std::uint16_t>>{kPort});
  visit.key("allow", c.shield.allow, ListOf<Network>{});

  visit.section("allow");
  visit.key("networks", c.allow.networks, ListOf<Network>{});
  visit.key("files", c.allow.files, ListOf<Text>{{"a path or glob in quotes", check_path}});
  visit.key("servers", c.allow.servers, ListOf<Network>{});
}

/// What is told to others.
template <typename C, typename Visitor>
void visit_outputs(C& c, Visitor& visit) {
  visit.section("mirror");
  visit.key("backend", c.mirror.backend, Word<MirrorBackend>{});
  visit.key("max_rules", c.mirror.max_rules, Whole<std::uint32_t>{1, 1'000'000});
  visit.key("refresh", c.mirror.refresh, Duration{1s, 24h});

  visit.section("record");
  visit.key("keep", c.record.keep, Duration{30 * 24h, kOrForever});
  visit.key("max_decisions", c.record.max_decisions, Whole<std::uint32_t>{1000, 10'000'000});

  visit.section("log");
  visit.key("enabled", c.log.enabled, Flag{});
  visit.key("file", c.log.file, Text{"a path in quotes", check_log_file});
  visit.key("limit", c.log.limit, RateText{});
  visit.key("total", c.log.total, RateText{});
  visit.key("keep", c.log.keep, Duration{1h, kOrForever});
  visit.key("max_size", c.log.max_size_bytes, Size{1ULL << 20, 1ULL << 40});

  const Text domain{"a domain name in quotes", check_domain};
  visit.section("pool");
  visit.key("networks", c.pool.networks, ListOf<Network>{});
  visit.key("domain", c.pool.domain, domain);
  visit.key("ptr_pattern", c.pool.ptr_pattern, Text{"a pattern in quotes", check_pattern});
  visit.key("ptr_pattern_ipv6", c.pool.ptr_pattern_ipv6,
            Text{"a pattern in quotes", check_pattern});
  visit.key("name_servers", c.pool.name_servers,
            ListOf<Text>{{"a server's name in quotes", check_name_server}});
  visit.key("delegated", c.pool.delegated, ListOf<Network>{});
  visit.key("resolver", c.pool.resolver, Text{"an address in quotes", check_resolver});
}

template <typename C, typename Visitor>
void visit_keys(C& c, Visitor& visit) {
  visit_places(c, visit);
  visit_rules(c, visit);
  visit_outputs(c, visit);
}

}  // namespace mailweir
