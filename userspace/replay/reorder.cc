// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/reorder.h"

#include <algorithm>
#include <tuple>

namespace mailweir {

bool ReorderBuffer::is_after(const Place& a, const Place& b) {
  return std::tie(a.time, a.number) > std::tie(b.time, b.number);
}

void ReorderBuffer::put(ReplayFrame& frame) {
  if (frame.time < taken_) {
    frame.time = taken_;
    ++late_;
  } else if (frame.time < newest_) {
    ++reordered_;
  }
  newest_ = frame.time;
  if (free_slots_.empty()) {
    free_slots_.push_back(slots_.size());
    slots_.emplace_back();
  }
  const std::size_t slot = free_slots_.back();
  free_slots_.pop_back();
  std::swap(slots_[slot], frame);
  order_.push_back({newest_, number_++, slot});
  std::ranges::push_heap(order_, is_after);
}

/// Measured from the last one put in, not from the latest: a single time that lies far ahead must
/// not switch the buffer off for all that follows.
bool ReorderBuffer::is_due() const {
  return !order_.empty() &&
         (order_.size() > kMostFrames || newest_ - order_.front().time > kLongest);
}

void ReorderBuffer::take(ReplayFrame& frame) {
  std::ranges::pop_heap(order_, is_after);
  const Place place = order_.back();
  order_.pop_back();
  std::swap(slots_[place.slot], frame);
  free_slots_.push_back(place.slot);
  taken_ = place.time;
}

}  // namespace mailweir
