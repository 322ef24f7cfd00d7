// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/state.h"

#include "datapath/pins.h"

namespace mailweir {

void RateMeter::add(BootTime now, const std::map<unsigned, mw_counters>& counters) {
  Sample sample{now, std::vector<std::uint64_t>(MW_VERDICT_COUNT)};
  for (const auto& [ifindex, counted] : counters) {
    std::size_t verdict = 0;
    for (const auto& [word, tally] : tallies(counted))
      sample.totals[verdict++] += tally.enforced + tally.would;
  }
  samples_.push_back(std::move(sample));
  // The oldest sample is kept at least a minute old: what is shown spans a minute, not less.
  while (samples_.size() > 2 && now - samples_[1].time >= std::chrono::minutes(1))
    samples_.pop_front();
}

nlohmann::json RateMeter::last_minute() const {
  if (samples_.size() < 2) return nullptr;
  const Sample& first = samples_.front();
  const Sample& last = samples_.back();
  const auto span = std::chrono::duration<double>(last.time - first.time).count();
  if (span < 60) return nullptr;
  nlohmann::json rates;
  std::size_t verdict = 0;
  for (const auto& [word, unused] : tallies({})) {
    // Counters start anew after a detach.
    const std::uint64_t before = std::min(first.totals[verdict], last.totals[verdict]);
    rates[std::string(word)] =
        static_cast<std::uint64_t>(static_cast<double>(last.totals[verdict] - before) * 60 / span);
    ++verdict;
  }
  return rates;
}

}  // namespace mailweir
