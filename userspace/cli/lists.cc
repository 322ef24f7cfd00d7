// SPDX-License-Identifier: GPL-2.0-or-later
// Verbs that print a table: top, blocks, events.
#include <spdlog/fmt/fmt.h>

#include <ostream>

#include "base/time_text.h"
#include "cli/body.h"
#include "cli/verbs.h"

namespace mailweir {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds kLongPoll{25};

const std::vector<CsvColumn> kSourceColumns = {
    {"source"},
    {"state"},
    {"mode"},
    {"first_seen"},
    {"last_seen"},
    {"evidence", "syns"},
    {"evidence", "networks"},
    {"evidence", "finished"},
    {"evidence", "no_message"},
    {"evidence", "score"},
    {"evidence", "braked"},
    {"evidence", "limited"},
    {"total", "syns"},
    {"total", "dropped"},
    {"dropped_packets"},
    {"dropped_bytes"},
    {"total", "bytes"},
    {"window", "minutes"},
    {"window", "syns"},
    {"window", "bytes"},
    {"window", "servers"},
    {"window", "dropped"},
};
const std::vector<CsvColumn> kDecisionColumns = {{"source"},
                                                 {"id"},
                                                 {"origin"},
                                                 {"would"},
                                                 {"since"},
                                                 {"until"},
                                                 {"remaining_seconds"},
                                                 {"by"},
                                                 {"reason"},
                                                 {"evidence", "text"},
                                                 {"dropped_packets"},
                                                 {"dropped_bytes"}};
const std::vector<CsvColumn> kEventColumns = {{"seq"}, {"time"}, {"kind"}, {"source"}, {"text"}};

Cell state_cell(const std::string& state) {
  if (state == "blocked") return {state, Tone::bad};
  if (state == "would_block") return {"would block", Tone::warn};
  if (state == "limited" || state == "braked") return {state, Tone::warn};
  return {state, Tone::good};
}

std::string left_text(const json& decision) {
  const json& left = field(decision, "remaining_seconds");
  return left.is_null() ? "for ever" : duration_text(std::chrono::seconds(number(left)));
}

/// The share of finished contacts that carried no message.
std::string no_mail_text(const json& evidence) {
  const std::uint64_t finished = number(field(evidence, "finished"));
  if (finished == 0) return "-";
  return fmt::format("{} %", number(field(evidence, "no_message")) * 100 / finished);
}

Tone tone_of_event(const std::string& kind) {
  if (kind == "block" || kind == "detach") return Tone::bad;
  if (kind == "would_block" || kind == "limited" || kind == "braked" || kind == "heavy")
    return Tone::warn;
  return kind == "unblock" || kind == "allow" || kind == "attach" ? Tone::good : Tone::plain;
}

void print_event(const Console& console, const json& event) {
  const std::string kind = text(field(event, "kind"));
  std::string source = text(field(event, "source"));
  if (source.empty()) source = "-";
  console.out << local_short(field(event, "time")) << "  "
              << console.style.paint(kind, tone_of_event(kind))
              << std::string(kind.size() < 11 ? 11 - kind.size() : 0, ' ')
              << fmt::format("  {:<17}  {}\n", source, text(field(event, "text")));
}

void print_events(const Console& console, const json& events) {
  if (console.format == Format::table)
    for (const json& event : events) print_event(console, event);
  else
    print_entries(console, events, kEventColumns);
  console.out.flush();
}

/// Ends only with the daemon, or with the process.
int follow_events(const Console& console, const Client& client, std::uint64_t after) {
  for (;;) {
    auto news =
        body_of(client.get(fmt::format("/v1/events?after={}&wait={}", after, kLongPoll.count()),
                           kLongPoll + std::chrono::seconds(15)));
    if (!news) return fail(console, news.error());
    print_events(console, field(*news, "events"));
    after = number(field(*news, "next"));
    if (!console.out) return kNo;
  }
}

/// Seven columns are enough for what a flood counts.
std::string short_count(std::uint64_t count) {
  if (count < 1'000'000) return grouped(count);
  return count < 1'000'000'000 ? grouped(count / 1000) + "k" : grouped(count / 1'000'000) + "M";
}

/// A daemon that is younger than the window knows less than was asked.
void tell_short_count(const Console& console, const json& body) {
  const std::chrono::seconds counted(number(field(body, "counted_seconds")));
  if (!field(body, "counted_seconds").is_number() ||
      counted >= std::chrono::minutes(number(field(body, "over_minutes"))))
    return;
  console.err << "the daemon counts since " << duration_text(counted) << " ago\n";
}

}  // namespace

int show_top(const Console& console, const TopChoice& choice, unsigned rows) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  const std::string minutes = choice.over.substr(0, choice.over.size() - 1);
  auto body = body_of(
      Client(target->socket)
          .get(fmt::format("/v1/sources?by={}&over={}&limit={}", choice.by, minutes, rows)));
  if (!body) return fail(console, body.error());
  tell_short_count(console, *body);
  if (print_for_machines(console, *body, "sources", kSourceColumns)) return kDone;

  const json& sources = field(*body, "sources");
  if (sources.empty()) {
    console.err << "no source has sent mail yet; mailweir status shows where it is attached\n";
    return kDone;
  }
  Table table({{"SOURCE"},
               {"SYN/" + choice.over, true},
               {"BYTES", true},
               {"SERVERS", true},
               {"DROPPED", true},
               {"NO MAIL", true},
               {"STATE"},
               {"LAST SEEN"}});
  for (const json& source : sources) {
    const json& window = field(source, "window");
    // Linear counting: an estimate, but for the few that it counts exactly.
    const std::uint64_t servers = number(field(window, "servers"));
    table.add(
        {text(field(source, "source")), short_count(number(field(window, "syns"))),
         volume_text(number(field(window, "bytes"))), (servers > 20 ? "~" : "") + grouped(servers),
         short_count(number(field(window, "dropped"))), no_mail_text(field(source, "evidence")),
         state_cell(text(field(source, "state"))), ago(field(source, "last_seen"), console.now)});
  }
  table.print(console.out, console.style, console.width);
  return kDone;
}

int show_blocks(const Console& console) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  auto body = body_of(Client(target->socket).get("/v1/blocks"));
  if (!body) return fail(console, body.error());
  if (console.format != Format::json && body->contains("blocks"))
    (*body)["blocks"] = sorted_by_address(field(*body, "blocks"), "source");
  if (print_for_machines(console, *body, "blocks", kDecisionColumns)) return kDone;

  const json& blocks = field(*body, "blocks");
  if (blocks.empty()) {
    console.err << "nothing is blocked; mailweir top shows who sends most\n";
    return kDone;
  }
  Table table(
      {{"SOURCE"}, {"STATE"}, {"LEFT"}, {"DROPPED", true}, {"DECISION"}, {"BY"}, {"REASON"}});
  for (const json& block : blocks) {
    const bool would = flag(field(block, "would"));
    const std::string reason = text(field(block, "reason"));
    table.add({text(field(block, "source")), state_cell(would ? "would_block" : "blocked"),
               left_text(block), grouped(number(field(block, "dropped_packets"))),
               text(field(block, "id")), text(field(block, "by")), reason.empty() ? "-" : reason});
  }
  table.print(console.out, console.style, console.width);
  return kDone;
}

int show_events(const Console& console, bool follow, unsigned rows) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  if (follow && console.format == Format::json)
    return fail(console, {EINVAL, "events -f has no end, so no JSON document\nuse -o jsonl"});
  const Client client(target->socket);
  auto body = body_of(client.get("/v1/events"));
  if (!body) return fail(console, body.error());

  json& events = (*body)["events"];
  if (events.size() > rows)
    events.erase(events.begin(), events.end() - static_cast<std::ptrdiff_t>(rows));
  if (console.format == Format::csv) print_csv_header(console, kEventColumns);
  if (console.format == Format::json)
    print_for_machines(console, *body, "events", kEventColumns);
  else
    print_events(console, events);
  if (follow) return follow_events(console, client, number(field(*body, "next")));
  if (events.empty()) console.err << "no event yet; mailweir events -f waits for the next\n";
  return kDone;
}

}  // namespace mailweir
