// SPDX-License-Identifier: GPL-2.0-or-later
// From the kernel's outcomes to scores: confirmation by conntrack, the outage freeze, and which
// sources have reached their threshold. Blocks nobody.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/config.h"
#include "datapath/datapath.h"
#include "policy/outage.h"
#include "policy/rule.h"
#include "policy/score.h"

namespace mailweir {

class Scoring {
 public:
  Scoring(Datapath& datapath, const Clock& clock) : datapath_(datapath), clock_(clock) {}

  void configure(Rule rule, Confirm confirm);

  struct Taken {
    bool counted = false;  ///< confirmed, and no outage had to answer for it
    bool proved = false;   ///< the source a mailer, for the first time today
  };
  /// Counts an outcome, or that nobody answered.
  Taken take(const mw_event& event);
  /// Runs the kernel's sweep, and looks whether the uplink is down. True if it is so since now.
  bool watch();
  /// Reads all scores: who is at the threshold, and which are idle and can go.
  void review();

  /// Sources at their threshold; the gate may still be closed to them.
  [[nodiscard]] const std::set<mw_addr>& at_threshold() const { return at_threshold_; }
  /// As it is now; zeros if the source has none.
  [[nodiscard]] mw_score score(const mw_addr& source) const;
  /// A decision used the evidence up; idle time counts from `until`.
  void spend(const mw_addr& source, BootTime until);
  /// What was counted while it could not block does not block now.
  void settle(const mw_addr& source);
  /// A person said that the evidence was wrong.
  void forget(const mw_addr& source);
  void restore_proven(const mw_addr& source, BootTime until);

  [[nodiscard]] bool is_frozen() const;
  [[nodiscard]] std::uint64_t unconfirmed() const { return unconfirmed_in_all_; }
  /// One line for the operator, or empty.
  [[nodiscard]] std::string problem() const;

 private:
  struct Step {
    BootTime time;
    mw_addr source;
  };
  /// A connection as conntrack knows it.
  struct FlowKey {
    mw_addr client;
    mw_addr server;
    std::uint32_t ports;
    auto operator<=>(const FlowKey&) const = default;
  };
  struct Asked {
    BootTime time;
    bool confirmed;
  };

  [[nodiscard]] static FlowKey flow_key(const mw_event& event);
  void ask(const mw_event& heard);
  bool is_confirmed(const mw_event& outcome);
  void count(const mw_event& outcome, mw_score& score);
  void store(const mw_addr& source, const mw_score& score);
  bool freeze(BootTime now);
  [[nodiscard]] std::uint32_t threshold(const mw_score& score, BootTime now) const {
    return rule_.threshold_256ths(mailweir::is_proven(score, now));
  }

  Datapath& datapath_;
  const Clock& clock_;
  Rule rule_;
  Confirm confirm_ = Confirm::conntrack;
  OutageWatch outage_;
  std::optional<mw_contacts> contacts_before_;
  std::deque<Step> recent_;                ///< upward steps that an outage takes back
  std::deque<Asked> asked_;                ///< of conntrack, in the last minutes
  std::map<FlowKey, BootTime> confirmed_;  ///< that are not over yet
  std::set<mw_addr> at_threshold_;
  std::uint64_t unconfirmed_in_all_ = 0;
  bool is_unavailable_ = false;
  bool is_full_ = false;
};

}  // namespace mailweir
