// SPDX-License-Identifier: GPL-2.0-or-later
// `import`: the rules that a person wrote against spammers become blocks.
#include <spdlog/fmt/fmt.h>

#include <ostream>

#include "cli/body.h"
#include "cli/render.h"
#include "cli/verbs.h"
#include "config/config.h"
#include "mirror/handmade.h"
#include "mirror/iptables.h"

namespace mailweir {
namespace {

using nlohmann::json;

const std::vector<CsvColumn> kImportColumns = {{"tool"},  {"source"},  {"comment"},
                                               {"date"},  {"ok"},      {"decision"},
                                               {"error"}, {"removed"}, {"rule"}};

struct Found {
  std::string tool;
  HandmadeRule rule;
  json entry;  ///< what is told of it
};

std::string rule_text(const HandmadeRule& rule) {
  std::string text = "-A FORWARD";
  for (const std::string& word : rule.spec) text += ' ' + shell_word(word);
  return text;
}

Result<std::vector<Found>> find_rules(const std::vector<std::uint16_t>& judged) {
  const auto listings = list_forward();
  if (!listings) return listings.error();
  std::vector<Found> found;
  for (const ForwardListing& listing : *listings)
    for (HandmadeRule& rule : parse_handmade(listing.rules, judged)) {
      json entry = {{"tool", listing.tool},
                    {"rule", rule_text(rule)},
                    {"source", rule.source ? json(to_string(*rule.source)) : json()},
                    {"comment", rule.comment},
                    {"date", rule.date.empty() ? json() : json(rule.date)},
                    {"ok", false},
                    {"decision", json()},
                    {"error", rule.obstacle.empty() ? json() : json(rule.obstacle)},
                    {"removed", false}};
      found.push_back({listing.tool, std::move(rule), std::move(entry)});
    }
  return found;
}

std::string reason_of(const HandmadeRule& rule) {
  if (rule.date.empty() || rule.comment.substr(kHandmadePrefix.size()) == rule.date)
    return rule.comment;
  return rule.comment + ", rule of " + rule.date;
}

/// Adopted before, and still in force: its decision stays the one that it was.
bool is_adopted(const json& blocks, Found& found) {
  for (const json& block : blocks)
    if (!flag(field(block, "would")) && field(block, "until").is_null() &&
        field(block, "source") == found.entry["source"] &&
        field(block, "reason") == reason_of(found.rule)) {
      found.entry["decision"] = field(block, "id");
      found.entry["ok"] = true;
      return true;
    }
  return false;
}

/// A block for ever, as the rule was. A network's rule is adopted if all its addresses are.
Result<> adopt(const Client& client, Found& found, bool dry_run) {
  const HandmadeRule& rule = found.rule;
  const auto answer = body_of(client.post("/v1/block", {{"sources", {to_string(*rule.source)}},
                                                        {"for", "forever"},
                                                        {"reason", reason_of(rule)},
                                                        {"dry_run", dry_run}}));
  if (!answer) return answer.error();
  const json& results = field(*answer, "results");
  bool all = !results.empty();
  for (const json& result : results) {
    if (flag(field(result, "ok"))) {
      if (!dry_run) found.entry["decision"] = field(result, "decision", "id");
      continue;
    }
    all = false;
    found.entry["error"] = text(field(result, "error"));
  }
  found.entry["ok"] = all;
  return Ok{};
}

std::string outcome_text(const json& entry, bool dry_run) {
  if (!flag(entry["ok"])) return "not adopted: " + text(entry["error"]);
  if (dry_run && entry["decision"].is_null()) return "would be adopted";
  const std::string removed = flag(entry["removed"]) ? ", rule removed" : "";
  const std::string error = text(entry["error"]);
  return "decision " + text(entry["decision"]) + removed + (error.empty() ? "" : "; " + error);
}

void print_rules(const Console& console, const std::vector<Found>& rules, bool dry_run) {
  Table table({{"SOURCE"}, {"COMMENT"}, {"DATE"}, {"IN"}, {"BLOCK"}});
  for (const Found& found : rules) {
    const bool ok = flag(found.entry["ok"]);
    table.add({text(found.entry["source"]),
               text(found.entry["comment"]),
               found.rule.date.empty() ? "-" : found.rule.date,
               found.tool,
               {outcome_text(found.entry, dry_run), ok ? Tone::good : Tone::warn}});
  }
  table.print(console.out, console.style, console.width);
}

void print_undo(const Console& console, const std::vector<Found>& rules) {
  if (console.globals.quiet) return;
  for (const Found& found : rules)
    if (flag(found.entry["removed"]))
      console.out << "undo: " << found.tool << ' ' << rule_text(found.rule) << '\n';
  std::string sources;
  for (const Found& found : rules)
    if (flag(found.entry["ok"])) sources += ' ' + text(found.entry["source"]);
  if (!sources.empty()) console.out << "undo: mailweir unblock" << sources << '\n';
}

/// The rule goes only after its block is recorded and in the kernel.
void take_over(Found& found) {
  if (auto removed = delete_from_forward(found.tool, found.rule.spec); !removed)
    found.entry["error"] = "the rule stays: " + removed.error().message;
  else
    found.entry["removed"] = true;
}

}  // namespace

int order_import(const Console& console, const ImportOrder& order) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  const Loaded loaded = load_config(console.globals.config_file);
  const Config config = loaded.usable() ? loaded.config : Config{};
  auto rules = find_rules(config.smtp.judge);
  if (!rules) return fail(console, rules.error());

  const Client client(target->socket);
  const auto active = body_of(client.get("/v1/blocks"));
  if (!active) return fail(console, active.error());
  const json& blocks = field(*active, "blocks");
  bool complete = true;
  std::optional<Error> stopped;
  for (Found& found : *rules) {
    if (found.rule.obstacle.empty() && !stopped) {
      Result<> adopted = Ok{};
      if (!is_adopted(blocks, found)) adopted = adopt(client, found, order.dry_run);
      if (!adopted) {
        stopped = adopted.error();
        found.entry["error"] = "the daemon was not reached";
      } else if (flag(found.entry["ok"]) && order.take_over && !order.dry_run) {
        take_over(found);
      }
    }
    complete = complete && flag(found.entry["ok"]) && found.entry["error"].is_null();
  }

  json body = {{"rules", json::array()}};
  for (const Found& found : *rules) body["rules"].push_back(found.entry);
  if (!print_for_machines(console, body, "rules", kImportColumns)) {
    if (rules->empty()) {
      console.out << "no rule in FORWARD has a comment that begins with " << kHandmadePrefix
                  << '\n';
    } else {
      print_rules(console, *rules, order.dry_run);
      if (order.dry_run && !console.globals.quiet) console.err << "dry run: nothing was changed\n";
      if (!order.dry_run) print_undo(console, *rules);
    }
  }
  if (stopped) return fail(console, *stopped);
  return complete ? kDone : kNo;
}

}  // namespace mailweir
