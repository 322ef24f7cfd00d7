// SPDX-License-Identifier: GPL-2.0-or-later
// Feeds the book of traffic from the kernel's tables, piece by piece, so that no turn of the loop
// is long. Computes nothing itself.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "daemon/controller.h"
#include "policy/traffic.h"

namespace mailweir {

class Sampler {
 public:
  /// Counts from now on.
  Sampler(const Controller& controller, Datapath& datapath, const Clock& clock);

  /// A few times a second: reads the next piece of what is due.
  void step();
  /// Reads everything now: an answer is to be of this moment.
  [[nodiscard]] Result<> take_all();
  [[nodiscard]] const TrafficBook& book() const { return book_; }

 private:
  using Block = std::pair<mw_addr, WallTime>;

  void begin_walk(BootTime now);
  void take_drops(std::size_t most, const Now& now);

  const Controller& controller_;
  Datapath& datapath_;
  const Clock& clock_;
  TrafficBook book_;
  std::optional<BootTime> begun_;        ///< the last walk
  bool walking_ = false;                 ///< through the table of sources
  std::optional<std::uint32_t> cursor_;  ///< none: at its beginning
  std::vector<Block> blocks_;            ///< whose drops are still to be read in this walk
};

}  // namespace mailweir
