// SPDX-License-Identifier: GPL-2.0-or-later
// Frames that come almost in time order, put in order. Bounded in frames and in time.
#pragma once

#include <cstdint>
#include <vector>

#include "replay/frames.h"

namespace mailweir {

/// Several CPUs or interfaces write into one capture: a frame may stand behind a later one.
/// Example: times 1.0, 1.2, 1.1 come out as 1.0, 1.1, 1.2; after 4.0 was put in and 1.2 taken
/// out, 1.15 is too late and comes out as 1.2.
class ReorderBuffer {
 public:
  static constexpr std::size_t kMostFrames = 4096;
  static constexpr std::chrono::seconds kLongest{2};

  /// Takes the frame's bytes, and leaves it others to be overwritten.
  void put(ReplayFrame& frame);
  /// The earliest cannot be preceded by a frame that is still to come, as far as this looks.
  [[nodiscard]] bool is_due() const;
  [[nodiscard]] bool is_empty() const { return order_.empty(); }
  /// The earliest.
  void take(ReplayFrame& frame);

  [[nodiscard]] std::uint64_t reordered() const { return reordered_; }
  [[nodiscard]] std::uint64_t late() const { return late_; }

 private:
  struct Place {
    WallTime time;
    std::uint64_t number;
    std::size_t slot;
  };
  static bool is_after(const Place& a, const Place& b);

  std::vector<Place> order_;  ///< a heap, the earliest on top
  std::vector<ReplayFrame> slots_;
  std::vector<std::size_t> free_slots_;
  std::uint64_t number_ = 0;
  WallTime newest_ = WallTime::min();  ///< the last one put in
  WallTime taken_ = WallTime::min();
  std::uint64_t reordered_ = 0;
  std::uint64_t late_ = 0;
};

}  // namespace mailweir
