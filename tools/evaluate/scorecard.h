// SPDX-License-Identifier: GPL-2.0-or-later
// What a detector did on all of its days, class by class, and whether that is good enough.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "evaluate/statistics.h"
#include "evaluate/trial.h"

namespace mailweir::evaluate {

struct ClassScore {
  std::uint64_t sources = 0;  ///< source-days
  std::uint64_t blocked = 0;  ///< of these
  std::uint64_t blocks = 0;   ///< in all
  std::uint64_t held = 0;     ///< source-days that limit or brake dropped a SYN of
  std::uint64_t connections = 0, deliveries = 0, lost = 0, delayed = 0;
  Time longest_delay{0};
  std::vector<double> leaks;      ///< SYNs before the first block, or all
  std::vector<double> seconds;    ///< to the first block
  std::vector<double> kilobytes;  ///< of payload, before the first block

  void add(const Judged& judged);
  void add(const ClassScore& other);
  [[nodiscard]] Interval share() const { return exact_interval(blocked, sources); }
};

/// Mailings of which fewer are productive than the bounds ask for have a place of their own.
struct Scorecard {
  std::string detector;
  std::array<ClassScore, kClasses> classes;
  ClassScore poor_mailings;
  std::uint64_t days = 0, frames = 0, runs = 0;

  void add(const Trial& trial);
  /// Plain, heavy, outage clients, mail servers, mailings with at least .9 productive.
  [[nodiscard]] ClassScore honest() const;
  /// Fast, burst, very fast and multi-port bots.
  [[nodiscard]] ClassScore fast_bots() const;
  /// All that spam, but for those under the flood.
  [[nodiscard]] ClassScore spammers() const;
  /// Of all blocked sources but scanners and framed ones, how many spam.
  [[nodiscard]] Interval precision() const;
  [[nodiscard]] double precision_share() const;

 private:
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> right_of_all() const;
};

/// The productive share is swept: blocked of tried, by servers (0: a bot) and share.
using Margins = std::map<std::pair<std::uint32_t, double>, ClassScore>;
void add(Margins& margins, const Trial& trial);

}  // namespace mailweir::evaluate
