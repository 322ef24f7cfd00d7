// SPDX-License-Identifier: GPL-2.0-or-later
// Recorded traffic, read and judged as `mailweir replay` does.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace mailweir::evaluate {

struct BotCapture {
  std::vector<double> syns, leaked, seconds;  ///< to the block, for each seed that blocked it
  std::size_t seeds = 0;
};

struct OtherCapture {
  std::string name;
  std::uint64_t sources = 0, syns = 0, frames = 0;
  std::uint64_t blocked = 0, held = 0;  ///< sources
  std::string refused;                  ///< why `mailweir replay` does not take it; empty: it does
};

struct Traces {
  BotCapture bot;
  std::vector<OtherCapture> others;
  std::uint64_t frames = 0, runs = 0;
};

/// `folder`: as traces/README.md lays it out: bot/, legit/, other/.
[[nodiscard]] Result<Traces> judge_traces(const std::string& folder, std::size_t seeds);

}  // namespace mailweir::evaluate
