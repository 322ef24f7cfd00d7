// SPDX-License-Identifier: GPL-2.0-or-later
#include "mirror/handmade.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <span>

#include "mirror/comment.h"
#include "mirror/listing.h"

namespace mailweir {
namespace {

using Ports = std::vector<std::uint16_t>;

/// "SPAM_09_01_2021", or with dots, or year first; anything may follow.
std::string date_of(std::string_view comment) {
  std::string text(comment.substr(kHandmadePrefix.size()));
  std::ranges::replace(text, '.', '_');
  std::ranges::replace(text, '-', '_');
  const auto parts = split(text, '_');
  if (parts.size() < 3) return "";
  const bool year_first = parts[0].size() == 4;
  const auto year = parse_number<int>(year_first ? parts[0] : parts[2].substr(0, 4));
  const auto month = parse_number<unsigned>(parts[1]);
  const auto day = parse_number<unsigned>(year_first ? parts[2].substr(0, 2) : parts[0]);
  if (!year || !month || !day || *year < 1990) return "";
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(*month),
                                         std::chrono::day(*day)};
  if (!date.ok()) return "";
  return fmt::format("{:04}-{:02}-{:02}", *year, *month, *day);
}

struct Reading {
  HandmadeRule rule;
  Ports ports;
  std::string target;
  std::string unknown;  ///< the first word that a block of mailweir's does not say
};

void take(Reading& reading, const std::string& option, const std::string& value) {
  bool known = true;
  if (option == "-s") {
    const auto source = parse_prefix(value);
    known = static_cast<bool>(source);
    if (source) reading.rule.source = *source;
  } else if (option == "-p") {
    known = value == "tcp";
  } else if (option == "-m") {
    known = value == "tcp" || value == "multiport" || value == "comment";
  } else if (option == "--dport" || option == "--dports") {
    for (const std::string_view part : split(value, ',')) {
      const auto port = parse_number<std::uint16_t>(part);
      known = known && port;
      if (port) reading.ports.push_back(*port);
    }
  } else if (option == "--comment") {
    reading.rule.comment = value;
  } else if (option == "-j") {
    reading.target = value;
  } else {
    known = false;
  }
  if (!known && reading.unknown.empty()) reading.unknown = option + " " + value;
}

/// "--tcp-flags FIN,SYN,RST,ACK SYN" and the like: an option has the words up to the next one.
Reading read_rule(std::span<const std::string> words) {
  Reading reading;
  reading.rule.spec.assign(words.begin(), words.end());
  for (std::size_t at = 0; at < words.size();) {
    std::size_t end = at + 1;
    std::string value;
    const bool is_comment = words[at] == "--comment";  // its text may begin with a dash
    for (; end < words.size() && (is_comment ? end == at + 1 : !words[end].starts_with('-')); ++end)
      value += (value.empty() ? "" : " ") + words[end];
    take(reading, words[at], value);
    at = end;
  }
  return reading;
}

std::string obstacle_of(const Reading& reading, const Ports& judged) {
  if (reading.target != "DROP") return "its target is " + reading.target + ", not DROP";
  if (!reading.unknown.empty()) return "it asks for " + reading.unknown;
  if (!reading.rule.source) return "it names no source";
  if (reading.ports.empty()) return "it names no port: it drops all that the source sends";
  const auto other = std::ranges::find_if(reading.ports, [&](std::uint16_t port) {
    return std::ranges::find(judged, port) == judged.end();
  });
  if (other != reading.ports.end())
    return fmt::format("it drops port {}, which [smtp] judge does not name", *other);
  return "";
}

}  // namespace

std::vector<HandmadeRule> parse_handmade(std::string_view listing, const Ports& judged) {
  std::vector<HandmadeRule> found;
  while (!listing.empty()) {
    const auto words = words_of(take_line(listing));
    if (words.size() < 2 || words[0] != "-A" || words[1] != "FORWARD") continue;
    Reading reading = read_rule(std::span(words).subspan(2));
    HandmadeRule& rule = reading.rule;
    if (!rule.comment.starts_with(kHandmadePrefix) || decode_comment(rule.comment)) continue;
    rule.date = date_of(rule.comment);
    rule.obstacle = obstacle_of(reading, judged);
    found.push_back(std::move(rule));
  }
  return found;
}

}  // namespace mailweir
