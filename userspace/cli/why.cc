// SPDX-License-Identifier: GPL-2.0-or-later
// `why`: all that is known of one source, in the order in which a person asks.
#include <spdlog/fmt/fmt.h>

#include <ostream>

#include "base/address.h"
#include "base/time_text.h"
#include "cli/body.h"
#include "cli/verbs.h"
#include "control/client.h"

namespace mailweir {
namespace {

using nlohmann::json;

constexpr std::size_t kHistoryShown = 5;

std::string left_text(const json& decision) {
  const json& left = field(decision, "remaining_seconds");
  if (field(decision, "until").is_null()) return "for ever";
  return fmt::format("until {} ({} left)", local(field(decision, "until")),
                     duration_text(std::chrono::seconds(number(left))));
}

class Explanation {
 public:
  Explanation(const Console& console, std::string address, const json& source)
      : console_(console),
        address_(std::move(address)),
        source_(source),
        decision_(field(source, "decision")),
        state_(text(field(source, "state"))) {}

  void print() const {
    print_state();
    print_scope();
    if (!decision_.is_null()) print_decision();
    print_counts();
    for (const json& entry : field(source_, "allowed_by")) print_allowed(entry);
    if (state_ == "blocked") print_places();
    print_history();
    print_next();
  }

 private:
  void line(std::string_view label, const std::string& content) const {
    print_labelled(console_.out, label, content, console_.width);
  }

  void print_state() const {
    const Style& style = console_.style;
    std::string said;
    if (state_ == "blocked")
      said = style.paint("BLOCKED", Tone::bad) + " " + left_text(decision_);
    else if (state_ == "would_block")
      said = "not blocked, but " + style.paint("WOULD BE BLOCKED", Tone::warn) + " " +
             left_text(decision_) + ": its mode is " + text(field(source_, "mode"));
    else if (state_ == "limited" || state_ == "braked")
      said = "not blocked, but " + style.paint(state_, Tone::warn);
    else if (state_ == "allowed")
      said = style.paint("allowed", Tone::good) + ": counted, never dropped";
    else
      said = "not blocked: " + style.paint(state_, Tone::good);
    console_.out << address_ << " is " << said << '\n';
  }

  /// An IPv6 client is judged by its whole prefix, not by the address that was asked about.
  void print_scope() const {
    const std::string source = text(field(source_, "source"));
    const auto slash = source.find('/');
    if (slash != std::string::npos)
      line("speaks of", fmt::format("the whole /{}: {}; IPv6 sources are judged, blocked and "
                                    "allowed by their /{}",
                                    source.substr(slash + 1), source, source.substr(slash + 1)));
  }

  void print_decision() const {
    const std::string by = text(field(decision_, "by"));
    const std::string origin = text(field(decision_, "origin"));
    line("decided", fmt::format("{}, decision {}, {}", local_short(field(decision_, "since")),
                                text(field(decision_, "id")),
                                by.empty() || by == origin ? origin : origin + ", by " + by));
    const std::string reason = text(field(decision_, "reason"));
    const std::string evidence = text(field(decision_, "evidence", "text"));
    if (!evidence.empty())
      line("because", evidence + examples_of(decision_));
    else
      line("because", reason.empty() ? "no reason was given" : reason);
    if (state_ != "blocked") return;
    const std::uint64_t packets = number(field(source_, "dropped_packets"));
    line("since then", fmt::format("{} dropped ({} bytes)", counted(packets, "packet"),
                                   bytes_text(number(field(source_, "dropped_bytes")))));
  }

  static std::string examples_of(const json& owner) {
    std::string said;
    for (const json& server : field(owner, "evidence", "examples"))
      said += (said.empty() ? "; for example " : ", ") + text(server);
    return said;
  }

  void print_counts() const {
    if (field(source_, "first_seen").is_null()) return line("seen", "no SYN of it yet");
    line("counted", text(field(source_, "evidence", "text")));
    if (!field(source_, "waits_for").is_null())
      line("waits for", text(field(source_, "waits_for")));
    line("seen", fmt::format("first {}, last {} ({}); in all {}, {} dropped",
                             local_short(field(source_, "first_seen")),
                             local_short(field(source_, "last_seen")),
                             ago(field(source_, "last_seen"), console_.now),
                             counted(number(field(source_, "total", "syns")), "SYN"),
                             grouped(number(field(source_, "total", "dropped")))));
  }

  void print_allowed(const json& entry) const {
    std::string said =
        fmt::format("{} by {}", text(field(entry, "network")), text(field(entry, "origin")));
    const std::string by = text(field(entry, "by"));
    const std::string reason = text(field(entry, "reason"));
    if (!by.empty() && text(field(entry, "origin")) == "command") said += " of " + by;
    if (!reason.empty()) said += ": " + reason;
    line("allowed", said);
  }

  /// Where an admin finds the block without us.
  void print_places() const {
    const bool ipv6 = address_.find(':') != std::string::npos;
    const json& rule = field(source_, "mirror_rule");
    line("mirrored", rule.is_null() ? "not in iptables; the kernel program enforces it"
                                    : fmt::format("{} -L MAILWEIR -v -n, rule {}",
                                                  ipv6 ? "ip6tables" : "iptables", number(rule)));
    // For the clipboard: in one line however narrow the terminal.
    print_labelled(console_.out, "kernel", text(field(source_, "kernel_command")), std::nullopt);
  }

  void print_history() const {
    const json& next = field(source_, "next_block_seconds");
    const std::string would_last =
        next.is_null() ? "for ever" : duration_text(std::chrono::seconds(number(next)));
    std::vector<const json*> earlier;
    for (const json& each : field(source_, "history"))
      if (field(each, "id") != field(decision_, "id")) earlier.push_back(&each);
    if (earlier.empty())
      line("history", (decision_.is_null() ? "never blocked in 30 d; a block would last "
                                           : "first block in 30 d; next would last ") +
                          would_last);
    else
      line("history",
           fmt::format("{} in 30 d; next would last {}",
                       counted(earlier.size(), decision_.is_null() ? "block" : "earlier block"),
                       would_last));
    for (std::size_t i = 0; i < earlier.size() && i < kHistoryShown; ++i) print_past(*earlier[i]);
    if (earlier.size() > kHistoryShown) line("", "... more by: mailweir -o json why " + address_);
    if (!field(source_, "grace_until").is_null())
      line("grace", "not blocked automatically until " + local(field(source_, "grace_until")));
  }

  void print_past(const json& past) const {
    line("", fmt::format("{}  {}  {}{}  {}", local_short(field(past, "since")),
                         text(field(past, "id")), flag(field(past, "would")) ? "would, " : "",
                         text(field(past, "origin")), text(field(past, "end_cause"))));
  }

  void print_next() const {
    const auto commands = [this](const char* label, const std::string& all) {
      print_labelled(console_.out, label, all, std::nullopt);
    };
    if (state_ == "blocked") {
      commands("undo", "mailweir unblock " + address_);
      commands("keep", "mailweir allow add " + address_ + " --reason \"...\"");
    } else if (state_ != "allowed") {
      commands("hold back", "mailweir block " + address_ + " --for 24h --reason \"...\"");
    }
  }

  const Console& console_;
  std::string address_;
  const json& source_;
  const json& decision_;
  std::string state_;
};

}  // namespace

int show_why(const Console& console, const std::string& address) {
  const auto prefix = parse_prefix(address);
  if (!prefix)
    return fail(console, {EINVAL, prefix.error().message + "\nmailweir why 172.16.7.70"});
  if (prefix->is_ipv4() && prefix->bits != 128)
    return fail(console, {EINVAL, "why is about one source, and " + address +
                                      " has many\nmailweir blocks, or mailweir top"});
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  auto source = body_of(Client(target->socket).get("/v1/sources/" + url_encoded(address)));
  if (!source) return fail(console, source.error());
  if (!print_for_machines(console, *source, "", {})) Explanation(console, address, *source).print();
  return kDone;
}

}  // namespace mailweir
