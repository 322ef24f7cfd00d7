// SPDX-License-Identifier: GPL-2.0-or-later
// The automatic rule. Pure: what the kernel counted, the rule, and the time are arguments.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/decision.h"
#include "bpf/abi.h"
#include "policy/breaker.h"

namespace mailweir {

/// Many new networks AND few of them took a message. Rate alone never blocks; a client of one
/// server has one network, however much it pours into it.
struct Rule {
  std::uint32_t networks = 10;                  ///< distinct new networks in 5 to 10 minutes, AND
  std::uint32_t score_256ths = 2358;            ///< policy/score.h; 9.21
  std::uint32_t score_proven_256ths = 3533;     ///< of a proven mailer; 13.8
  std::uint32_t message_bytes = 300;            ///< for the sentence
  std::vector<std::chrono::seconds> durations;  ///< first, second, third and later block
  std::chrono::seconds manual_grace{0};
  BreakerRule breaker;

  [[nodiscard]] std::uint32_t threshold_256ths(bool proven) const {
    return proven ? score_proven_256ths : score_256ths;
  }
};

/// How long earlier blocks weigh on the duration of the next.
inline constexpr std::chrono::hours kEscalationMemory{30 * 24};

/// A bit for each hashed destination network, as in mw_slice.
using SeenBits = std::array<std::uint64_t, MW_SEEN_WORDS>;

/// Distinct networks from a bitmap, or from the union of a source's two, by linear counting (Whang,
/// Vander-Zanden, Taylor, TODS 1990): n = -m ln(zero bits / m), m = 256. A full one counts as m ln
/// m.
[[nodiscard]] std::uint32_t estimate_networks(const SeenBits& seen);
[[nodiscard]] std::uint32_t estimate_networks(const mw_source& source);

/// What the slices say that are not older than the window of two at `now`, and what `score` says.
[[nodiscard]] Evidence evidence_of(const mw_source& source, const mw_score& score, const Rule& rule,
                                   const Now& now);

[[nodiscard]] bool should_block(const Evidence& evidence, const Rule& rule);

/// `history`: earlier decisions about the source, in any order. Only automatic blocks that were
/// enforced, younger than kEscalationMemory and not undone by a person (unblocked, allowed, removed
/// by hand) count. A rule without durations: 0.
[[nodiscard]] std::chrono::seconds next_duration(const std::vector<Decision>& history,
                                                 const Rule& rule, WallTime now);

/// Until when a person's undoing protects the source from the automatic rule; none: not now.
[[nodiscard]] std::optional<WallTime> grace_until(const std::vector<Decision>& history,
                                                  const Rule& rule, WallTime now);

}  // namespace mailweir
