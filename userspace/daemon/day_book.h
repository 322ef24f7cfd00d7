// SPDX-License-Identifier: GPL-2.0-or-later
// The days of the sources that mail, for simulate: kept in memory, handed to the record now and
// then. Bounded; decides nothing.
#pragma once

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "policy/day.h"

namespace mailweir {

class DayBook {
 public:
  /// What the record holds of today.
  void resume(const std::vector<SourceDay>& today);
  void count(const mw_event& outcome, std::uint32_t networks, const Now& now);
  void count_unanswered(const mw_event& event, WallTime now);

  /// What changed since the last call; days that are over leave the memory.
  [[nodiscard]] std::vector<SourceDay> take_changes(WallTime now);
  /// Sources that were not remembered since there were too many.
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

 private:
  DayWatch* watch(const mw_addr& source, WallTime now);

  std::unordered_map<mw_addr, DayWatch, AddressHash> watches_;
  std::unordered_set<mw_addr, AddressHash> changed_;
  std::vector<SourceDay> over_;  ///< ended between two calls
  std::uint64_t left_out_ = 0;
};

}  // namespace mailweir
