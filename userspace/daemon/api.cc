// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/api.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/time_text.h"
#include "daemon/simulation.h"
#include "daemon/views.h"
#include "datapath/pins.h"

namespace mailweir {
namespace {

using nlohmann::json;

constexpr std::size_t kMostReasonBytes = 200;
constexpr std::chrono::hours kDefaultBlock{24};
constexpr std::chrono::minutes kDefaultLog{30};

std::optional<std::uint64_t> number(const std::map<std::string, std::string>& query,
                                    const std::string& key) {
  const auto found = query.find(key);
  if (found == query.end()) return std::nullopt;
  std::uint64_t value = 0;
  const char* end = found->second.data() + found->second.size();
  const auto [at, failed] = std::from_chars(found->second.data(), end, value);
  return failed == std::errc{} && at == end ? std::optional(value) : std::nullopt;
}

Result<std::vector<std::string>> texts(const json& body, const char* key) {
  if (!body.is_object() || !body.contains(key) || !body[key].is_array() || body[key].empty())
    return Error{EINVAL, fmt::format("\"{}\" must be a list of addresses or prefixes", key)};
  std::vector<std::string> list;
  for (const json& each : body[key]) {
    if (!each.is_string()) return Error{EINVAL, fmt::format("\"{}\" must hold strings", key)};
    list.push_back(each.get<std::string>());
  }
  return list;
}

/// A mistyped key must not be passed over: "dry_rum" would change things.
Result<> only_keys(const json& body, std::initializer_list<std::string_view> known) {
  if (!body.is_object()) return Error{EINVAL, "the body must be a JSON object"};
  for (const auto& [key, value] : body.items())
    if (std::ranges::find(known, key) == known.end())
      return Error{EINVAL,
                   fmt::format("unknown key \"{}\" (known: {})", key, fmt::join(known, ", "))};
  return Ok{};
}

/// A text of the body; empty if it is missing.
Result<std::string> text(const json& body, const char* key) {
  if (!body.is_object() || !body.contains(key) || body[key].is_null()) return std::string();
  if (!body[key].is_string()) return Error{EINVAL, fmt::format("\"{}\" must be a string", key)};
  return body[key].get<std::string>();
}

Result<Order> order_of(const HttpRequest& request) {
  Order order{.by = request.peer.name(), .reason = "", .dry_run = false};
  auto reason = text(request.body, "reason");
  if (!reason) return std::move(reason).error();
  if (reason->size() > kMostReasonBytes)
    return Error{EINVAL, fmt::format("reason: {} bytes, at most {} are kept; shorten it",
                                     reason->size(), kMostReasonBytes)};
  for (const char c : *reason)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f)
      return Error{EINVAL,
                   "reason: control characters (a line break?) are refused; one line of text"};
  order.reason = std::move(*reason);
  if (request.body.is_object() && request.body.contains("dry_run")) {
    if (!request.body["dry_run"].is_boolean())
      return Error{EINVAL, "\"dry_run\" must be true or false"};
    order.dry_run = request.body["dry_run"].get<bool>();
  }
  return order;
}

HttpAnswer bad_request(const Error& error) {
  return http_error(400, error.message, "see docs/api.md");
}

}  // namespace

HttpAnswer Api::answer(const HttpRequest& request) {
  if (request.method == "GET" || request.method == "HEAD") return get(request);
  if (request.method == "POST") return post(request);
  return http_error(405, request.method + " is not understood", "GET reads, POST changes");
}

HttpAnswer Api::get(const HttpRequest& request) {
  static const std::string kSource = "/v1/sources/";
  static const std::string kAllow = "/v1/allow/";
  const std::string& path = request.path;
  if (path == "/v1/status") return status();
  if (path == "/v1/sources") return sources(request);
  if (path.starts_with(kSource)) return source(path.substr(kSource.size()));
  if (path == "/v1/blocks") return blocks();
  if (path == "/v1/simulate") return simulate(request);
  if (path == "/v1/events") return events(request);
  if (path == "/v1/allow") return allow_list("");
  if (path.starts_with(kAllow)) return allow_list(path.substr(kAllow.size()));
  return http_error(404, "no such path: " + path, "GET /v1/status; docs/api.md has them all");
}

HttpAnswer Api::post(const HttpRequest& request) {
  const std::string& path = request.path;
  if (path == "/v1/block") return block(request);
  if (path == "/v1/unblock") return unblock(request);
  if (path == "/v1/allow/add") return edit_allowlist(request, true);
  if (path == "/v1/allow/remove") return edit_allowlist(request, false);
  if (path == "/v1/mode") return mode(request);
  if (path == "/v1/log") return log(request);
  if (path == "/v1/reload") return reload();
  return http_error(404, "no such path: " + path, "docs/api.md has them all");
}

json Api::problems() const {
  json list = json::array();
  for (const Attachment& each : state_.attachments)
    if (!each.attached)
      list.push_back("interface " + each.interface + " is not guarded: " + each.note);
  if (const std::string problem = datapath_.pin_problem(); !problem.empty())
    list.push_back("pins: " + problem);
  if (!controller_.store_problem().empty())
    list.push_back("record: " + controller_.store_problem());
  if (const std::string note = controller_.record_note(); !note.empty())
    list.push_back("record: " + note);
  if (const std::size_t waiting = controller_.waiting(); waiting > 0)
    list.push_back(fmt::format(
        "blocklist full ({}): {} not in the kernel program, only on record{}; unblock some, or "
        "raise [maps] blocks",
        datapath_.block_capacity(),
        waiting == 1 ? "1 block is" : fmt::format("{} blocks are", waiting),
        state_.mirror.state == "off" ? "" : " and in iptables"));
  if (const std::string problem = controller_.scoring().problem(); !problem.empty())
    list.push_back("evidence: " + problem);
  if (controller_.scoring().is_frozen())
    list.push_back(
        "evidence: most contacts went unanswered in the last minutes, so the uplink is down, not "
        "the customers: no outcome is scored");
  if (controller_.breaker_open())
    list.push_back(
        "breaker: so many automatic blocks that more of them wait; limit and brake go "
        "on. mailweir events shows them");
  if (const auto log = syn_log_.state(); !log.problem.empty() && log.is_on)
    list.push_back("log: " + log.problem);
  if (state_.shield.state == "degraded") list.push_back("shield: " + state_.shield.note);
  if (state_.mirror.state == "degraded") list.push_back("mirror: " + state_.mirror.note);
  if (const std::size_t left_out = unmirrored(controller_); left_out > 0)
    list.push_back(fmt::format(
        "mirror: {} blocks beyond [mirror] max_rules are enforced, not shown", left_out));
  return list;
}

HttpAnswer Api::status() {
  using std::chrono::seconds;
  const Now now = clock_.now();
  std::map<std::string, std::uint64_t> blocked = {
      {"auto", 0}, {"manual", 0}, {"bpftool", 0}, {"would", 0}};
  for (const Decision& each : controller_.active())
    ++blocked[each.would ? "would" : std::string(to_string(each.origin))];
  blocked["capacity"] = datapath_.block_capacity();
  const auto counters = datapath_.counters();
  const auto contacts = datapath_.contacts();
  const MirrorState& mirror = state_.mirror;

  return {
      .body = {
          {"version", MAILWEIR_VERSION},
          {"node", controller_.config().node},
          {"running", true},
          {"mode", to_string(controller_.mode())},
          {"mode_origin", controller_.mode_by_command() ? "command" : "file"},
          {"file_mode", to_string(controller_.config().mode)},
          {"pid", ::getpid()},
          {"uptime_seconds", std::chrono::floor<seconds>(now.boot - state_.started.boot).count()},
          {"dead_man_seconds", controller_.config().interfaces.dead_man == kForever
                                   ? json()
                                   : json(controller_.config().interfaces.dead_man.count())},
          {"heartbeat_seconds_ago", 0},
          {"interfaces", interfaces_json(state_.attachments)},
          {"packets", counters ? packets_json(*counters) : json::object()},
          {"rates", state_.rates.last_minute()},
          {"sources",
           {{"tracked", datapath_.tracked_sources()}, {"capacity", datapath_.source_capacity()}}},
          {"blocks", blocked},
          {"allowed", controller_.allow_list().size()},
          {"mirror",
           {{"backend", mirror.backend},
            {"state", mirror.state},
            {"rules", mirror.rules},
            {"unmirrored", unmirrored(controller_)},
            {"checked_seconds_ago",
             mirror.checked ? json(std::chrono::floor<seconds>(now.boot - *mirror.checked).count())
                            : json()},
            {"note", mirror.note}}},
          {"store",
           {{"state", controller_.store_problem().empty() ? "ok" : "failed"},
            {"note", controller_.store_problem()}}},
          {"log", log_json()},
          {"shield",
           {{"ports", controller_.config().shield.ports},
            {"state", state_.shield.state},
            {"note", state_.shield.note}}},
          {"events", {{"received", state_.events_received}, {"lost", datapath_.events_lost()}}},
          {"evidence",
           {{"confirm", controller_.config().block.confirm == Confirm::none ? "none" : "conntrack"},
            {"frozen", controller_.scoring().is_frozen()},
            {"breaker", controller_.breaker_open()},
            {"unconfirmed", controller_.scoring().unconfirmed()},
            {"lost", contacts ? contacts->lost : 0},
            {"contacts", contacts ? contacts->opened : 0},
            {"answered", contacts ? contacts->answered : 0},
            {"unanswered", contacts ? contacts->unanswered : 0},
            {"finished", contacts ? contacts->finished : 0}}},
          {"problems", problems()}}};
}

HttpAnswer Api::simulate(const HttpRequest& request) {
  const auto& block = controller_.config().block;
  Thresholds wanted{gate_for(block.servers), block.score, block.score_proven};
  if (const auto servers = number(request.query, "servers")) {
    if (std::ranges::find(kGates, *servers) == kGates.end())
      return http_error(400, fmt::format("servers={} is not recorded", *servers),
                        fmt::format("servers: {}", fmt::join(kGates, ", ")));
    wanted.servers = static_cast<std::uint32_t>(*servers);
  }
  const auto decimal = [&](const char* key, double& to) {
    const auto found = request.query.find(key);
    if (found != request.query.end()) to = std::strtod(found->second.c_str(), nullptr);
    return to > 0 && to < 1000;
  };
  const bool is_score_given = request.query.contains("score");
  const double before = wanted.score;
  if (!decimal("score", wanted.score))
    return http_error(400, "score must be a number above 0", "score=9.21");
  // A proven mailer's threshold keeps its distance, unless it is given.
  if (is_score_given) wanted.score_proven *= wanted.score / before;
  if (!decimal("score_proven", wanted.score_proven))
    return http_error(400, "score_proven must be a number above 0", "score_proven=13.8");

  controller_.write_days();
  const std::uint64_t back =
      std::clamp<std::uint64_t>(number(request.query, "days").value_or(7), 1, 31);
  const auto today = std::chrono::floor<std::chrono::days>(clock_.now().wall);
  const auto days = controller_.days_since(today - std::chrono::days(back - 1));
  if (!days) return http_error(500, days.error().message);
  return {.body = simulation_json(*days, wanted, controller_.config().networks.ipv6_prefix)};
}

HttpAnswer Api::sources(const HttpRequest& request) {
  const auto wanted = request.query.find("by");
  const std::string word = wanted == request.query.end() ? "syn" : wanted->second;
  const auto by = parse_order(word);
  if (!by)
    return http_error(400, "by=" + word + " is not known", "by: syn, bytes, servers, dropped");
  const std::uint64_t minutes =
      request.query.contains("over") ? number(request.query, "over").value_or(0) : 10;
  if (std::ranges::find(kTrafficMinutes, minutes) == kTrafficMinutes.end())
    return http_error(400, "over=" + request.query.at("over") + " is not kept",
                      fmt::format("over: {} (minutes)", fmt::join(kTrafficMinutes, ", ")));
  const std::uint64_t limit =
      std::min<std::uint64_t>(number(request.query, "limit").value_or(20), 100'000);

  if (auto taken = sampler_.take_all(); !taken) return http_error(500, taken.error().message);
  const Now now = clock_.now();
  const TrafficBook& book = sampler_.book();
  json rows = json::array();
  for (const auto& [key, traffic] :
       book.top(*by, static_cast<std::uint32_t>(minutes), limit, now.boot)) {
    // One that the table has forgotten may still be in the window.
    const auto found = datapath_.source(key);
    if (!found) return http_error(500, found.error().message);
    json row = source_json(controller_, datapath_, key, found->value_or(mw_source{}), now);
    row["window"] = traffic_json(traffic, static_cast<std::uint32_t>(minutes));
    rows.push_back(std::move(row));
  }
  using std::chrono::seconds;
  return {
      .body = {{"window_seconds", 2 * MW_SLICE_NS / 1'000'000'000},
               {"over_minutes", minutes},
               {"counted_seconds", std::chrono::floor<seconds>(now.boot - book.since()).count()},
               {"left_out", book.left_out()},
               {"sources", std::move(rows)}}};
}

HttpAnswer Api::source(const std::string& text) {
  const auto prefix = parse_prefix(text);
  if (!prefix) return http_error(400, prefix.error().message, "mailweir why 172.16.7.70");
  const mw_addr key = source_key(prefix->addr, controller_.config().networks.ipv6_prefix);
  auto found = datapath_.source(key);
  if (!found) return http_error(500, found.error().message);
  // A block outlives its source's place in the table, and may come before its first SYN.
  const bool known =
      *found || controller_.find_active(key) != nullptr || controller_.is_allowed(key);
  if (!known) {
    const bool inside = controller_.is_inside(key);
    return http_error(404, text + " has sent no SYN to a judged port that is still remembered",
                      inside ? "mailweir top lists who has"
                             : "it is not in [networks] inside, so it is never judged");
  }
  return {.body =
              why_json(controller_, datapath_, key, found->value_or(mw_source{}), clock_.now())};
}

HttpAnswer Api::blocks() {
  const Now now = clock_.now();
  json list = json::array();
  for (const Decision& decision : controller_.active()) {
    list.push_back(decision_json(decision, now));
    if (decision.would) continue;
    const auto drops = datapath_.drops(decision.source);
    if (!drops) continue;
    list.back()["dropped_packets"] = drops->packets;
    list.back()["dropped_bytes"] = drops->bytes;
  }
  return {.body = {{"blocks", std::move(list)}}};
}

HttpAnswer Api::events(const HttpRequest& request) {
  const auto after = number(request.query, "after");
  const std::uint64_t wait = std::min<std::uint64_t>(number(request.query, "wait").value_or(0), 60);
  HttpAnswer answer{.body = controller_.journal().read(after)};
  if (wait > 0 && answer.body["events"].empty() && !request.query.contains("waited"))
    answer.wait = std::chrono::seconds(wait);
  return answer;
}

HttpAnswer Api::allow_list(const std::string& address) {
  json list = json::array();
  if (address.empty()) {
    for (const AllowView& each : controller_.allow_list()) list.push_back(allow_json(each));
    return {.body = {{"allow", std::move(list)}}};
  }
  const auto prefix = parse_prefix(address);
  if (!prefix) return http_error(400, prefix.error().message, "mailweir allow check 172.16.0.25");
  const mw_addr key = source_key(prefix->addr, controller_.config().networks.ipv6_prefix);
  for (const AllowView& each : controller_.allowed_by(key)) list.push_back(allow_json(each));
  const bool allowed = !list.empty();
  return {.body = {{"source", address}, {"allowed", allowed}, {"entries", std::move(list)}}};
}

HttpAnswer Api::block(const HttpRequest& request) {
  if (auto known = only_keys(request.body, {"sources", "for", "reason", "dry_run"}); !known)
    return bad_request(known.error());
  const auto sources = texts(request.body, "sources");
  if (!sources) return bad_request(sources.error());
  const auto order = order_of(request);
  if (!order) return bad_request(order.error());
  const auto lasts_text = text(request.body, "for");
  if (!lasts_text) return bad_request(lasts_text.error());
  const auto lasts = lasts_text->empty() ? Result<std::chrono::seconds>(kDefaultBlock)
                                         : parse_duration(*lasts_text);
  if (!lasts) return bad_request(lasts.error());
  return {.body = outcomes_json(controller_.block(*sources, *lasts, *order), clock_.now())};
}

HttpAnswer Api::unblock(const HttpRequest& request) {
  if (auto known = only_keys(request.body, {"sources", "all", "reason", "dry_run"}); !known)
    return bad_request(known.error());
  const auto order = order_of(request);
  if (!order) return bad_request(order.error());
  const bool all = request.body.is_object() && request.body.value("all", json()) == json(true);
  if (all) return {.body = outcomes_json(controller_.unblock_all(*order), clock_.now())};
  const auto sources = texts(request.body, "sources");
  if (!sources) return bad_request(sources.error());
  return {.body = outcomes_json(controller_.unblock(*sources, *order), clock_.now())};
}

HttpAnswer Api::edit_allowlist(const HttpRequest& request, bool add) {
  if (auto known = only_keys(request.body, {"networks", "reason", "dry_run"}); !known)
    return bad_request(known.error());
  const auto networks = texts(request.body, "networks");
  if (!networks) return bad_request(networks.error());
  const auto order = order_of(request);
  if (!order) return bad_request(order.error());
  const auto outcomes =
      add ? controller_.allow(*networks, *order) : controller_.disallow(*networks, *order);
  return {.body = outcomes_json(outcomes, clock_.now())};
}

HttpAnswer Api::mode(const HttpRequest& request) {
  if (auto known = only_keys(request.body, {"mode", "reason"}); !known)
    return bad_request(known.error());
  const auto word = text(request.body, "mode");
  const auto wanted = word ? parse_mode(*word) : std::nullopt;
  if (!wanted)
    return http_error(400, "mode must be observe, throttle or block", "mailweir mode observe");
  const auto order = order_of(request);
  if (!order) return bad_request(order.error());
  const Mode was = controller_.mode();
  const auto lifted = controller_.set_mode(*wanted, *order);
  if (!lifted) return http_error(500, lifted.error().message);
  json list = json::array();
  for (const Decision& each : *lifted) list.push_back(decision_json(each, clock_.now()));
  return {.body = {{"mode", to_string(*wanted)},
                   {"was", to_string(was)},
                   {"lifted", std::move(list)},
                   {"note", controller_.store_problem().empty()
                                ? ""
                                : "in force, but not persisted: " + controller_.store_problem()}}};
}

json Api::log_json() const {
  const SynLog::State state = syn_log_.state();
  return {{"on", state.is_on},
          {"by_command", state.is_by_command},
          {"by", state.by},
          {"until", state.until ? json(rfc3339(*state.until)) : json()},
          {"source", state.source ? json(to_string(source_prefix(
                                        *state.source, controller_.config().networks.ipv6_prefix)))
                                  : json()},
          {"file", controller_.config().log.file},
          {"lines", state.lines},
          {"suppressed", state.suppressed},
          {"lost", state.lost},
          {"problem", state.problem}};
}

HttpAnswer Api::log(const HttpRequest& request) {
  if (auto known = only_keys(request.body, {"on", "for", "source"}); !known)
    return bad_request(known.error());
  if (!request.body.contains("on") || !request.body["on"].is_boolean())
    return http_error(400, "\"on\" must be true or false", "mailweir log on --for 30m");
  const std::string by = request.peer.name();
  if (!request.body["on"].get<bool>()) {
    if (auto off = syn_log_.turn_off(by); !off) return http_error(500, off.error().message);
    return {.body = log_json()};
  }
  const auto lasts_text = text(request.body, "for");
  if (!lasts_text) return bad_request(lasts_text.error());
  const auto lasts =
      lasts_text->empty() ? Result<std::chrono::seconds>(kDefaultLog) : parse_duration(*lasts_text);
  if (!lasts) return bad_request(lasts.error());
  const auto whom = text(request.body, "source");
  if (!whom) return bad_request(whom.error());
  std::optional<mw_addr> source;
  if (!whom->empty()) {
    const auto prefix = parse_prefix(*whom);
    if (!prefix) return bad_request(prefix.error());
    const int clients = controller_.config().networks.ipv6_prefix;
    source = source_key(prefix->addr, clients);
    if (prefix->bits != 128 && source_prefix(*source, clients) != *prefix)
      return http_error(400, *whom + " is not one source", "log on --source 172.16.7.70");
    if (!controller_.is_inside(*source))
      return http_error(400, *whom + " is not in [networks] inside, so none of its SYNs is logged",
                        "mailweir log on, without --source");
  }
  if (auto on = syn_log_.turn_on(*lasts, source, by); !on)
    return http_error(500, on.error().message,
                      "make the file's folder writable for the daemon, or set [log] file");
  return {.body = log_json()};
}

HttpAnswer Api::reload() {
  const auto warnings = reload_();
  if (warnings) return {.body = {{"reloaded", true}, {"warnings", *warnings}}};
  HttpAnswer answer =
      http_error(422, "the configuration is not usable; the running one is unchanged",
                 "mailweir config check");
  answer.body["problems"] = json::array();
  std::string_view rest = warnings.error().message;
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    answer.body["problems"].push_back(line);
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
  return answer;
}

}  // namespace mailweir
