// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/traffic.h"

#include <algorithm>
#include <limits>

namespace mailweir {
namespace {

constexpr std::chrono::seconds kStep{10};
constexpr std::uint32_t kStepsAMinute = 6;
/// A source that was not met for so long is no longer in the kernel's table: a walk through all of
/// it takes one step, and may begin a step after the last.
constexpr std::uint32_t kGoneSteps = 4;
/// When there is no room, the least leave this share of it.
constexpr std::size_t kRoomShare = 8;
/// What weighs as much as a SYN where the least are to leave.
constexpr std::uint64_t kBytesASyn = 1000;

/// The slots that a window is made of: not cut, so a window is up to one of them longer.
constexpr std::uint32_t slot_steps(std::uint32_t minutes) {
  return minutes <= 1 ? 1 : minutes <= 10 ? kStepsAMinute : 5 * kStepsAMinute;
}

/// Totals begin anew with the source's value in the kernel.
std::uint64_t grown(std::uint64_t before, std::uint64_t now) {
  return now >= before ? now - before : now;
}

std::uint64_t rank(const Traffic& traffic, TrafficOrder by) {
  switch (by) {
    case TrafficOrder::syns:
      return traffic.syns;
    case TrafficOrder::bytes:
      return traffic.bytes;
    case TrafficOrder::servers:
      return traffic.servers;
    case TrafficOrder::dropped:
      return traffic.dropped;
  }
  return 0;
}

}  // namespace

TrafficBook::Step TrafficBook::step_of(BootTime now) {
  return static_cast<Step>(now.time_since_epoch() / kStep);
}

/// The first step of the window: the start of a slot, also of one that is merged already.
TrafficBook::Step TrafficBook::begin_of(std::uint32_t minutes, Step now) {
  const Step steps = minutes * kStepsAMinute;
  const Step from = now > steps ? now - steps : 0;
  return from - from % slot_steps(minutes);
}

/// What has left the window of fine slots goes into coarser ones, what has left the last is gone.
void TrafficBook::merge(Entry& entry, Step now) {
  const Step minute = begin_of(1, now);
  const Step ten = begin_of(10, now);
  const Step hour = begin_of(60, now);
  std::vector<Slot>& slots = entry.slots;
  std::size_t kept = 0;
  for (Slot& each : slots) {
    if (each.start < hour) continue;
    if (each.start < ten)
      each.start -= each.start % slot_steps(60);
    else if (each.start < minute)
      each.start -= each.start % slot_steps(10);
    if (kept > 0 && slots[kept - 1].start == each.start) {
      Slot& to = slots[kept - 1];
      to.syns += each.syns;
      to.bytes += each.bytes;
      to.dropped += each.dropped;
      for (std::size_t i = 0; i < to.seen.size(); ++i) to.seen[i] |= each.seen[i];
    } else {
      slots[kept++] = each;
    }
  }
  slots.resize(kept);
  if (slots.empty()) slots.shrink_to_fit();
}

/// A clock that stands back counts into the newest slot.
TrafficBook::Slot& TrafficBook::slot(Entry& entry, Step now) {
  if (entry.slots.empty() || entry.slots.back().start < now) {
    merge(entry, now);
    entry.slots.push_back({.start = now});
  }
  return entry.slots.back();
}

/// Bits that were not set in the same slice at the last sample. The kernel sets a network's bit
/// once in each slice of five minutes.
void TrafficBook::take_seen(Entry& entry, const mw_source& source, bool is_counted, Step now) {
  SeenBits fresh{};
  std::uint64_t any = 0;
  std::array<SeenBits, 2> seen{};
  for (const std::uint32_t back : {0U, 1U}) {
    const std::uint32_t number = source.slice - back;
    const auto& bits = source.slices[number % 2].seen;
    const bool is_known = entry.slice - number <= 1;
    for (std::size_t i = 0; i < fresh.size(); ++i) {
      seen[number % 2][i] = bits[i];
      fresh[i] |= bits[i] & ~(is_known ? entry.seen[number % 2][i] : 0);
      any |= fresh[i];
    }
  }
  entry.slice = source.slice;
  entry.seen = seen;
  if (!is_counted || any == 0) return;
  Slot& to = slot(entry, now);
  for (std::size_t i = 0; i < fresh.size(); ++i) to.seen[i] |= fresh[i];
}

void TrafficBook::take(const mw_addr& key, const mw_source& source, BootTime now) {
  // For a moment, while the kernel makes the entry.
  if (source.first_ns == 0) return;
  const Step step = step_of(now);
  Entry* const entry = find_or_make(key, now);
  if (entry == nullptr) return;
  entry->sampled = std::max(entry->sampled, step);
  const bool is_new = entry->first_ns != source.first_ns;
  const BootTime from = entry->first_ns == 0 ? whole_since_ : since_;
  const bool is_counted = !is_new || source.first_ns >= to_ns(from);
  if (is_new) {
    entry->syns = entry->bytes = entry->dropped = 0;
    entry->slice = source.slice;
    entry->seen = {};
    entry->first_ns = source.first_ns;
  }
  const std::uint64_t syns = grown(entry->syns, source.syns);
  const std::uint64_t bytes = grown(entry->bytes, source.bytes);
  const std::uint64_t dropped = grown(entry->dropped, source.dropped);
  entry->syns = source.syns;
  entry->bytes = source.bytes;
  entry->dropped = source.dropped;
  if (is_counted && (syns | bytes | dropped) != 0) {
    Slot& to = slot(*entry, step);
    to.syns += static_cast<std::uint32_t>(syns);
    to.bytes += bytes;
    to.dropped += dropped;
  }
  take_seen(*entry, source, is_counted, step);
}

void TrafficBook::take_drops(const mw_addr& key, std::uint64_t packets, BootTime counted_since,
                             BootTime now) {
  const Step step = step_of(now);
  // A block that nobody runs into needs no entry.
  if (packets == 0 && !entries_.contains(key)) return;
  Entry* const entry = find_or_make(key, now);
  if (entry == nullptr) return;
  entry->sampled = std::max(entry->sampled, step);
  const std::uint64_t before =
      entry->block_drops.value_or(counted_since >= whole_since_ ? 0 : packets);
  entry->block_drops = packets;
  if (const std::uint64_t dropped = grown(before, packets); dropped > 0)
    slot(*entry, step).dropped += dropped;
}

void TrafficBook::tidy(BootTime now) {
  const Step step = step_of(now);
  for (auto at = entries_.begin(); at != entries_.end();) {
    merge(at->second, step);
    at = is_gone(at->second, step) && at->second.slots.empty() ? entries_.erase(at) : std::next(at);
  }
}

TrafficBook::Entry* TrafficBook::find_or_make(const mw_addr& key, BootTime now) {
  const auto found = entries_.find(key);
  if (found != entries_.end()) return &found->second;
  if (entries_.size() >= most_) make_room(now);
  if (entries_.size() >= most_) {
    ++left_out_;
    whole_since_ = std::max(whole_since_, now);
    return nullptr;
  }
  return &entries_[key];
}

/// Those with the least go, of equal ones those that the kernel has forgotten. Once a step.
void TrafficBook::make_room(BootTime now) {
  const Step step = step_of(now);
  if (room_made_ == step) return;
  room_made_ = step;
  whole_since_ = std::max(whole_since_, now);
  std::vector<std::pair<std::uint64_t, mw_addr>> least;
  least.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) {
    const Traffic hour = sum(entry, kTrafficMinutes.back(), step);
    const std::uint64_t weight = hour.syns + hour.dropped + hour.bytes / kBytesASyn;
    least.emplace_back(2 * weight + (is_gone(entry, step) ? 0 : 1), key);
  }
  const std::size_t leaving = most_ / kRoomShare + 1;
  if (leaving >= least.size()) return;
  std::ranges::nth_element(least, least.begin() + static_cast<std::ptrdiff_t>(leaving));
  for (std::size_t i = 0; i < leaving; ++i) entries_.erase(least[i].second);
}

/// Not met in the kernel's table of late.
bool TrafficBook::is_gone(const Entry& entry, Step now) {
  return entry.sampled + kGoneSteps < now;
}

Traffic TrafficBook::sum(const Entry& entry, std::uint32_t minutes, Step now) {
  Traffic traffic;
  SeenBits seen{};
  const Step from = begin_of(minutes, now);
  for (const Slot& each : entry.slots) {
    if (each.start < from) continue;
    traffic.syns += each.syns;
    traffic.bytes += each.bytes;
    traffic.dropped += each.dropped;
    for (std::size_t i = 0; i < seen.size(); ++i) seen[i] |= each.seen[i];
  }
  // Linear counting may say one more than there were.
  traffic.servers =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(estimate_networks(seen), traffic.syns));
  return traffic;
}

Traffic TrafficBook::over(const mw_addr& key, std::uint32_t minutes, BootTime now) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? Traffic{} : sum(found->second, minutes, step_of(now));
}

std::vector<std::pair<mw_addr, Traffic>> TrafficBook::top(TrafficOrder by, std::uint32_t minutes,
                                                          std::size_t limit, BootTime now) const {
  const Step step = step_of(now);
  std::vector<std::pair<mw_addr, Traffic>> rows;
  for (const auto& [key, entry] : entries_) {
    const Traffic traffic = sum(entry, minutes, step);
    if (is_gone(entry, step) && traffic.syns + traffic.bytes + traffic.dropped == 0) continue;
    rows.emplace_back(key, traffic);
  }
  const std::size_t kept = std::min(limit, rows.size());
  std::ranges::partial_sort(rows, rows.begin() + static_cast<std::ptrdiff_t>(kept),
                            [by](const auto& a, const auto& b) {
                              const std::uint64_t first = rank(a.second, by);
                              const std::uint64_t second = rank(b.second, by);
                              return first != second ? first > second : a.first < b.first;
                            });
  rows.resize(kept);
  return rows;
}

std::optional<TrafficOrder> parse_order(std::string_view word) {
  if (word == "syn") return TrafficOrder::syns;
  if (word == "bytes") return TrafficOrder::bytes;
  if (word == "servers") return TrafficOrder::servers;
  if (word == "dropped") return TrafficOrder::dropped;
  return std::nullopt;
}

}  // namespace mailweir
