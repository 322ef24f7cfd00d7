// SPDX-License-Identifier: GPL-2.0-or-later
#include "mirror/restore_text.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <span>

#include "base/time_text.h"
#include "mirror/comment.h"
#include "mirror/listing.h"

namespace mailweir {
namespace {

using std::chrono::seconds;
using Ports = std::vector<std::uint16_t>;

// iptables refuses a later date, and reads the epoch itself as "no date".
constexpr WallTime kEarliestStop{seconds(1)};
constexpr WallTime kLatestStop{seconds(INT32_MAX)};

/// "2026-12-01T00:00:00": UTC, since --kerneltz is not given.
std::string datestop_text(WallTime stops) {
  std::string text = rfc3339(std::clamp(stops, kEarliestStop, kLatestStop));
  text.pop_back();  // the Z
  return text;
}

/// "-p tcp -m tcp --dport 25" or "-p tcp -m multiport --dports 25,587".
std::string match_ports(std::span<const std::uint16_t> ports) {
  if (ports.size() == 1) return fmt::format("-p tcp -m tcp --dport {}", ports.front());
  return fmt::format("-p tcp -m multiport --dports {}", fmt::join(ports, ","));
}

/// Sorted, so that one set of ports has one spelling.
Ports judged_ports(const MirrorTable& table) {
  Ports ports = table.ports;
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  return ports;
}

/// A rule as listed, as far as it says what ours say, in whatever order.
struct ListedRule {
  std::string chain;
  std::optional<Prefix> source;
  std::optional<Prefix> destination;
  bool tcp = false;
  Ports ports;
  std::string comment;
  std::optional<WallTime> stops;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::string target;
};

bool take_ports(ListedRule& rule, std::string_view text) {
  for (const std::string_view part : split(text, ',')) {
    const auto port = parse_number<std::uint16_t>(part);
    if (!port) return false;
    rule.ports.push_back(*port);
  }
  return true;
}

bool take_prefix(std::optional<Prefix>& field, std::string_view text) {
  auto prefix = parse_prefix(text);
  if (!prefix) return false;
  field = *prefix;
  return true;
}

bool take_counters(ListedRule& rule, std::string_view packets, std::string_view bytes) {
  const auto packet_count = parse_number<std::uint64_t>(packets);
  const auto byte_count = parse_number<std::uint64_t>(bytes);
  if (!packet_count || !byte_count) return false;
  rule.packets = *packet_count;
  rule.bytes = *byte_count;
  return true;
}

/// One option with its value; false if ours never say that.
bool take_option(ListedRule& rule, std::string_view option, const std::string& value) {
  if (option == "-s") return take_prefix(rule.source, value);
  if (option == "-d") return take_prefix(rule.destination, value);
  if (option == "-p") return rule.tcp = value == "tcp";
  if (option == "--dport" || option == "--dports") return take_ports(rule, value);
  if (option == "-m")
    return value == "tcp" || value == "multiport" || value == "comment" || value == "time";
  if (option == "--comment") return !(rule.comment = value).empty();
  if (option == "--datestop") return (rule.stops = parse_rfc3339(value + "Z")).has_value();
  if (option == "-j") return !(rule.target = value).empty();
  return false;
}

/// "[packets:bytes]", in front of a rule as iptables-save -c puts it.
bool take_save_counters(ListedRule& rule, std::string_view word) {
  if (word.size() < 2 || word.back() != ']') return false;
  const auto parts = split(word.substr(1, word.size() - 2), ':');
  return parts.size() == 2 && take_counters(rule, parts[0], parts[1]);
}

/// None if the line is a rule that says something else than ours do. `words` are its own.
std::optional<ListedRule> parse_rule(std::span<const std::string> words) {
  ListedRule rule;
  if (words.front().starts_with('[')) {
    if (!take_save_counters(rule, words.front())) return std::nullopt;
    words = words.subspan(1);
  }
  rule.chain = words[1];
  words = words.subspan(2);
  while (words.size() >= 2) {
    if (words[0] == "-c") {
      if (words.size() < 3 || !take_counters(rule, words[1], words[2])) return std::nullopt;
      words = words.subspan(3);
      continue;
    }
    if (!take_option(rule, words[0], words[1])) return std::nullopt;
    words = words.subspan(2);
  }
  if (!words.empty() || !rule.tcp || rule.ports.empty()) return std::nullopt;
  return rule;
}

/// The chain that this line adds a rule to; empty: it is not a rule.
std::string_view chain_of(std::span<const std::string> words) {
  if (!words.empty() && words.front().starts_with('[')) words = words.subspan(1);
  return words.size() >= 2 && words[0] == "-A" ? std::string_view(words[1]) : std::string_view();
}

bool is_jump(const ListedRule& rule, std::string_view chain) {
  return rule.target == chain && !rule.source && !rule.destination && !rule.stops &&
         rule.comment.empty();
}

bool is_server(const ListedRule& rule) {
  return rule.target == "RETURN" && rule.comment == kServerComment && !rule.source && !rule.stops;
}

bool is_block(const ListedRule& rule) {
  return rule.target == "DROP" && !rule.destination && decode_comment(rule.comment);
}

/// iptables does not list a -s or -d that matches every address.
Prefix everything(bool ipv6) {
  return *parse_prefix(ipv6 ? "::/0" : "0.0.0.0/0");
}

void append_server(std::string& text, const Prefix& server, std::string_view ports) {
  text += fmt::format("[0:0] -A {} -d {} {} -m comment --comment {} -j RETURN\n", kMirrorChain,
                      to_string(server), ports, kServerComment);
}

void append_block(std::string& text, const MirrorRule& rule, std::string_view ports) {
  text += fmt::format("[{}:{}] -A {} -s {} {} -m comment --comment \"{}\"", rule.packets,
                      rule.bytes, kMirrorChain, to_string(rule.source), ports, rule.comment);
  if (rule.stops) text += " -m time --datestop " + datestop_text(*rule.stops);
  text += " -j DROP\n";
}

/// Nothing if the one jump is in its place; else all of them go and one comes, in one commit.
void append_jump_repair(std::string& text, const FoundJumps& found, std::string_view wanted) {
  if (found.first && found.specs.size() == 1 && found.specs.front() == wanted) return;
  for (const std::string& spec : found.specs) text += fmt::format("-D FORWARD {}\n", spec);
  if (!wanted.empty()) text += fmt::format("-I FORWARD 1 {}\n", wanted);
}

}  // namespace

FoundJumps parse_jumps(std::string_view listing, std::string_view chain, std::string_view behind) {
  constexpr std::string_view kAppend = "-A FORWARD ";
  FoundJumps found;
  bool leads = true;
  while (!listing.empty()) {
    const std::string_view line = take_line(listing);
    if (!line.starts_with(kAppend)) continue;
    const auto rule = parse_rule(words_of(line));
    if (leads && rule && !behind.empty() && is_jump(*rule, behind)) {
      ++found.place;
      continue;
    }
    if (rule && is_jump(*rule, chain)) {
      found.first |= leads;
      found.specs.emplace_back(line.substr(kAppend.size()));
    }
    leads = false;
  }
  return found;
}

MirrorFound parse_chain(std::string_view listing, bool ipv6) {
  MirrorFound found;
  while (!listing.empty()) {
    const auto words = words_of(take_line(listing));
    if (chain_of(words) != kMirrorChain) continue;
    const auto rule = parse_rule(words);
    if (rule && is_server(*rule))
      found.servers.push_back(rule->destination.value_or(everything(ipv6)));
    else if (rule && is_block(*rule))
      found.rules.push_back({rule->source.value_or(everything(ipv6)), rule->comment, rule->stops,
                             rule->packets, rule->bytes});
    else
      ++found.foreign_rules;
  }
  return found;
}

std::size_t count_rules(std::string_view listing) {
  std::size_t rules = 0;
  while (!listing.empty())
    if (!chain_of(words_of(take_line(listing))).empty()) ++rules;
  return rules;
}

std::optional<std::string> parse_backend(std::string_view version) {
  if (!version.starts_with("iptables v") && !version.starts_with("ip6tables v"))
    return std::nullopt;
  if (version.find("(nf_tables)") != std::string_view::npos) return "nft";
  return "legacy";  // before 1.8 there was no other, and it named none
}

bool has_rules(const MirrorTable& table, bool ipv6) {
  return std::any_of(table.rules.begin(), table.rules.end(),
                     [ipv6](const MirrorRule& rule) { return rule.source.is_ipv4() != ipv6; });
}

Result<> check_table(const MirrorTable& table) {
  if (const Ports ports = judged_ports(table); ports.size() > kPortsPerRule)
    return Error{EINVAL, fmt::format("mirror {} judged ports: an iptables rule matches {} at most; "
                                     "judge fewer, or set [mirror] backend = \"none\"",
                                     ports.size(), kPortsPerRule)};
  // They go into a batch that root executes: nothing but our own alphabet, whoever asks.
  for (const MirrorRule& rule : table.rules)
    if (!decode_comment(rule.comment))
      return Error{EINVAL, fmt::format("mirror {}: its comment is not one of mailweir's",
                                       to_string(rule.source))};
  return Ok{};
}

Result<std::string> restore_text(const MirrorTable& table, bool ipv6, const FoundJumps& found) {
  if (auto checked = check_table(table); !checked) return std::move(checked).error();
  const Ports ports = judged_ports(table);
  const std::string match = ports.empty() ? "" : match_ports(ports);

  std::string text = fmt::format("*filter\n:{} - [0:0]\n", kMirrorChain);
  if (!match.empty()) {
    for (const Prefix& server : table.servers)
      if (server.is_ipv4() != ipv6) append_server(text, server, match);
    for (const MirrorRule& rule : table.rules)
      if (rule.source.is_ipv4() != ipv6) append_block(text, rule, match);
  }
  append_jump_repair(text, found,
                     match.empty() ? match : fmt::format("{} -j {}", match, kMirrorChain));
  return text + "COMMIT\n";
}

std::string removal_text(const FoundJumps& found) {
  std::string text = "*filter\n";
  for (const std::string& spec : found.specs) text += fmt::format("-D FORWARD {}\n", spec);
  return text + fmt::format("-F {}\nCOMMIT\n", kMirrorChain);
}

}  // namespace mailweir
