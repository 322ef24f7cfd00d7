// SPDX-License-Identifier: GPL-2.0-or-later
// Is it the uplink that is down, and not the customers? Pure but for what it was told.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <unordered_map>

#include "base/address.h"
#include "base/clock.h"

namespace mailweir {

/// While more than half of the contacts of the last minute, or of the last 15 s, go unanswered, at
/// least 20 of them from 5 sources, the uplink is down. A minute alone is full of answers when an
/// outage begins; 15 s alone are few contacts on a quiet gateway.
class OutageWatch {
 public:
  /// First contacts of all sources since the last call.
  void add(BootTime now, std::uint64_t answered, std::uint64_t unanswered);
  /// A source some of whose contacts nobody answered.
  void add_source(BootTime now, const mw_addr& source);
  [[nodiscard]] bool is_down(BootTime now);

 private:
  [[nodiscard]] bool is_down_within(BootTime now, std::chrono::seconds window) const;

  struct Sample {
    BootTime time;
    std::uint64_t answered;
    std::uint64_t unanswered;
  };
  std::deque<Sample> samples_;
  std::unordered_map<mw_addr, BootTime, AddressHash> sources_;
};

/// So long an outage may last before it is seen: a contact is unanswered after 10 s, and a window
/// must fill. What was counted or decided meanwhile is taken back.
inline constexpr std::chrono::seconds kOutageUnseen{30};

/// The last time that scoring was frozen, or is: from its first sign to a minute after its last.
struct Freeze {
  BootTime since;
  BootTime until;
};

/// A contact without a message that an outage has to answer for: it was begun before the end of the
/// freeze. But one that was begun during it, heard its server and was ended by its own client shows
/// that the uplink works: who makes contacts go unanswered by forging them cannot stop the scoring.
[[nodiscard]] bool is_by_outage(const mw_event& outcome, const Freeze& freeze);

}  // namespace mailweir
