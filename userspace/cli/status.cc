// SPDX-License-Identifier: GPL-2.0-or-later
// `status`, from the daemon or, if it is dead, from its pins.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <ostream>

#include "base/time_text.h"
#include "cli/body.h"
#include "cli/verbs.h"
#include "datapath/pins.h"

namespace mailweir {
namespace {

using nlohmann::json;
using std::chrono::seconds;

seconds seconds_of(const json& value) {
  return seconds(number(value));
}

std::string upper(std::string word) {
  std::ranges::transform(word, word.begin(), [](char c) { return std::toupper(c); });
  return word;
}

std::string mode_words(const Console& console, const json& status) {
  const std::string mode = text(field(status, "mode"));
  const Tone tone = mode == "block" ? Tone::good : mode == "throttle" ? Tone::plain : Tone::warn;
  std::string words = console.style.paint(upper(mode), tone) + " mode";
  if (text(field(status, "mode_origin")) == "command")
    words += " (by command; the file says " + text(field(status, "file_mode")) + ")";
  return words;
}

/// "1 190", or with what was let through only for the mode's sake: "0 (+61 would)".
std::string tally_text(const json& packets, const char* verdict) {
  std::uint64_t enforced = 0;
  std::uint64_t would = 0;
  for (const json& verdicts : packets) {
    enforced += number(field(verdicts, verdict, "enforced"));
    would += number(field(verdicts, verdict, "would"));
  }
  std::string tally = grouped(enforced);
  if (would > 0) tally += " (+" + grouped(would) + " would)";
  return tally;
}

std::string traffic_text(const json& status) {
  constexpr const char* kShown[] = {"passed", "limited", "braked", "blocked", "shielded"};
  const json& rates = field(status, "rates");
  std::string line;
  std::uint64_t syns = 0;
  for (const char* verdict : kShown) {
    const bool rare = verdict == std::string_view("shielded");  // and toward the clients
    const std::string amount = rates.is_null() ? tally_text(field(status, "packets"), verdict)
                                               : grouped(number(field(rates, verdict)));
    if (rare && amount == "0") continue;
    line += fmt::format("   {} {}", verdict, amount);
    if (!rare) syns += number(field(rates, verdict));
  }
  return rates.is_null() ? "in all" + line : grouped(syns) + " SYN/min" + line;
}

void print_interfaces(const Console& console, const json& status) {
  const json& interfaces = field(status, "interfaces");
  std::string label = "attached";
  if (interfaces.empty())
    print_labelled(console.out, label, console.style.paint("nowhere", Tone::bad), console.width);
  for (const json& each : interfaces) {
    const std::string state = text(field(each, "state"));
    std::string line = fmt::format("{:<6} ", text(field(each, "name")));
    if (state == "attached") {
      line += fmt::format("{:<11}  prog {} tag {}", text(field(each, "hook")),
                          number(field(each, "program_id")), text(field(each, "tag")));
      if (const auto since = time_at(field(each, "attached_since")))
        line += "   since " + duration_text(std::chrono::floor<seconds>(console.now - *since));
      if (flag(field(each, "adopted"))) line += " (adopted, no gap)";
    } else {
      line += console.style.paint(upper(state), Tone::bad);
    }
    console.out << fmt::format("  {:<10} {}\n", label, line);
    label.clear();
    const std::string note = text(field(each, "note"));
    if (!note.empty()) print_labelled(console.out, "", note, console.width);
  }
}

std::string sources_text(const json& status) {
  const std::uint64_t tracked = number(field(status, "sources", "tracked"));
  const std::uint64_t capacity = number(field(status, "sources", "capacity"));
  std::string line = fmt::format("{} of {} tracked", grouped(tracked), grouped(capacity));
  if (capacity > 0) line += fmt::format(" ({} %)", tracked * 100 / capacity);

  const json& blocks = field(status, "blocks");
  std::uint64_t blocked = 0;
  std::string parts;
  for (const char* origin : {"auto", "manual", "bpftool"}) {
    const std::uint64_t some = number(field(blocks, origin));
    blocked += some;
    if (some > 0) parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", grouped(some), origin);
  }
  line += "   " + grouped(blocked) + " blocked";
  if (!parts.empty()) line += " (" + parts + ")";
  if (const std::uint64_t would = number(field(blocks, "would")); would > 0)
    line += "   " + grouped(would) + " would be";
  if (!field(status, "allowed").is_null())
    line += "   " + grouped(number(field(status, "allowed"))) + " allowed";
  return line;
}

/// First contacts of all sources, and what became of them.
std::string evidence_text(const json& evidence) {
  std::string line = fmt::format("{}: {} answered, {} not; {} finished",
                                 counted(number(field(evidence, "contacts")), "contact"),
                                 grouped(number(field(evidence, "answered"))),
                                 grouped(number(field(evidence, "unanswered"))),
                                 grouped(number(field(evidence, "finished"))));
  if (const std::uint64_t lost = number(field(evidence, "lost")); lost > 0)
    line += fmt::format(", {} lost", grouped(lost));
  if (const std::uint64_t some = number(field(evidence, "unconfirmed")); some > 0)
    line += fmt::format(", {} not confirmed by conntrack", grouped(some));
  if (text(field(evidence, "confirm")) == "none") line += "; confirm = \"none\"";
  return line;
}

std::string mirror_text(const Console& console, const json& mirror) {
  const std::string state = text(field(mirror, "state"));
  const std::string note = text(field(mirror, "note"));
  if (state == "off") return "off ([mirror] backend)";
  if (state == "pending") return "chain MAILWEIR is being written";
  std::string line = "chain MAILWEIR ";
  line += state == "matches" ? console.style.paint(state, Tone::good)
                             : console.style.paint(upper(state), Tone::bad);
  line += fmt::format(", {}, {} backend", counted(number(field(mirror, "rules")), "rule"),
                      text(field(mirror, "backend")));
  if (!field(mirror, "checked_seconds_ago").is_null())
    line += ", checked " + duration_text(seconds_of(field(mirror, "checked_seconds_ago"))) + " ago";
  return note.empty() ? line : line + ": " + note;
}

/// What the kernel program does without its controller, and for how long.
std::string kernel_alone(const json& status) {
  if (field(status, "interfaces").empty()) return "nothing is attached, all packets pass";
  if (flag(field(status, "passes_all")))
    return "the kernel program only observes, everything passes (on_stop = \"pass\")";
  const seconds dead_man = seconds_of(field(status, "dead_man_seconds"));
  const seconds silent = seconds_of(field(status, "heartbeat_seconds_ago"));
  const std::string since = fmt::format("dead_man {}, last heartbeat {} ago",
                                        duration_text(dead_man), duration_text(silent));
  if (dead_man.count() == 0) return "the kernel program goes on enforcing, without end";
  if (silent < dead_man)
    return fmt::format("the kernel program goes on enforcing for {} ({})",
                       duration_text(dead_man - silent), since);
  return fmt::format("the kernel program only observes by now ({})", since);
}

std::string log_text(const json& log, WallTime now) {
  std::string line = "SYNs";
  if (const std::string source = text(field(log, "source")); !source.empty())
    line += " of " + source;
  line += " to " + text(field(log, "file"));
  if (const auto until = time_at(field(log, "until")))
    line += " for another " + duration_text(std::chrono::ceil<seconds>(*until - now));
  return line + fmt::format("   {} lines, {} beyond the limits",
                            grouped(number(field(log, "lines"))),
                            grouped(number(field(log, "suppressed"))));
}

std::string shield_text(const json& shield) {
  std::string line = "ports";
  for (const json& port : field(shield, "ports")) line += fmt::format(" {}", number(port));
  return line + ", rules: " + text(field(shield, "state"));
}

void print_status(const Console& console, const json& status) {
  std::ostream& out = console.out;
  out << "mailweir " << text(field(status, "version"));
  if (!field(status, "node").is_null()) out << " on " << text(field(status, "node"));
  const bool running = flag(field(status, "running"));
  if (!running) out << "   " << console.style.paint("NOT RUNNING", Tone::bad);
  out << "   " << mode_words(console, status);
  if (running) out << "   up " << duration_text(seconds_of(field(status, "uptime_seconds")));
  out << '\n';

  if (!running) print_labelled(out, "kernel", kernel_alone(status), console.width);
  print_interfaces(console, status);
  print_labelled(out, "mail", traffic_text(status), std::nullopt);
  print_labelled(out, "sources", sources_text(status), std::nullopt);
  if (!field(status, "evidence").is_null())
    print_labelled(out, "evidence", evidence_text(field(status, "evidence")), console.width);
  if (!field(status, "mirror").is_null())
    print_labelled(out, "iptables", mirror_text(console, field(status, "mirror")), console.width);
  if (flag(field(status, "log", "on")))
    print_labelled(out, "log", log_text(field(status, "log"), console.now), console.width);
  if (const json& ports = field(status, "shield", "ports"); !ports.empty())
    print_labelled(out, "shield", shield_text(field(status, "shield")), console.width);
  if (const std::uint64_t lost = number(field(status, "events", "lost")); lost > 0)
    print_labelled(out, "events", grouped(lost) + " lost by a full ring buffer", console.width);
  if (!running) return;
  for (const json& problem : field(status, "problems"))
    print_labelled(out, "problem", text(problem), console.width);
}

int status_without_daemon(const Console& console, const Target& target, const Error& cause) {
  auto status = status_from_pins(target.bpffs_dir);
  const bool nothing = !status && status.error().code == ENOENT;
  json body = status ? std::move(*status) : json{{"running", false}};
  if (!status && !nothing) body["problems"] = json::array({status.error().message});

  if (!print_for_machines(console, body, "", {}) && status) print_status(console, body);
  console.err << "mailweir: not running: " << printable(cause.message) << '\n';
  if (nothing)
    console.err << "  nothing of mailweir is attached (no pins in " << target.bpffs_dir
                << "): all packets pass\n";
  else if (!status)
    console.err << "  what the kernel goes on enforcing cannot be read: "
                << printable(status.error().message) << "\n  next: sudo mailweir status\n";
  else
    console.err << "  " << kernel_alone(body) << '\n';
  return kNotRunning;
}

}  // namespace

int show_status(const Console& console) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  auto status = body_of(Client(target->socket).get("/v1/status"));
  if (!status) {
    const Error& error = status.error();
    if (error.code != ENOENT && error.code != ECONNREFUSED) return fail(console, error);
    return status_without_daemon(console, *target, error);
  }
  if (!print_for_machines(console, *status, "", {})) print_status(console, *status);
  return kDone;
}

int show_version(const Console& console) {
  if (!print_for_machines(console, {{"version", MAILWEIR_VERSION}}, "", {}))
    console.out << "mailweir " << MAILWEIR_VERSION << '\n';
  return kDone;
}

}  // namespace mailweir
