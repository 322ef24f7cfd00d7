// SPDX-License-Identifier: GPL-2.0-or-later
// What other thresholds would have done to the sources' recorded days, as an answer for people.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "policy/day.h"

namespace mailweir {

/// Of one source over the days: sums, and the day that decides.
struct SourceDays {
  SourceDay sum;                               ///< its `day` is the first
  std::vector<std::chrono::sys_days> blocked;  ///< days on which it would have been
};

[[nodiscard]] std::vector<SourceDays> by_source(const std::vector<SourceDay>& days,
                                                const Thresholds& thresholds);

/// Simulation of docs/api.md.
[[nodiscard]] nlohmann::json simulation_json(const std::vector<SourceDay>& days,
                                             const Thresholds& thresholds, int ipv6_prefix);

}  // namespace mailweir
