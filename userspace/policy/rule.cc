// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/rule.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

#include "policy/score.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;

/// `source` without the slices that lie before the current and the previous one.
mw_source without_stale_slices(mw_source source, BootTime now) {
  // The kernel turns the slices at a source's SYNs only. Signed: it may have turned since `now`.
  const auto behind = static_cast<std::int32_t>(
      static_cast<std::uint32_t>(to_ns(now) / MW_SLICE_NS) - source.slice);
  if (behind >= 1) source.slices[~source.slice & 1] = {};
  if (behind >= 2) source.slices[source.slice & 1] = {};
  return source;
}

/// A person said that this block was wrong.
bool undone_by_person(const Decision& decision) {
  return decision.end_cause == EndCause::unblocked || decision.end_cause == EndCause::allowed ||
         decision.end_cause == EndCause::removed;
}

}  // namespace

std::uint32_t estimate_networks(const SeenBits& seen) {
  int zeros = 0;
  for (const std::uint64_t word : seen) zeros += std::popcount(~word);

  constexpr double m = MW_SEEN_BITS;
  const double networks = zeros == 0 ? m * std::log(m) : -m * std::log(zeros / m);
  return static_cast<std::uint32_t>(std::lround(networks));
}

std::uint32_t estimate_networks(const mw_source& source) {
  SeenBits seen{};
  for (std::size_t i = 0; i < seen.size(); ++i)
    seen[i] = source.slices[0].seen[i] | source.slices[1].seen[i];
  return estimate_networks(seen);
}

Evidence evidence_of(const mw_source& source, const mw_score& score, const Rule& rule,
                     const Now& now) {
  const mw_source fresh = without_stale_slices(source, now.boot);
  // Zero for a moment while the kernel makes the entry: not the time of the boot.
  const auto wall = [&](std::uint64_t ns) { return ns ? now.wall_of(boot_time(ns)) : now.wall; };

  Evidence evidence;
  for (const mw_slice& slice : fresh.slices) {
    evidence.syns += slice.syns;
    evidence.answered += slice.answered;
    evidence.unanswered += slice.unanswered;
    evidence.finished += slice.finished;
    evidence.no_message += slice.no_message;
    evidence.braked += slice.braked;
    evidence.limited += slice.limited;
  }
  // Linear counting may say one more than there were.
  evidence.networks = std::min(estimate_networks(fresh), evidence.syns);
  evidence.message_bytes = rule.message_bytes;
  evidence.score_256ths = decayed(score, now.boot).score;
  evidence.threshold_256ths = rule.threshold_256ths(is_proven(score, now.boot));
  evidence.unconfirmed = score.unconfirmed;
  evidence.lost = source.lost;
  evidence.first_seen = wall(source.first_ns);
  evidence.last_seen = wall(source.last_ns);
  for (const mw_addr& server : score.examples)
    if (server != mw_addr{}) evidence.examples.push_back(server);
  return evidence;
}

bool should_block(const Evidence& evidence, const Rule& rule) {
  return evidence.networks >= rule.networks && evidence.score_256ths >= evidence.threshold_256ths;
}

std::chrono::seconds next_duration(const std::vector<Decision>& history, const Rule& rule,
                                   WallTime now) {
  if (rule.durations.empty()) return 0s;
  const auto weighs = [now](const Decision& earlier) {
    return earlier.origin == Origin::automatic && !earlier.would && !undone_by_person(earlier) &&
           earlier.end_cause != EndCause::outage && now - earlier.since < kEscalationMemory;
  };
  const auto earlier =
      static_cast<std::size_t>(std::count_if(history.begin(), history.end(), weighs));
  return rule.durations[std::min(earlier, rule.durations.size() - 1)];
}

std::optional<WallTime> grace_until(const std::vector<Decision>& history, const Rule& rule,
                                    WallTime now) {
  std::optional<WallTime> until;
  for (const Decision& decision : history) {
    if (!decision.ended || !undone_by_person(decision)) continue;
    const WallTime end = *decision.ended + rule.manual_grace;
    if (end > now && (!until || end > *until)) until = end;
  }
  return until;
}

}  // namespace mailweir
