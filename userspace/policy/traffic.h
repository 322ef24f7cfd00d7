// SPDX-License-Identifier: GPL-2.0-or-later
// Who sent how much in the last 1, 10 and 60 minutes: the kernel's totals, sampled every few
// seconds, as differences in slots of time. Pure: totals and time are arguments. Bounded.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "bpf/abi.h"
#include "policy/rule.h"

namespace mailweir {

inline constexpr std::array<std::uint32_t, 3> kTrafficMinutes{1, 10, 60};

enum class TrafficOrder : std::uint8_t { syns, bytes, servers, dropped };

/// Of one source in one window.
struct Traffic {
  std::uint64_t syns = 0;
  std::uint64_t bytes = 0;    ///< to judged ports, but for what its block dropped
  std::uint64_t dropped = 0;  ///< SYNs by limit and brake, and all packets by its block
  std::uint32_t servers = 0;  ///< distinct networks, estimated
};

class TrafficBook {
 public:
  /// What was counted before `since` belongs to no window. At most `most` sources are remembered.
  TrafficBook(BootTime since, std::size_t most) : since_(since), whole_since_(since), most_(most) {}

  /// The totals of a source now. Those of a source older than `since` are where its differences
  /// begin; those of one that was evicted and came back are all new.
  void take(const mw_addr& key, const mw_source& source, BootTime now);
  /// What its block has dropped, counted from `counted_since` on.
  void take_drops(const mw_addr& key, std::uint64_t packets, BootTime counted_since, BootTime now);
  /// After all sources were sampled: lets go of what no window needs.
  void tidy(BootTime now);

  /// `minutes`: one of kTrafficMinutes. Ten seconds, one minute or five minutes more than that, as
  /// slots are not cut.
  [[nodiscard]] Traffic over(const mw_addr& key, std::uint32_t minutes, BootTime now) const;
  /// The `limit` sources with the most, in order; after them those that sent nothing.
  [[nodiscard]] std::vector<std::pair<mw_addr, Traffic>> top(TrafficOrder by, std::uint32_t minutes,
                                                             std::size_t limit, BootTime now) const;
  [[nodiscard]] BootTime since() const { return since_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// Samples of sources that found no room.
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

 private:
  /// Time in steps of ten seconds.
  using Step = std::uint32_t;
  /// The last minute in slots of one step, the last ten in slots of a minute, the hour of five.
  struct Slot {
    Step start = 0;
    std::uint32_t syns = 0;
    std::uint64_t bytes = 0;
    std::uint64_t dropped = 0;
    SeenBits seen{};
  };
  struct Entry {
    std::uint64_t first_ns = 0;  ///< 0: not yet met in the table of sources
    std::uint64_t syns = 0;
    std::uint64_t bytes = 0;
    std::uint64_t dropped = 0;
    std::optional<std::uint64_t> block_drops;
    Step sampled = 0;
    std::uint32_t slice = 0;
    std::array<SeenBits, 2> seen{};  ///< as the source's slices
    std::vector<Slot> slots;         ///< only those in which there was something, oldest first
  };

  static Step step_of(BootTime now);
  static Step begin_of(std::uint32_t minutes, Step now);
  static void merge(Entry& entry, Step now);
  static Slot& slot(Entry& entry, Step now);
  static void take_seen(Entry& entry, const mw_source& source, bool is_counted, Step now);
  static Traffic sum(const Entry& entry, std::uint32_t minutes, Step now);
  static bool is_gone(const Entry& entry, Step now);
  Entry* find_or_make(const mw_addr& key, BootTime now);
  void make_room(BootTime now);

  BootTime since_;
  /// All totals of an unknown source that began since then are news. Those of an older one may have
  /// been counted before it had to make room.
  BootTime whole_since_;
  std::size_t most_;
  std::uint64_t left_out_ = 0;
  Step room_made_ = 0;
  std::unordered_map<mw_addr, Entry, AddressHash> entries_;
};

[[nodiscard]] std::optional<TrafficOrder> parse_order(std::string_view word);

}  // namespace mailweir
