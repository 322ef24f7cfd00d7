// SPDX-License-Identifier: GPL-2.0-or-later
// `ptr check`: the names of the pool's addresses, and the zones that they stand in, as they are.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <ostream>
#include <set>

#include "cli/body.h"
#include "cli/ptr_plan.h"
#include "cli/verbs.h"
#include "dns/survey.h"
#include "dns/zone_survey.h"

namespace mailweir {
namespace {

using nlohmann::json;

/// Of a larger pool only what is not good is shown, and so many of them, unless --all.
constexpr std::size_t kMostRows = 1024;

const std::vector<CsvColumn> kAddressColumns = {{"address"}, {"ptr"},  {"back"},
                                                {"grade"},   {"text"}, {"server"}};

/// The servers that are asked directly, and what they are asked with.
struct Servers {
  std::vector<std::unique_ptr<Asker>> askers;
  std::vector<Party> parties;
};

struct Survey {
  std::vector<AddressVerdict> addresses;
  std::vector<ZoneVerdict> zones;

  template <typename List>
  static std::size_t count(const List& list, Grade grade) {
    return static_cast<std::size_t>(
        std::ranges::count_if(list, [grade](const auto& each) { return each.grade == grade; }));
  }
  [[nodiscard]] bool is_clean() const {
    return count(addresses, Grade::bad) == 0 && count(zones, Grade::bad) == 0 &&
           count(addresses, Grade::unknown) < addresses.size();
  }
};

/// "Part done", on a terminal.
class ProgressLine {
 public:
  explicit ProgressLine(const Console& console)
      : console_(console), shown_(!console.globals.quiet && ::isatty(STDERR_FILENO) != 0) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() {
    if (shown_) console_.err << "\r      \r" << std::flush;
  }
  void show(double part) {
    const int percent = static_cast<int>(part * 100);
    if (!shown_ || percent == last_) return;
    last_ = percent;
    console_.err << fmt::format("\r{:3} %", percent) << std::flush;
  }

 private:
  const Console& console_;
  bool shown_;
  int last_ = -1;
};

Result<Servers> open_servers(const std::vector<std::string>& given, Asker& resolver) {
  Servers servers;
  std::set<std::string> seen;
  for (const std::string& text : given) {
    auto endpoint = parse_endpoint(text);
    if (!endpoint &&
        text.find_first_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") !=
            std::string::npos &&
        text.find(':') == std::string::npos) {
      auto address = look_up(text, resolver);
      if (!address) return std::move(address).error().in("--servers");
      endpoint = Endpoint{*address, 53};
    }
    if (!endpoint) return std::move(endpoint).error().in("--servers");
    if (!seen.insert(to_string(*endpoint)).second)
      return Error{EINVAL, "--servers: " + to_string(*endpoint) + " is named twice"};
    auto asker = Asker::open({.server = *endpoint, .recurse = false});
    if (!asker) return std::move(asker).error();
    servers.parties.push_back({asker->get(), &resolver, text});
    servers.askers.push_back(std::move(*asker));
  }
  return servers;
}

Survey survey(const Console& console, const PtrPlan& plan, const Servers& servers,
              Asker& resolver) {
  Survey survey;
  ProgressLine line(console);
  if (servers.parties.empty()) {
    const Progress progress = [&line](double part) { line.show(part); };
    survey.addresses = survey_addresses(plan.zones, {&resolver, nullptr, ""}, progress);
    survey.zones = survey_zones(plan.zones, resolver);
    return survey;
  }
  const auto count = static_cast<double>(servers.parties.size());
  for (std::size_t s = 0; s < servers.parties.size(); ++s) {
    const Progress progress = [&line, s, count](double part) {
      line.show((static_cast<double>(s) + part) / count);
    };
    auto verdicts = survey_addresses(plan.zones, servers.parties[s], progress);
    if (s == 0)
      survey.addresses = std::move(verdicts);
    else
      for (std::size_t i = 0; i < verdicts.size(); ++i)
        survey.addresses[i] = worse_of(std::move(survey.addresses[i]), std::move(verdicts[i]));
  }
  survey.zones = survey_zones(plan.zones, servers.parties);
  return survey;
}

template <typename List>
json counts_json(const List& list) {
  return {{"total", list.size()},
          {"bad", Survey::count(list, Grade::bad)},
          {"unknown", Survey::count(list, Grade::unknown)},
          {"generic", Survey::count(list, Grade::generic)}};
}

json address_json(const AddressVerdict& each) {
  json back = json::array();
  for (const mw_addr& addr : each.back) back.push_back(to_string(addr));
  return {{"address", to_string(each.address)}, {"ptr", each.names}, {"back", back},
          {"grade", to_string(each.grade)},     {"text", each.text}, {"server", each.server}};
}

json zone_json(const ZoneVerdict& each) {
  json servers = json::array();
  for (const ServerState& state : each.servers) {
    const bool serves = state.kind == ServerState::Kind::serves;
    servers.push_back({{"server", state.server},
                       {"serves", serves},
                       {"serial", serves ? json(state.serial) : json()},
                       {"reason", state.reason}});
  }
  return {{"zone", each.zone},
          {"name_servers", each.name_servers},
          {"servers", servers},
          {"grade", to_string(each.grade)},
          {"text", each.text}};
}

json body_json(const Survey& survey, bool only_bad) {
  json addresses = json::array();
  for (const AddressVerdict& each : survey.addresses)
    if (!only_bad || each.grade == Grade::bad) addresses.push_back(address_json(each));
  json zones = json::array();
  for (const ZoneVerdict& each : survey.zones)
    if (!only_bad || each.grade == Grade::bad) zones.push_back(zone_json(each));
  return {{"ok", survey.is_clean()},
          {"counts", counts_json(survey.addresses)},
          {"zone_counts", counts_json(survey.zones)},
          {"addresses", addresses},
          {"zones", zones}};
}

Tone tone_of(Grade grade) {
  return grade == Grade::good ? Tone::good : grade == Grade::bad ? Tone::bad : Tone::warn;
}

std::string first_of(const std::vector<std::string>& names) {
  if (names.empty()) return "-";
  const std::string first = printable(names.front().empty() ? "." : names.front());
  return names.size() == 1 ? first : fmt::format("{} +{}", first, names.size() - 1);
}

std::string back_text(const std::vector<mw_addr>& back) {
  if (back.empty()) return "-";
  const std::string first = to_string(back.front());
  return back.size() == 1 ? first : fmt::format("{} +{}", first, back.size() - 1);
}

/// Of what a table leaves out.
struct LeftOut {
  std::size_t good = 0;
  std::size_t others = 0;
};

LeftOut print_addresses(const Console& console, const Survey& survey, const PtrCheck& order) {
  Table table({{"ADDRESS"}, {"PTR"}, {"A BACK"}, {"VERDICT"}});
  const bool only_notable = !order.all && survey.addresses.size() > kMostRows;
  LeftOut left_out;
  std::size_t rows = 0;
  for (const AddressVerdict& each : survey.addresses) {
    if (order.bad && each.grade != Grade::bad) continue;
    if (only_notable && each.grade == Grade::good) {
      ++left_out.good;
      continue;
    }
    if (only_notable && rows == kMostRows) {
      ++left_out.others;
      continue;
    }
    const bool says_who = !each.server.empty() && each.grade != Grade::good;
    table.add(
        {to_string(each.address),
         first_of(each.names),
         back_text(each.back),
         {printable(each.text + (says_who ? " (" + each.server + ")" : "")), tone_of(each.grade)}});
    ++rows;
  }
  if (rows > 0) table.print(console.out, console.style, console.width);
  return left_out;
}

void print_zones(const Console& console, const Survey& survey, const PtrCheck& order) {
  Table table({{"ZONE"}, {"SERVERS", true}, {"SERIAL", true}, {"VERDICT"}});
  std::size_t rows = 0;
  for (const ZoneVerdict& each : survey.zones) {
    if (order.bad && each.grade != Grade::bad) continue;
    const auto serving =
        std::ranges::find(each.servers, ServerState::Kind::serves, &ServerState::kind);
    table.add({printable(each.zone),
               std::to_string(each.servers.size()),
               serving == each.servers.end() ? "-" : std::to_string(serving->serial),
               {printable(each.text), tone_of(each.grade)}});
    ++rows;
  }
  if (rows == 0) return;
  console.out << '\n';
  table.print(console.out, console.style, console.width);
}

void print_summary(const Console& console, const Survey& survey, const LeftOut& left_out) {
  const auto count = [](const auto& list, Grade grade) {
    return grouped(Survey::count(list, grade));
  };
  if (left_out.good + left_out.others > 0)
    console.err << fmt::format("not shown: {} good ones, {} others; --all shows them\n",
                               grouped(left_out.good), grouped(left_out.others));
  std::string line =
      fmt::format("{} of {} bad, {} unknown (a time-out is unknown, never bad)",
                  count(survey.addresses, Grade::bad), grouped(survey.addresses.size()),
                  count(survey.addresses, Grade::unknown));
  if (Survey::count(survey.addresses, Grade::generic) > 0)
    line += ", " + count(survey.addresses, Grade::generic) + " with a generic name";
  if (Survey::count(survey.addresses, Grade::bad) > 0)
    line += ". The zone that fixes it: mailweir ptr zone";
  console.err << line << '\n'
              << fmt::format("zones: {} of {} bad, {} unknown\n", count(survey.zones, Grade::bad),
                             survey.zones.size(), count(survey.zones, Grade::unknown));
  if (Survey::count(survey.addresses, Grade::unknown) == survey.addresses.size())
    console.err << "mailweir: nothing could be judged\n"
                   "  next: look at [pool] resolver, or at --servers\n";
}

}  // namespace

int check_ptr(const Console& console, const PtrCheck& order) {
  auto plan = plan_ptr(console, order.ranges);
  if (!plan) return fail_ptr(console, plan.error());
  auto resolver = open_resolver(plan->config);
  if (!resolver) return fail_ptr(console, resolver.error());
  const auto servers = open_servers(order.servers, **resolver);
  if (!servers) return fail_ptr(console, servers.error());

  const Survey found = survey(console, *plan, *servers, **resolver);
  LeftOut left_out;
  if (!print_for_machines(console, body_json(found, order.bad), "addresses", kAddressColumns)) {
    left_out = print_addresses(console, found, order);
    print_zones(console, found, order);
  }
  if (!console.globals.quiet) print_summary(console, found, left_out);
  return found.is_clean() ? kDone : kNo;
}

}  // namespace mailweir
