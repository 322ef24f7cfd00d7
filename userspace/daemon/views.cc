// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/views.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "base/time_text.h"
#include "mirror/comment.h"

namespace mailweir {
namespace {

using nlohmann::json;
using std::chrono::seconds;

json time_json(const std::optional<WallTime>& time) {
  return time ? json(rfc3339(*time)) : json();
}

std::int64_t seconds_left(WallTime until, WallTime now) {
  return std::max<std::int64_t>(0, std::chrono::ceil<seconds>(until - now).count());
}

/// The strongest word that holds now.
std::string_view state_of(const Controller& controller, const mw_addr& key,
                          const Evidence& evidence) {
  if (controller.is_allowed(key)) return "allowed";
  if (const Decision* decision = controller.find_active(key))
    return decision->would ? "would_block" : "blocked";
  if (evidence.braked > 0) return "braked";
  return evidence.limited > 0 ? "limited" : "ok";
}

std::string kernel_command(const Controller& controller, const mw_addr& key) {
  std::string command =
      "bpftool map lookup pinned " + controller.config().bpffs_dir + "/blocklist key";
  for (const __u8 byte : key.bytes) command += " " + std::to_string(byte);
  return command;
}

std::vector<Decision> enforced(const Controller& controller) {
  std::vector<Decision> decisions = controller.active();
  std::erase_if(decisions, [](const Decision& each) { return each.would; });
  return decisions;
}

}  // namespace

json evidence_json(const Evidence& evidence) {
  const auto score = [](std::uint32_t in_256ths) { return in_256ths * 100 / 256 / 100.0; };
  json examples = json::array();
  for (const mw_addr& server : evidence.examples) examples.push_back(to_string(server));
  return {{"text", evidence.sentence()},
          {"syns", evidence.syns},
          {"networks", evidence.networks},
          {"answered", evidence.answered},
          {"unanswered", evidence.unanswered},
          {"finished", evidence.finished},
          {"no_message", evidence.no_message},
          {"message_bytes", evidence.message_bytes},
          {"braked", evidence.braked},
          {"limited", evidence.limited},
          {"score", score(evidence.score_256ths)},
          {"threshold", score(evidence.threshold_256ths)},
          {"unconfirmed", evidence.unconfirmed},
          {"lost", evidence.lost},
          {"first_seen", rfc3339(evidence.first_seen)},
          {"last_seen", rfc3339(evidence.last_seen)},
          {"examples", std::move(examples)}};
}

json decision_json(const Decision& decision, const Now& now) {
  return {
      {"id", decision.id()},
      {"source", to_string(decision.prefix())},
      {"origin", to_string(decision.origin)},
      {"would", decision.would},
      {"since", rfc3339(decision.since)},
      {"until", time_json(decision.until)},
      {"remaining_seconds",
       decision.until && !decision.ended ? json(seconds_left(*decision.until, now.wall)) : json()},
      {"by", decision.by},
      {"reason", decision.reason},
      {"evidence", decision.evidence ? evidence_json(*decision.evidence) : json()},
      {"dropped_packets", decision.dropped_packets},
      {"dropped_bytes", decision.dropped_bytes},
      {"ended", time_json(decision.ended)},
      {"end_cause", decision.end_cause ? json(to_string(*decision.end_cause)) : json()}};
}

json allow_json(const AllowView& entry) {
  return {{"network", to_string(entry.prefix)},
          {"origin", entry.origin},
          {"by", entry.by},
          {"reason", entry.reason},
          {"since", time_json(entry.since)}};
}

json outcomes_json(const std::vector<Outcome>& outcomes, const Now& now) {
  json results = json::array();
  for (const Outcome& each : outcomes)
    results.push_back({{"source", each.source},
                       {"ok", each.ok},
                       {"decision", each.decision ? decision_json(*each.decision, now) : json()},
                       {"error", each.error},
                       {"hint", each.hint},
                       {"note", each.note}});
  return {{"results", std::move(results)}};
}

json source_json(const Controller& controller, Datapath& datapath, const mw_addr& key,
                 const mw_source& source, const Now& now) {
  const Evidence evidence = controller.evidence(key, source);
  const mw_score score = controller.scoring().score(key);
  const auto drops = datapath.drops(key);
  const bool seen = source.first_ns != 0;
  return {{"source", to_string(source_prefix(key, controller.config().networks.ipv6_prefix))},
          {"state", state_of(controller, key, evidence)},
          {"mode", to_string(controller.mode_for(key))},
          {"first_seen", seen ? json(rfc3339(evidence.first_seen)) : json()},
          {"last_seen", seen ? json(rfc3339(evidence.last_seen)) : json()},
          {"evidence", evidence_json(evidence)},
          {"proven_until", is_proven(score, now.boot)
                               ? json(rfc3339(now.wall_of(boot_time(score.proven_until_ns))))
                               : json()},
          {"total",
           {{"syns", source.syns},
            {"retransmits", source.retransmits},
            {"limited", source.limited},
            {"braked", source.braked},
            {"dropped", source.dropped},
            {"watched", source.watched},
            {"bytes", source.bytes}}},
          {"dropped_packets", drops ? drops->packets : 0},
          {"dropped_bytes", drops ? drops->bytes : 0},
          {"contended", source.contended}};
}

json traffic_json(const Traffic& traffic, std::uint32_t minutes) {
  return {{"minutes", minutes},
          {"syns", traffic.syns},
          {"bytes", traffic.bytes},
          {"servers", traffic.servers},
          {"dropped", traffic.dropped}};
}

json why_json(const Controller& controller, Datapath& datapath, const mw_addr& key,
              const mw_source& source, const Now& now) {
  json body = source_json(controller, datapath, key, source, now);
  const Decision* decision = controller.find_active(key);
  body["decision"] = decision != nullptr ? decision_json(*decision, now) : json();
  body["mirror_rule"] = nullptr;
  if (decision != nullptr) {
    body["decision"]["in_kernel"] = !decision->would && !controller.is_waiting(key);
    body["decision"]["dropped_packets"] = body["dropped_packets"];
    body["decision"]["dropped_bytes"] = body["dropped_bytes"];
    // In the chain of its own family, behind the rules for servers that are never judged.
    std::size_t rule = 0;
    for (const Prefix& server : controller.config().allow.servers)
      rule += server.is_ipv4() == is_ipv4(key) ? 1 : 0;
    std::size_t position = 0;
    for (const Decision& each : enforced(controller)) {
      if (++position > controller.config().mirror.max_rules) break;
      rule += is_ipv4(each.source) == is_ipv4(key) ? 1 : 0;
      if (each.number == decision->number &&
          controller.config().mirror.backend != MirrorBackend::none)
        body["mirror_rule"] = rule;
    }
  }
  const std::string waits = controller.waits_for(key, controller.evidence(key, source));
  body["waits_for"] = waits.empty() ? json() : json(waits);
  body["kernel_command"] = kernel_command(controller, key);
  body["history"] = json::array();
  for (const Decision& each : controller.history(key))
    body["history"].push_back(decision_json(each, now));
  const seconds next = controller.next_duration(key);
  body["next_block_seconds"] = next == kForever ? json() : json(next.count());
  body["grace_until"] = time_json(controller.grace_until(key));
  body["allowed_by"] = json::array();
  for (const AllowView& each : controller.allowed_by(key))
    body["allowed_by"].push_back(allow_json(each));
  return body;
}

MirrorTable mirror_table(const Controller& controller, Datapath& datapath, const Now& now) {
  const Config& config = controller.config();
  MirrorTable table{.ports = config.smtp.judge, .servers = config.allow.servers, .rules = {}};
  for (const Decision& decision : enforced(controller)) {
    if (table.rules.size() == config.mirror.max_rules) break;
    const auto drops = datapath.drops(decision.source);
    // A dead controller's rules fall silent together with its program.
    std::optional<WallTime> stops = decision.until;
    if (config.interfaces.dead_man != kForever) {
      const WallTime silent = now.wall + config.interfaces.dead_man;
      stops = stops ? std::min(*stops, silent) : silent;
    }
    // Whole seconds, as --datestop has them: what is read back must compare equal.
    if (stops) stops = std::chrono::floor<seconds>(*stops);
    table.rules.push_back({.source = decision.prefix(),
                           .comment = encode_comment(decision),
                           .stops = stops,
                           .packets = drops ? drops->packets : 0,
                           .bytes = drops ? drops->bytes : 0});
  }
  return table;
}

ShieldTable shield_table(const Controller& controller) {
  const Config& config = controller.config();
  if (config.shield.ports.empty()) return {};
  ShieldTable table{.ports = config.shield.ports,
                    .inside = config.networks.inside,
                    .open = config.shield.allow,
                    .may_connect = config.shield.allow};
  table.open.insert(table.open.end(), config.allow.servers.begin(), config.allow.servers.end());
  for (const AllowView& each : controller.allow_list()) table.may_connect.push_back(each.prefix);
  for (std::vector<Prefix>* list : {&table.open, &table.may_connect}) {
    std::ranges::sort(*list);
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
  return table;
}

std::size_t unmirrored(const Controller& controller) {
  const std::size_t all = enforced(controller).size();
  const std::size_t most = controller.config().mirror.max_rules;
  return all > most ? all - most : 0;
}

}  // namespace mailweir
