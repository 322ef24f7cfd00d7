// SPDX-License-Identifier: GPL-2.0-or-later
// The controller: carries what policy and people decide to the record, then to the kernel, and
// tells the mirror. It decides nothing itself, and knows no socket, no thread and no event loop.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/decision.h"
#include "config/config.h"
#include "daemon/day_book.h"
#include "daemon/journal.h"
#include "daemon/ruleset.h"
#include "daemon/scoring.h"
#include "datapath/datapath.h"
#include "store/store.h"

namespace mailweir {

/// What came of one address of a command.
struct Outcome {
  std::string source;
  bool ok = false;
  std::optional<Decision> decision;
  std::string error;
  std::string hint;  ///< what to do next
  std::string note;
};

/// Who gave a command, and why.
struct Order {
  std::string by;
  std::string reason;
  bool dry_run = false;
};

/// An allowlist entry and where it came from, as people are told.
struct AllowView {
  Prefix prefix;
  std::string origin;  ///< file and line, or "command"
  std::string by;
  std::string reason;
  std::optional<WallTime> since;
};

/// A change that the record is to take; run again until it does.
using RecordChange = std::function<Result<>(Store&)>;

class Controller {
 public:
  /// `store` may be null: then nothing is durable, and status says so.
  Controller(Config config, Datapath& datapath, const Clock& clock, Store* store);

  /// Tells the kernel the rules, and makes record and kernel agree. Returns what was repaired.
  [[nodiscard]] Result<std::vector<std::string>> start();
  /// A new configuration takes over as a whole, or nothing changes.
  [[nodiscard]] Result<> reload(Config config);
  /// The gateway's own, sorted, which are no clients. Kept only where [shield] has ports.
  void set_own_addresses(std::vector<mw_addr> addresses);
  /// on_stop = "pass": the program lets everything by from now on.
  [[nodiscard]] Result<> open_gate();

  void on_kernel_event(const mw_event& event);
  void tick();    ///< each second: heartbeat, expiry, entries made by hand
  void watch();   ///< every few seconds: contacts that time judges, the uplink
  void review();  ///< seldom: all scores
  /// Now and then: does the record still say what is in force? What others wrote into it is
  /// repaired or ended, and said.
  void check_record();
  void write_days();  ///< with each review, and before a stop
  void prune();       ///< at the start and daily: history that is older than [record] keeps

  std::vector<Outcome> block(const std::vector<std::string>& sources, std::chrono::seconds lasts,
                             const Order& order);
  std::vector<Outcome> unblock(const std::vector<std::string>& sources, const Order& order);
  std::vector<Outcome> unblock_all(const Order& order);
  std::vector<Outcome> allow(const std::vector<std::string>& networks, const Order& order);
  std::vector<Outcome> disallow(const std::vector<std::string>& networks, const Order& order);
  /// Returns the automatic blocks that the new mode lifts.
  [[nodiscard]] Result<std::vector<Decision>> set_mode(Mode mode, const Order& order);

  [[nodiscard]] Mode mode() const { return mode_; }
  [[nodiscard]] bool mode_by_command() const { return mode_ != config_.mode; }
  /// The mode for this source: its group's own, or the global one.
  [[nodiscard]] Mode mode_for(const mw_addr& key) const;
  [[nodiscard]] bool is_inside(const mw_addr& key) const;
  [[nodiscard]] bool is_allowed(const mw_addr& key) const;
  [[nodiscard]] std::vector<AllowView> allow_list() const;
  [[nodiscard]] std::vector<AllowView> allowed_by(const mw_addr& key) const;
  [[nodiscard]] const Config& config() const { return config_; }
  /// Enforced decisions: as many as the kernel's map has entries of ours.
  [[nodiscard]] std::size_t enforced() const;
  /// Blocked, but the kernel's blocklist had no room: only iptables enforces it.
  [[nodiscard]] bool is_waiting(const mw_addr& key) const { return waiting_.contains(key); }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] const std::string& store_problem() const { return store_problem_; }
  /// That a damaged record was moved aside, or that its disk is short of space; or nothing.
  [[nodiscard]] std::string record_note() const;

  [[nodiscard]] std::vector<Decision> active() const;  ///< by number; would-blocks too
  /// Those that are enforced.
  void each_block(const std::function<void(const Decision&)>& visit) const {
    for (const auto& [source, decision] : decisions_)
      if (!decision.would) visit(decision);
  }
  [[nodiscard]] const Decision* find_active(const mw_addr& key) const;
  [[nodiscard]] std::vector<Decision> history(const mw_addr& key) const;
  /// Of the record; what happened in the last minute may be missing.
  [[nodiscard]] Result<std::vector<SourceDay>> days_since(std::chrono::sys_days day) const;
  [[nodiscard]] std::chrono::seconds next_duration(const mw_addr& key) const;
  [[nodiscard]] std::optional<WallTime> grace_until(const mw_addr& key) const;

  /// Is told of each decision that has ended; not of one whose counts another one goes on with.
  void when_ended(std::function<void(const Decision&)> told) { when_ended_ = std::move(told); }

  /// Did a decision change since the last call?
  [[nodiscard]] bool take_mirror_due() { return std::exchange(mirror_due_, false); }

  [[nodiscard]] Evidence evidence(const mw_addr& key, const mw_source& source) const;
  [[nodiscard]] const Scoring& scoring() const { return scoring_; }
  [[nodiscard]] bool breaker_open() const { return breaker_said_; }
  /// Why a source whose score is at its threshold is not blocked; empty: it is not at it.
  [[nodiscard]] std::string waits_for(const mw_addr& key, const Evidence& evidence) const;

  [[nodiscard]] Journal& journal() { return journal_; }

 private:
  Result<> apply_rules();
  Result<> take_allow_edits(std::vector<AllowEdit> edits);
  void note_allowed(Outcome& outcome);
  Result<> reconcile(std::vector<std::string>& repaired);
  Result<> add(Decision decision);
  void begin_count(const mw_addr& key);
  void end(const mw_addr& key, EndCause cause, std::string_view by);
  void drop_other_prefix(std::vector<std::string>& repaired);
  void lift_forbidden(std::vector<Decision>* lifted, std::string_view by);
  void end_would_blocks();
  void remember_blocks();
  void lift_outage_blocks();
  void expire();
  void adopt_by_hand();
  void adopt(const mw_addr& written_key, const mw_block& block);
  void on_outcome(const mw_event& event);
  void evaluate(const mw_addr& key);
  void note_day(const mw_event& event, bool is_counted);
  [[nodiscard]] bool may_block();
  void restore_proven();
  void load(Decision decision);
  void follow_kernel(Decision& decision, const mw_block& block);
  void follow_kernel_all(const std::map<mw_addr, mw_block>& in_kernel);
  void finish_ended(const std::map<mw_addr, mw_block>& in_kernel,
                    std::vector<std::string>& repaired);
  void clamp_ends(const std::map<mw_addr, mw_block>& in_kernel, std::vector<std::string>& repaired);
  Result<> enforce(const Decision& decision);
  void retry_waiting();
  void record(RecordChange change);
  void persist(const Decision& decision, bool is_new);
  void retry_record();
  void check_orders(const std::vector<AllowEdit>& on_record);
  void begin_record_anew(const Error& damage);
  void note_store(const Result<>& result);
  [[nodiscard]] mw_block kernel_block(const Decision& decision) const;
  [[nodiscard]] Decision new_decision(const mw_addr& key) const;
  [[nodiscard]] Result<std::vector<mw_addr>> parse_sources(const std::string& text) const;
  Outcome block_one(const mw_addr& key, std::chrono::seconds lasts, const Order& order);
  /// An IPv6 prefix longer than a client's stands for the client.
  [[nodiscard]] Prefix as_source(const Prefix& prefix) const;
  [[nodiscard]] std::optional<Outcome> refuse_block(const mw_addr& key) const;
  [[nodiscard]] std::string name_of(const mw_addr& key) const {
    return to_string(source_prefix(key, config_.networks.ipv6_prefix));
  }

  Config config_;
  Datapath& datapath_;
  const Clock& clock_;
  Store* store_;
  Mode mode_;
  std::vector<AllowEdit> allow_edits_;
  std::vector<mw_addr> own_addresses_;
  bool is_started_ = false;
  WallTime full_said_;  ///< that the blocklist is full is said every minute only
  /// The open decisions of the record, by source: an index that survives a failing disk.
  std::map<mw_addr, Decision> decisions_;
  Scoring scoring_;
  DayBook days_;
  Breaker breaker_;
  bool breaker_said_ = false;  ///< that it is open
  /// Decisions that found the kernel's blocklist full: on record and in iptables, not in the map.
  std::set<mw_addr> waiting_;
  /// What the store has not taken yet; tried again in order.
  std::deque<RecordChange> unsaved_;
  BootTime retry_record_at_;
  std::uint32_t last_number_ = 0;
  std::string store_problem_;
  bool mirror_due_ = true;
  Journal journal_;
  std::function<void(const Decision&)> when_ended_;
  std::unordered_map<mw_addr, WallTime, AddressHash> last_noted_;  ///< of events of one source
};

}  // namespace mailweir
