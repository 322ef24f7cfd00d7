// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/simulation.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>

namespace mailweir {
namespace {

using nlohmann::json;

/// The thresholds that are shown beside those asked for: half and one and a half times the default
/// bound on false blocks, as DETECTION.md's ablations have them.
constexpr double kOtherScores[] = {4.6, 6.9, 9.21, 11.5, 13.8};

std::string day_text(std::chrono::sys_days day) {
  const std::chrono::year_month_day date(day);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::string name_of(const SourceDays& source, int ipv6_prefix) {
  return to_string(source_prefix(source.sum.source, ipv6_prefix));
}

json source_json(const SourceDays& source, int ipv6_prefix) {
  std::uint32_t score = 0;
  for (const std::uint32_t most : source.sum.score_most) score = std::max(score, most);
  for (const std::uint32_t most : source.sum.proven_score_most) score = std::max(score, most);
  json days = json::array();
  for (const auto day : source.blocked) days.push_back(day_text(day));
  return {{"source", name_of(source, ipv6_prefix)}, {"blocked_days", days},
          {"contacts", source.sum.contacts},        {"unanswered", source.sum.unanswered},
          {"no_message", source.sum.no_message},    {"messages", source.sum.messages},
          {"networks", source.sum.networks_most},   {"score", score * 100 / MW_SCORE_ONE / 100.0}};
}

std::size_t blocked_by(const std::vector<SourceDay>& days, const Thresholds& thresholds) {
  return static_cast<std::size_t>(std::ranges::count_if(
      by_source(days, thresholds), [](const SourceDays& each) { return !each.blocked.empty(); }));
}

json others_json(const std::vector<SourceDay>& days, const Thresholds& thresholds) {
  json others = json::array();
  for (const std::uint32_t servers : kGates)
    for (const double score : kOtherScores) {
      // A proven mailer's threshold keeps its distance.
      const Thresholds other{servers, score, score * thresholds.score_proven / thresholds.score};
      others.push_back(
          {{"servers", servers}, {"score", score}, {"blocked", blocked_by(days, other)}});
    }
  return others;
}

}  // namespace

std::vector<SourceDays> by_source(const std::vector<SourceDay>& days,
                                  const Thresholds& thresholds) {
  std::map<mw_addr, SourceDays> found;
  for (const SourceDay& day : days) {
    SourceDays& source = found[day.source];
    SourceDay& sum = source.sum;
    if (sum.source == mw_addr{}) sum.day = day.day;
    sum.source = day.source;
    sum.day = std::min(sum.day, day.day);
    sum.contacts += day.contacts;
    sum.unanswered += day.unanswered;
    sum.no_message += day.no_message;
    sum.messages += day.messages;
    sum.networks_most = std::max(sum.networks_most, day.networks_most);
    for (std::size_t i = 0; i < kGates.size(); ++i) {
      sum.score_most[i] = std::max(sum.score_most[i], day.score_most[i]);
      sum.proven_score_most[i] = std::max(sum.proven_score_most[i], day.proven_score_most[i]);
    }
    if (would_block(day, thresholds)) source.blocked.push_back(day.day);
  }
  std::vector<SourceDays> list;
  for (auto& [key, source] : found) {
    std::ranges::sort(source.blocked);
    list.push_back(std::move(source));
  }
  return list;
}

json simulation_json(const std::vector<SourceDay>& days, const Thresholds& thresholds,
                     int ipv6_prefix) {
  const std::vector<SourceDays> sources = by_source(days, thresholds);
  json blocked = json::array();
  json servers = json::array();
  for (const SourceDays& source : sources) {
    if (!source.blocked.empty()) blocked.push_back(source_json(source, ipv6_prefix));
    if (looks_like_mail_server(source.sum)) servers.push_back(source_json(source, ipv6_prefix));
  }
  json first, last;
  if (!days.empty()) {
    const auto [from, to] = std::ranges::minmax(days, {}, &SourceDay::day);
    first = day_text(from.day);
    last = day_text(to.day);
  }
  return {{"servers", thresholds.servers},
          {"score", thresholds.score},
          {"score_proven", thresholds.score_proven},
          {"first_day", first},
          {"last_day", last},
          {"clients", sources.size()},
          {"blocked", std::move(blocked)},
          {"mail_servers", std::move(servers)},
          {"others", others_json(days, thresholds)}};
}

}  // namespace mailweir
