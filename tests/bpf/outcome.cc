// SPDX-License-Identifier: GPL-2.0-or-later
#include "outcome.h"

#include "datapath/pins.h"

namespace mailweir {

void PrintTo(const Outcome& outcome, std::ostream* out) {
  *out << (outcome.dropped ? "drop" : "pass") << ", "
       << (outcome.counted.empty() ? "not counted" : "counted as " + outcome.counted);
}

std::string counted_between(const mw_counters& before, const mw_counters& after) {
  std::string words;
  const auto was = tallies(before);
  const auto is = tallies(after);
  for (std::size_t i = 0; i < is.size(); ++i) {
    const std::string word(is[i].first);
    for (auto n = was[i].second.enforced; n != is[i].second.enforced; ++n)
      words += (words.empty() ? "" : " and ") + word;
    for (auto n = was[i].second.would; n != is[i].second.would; ++n)
      words += (words.empty() ? "would " : " and would ") + word;
  }
  return words;
}

std::uint64_t dropped_packets(const mw_counters& counters) {
  return counters.limited.enforced + counters.braked.enforced + counters.blocked.enforced +
         counters.shielded.enforced;
}

}  // namespace mailweir
