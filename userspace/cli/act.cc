// SPDX-License-Identifier: GPL-2.0-or-later
// Verbs that change lists of addresses: block, unblock, allow. Each prints its undo.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <istream>
#include <map>
#include <ostream>

#include "base/time_text.h"
#include "cli/body.h"
#include "cli/verbs.h"

namespace mailweir {
namespace {

using nlohmann::json;

/// In one request; far below the server's limit.
constexpr std::size_t kAddressesAtOnce = 4096;
/// On one line of an undo.
constexpr std::size_t kAddressesOnLine = 16;

const std::vector<CsvColumn> kResultColumns = {
    {"source"}, {"ok"}, {"decision", "id"}, {"decision", "until"}, {"error"}, {"hint"}, {"note"}};

/// Words up to '#', a line at a time.
void read_addresses(std::istream& in, std::vector<std::string>& addresses) {
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    for (std::string word; words >> word;) addresses.push_back(word);
  }
}

std::vector<std::string> addresses_of(const Console& console, const Change& change) {
  std::vector<std::string> addresses;
  for (const std::string& given : change.addresses) {
    if (given == "-")
      read_addresses(console.in, addresses);
    else
      addresses.push_back(given);
  }
  return addresses;
}

/// What was done before an error stays done, so it is told in any case.
struct Outcome {
  json results = json::array();
  std::optional<Error> error;
};

Outcome post_in_parts(const Client& client, const std::string& path, json body, const char* key,
                      const std::vector<std::string>& addresses) {
  Outcome outcome;
  for (std::size_t at = 0; at < addresses.size(); at += kAddressesAtOnce) {
    const auto first = addresses.begin() + static_cast<std::ptrdiff_t>(at);
    const auto size = std::min(kAddressesAtOnce, addresses.size() - at);
    body[key] = std::vector<std::string>(first, first + static_cast<std::ptrdiff_t>(size));
    auto answer = body_of(client.post(path, body));
    if (!answer) {
      outcome.error = answer.error();
      break;
    }
    for (json& result : (*answer)["results"]) outcome.results.push_back(std::move(result));
  }
  return outcome;
}

void print_undo(const Console& console, const std::string& verb,
                const std::vector<std::string>& addresses, const std::string& options) {
  if (addresses.empty() || console.globals.quiet) return;
  console.out << "undo: mailweir " << verb;
  if (addresses.size() <= kAddressesOnLine)
    for (const std::string& address : addresses) console.out << ' ' << address;
  else
    console.out << " -";
  console.out << options;
  if (addresses.size() > kAddressesOnLine)
    console.out << "   (with these " << addresses.size() << " on its standard input)";
  console.out << '\n';
}

/// Each note once, however many results carry it.
void print_notes(const Console& console, const json& results) {
  std::vector<std::string> printed;
  for (const json& result : results) {
    const std::string note = text(field(result, "note"));
    if (note.empty() || std::ranges::find(printed, note) != printed.end()) continue;
    printed.push_back(note);
    if (!console.globals.quiet) console.out << note << '\n';
  }
}

/// A line for each result by `say`, refusals on stderr with the next command.
template <typename Say>
int print_results(const Console& console, const Outcome& outcome, std::string_view refused,
                  const Say& say) {
  bool failed = false;
  const bool for_people = console.format == Format::table;
  if (!for_people)
    print_for_machines(console, {{"results", outcome.results}}, "results", kResultColumns);
  for (const json& result : outcome.results) {
    if (flag(field(result, "ok"))) {
      if (for_people) console.out << say(result) << '\n';
      continue;
    }
    failed = true;
    if (!for_people) continue;
    console.err << fmt::format("{} {}: {}\n", refused, text(field(result, "source")),
                               text(field(result, "error")));
    const std::string hint = text(field(result, "hint"));
    if (!hint.empty()) console.err << "  next: " << hint << '\n';
  }
  if (outcome.error) return fail(console, *outcome.error);
  return failed ? kNo : kDone;
}

std::vector<std::string> changed(const Outcome& outcome) {
  std::vector<std::string> sources;
  for (const json& result : outcome.results)
    if (flag(field(result, "ok"))) sources.push_back(text(field(result, "source")));
  return sources;
}

bool tells_people(const Console& console, const Change& change) {
  if (console.format != Format::table) return false;
  if (change.dry_run && !console.globals.quiet) console.err << "dry run: nothing was changed\n";
  return !change.dry_run;
}

std::string block_line(const json& result, bool dry_run) {
  const json& decision = field(result, "decision");
  const auto since = time_at(field(decision, "since"));
  const auto until = time_at(field(decision, "until"));
  std::string line =
      fmt::format("{} {}", dry_run ? "would block" : "blocked", text(field(result, "source")));
  if (!until)
    line += " for ever";
  else
    line += fmt::format(
        " until {} ({})", local_text(*until),
        duration_text(std::chrono::floor<std::chrono::seconds>(*until - since.value_or(*until))));
  if (!dry_run) line += ", decision " + text(field(decision, "id"));
  const std::string note = text(field(result, "note"));
  return note.empty() ? line : line + " (" + note + ")";
}

std::string unblock_line(const json& result, bool dry_run) {
  const json& decision = field(result, "decision");
  const json& left = field(decision, "remaining_seconds");
  return fmt::format(
      "{} {} (decision {}, was {}, {})", dry_run ? "would unblock" : "unblocked",
      text(field(result, "source")), text(field(decision, "id")), text(field(decision, "origin")),
      left.is_null() ? "for ever" : duration_text(std::chrono::seconds(number(left))) + " left");
}

/// What lets a block again last and say what it would have.
std::string block_options(const json& decision) {
  const json& left = field(decision, "remaining_seconds");
  std::string lasts =
      left.is_null()
          ? "forever"
          : duration_text(std::chrono::seconds(std::max<std::uint64_t>(number(left), 1)));
  std::erase(lasts, ' ');
  const std::string reason = text(field(decision, "reason"));
  const bool of_a_person = text(field(decision, "origin")) == "manual" && !reason.empty();
  return " --for " + lasts + (of_a_person ? " --reason " + shell_word(reason) : "");
}

void print_unblock_undo(const Console& console, const Outcome& outcome) {
  std::map<std::string, std::vector<std::string>> by_options;
  for (const json& result : outcome.results)
    if (flag(field(result, "ok")))
      by_options[block_options(field(result, "decision"))].push_back(text(field(result, "source")));
  for (const auto& [options, sources] : by_options) print_undo(console, "block", sources, options);
}

int no_address(const Console& console, std::string_view example) {
  return fail(console, {EINVAL, fmt::format("no address given\nmailweir {}", example)});
}

}  // namespace

int order_block(const Console& console, const Change& change) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  const auto addresses = addresses_of(console, change);
  if (addresses.empty()) return no_address(console, "block 172.16.7.70 --for 24h");

  const json body = {{"for", change.lasts}, {"reason", change.reason}, {"dry_run", change.dry_run}};
  const Outcome outcome =
      post_in_parts(Client(target->socket), "/v1/block", body, "sources", addresses);
  const int exit_code =
      print_results(console, outcome, change.dry_run ? "would not block" : "not blocked:",
                    [&](const json& result) { return block_line(result, change.dry_run); });
  if (tells_people(console, change)) print_undo(console, "unblock", changed(outcome), "");
  return exit_code;
}

int order_unblock(const Console& console, const Change& change) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  if (change.all && !change.addresses.empty())
    return fail(console,
                {EINVAL, "--all and addresses exclude each other\nmailweir unblock --all"});
  const auto addresses = addresses_of(console, change);
  if (addresses.empty() && !change.all)
    return no_address(console, "unblock 172.16.7.70, or mailweir unblock --all");

  const Client client(target->socket);
  Outcome outcome;
  if (change.all) {
    auto answer = body_of(client.post("/v1/unblock", {{"all", true}, {"dry_run", change.dry_run}}));
    if (!answer) return fail(console, answer.error());
    outcome.results = field(*answer, "results");
    if (outcome.results.empty() && console.format == Format::table)
      console.err << "nothing is blocked\n";
  } else {
    outcome =
        post_in_parts(client, "/v1/unblock", {{"dry_run", change.dry_run}}, "sources", addresses);
  }
  const int exit_code =
      print_results(console, outcome, change.dry_run ? "would not unblock" : "not unblocked:",
                    [&](const json& result) { return unblock_line(result, change.dry_run); });
  if (tells_people(console, change)) {
    print_notes(console, outcome.results);
    print_unblock_undo(console, outcome);
  }
  return exit_code;
}

int order_allow_add(const Console& console, const Change& change) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  const auto networks = addresses_of(console, change);
  if (networks.empty())
    return no_address(console, "allow add 172.16.0.25 --reason \"mail server\"");

  const json body = {{"reason", change.reason}, {"dry_run", change.dry_run}};
  const Outcome outcome =
      post_in_parts(Client(target->socket), "/v1/allow/add", body, "networks", networks);
  const int exit_code = print_results(
      console, outcome,
      change.dry_run ? "would not allow" : "not allowed:", [&](const json& result) {
        return (change.dry_run ? "would allow " : "allowed ") + text(field(result, "source"));
      });
  if (tells_people(console, change)) {
    print_notes(console, outcome.results);
    print_undo(console, "allow remove", changed(outcome), "");
  }
  return exit_code;
}

int order_allow_remove(const Console& console, const Change& change) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  const auto networks = addresses_of(console, change);
  if (networks.empty()) return no_address(console, "allow remove 172.16.0.25");

  const Outcome outcome = post_in_parts(Client(target->socket), "/v1/allow/remove",
                                        {{"dry_run", change.dry_run}}, "networks", networks);
  const int exit_code =
      print_results(console, outcome,
                    change.dry_run ? "would not remove" : "not removed:", [&](const json& result) {
                      return fmt::format("{} {}from the allowlist", text(field(result, "source")),
                                         change.dry_run ? "would be taken " : "taken ");
                    });
  if (tells_people(console, change)) {
    print_notes(console, outcome.results);
    print_undo(console, "allow add", changed(outcome), " --reason \"...\"");
  }
  return exit_code;
}

}  // namespace mailweir
