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

struct Jumps {
  std::vector<std::string> specs;  ///< as listed
  bool is_placed = false;          ///< the first stands before all but MAILWEIR's own
  std::size_t place = 1;           ///< where it belongs
};

/// A rule that leads into a chain of ours by protocol and ports alone is ours; any other is an
/// admin's.
bool is_jump(std::string_view spec, std::string_view chain) {
  const auto words = words_of(spec);
  return words.size() == 8 && words[0] == "-p" && words[1] == "tcp" &&
         (words[4] == "--dport" || words[4] == "--dports") && words[6] == "-j" && words[7] == chain;
}

Jumps jumps_of(std::string_view forward) {
  constexpr std::string_view kAppend = "-A FORWARD ";
  Jumps jumps;
  bool only_mirror_before = true;
  while (!forward.empty()) {
    const std::string_view line = take_line(forward);
    if (!line.starts_with(kAppend)) continue;
    const std::string_view spec = line.substr(kAppend.size());
    if (is_jump(spec, kShieldChain)) {
      jumps.is_placed = jumps.is_placed || (jumps.specs.empty() && only_mirror_before);
      jumps.specs.emplace_back(spec);
    } else if (only_mirror_before && is_jump(spec, kMirrorChain)) {
      ++jumps.place;
    } else {
      only_mirror_before = false;
    }
  }
  return jumps;
}

}  // namespace

std::string shield_comment(std::uint16_t port) {
  return port == 25 ? "SMTP_Blocked_to_local" : fmt::format("SHIELD_{}", port);
}

std::string shield_drift(const ShieldTable& table, bool ipv6, std::string_view forward,
                         std::string_view chain) {
  const Jumps jumps = jumps_of(forward);
  const std::string jump = jump_of(table, ipv6);
  const std::string family = ipv6 ? "ip6tables: " : "iptables: ";
  if (jump.empty()) return jumps.specs.empty() && chain.empty() ? "" : family + "nothing is due";
  const bool is_right = jumps.specs.size() == 1 && jumps.is_placed &&
                        words_that_matter(jumps.specs.front()) == words_that_matter(jump);
  if (!is_right) return family + "the jump to MAILWEIR_SHIELD is not in its place";
  const auto wanted = rules_of(table, ipv6);
  if (holds(chain, wanted)) return "";
  return fmt::format("{}MAILWEIR_SHIELD holds {} rules, not the {} that are due", family,
                     listed_rules(chain).size(), wanted.size());
}

std::string shield_text(const ShieldTable& table, bool ipv6, std::string_view forward,
                        std::string_view chain) {
  const Jumps jumps = jumps_of(forward);
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
