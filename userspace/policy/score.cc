// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/score.h"

#include <algorithm>
#include <iterator>

#include "base/address.h"

namespace mailweir {
namespace {

/// What the kernel's contact bitmap takes for one network.
mw_addr network_of(const mw_addr& server) {
  return masked(server, is_ipv4(server) ? 96 + 24 : 48);
}

mw_refusal* find_refusal(mw_score& score, const mw_addr& network, BootTime now) {
  const auto found =
      std::find_if(std::begin(score.refusals), std::end(score.refusals), [&](const auto& each) {
        return each.time_ns != 0 && now - boot_time(each.time_ns) <= kRefundWithin &&
               each.network == network;
      });
  return found == std::end(score.refusals) ? nullptr : found;
}

void lower(mw_score& score, std::uint32_t by) {
  score.score -= std::min(score.score, by);
}

ScoreStep count_unproductive(mw_score& score, const mw_event& outcome, BootTime now,
                             std::uint32_t most_256ths) {
  score.streak = 0;
  const mw_addr network = network_of(outcome.destination);
  // A queue that tries the same server again tells nothing new about its owner.
  if (find_refusal(score, network, now) != nullptr) return ScoreStep::same;
  score.refusals[score.next_refusal++ % MW_REFUSALS] = {network, to_ns(now)};
  std::shift_right(std::begin(score.examples), std::end(score.examples), 1);
  score.examples[0] = outcome.destination;
  score.score = std::max(score.score, std::min(score.score + kUnproductiveStep, most_256ths));
  return ScoreStep::up;
}

ScoreStep count_productive(mw_score& score, const mw_event& outcome, BootTime now) {
  mw_refusal* refusal = find_refusal(score, network_of(outcome.destination), now);
  if (refusal != nullptr) {
    *refusal = {};
    lower(score, kUnproductiveStep);
  }
  if (!outcome.is_contact) return refusal != nullptr ? ScoreStep::refund : ScoreStep::none;
  lower(score, kProductiveStep);
  if (++score.streak >= kProvenStreak) score.proven_until_ns = to_ns(now + kProvenFor);
  return ScoreStep::down;
}

}  // namespace

mw_score decayed(mw_score score, BootTime now) {
  const auto idle = now - boot_time(score.updated_ns);
  if (score.updated_ns == 0 || idle < kDecayEvery) return score;
  const auto steps = static_cast<std::uint64_t>(idle / kDecayEvery);
  score.score -=
      static_cast<std::uint32_t>(std::min<std::uint64_t>(score.score, steps * kUnproductiveStep));
  score.updated_ns += steps * to_ns(BootTime(kDecayEvery));
  return score;
}

ScoreStep count_outcome(mw_score& score, const mw_event& outcome, BootTime now,
                        std::uint32_t most_256ths) {
  score = decayed(score, now);
  score.updated_ns = to_ns(now);
  return outcome.kind == MW_EVENT_PRODUCTIVE ? count_productive(score, outcome, now)
                                             : count_unproductive(score, outcome, now, most_256ths);
}

void take_back(mw_score& score) {
  lower(score, kUnproductiveStep);
}

void spend(mw_score& score, std::uint32_t threshold_256ths, BootTime until) {
  score.score = threshold_256ths / 2;
  score.streak = 0;
  score.proven_until_ns = 0;
  score.updated_ns = to_ns(until);
}

void settle(mw_score& score, std::uint32_t threshold_256ths) {
  score.score = std::min(score.score, threshold_256ths / 2);
}

bool is_idle(const mw_score& score, BootTime now) {
  return decayed(score, now).score == 0 && !is_proven(score, now) &&
         now - boot_time(score.updated_ns) > kRefundWithin;
}

}  // namespace mailweir
