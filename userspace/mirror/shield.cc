// SPDX-License-Identifier: GPL-2.0-or-later
#include "mirror/shield.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "mirror/listing.h"
#include "mirror/restore_text.h"

namespace mailweir {
namespace {

constexpr std::string_view kAllowedComment = "SHIELD_allowed";

/// What stands behind "-A MAILWEIR_SHIELD ".
std::vector<std::string> rules_of(const ShieldTable& table, bool ipv6) {
  std::vector<std::string> rules;
  const auto let_by = [&](std::string_view side, const std::vector<Prefix>& prefixes) {
    for (const Prefix& each : prefixes)
      if (each.is_ipv4() != ipv6)
        rules.push_back(fmt::format("{} {} -m comment --comment {} -j RETURN", side,
                                    to_string(each), kAllowedComment));
  };
  let_by("-d", table.open);
  let_by("-s", table.may_connect);
  for (const std::uint16_t port : table.ports)
    for (const Prefix& inside : table.inside)
      if (inside.is_ipv4() != ipv6)
        rules.push_back(
            fmt::format("-d {} -p tcp -m tcp --dport {} -m conntrack --ctstate NEW "
                        "-m comment --comment {} -j DROP",
                        to_string(inside), port, shield_comment(port)));
  return rules;
}

/// Nothing, where no client is to be shielded.
std::string jump_of(const ShieldTable& table, bool ipv6) {
  const bool has_clients = std::ranges::any_of(
      table.inside, [ipv6](const Prefix& inside) { return inside.is_ipv4() != ipv6; });
  if (table.ports.empty() || !has_clients) return "";
  if (table.ports.size() == 1)
    return fmt::format("-p tcp -m tcp --dport {} -j {}", table.ports.front(), kShieldChain);
  return fmt::format("-p tcp -m multiport --dports {} -j {}", fmt::join(table.ports, ","),
                     kShieldChain);
}

/// Words that say the same are equal: iptables leaves out a prefix that matches every address, and
/// writes a single address with its length or without.
std::vector<std::string> words_that_matter(std::string_view rule) {
  std::vector<std::string> words;
  const auto listed = words_of(rule);
  for (std::size_t i = 0; i < listed.size(); ++i) {
    if (listed[i] == "-c") {  // counters
      i += 2;
      continue;
    }
    const bool is_side = (listed[i] == "-s" || listed[i] == "-d") && i + 1 < listed.size();
    if (!is_side) {
      words.push_back(listed[i]);
      continue;
    }
    const auto prefix = parse_prefix(listed[++i]);
    if (prefix && (prefix->bits == 0 || (prefix->is_ipv4() && prefix->bits == 96))) continue;
    words.push_back(listed[i - 1]);
    words.push_back(prefix ? to_string(*prefix) : listed[i]);
  }
  return words;
}

using Words = std::vector<std::string>;

/// The rules of a listing, and their counters as iptables-restore takes them.
std::vector<std::pair<Words, std::string>> listed_rules(std::string_view chain) {
  const std::string append = fmt::format("-A {} ", kShieldChain);
  std::vector<std::pair<Words, std::string>> rules;
  while (!chain.empty()) {
    const std::string_view line = take_line(chain);
    if (!line.starts_with(append)) continue;
    const Words words = words_of(line);
    const auto counters = std::ranges::find(words, "-c");
    const bool has_counters = words.end() - counters > 2;
    rules.emplace_back(words_that_matter(line.substr(append.size())),
                       has_counters ? fmt::format("[{}:{}]", counters[1], counters[2]) : "[0:0]");
  }
  return rules;
}

bool holds(std::string_view chain, const std::vector<std::string>& wanted) {
  const auto found = listed_rules(chain);
  return std::ranges::equal(found, wanted, {}, &std::pair<Words, std::string>::first,
                            words_that_matter);
}

FoundJumps jumps_of(std::string_view forward) {
  return parse_jumps(forward, kShieldChain, kMirrorChain);
}

}  // namespace

std::string shield_comment(std::uint16_t port) {
  return port == 25 ? "SMTP_Blocked_to_local" : fmt::format("SHIELD_{}", port);
}

std::string shield_drift(const ShieldTable& table, bool ipv6, std::string_view forward,
                         std::string_view chain) {
  const FoundJumps jumps = jumps_of(forward);
  const std::string jump = jump_of(table, ipv6);
  const std::string family = ipv6 ? "ip6tables: " : "iptables: ";
  if (jump.empty()) return jumps.specs.empty() && chain.empty() ? "" : family + "nothing is due";
  const bool is_right = jumps.specs.size() == 1 && jumps.first &&
                        words_that_matter(jumps.specs.front()) == words_that_matter(jump);
  if (!is_right) return family + "the jump to MAILWEIR_SHIELD is not in its place";
  const auto wanted = rules_of(table, ipv6);
  if (holds(chain, wanted)) return "";
  return fmt::format("{}MAILWEIR_SHIELD holds {} rules, not the {} that are due", family,
                     listed_rules(chain).size(), wanted.size());
}

std::string shield_text(const ShieldTable& table, bool ipv6, std::string_view forward,
                        std::string_view chain) {
  const FoundJumps jumps = jumps_of(forward);
  const std::string jump = jump_of(table, ipv6);
  std::string text = "*filter\n";
  for (const std::string& spec : jumps.specs) text += fmt::format("-D FORWARD {}\n", spec);
  if (jump.empty()) return text + fmt::format("-F {}\nCOMMIT\n", kShieldChain);
  const auto wanted = rules_of(table, ipv6);
  if (!holds(chain, wanted)) {
    const auto found = listed_rules(chain);
    text += fmt::format(":{} - [0:0]\n", kShieldChain);
    for (const std::string& rule : wanted) {
      const auto same =
          std::ranges::find(found, words_that_matter(rule), &std::pair<Words, std::string>::first);
      text += fmt::format("{} -A {} {}\n", same == found.end() ? "[0:0]" : same->second,
                          kShieldChain, rule);
    }
  }
  return text + fmt::format("-I FORWARD {} {}\nCOMMIT\n", jumps.place, jump);
}

}  // namespace mailweir
