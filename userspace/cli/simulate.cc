// SPDX-License-Identifier: GPL-2.0-or-later
// `simulate`: what other thresholds would have done to the clients of this gateway.
#include <spdlog/fmt/fmt.h>

#include <ostream>

#include "cli/body.h"
#include "cli/verbs.h"

namespace mailweir {
namespace {

using nlohmann::json;

const std::vector<CsvColumn> kColumns = {{"source"},   {"contacts"}, {"unanswered"}, {"no_message"},
                                         {"messages"}, {"networks"}, {"score"}};

std::string share_text(const json& source) {
  const std::uint64_t messages = number(field(source, "messages"));
  return fmt::format("{} of {}", grouped(messages),
                     grouped(messages + number(field(source, "no_message"))));
}

void print_blocked(const Console& console, const json& blocked) {
  if (blocked.empty()) return;
  Table table({{"SOURCE"},
               {"DAYS", true},
               {"FIRST"},
               {"CONTACTS", true},
               {"TOOK MAIL", true},
               {"NETWORKS", true},
               {"SCORE", true}});
  for (const json& each : blocked)
    table.add({text(field(each, "source")), std::to_string(field(each, "blocked_days").size()),
               text(field(each, "blocked_days").front()), grouped(number(field(each, "contacts"))),
               share_text(each), grouped(number(field(each, "networks"))),
               fmt::format("{:.1f}", field(each, "score").get<double>())});
  table.print(console.out, console.style, console.width);
}

void print_servers(const Console& console, const json& servers) {
  if (servers.empty()) return;
  console.out << "\nthese look like mail servers; allow them?\n";
  for (const json& each : servers)
    console.out << fmt::format(
        "  {} contacts took a message   mailweir allow add {} --reason \"mail server\"\n",
        share_text(each), text(field(each, "source")));
}

/// Columns: score; rows: servers.
void print_others(const Console& console, const json& others) {
  std::vector<Column> columns{{"SERVERS", true}};
  std::vector<std::vector<Cell>> rows;
  for (const json& each : others) {
    const std::string servers = std::to_string(number(field(each, "servers")));
    if (rows.empty() || rows.back().front().text != servers) rows.push_back({Cell(servers)});
    if (rows.size() == 1)
      columns.push_back({fmt::format("SCORE {:.2f}", field(each, "score").get<double>()), true});
    rows.back().push_back(Cell(grouped(number(field(each, "blocked")))));
  }
  Table table(std::move(columns));
  for (auto& row : rows) table.add(std::move(row));
  console.out << "\nclients that other thresholds would have blocked:\n";
  table.print(console.out, console.style, console.width);
}

}  // namespace

int show_simulation(const Console& console, const SimulateOrder& order) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  std::string path = "/v1/simulate?days=" + std::to_string(order.days);
  if (order.servers != 0) path += "&servers=" + std::to_string(order.servers);
  if (order.score > 0) path += fmt::format("&score={}", order.score);
  if (order.score_proven > 0) path += fmt::format("&score_proven={}", order.score_proven);
  auto body = body_of(Client(target->socket).get(path));
  if (!body) return fail(console, body.error());
  if (print_for_machines(console, *body, "blocked", kColumns)) return kDone;
  const std::uint64_t clients = number(field(*body, "clients"));
  if (clients == 0) {
    console.err << "no client has mailed since this is recorded; look again in a day\n";
    return kNo;
  }
  const json& blocked = field(*body, "blocked");
  console.out << fmt::format(
      "{} to {}: with servers = {}, score = {:.2f} ({:.2f} for proven mailers)\n{} of {} that "
      "mailed "
      "would have been blocked\n\n",
      text(field(*body, "first_day")), text(field(*body, "last_day")),
      number(field(*body, "servers")), field(*body, "score").get<double>(),
      field(*body, "score_proven").get<double>(), grouped(blocked.size()),
      counted(clients, "client"));
  print_blocked(console, blocked);
  print_servers(console, field(*body, "mail_servers"));
  print_others(console, field(*body, "others"));
  if (!console.globals.quiet)
    console.err
        << "take over: [block] servers and score in the configuration, then mailweir reload\n";
  return kDone;
}

}  // namespace mailweir
