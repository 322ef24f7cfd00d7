// SPDX-License-Identifier: GPL-2.0-or-later
// The circuit breaker: so many automatic blocks at once say that something else is wrong.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>

#include "base/clock.h"

namespace mailweir {

struct BreakerRule {
  std::uint32_t blocks = 10;  ///< in `window`; or 1 % of the active sources, if that is more
  std::chrono::seconds window{600};
};

class Breaker {
 public:
  void add_block(BootTime now) { blocks_.push_back(now); }

  [[nodiscard]] std::size_t blocks() const { return blocks_.size(); }

  /// Must blocking rest? It goes on by itself when the window holds fewer again.
  [[nodiscard]] bool is_open(BootTime now, const BreakerRule& rule, std::uint64_t active_sources) {
    while (!blocks_.empty() && now - blocks_.front() >= rule.window) blocks_.pop_front();
    const std::uint64_t percent = active_sources / 100;
    return blocks_.size() >= (percent > rule.blocks ? percent : rule.blocks);
  }

 private:
  std::deque<BootTime> blocks_;
};

}  // namespace mailweir
