// SPDX-License-Identifier: GPL-2.0-or-later
// What is remembered of a source's day, so that other thresholds can be tried on it afterwards.
// Pure: outcomes, counts and time are arguments.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "bpf/abi.h"
#include "policy/score.h"

namespace mailweir {

/// Values of [block] servers that simulate can try.
inline constexpr std::array<std::uint32_t, 5> kGates{5, 10, 15, 20, 30};

/// What simulate needs, and no more. Counts are of the day, in UTC.
struct SourceDay {
  mw_addr source{};
  std::chrono::sys_days day;
  std::uint32_t contacts = 0;  ///< first contacts whose outcome is known, and unanswered ones
  std::uint32_t unanswered = 0;
  std::uint32_t no_message = 0;
  std::uint32_t messages = 0;
  std::uint32_t networks_most = 0;  ///< distinct new networks in one window of 5 to 10 minutes
  /// The highest score while at least kGates[i] networks were new. It is never used up: a block
  /// would have ended what comes after it, another threshold would not.
  std::array<std::uint32_t, kGates.size()> score_most{};
  std::array<std::uint32_t, kGates.size()> proven_score_most{};  ///< while it was a proven mailer
  bool operator==(const SourceDay&) const = default;
};

/// The score of a source without a threshold that spends it, and its day.
class DayWatch {
 public:
  DayWatch(const mw_addr& source, WallTime now);
  /// Goes on with a day that was remembered before; the score itself was not, and begins at 0.
  explicit DayWatch(const SourceDay& day) : day_(day) {}

  /// A confirmed outcome of a first contact or a later one; `networks`: new in the window now.
  void count(const mw_event& outcome, std::uint32_t networks, const Now& now);
  void count_unanswered(std::uint32_t contacts, WallTime now);

  [[nodiscard]] const SourceDay& day() const { return day_; }
  /// Is the day over? Then its numbers are final, and the next count begins a new one.
  [[nodiscard]] bool is_over(WallTime now) const;

 private:
  void turn(WallTime now);

  SourceDay day_;
  mw_score score_{};
};

struct Thresholds {
  std::uint32_t servers = 10;  ///< one of kGates
  double score = 9.21;
  double score_proven = 13.8;
};

/// Would the source have been blocked on that day?
[[nodiscard]] bool would_block(const SourceDay& day, const Thresholds& thresholds);

/// Many networks, and most took a message: probably somebody's mail server.
[[nodiscard]] bool looks_like_mail_server(const SourceDay& day);

/// The largest of kGates that is not above `servers`; the smallest if all are.
[[nodiscard]] std::uint32_t gate_for(std::uint32_t servers);

}  // namespace mailweir
