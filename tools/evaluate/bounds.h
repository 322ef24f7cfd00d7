// SPDX-License-Identifier: GPL-2.0-or-later
// What a run must show, or the evaluation has failed.
#pragma once

#include "evaluate/scorecard.h"
#include "evaluate/traces.h"

namespace mailweir::evaluate {

/// All that was found, in the order of the report.
struct Findings {
  std::uint32_t seeds = 0, clients = 0, forged = 0, ablation_seeds = 0, trials = 0;
  Scorecard mailweir, flood;
  std::vector<Scorecard> baselines;
  Scorecard with_few_seeds;  ///< mailweir on the ablations' days
  std::vector<Scorecard> ablations;
  Scorecard early_repeats;  ///< mailweir, on as many days
  Margins margins;
  std::optional<Traces> traces;
  std::uint64_t packets = 0, runs = 0;
};

struct Bound {
  std::string says;
  std::string found;
  bool holds = false;
};

[[nodiscard]] std::vector<Bound> bounds_of(const Findings& findings);

}  // namespace mailweir::evaluate
