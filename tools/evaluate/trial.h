// SPDX-License-Identifier: GPL-2.0-or-later
// A day, and what a detector made of it.
#pragma once

#include <string>

#include "config/config.h"
#include "evaluate/population.h"

namespace mailweir::evaluate {

/// A source, and when it was blocked.
struct Judged {
  SourceDay day;
  std::optional<Time> blocked;
  std::uint64_t blocks = 0;
};

/// One detector on one day.
struct Trial {
  std::string detector;
  std::uint64_t seed = 0;
  std::vector<Judged> sources;  ///< that sent a SYN to port 25
  std::uint64_t frames = 0;
  std::uint64_t runs = 0;  ///< of the kernel program
  bool froze = false;
  double took = 0;  ///< seconds
};

/// What a detector's day is made of, beyond the seed.
struct Setting {
  std::string name;
  Config config;
  bool one_network_each = false, early_repeats = false;  ///< DayOptions
};

/// The configuration of `mailweir replay` without a file: the defaults, for everybody.
[[nodiscard]] Config default_policy();

/// What happens.
struct Plan {
  enum class Part : std::uint8_t { day, flood, margins } part = Part::day;
  std::uint32_t clients = 10'000;    ///< day
  std::uint32_t forged = 1'000'000;  ///< flood: sources
  std::uint32_t trials = 10;         ///< margins: of each kind
};

/// The day through the real program and the real controller, which drop; the clients react. Under
/// the flood the calling thread stays on one CPU: what a full table evicts depends on it.
[[nodiscard]] Trial run_mailweir(const Setting& setting, const Plan& plan, std::uint64_t seed);

/// The same day with nothing dropped: a trial for each baseline.
[[nodiscard]] std::vector<Trial> run_baselines(const Plan& plan, std::uint64_t seed);

}  // namespace mailweir::evaluate
