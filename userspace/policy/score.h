// SPDX-License-Identifier: GPL-2.0-or-later
// What a source's outcomes add up to. Pure: the score so far, an outcome and the time are
// arguments.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/clock.h"
#include "bpf/abi.h"

namespace mailweir {

/// Steps of the sequential probability ratio test (Wald 1947; Jung, Paxson, Berger, Balakrishnan,
/// IEEE S&P 2004) in 1/256: ln(0.7/0.2) for a first contact without a message, ln(0.3/0.8) for one
/// with; 0.8 and 0.3 are the productive shares of an honest source and of a bot.
inline constexpr std::uint32_t kUnproductiveStep = 321;
inline constexpr std::uint32_t kProductiveStep = 251;

inline constexpr std::chrono::minutes kDecayEvery{10};  ///< idle, for one unproductive step
inline constexpr std::chrono::hours kRefundWithin{1};   ///< greylisting lets mail in by then
inline constexpr std::chrono::hours kProvenFor{30 * 24};
inline constexpr std::uint32_t kProvenStreak = 5;  ///< productive first contacts in a row
/// What an outcome did to the score.
enum class ScoreStep : std::uint8_t {
  none,  ///< a later message to a network that had nothing to refund
  up,
  same,  ///< unproductive again, to a network that was counted within the hour
  down,
  refund,  ///< a network that was counted unproductive took a message
};

/// `score` as it is at `now`: idle time has decayed.
[[nodiscard]] mw_score decayed(mw_score score, BootTime now);

/// Counts a confirmed outcome (MW_EVENT_UNPRODUCTIVE, MW_EVENT_PRODUCTIVE). The score rises no
/// higher than `most_256ths`: more tells nothing new, and takes hours to decay.
ScoreStep count_outcome(mw_score& score, const mw_event& outcome, BootTime now,
                        std::uint32_t most_256ths);

/// Takes an unproductive step back that should not have been counted.
void take_back(mw_score& score);

/// A decision has used the evidence up: the next one needs half of it anew. `until`: idle time
/// counts from then on.
void spend(mw_score& score, std::uint32_t threshold_256ths, BootTime until);

/// As spend(), of evidence that was gathered while it could not block: no more than half of it
/// stays.
void settle(mw_score& score, std::uint32_t threshold_256ths);

/// Nothing left to remember?
[[nodiscard]] bool is_idle(const mw_score& score, BootTime now);

[[nodiscard]] inline bool is_proven(const mw_score& score, BootTime now) {
  return boot_time(score.proven_until_ns) > now;
}

}  // namespace mailweir
