// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/day.h"

#include <algorithm>
#include <limits>

namespace mailweir {
namespace {

std::chrono::sys_days day_of(WallTime now) {
  return std::chrono::floor<std::chrono::days>(now);
}

/// A mail server has been to so many networks within a window, and so large a share took a message.
constexpr std::uint32_t kServerNetworks = 5;
constexpr std::uint32_t kServerMessages = 10;
constexpr double kServerShare = 0.8;

}  // namespace

DayWatch::DayWatch(const mw_addr& source, WallTime now) {
  day_.source = source;
  day_.day = day_of(now);
}

bool DayWatch::is_over(WallTime now) const {
  return day_of(now) != day_.day;
}

/// The score goes on over midnight, the counts do not.
void DayWatch::turn(WallTime now) {
  if (!is_over(now)) return;
  SourceDay next;
  next.source = day_.source;
  next.day = day_of(now);
  day_ = next;
}

void DayWatch::count(const mw_event& outcome, std::uint32_t networks, const Now& now) {
  turn(now.wall);
  constexpr std::uint32_t kNoMost = std::numeric_limits<std::uint32_t>::max() / 2;
  score_ = decayed(score_, now.boot);
  (void)count_outcome(score_, outcome, now.boot, kNoMost);
  if (outcome.is_contact != 0) {
    ++day_.contacts;
    ++(outcome.kind == MW_EVENT_UNPRODUCTIVE ? day_.no_message : day_.messages);
  }
  day_.networks_most = std::max(day_.networks_most, networks);
  auto& most = is_proven(score_, now.boot) ? day_.proven_score_most : day_.score_most;
  for (std::size_t i = 0; i < kGates.size(); ++i)
    if (networks >= kGates[i]) most[i] = std::max(most[i], score_.score);
}

void DayWatch::count_unanswered(std::uint32_t contacts, WallTime now) {
  turn(now);
  day_.contacts += contacts;
  day_.unanswered += contacts;
}

bool would_block(const SourceDay& day, const Thresholds& thresholds) {
  const auto gate = std::ranges::find(kGates, thresholds.servers);
  if (gate == kGates.end()) return false;
  const auto at = static_cast<std::size_t>(gate - kGates.begin());
  return day.score_most[at] >= thresholds.score * MW_SCORE_ONE ||
         day.proven_score_most[at] >= thresholds.score_proven * MW_SCORE_ONE;
}

bool looks_like_mail_server(const SourceDay& day) {
  const std::uint32_t ended = day.messages + day.no_message;
  return day.networks_most >= kServerNetworks && day.messages >= kServerMessages &&
         day.messages >= kServerShare * ended;
}

std::uint32_t gate_for(std::uint32_t servers) {
  const auto above = std::ranges::upper_bound(kGates, servers);
  return above == kGates.begin() ? kGates.front() : *(above - 1);
}

}  // namespace mailweir
