// SPDX-License-Identifier: GPL-2.0-or-later
// What became of one packet, as the tests write it: EXPECT_EQ(drop("blocked"), sent(syn(7))).
#pragma once

#include <ostream>
#include <string>

#include "bpf/abi.h"

namespace mailweir {

struct Outcome {
  bool dropped = false;
  std::string counted;  ///< the verdict's word, "would WORD", or empty

  bool operator==(const Outcome&) const = default;
};
void PrintTo(const Outcome& outcome, std::ostream* out);

[[nodiscard]] inline Outcome drop(const std::string& verdict) {
  return {true, verdict};
}
[[nodiscard]] inline Outcome pass(const std::string& verdict) {
  return {false, verdict};
}
/// It would have been dropped.
[[nodiscard]] inline Outcome would(const std::string& verdict) {
  return {false, "would " + verdict};
}
/// The fast path: nobody's business.
[[nodiscard]] inline Outcome uncounted() {
  return {};
}

/// What one packet added to the counters; more than one word if it was counted more than once.
[[nodiscard]] std::string counted_between(const mw_counters& before, const mw_counters& after);
/// Packets that the program says it dropped.
[[nodiscard]] std::uint64_t dropped_packets(const mw_counters& counters);

}  // namespace mailweir
