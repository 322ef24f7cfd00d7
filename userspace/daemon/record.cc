// SPDX-License-Identifier: GPL-2.0-or-later
// The controller and its durable record: what a start makes of record and kernel, what is written
// and when it is tried again, a record that turns out to be damaged.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/log.h"
#include "base/time_text.h"
#include "daemon/controller.h"

namespace mailweir {
namespace {

using std::chrono::seconds;

/// A block's end in wall time and in boot time may drift apart by a clock step; less is rounding.
constexpr seconds kSameEnd{2};

/// Whether the record has an earlier state of it or none.
RecordChange write_whole(const Decision& decision) {
  return [decision](Store& store) -> Result<> {
    const auto row = store.decision(decision.number);
    if (!row) return row.error();
    return *row ? store.update(decision) : store.add({decision});
  };
}

/// A locked database waits for two seconds at each attempt: not all the time.
constexpr seconds kRetryRecordEvery{5};

}  // namespace

/// The record is what was promised, the kernel map what is enforced: after this they agree.
Result<> Controller::reconcile(std::vector<std::string>& repaired) {
  auto entries = datapath_.blocks();
  if (!entries) return std::move(entries).error();
  const std::map<mw_addr, mw_block> in_kernel(entries->begin(), entries->end());
  if (store_ != nullptr) {
    auto open = store_->open_decisions();
    note_store(open ? Result<>(Ok{}) : Result<>(open.error()));
    if (open)
      for (Decision& decision : *open) load(std::move(decision));
  }
  finish_ended(in_kernel, repaired);
  follow_kernel_all(in_kernel);
  clamp_ends(in_kernel, repaired);
  expire();
  drop_other_prefix(repaired);

  for (const auto& [key, decision] : decisions_) {
    if (decision.would) continue;
    const auto found = in_kernel.find(key);
    const bool is_there = found != in_kernel.end();
    // None, or a younger one: written over by hand while nobody looked, or its record was lost.
    // adopt_by_hand() takes it.
    if (is_there && (found->second.decision == 0 || found->second.decision >= decision.number))
      continue;
    if (auto put = enforce(decision); !put) return put;
    repaired.push_back((is_there ? "block of an older decision replaced: " : "block put back: ") +
                       name_of(key) + " (" + decision.id() + ")" +
                       (waiting_.contains(key) ? ", blocklist full" : ""));
  }
  adopt_by_hand();
  return Ok{};
}

/// A crash between the record of an end and the kernel's entry: the end is completed. Without this
/// the entry would be taken for a block whose record was lost.
void Controller::finish_ended(const std::map<mw_addr, mw_block>& in_kernel,
                              std::vector<std::string>& repaired) {
  if (store_ == nullptr) return;
  for (const auto& [key, block] : in_kernel) {
    if (block.decision == 0 || decisions_.contains(key)) continue;
    const auto known = store_->decision(block.decision);
    if (!known || !*known || (*known)->source != key || !(*known)->ended) continue;
    auto removed = datapath_.remove_block(key);
    if (removed) removed = datapath_.forget_drops(key);
    if (!removed) spdlog::error("blocklist failed={}", log_value(removed.error().message));
    repaired.push_back("block that had ended taken out of the kernel: " + name_of(key) + " (" +
                       (*known)->id() + ")");
  }
}

/// Within one boot the kernel's ends hold, whatever the wall clock did while nobody looked.
void Controller::follow_kernel_all(const std::map<mw_addr, mw_block>& in_kernel) {
  for (auto& [key, decision] : decisions_) {
    const auto found = in_kernel.find(key);
    if (!decision.would && found != in_kernel.end() && found->second.decision == decision.number)
      follow_kernel(decision, found->second);
  }
}

/// The kernel counts in boot time: where a step of the wall clock, or a hand, has moved the two
/// ends apart, what is enforced is what is written down.
void Controller::follow_kernel(Decision& decision, const mw_block& block) {
  const mw_block ours = kernel_block(decision);
  if ((ours.until_ns == 0) == (block.until_ns == 0) &&
      std::chrono::abs(boot_time(ours.until_ns) - boot_time(block.until_ns)) <= kSameEnd)
    return;
  decision.until = block.until_ns == 0
                       ? std::nullopt
                       : std::optional(clock_.now().wall_of(boot_time(block.until_ns)));
  persist(decision, false);
  mirror_due_ = true;
  spdlog::warn("end-followed source={} id={} until={}", name_of(decision.source), decision.id(),
               decision.until ? rfc3339(*decision.until) : "forever");
}

/// After a boot with a clock that is behind (no battery): nobody is held for longer than was
/// decided. When the clock is set, the ends follow the kernel's.
void Controller::clamp_ends(const std::map<mw_addr, mw_block>& in_kernel,
                            std::vector<std::string>& repaired) {
  const WallTime now = clock_.now().wall;
  for (auto& [key, decision] : decisions_) {
    if (!decision.until || now >= decision.since || in_kernel.contains(key)) continue;
    decision.until = now + std::max<WallTime::duration>(*decision.until - decision.since, {});
    persist(decision, false);
    repaired.push_back("clock is behind the decision: " + name_of(key) + " (" + decision.id() +
                       ") is held for its whole time again");
  }
}

/// A crash between a decision and the end of the one it replaced leaves both open: the younger
/// holds.
void Controller::load(Decision decision) {
  const auto [known, is_first] = decisions_.try_emplace(decision.source, decision);
  if (is_first) return;
  Decision older = decision;
  if (known->second.number < decision.number)
    older = std::exchange(known->second, std::move(decision));
  older.ended = clock_.now().wall;
  older.end_cause = EndCause::replaced;
  persist(older, false);
}

/// The breaker counts blocks that were lifted, too.
void Controller::remember_blocks() {
  if (store_ == nullptr) return;
  const Now now = clock_.now();
  const auto young = store_->decisions_since(now.wall - config_.block.breaker.per);
  note_store(young ? Result<>(Ok{}) : Result<>(young.error()));
  if (!young) return;
  for (const Decision& each : *young)
    if (each.origin == Origin::automatic && !each.would)
      breaker_.add_block(now.boot_of(each.since));
}

void Controller::persist(const Decision& decision, bool is_new) {
  record([decision, is_new](Store& store) {
    return is_new ? store.add({decision}) : store.update(decision);
  });
}

/// In order: behind a change that waits, all wait.
void Controller::record(RecordChange change) {
  if (store_ == nullptr) return;
  if (unsaved_.empty()) {
    const Result<> saved = change(*store_);
    note_store(saved);
    if (saved) return;
    retry_record_at_ = clock_.now().boot + kRetryRecordEvery;
  }
  unsaved_.push_back(std::move(change));
}

/// No further than the first failure.
void Controller::retry_record() {
  if (unsaved_.empty() || clock_.now().boot < retry_record_at_) return;
  while (!unsaved_.empty()) {
    const Result<> saved = unsaved_.front()(*store_);
    // A decision that the record never had, or has no more: there is nothing to try again.
    if (!saved && saved.error().code == ENOENT) {
      spdlog::error("record lost={}", log_value(saved.error().message));
    } else if (!saved) {
      note_store(saved);
      if (saved.error().code == kDamaged) begin_record_anew(saved.error());
      retry_record_at_ = clock_.now().boot + kRetryRecordEvery;
      return;
    }
    unsaved_.pop_front();
  }
  note_store(Ok{});
}

/// What is in force must be in the new file, with what waited for the old one.
void Controller::begin_record_anew(const Error& damage) {
  if (auto begun = store_->begin_anew(damage); !begun) return note_store(begun);
  const Now now = clock_.now();
  unsaved_.clear();
  for (const auto& [key, decision] : decisions_) unsaved_.push_back(write_whole(decision));
  for (const AllowEdit& edit : allow_edits_)
    unsaved_.push_back([edit](Store& store) { return store.allow_add(edit); });
  if (mode_by_command())
    unsaved_.push_back([order = ModeOrder{mode_, config_.mode, "recovered", now.wall}](
                           Store& store) { return store.set_mode_order(order); });
  journal_.add(now.wall, "record", "", store_->note());
  spdlog::error("record note={}", log_value(store_->note()));
}

void Controller::note_store(const Result<>& result) {
  const std::string problem = result ? "" : result.error().message;
  if (problem == store_problem_) return;
  store_problem_ = problem;
  if (problem.empty())
    spdlog::info("record recovered");
  else
    spdlog::error("record not-persisted={} effect={}", log_value(problem),
                  log_value("enforcement goes on; tried again every few seconds"));
}

std::string Controller::record_note() const {
  return store_ == nullptr ? std::string() : store_->note();
}

void Controller::check_record() {
  if (store_ == nullptr || !unsaved_.empty()) return;
  const auto changed = store_->changed_by_others();
  if (!changed && changed.error().code == kDamaged) return begin_record_anew(changed.error());
  note_store(changed ? Result<>(Ok{}) : Result<>(changed.error()));
  if (!changed || !*changed) return;
  const auto open = store_->open_decisions();
  const auto edits = store_->allow_edits();
  for (const Error* failed : {open ? nullptr : &open.error(), edits ? nullptr : &edits.error()})
    if (failed != nullptr)
      return failed->code == kDamaged ? begin_record_anew(*failed) : note_store(*failed);
  check_orders(*edits);

  std::set<std::uint32_t> on_record;
  std::vector<std::string> repaired;
  for (Decision decision : *open) {
    on_record.insert(decision.number);
    const Decision* known = find_active(decision.source);
    if (known != nullptr && known->number == decision.number) continue;
    decision.ended = clock_.now().wall;
    decision.end_cause = EndCause::removed;
    persist(decision, false);
    repaired.push_back(decision.id() + " stood in the record and was not in force: ended there");
  }
  for (const auto& [key, decision] : decisions_) {
    if (on_record.contains(decision.number)) continue;
    record(write_whole(decision));
    repaired.push_back(decision.id() + " is in force and was missing in the record: written again");
  }
  for (const std::string& line : repaired) {
    spdlog::warn("repaired what={}", log_value(line));
    journal_.add(clock_.now().wall, "record", "", line);
  }
}

/// What people ordered: the allowlist and the mode.
void Controller::check_orders(const std::vector<AllowEdit>& on_record) {
  const auto has = [](const std::vector<AllowEdit>& edits, const AllowEdit& wanted) {
    return std::ranges::find(edits, wanted.prefix, &AllowEdit::prefix) != edits.end();
  };
  const auto say = [&](const std::string& line) {
    spdlog::warn("repaired what={}", log_value(line));
    journal_.add(clock_.now().wall, "record", "", line);
  };
  for (const AllowEdit& edit : allow_edits_) {
    if (has(on_record, edit)) continue;
    record([edit](Store& store) { return store.allow_add(edit); });
    say("the allowlist's " + to_string(edit.prefix) + " was missing in the record: written again");
  }
  for (const AllowEdit& edit : on_record) {
    if (has(allow_edits_, edit)) continue;
    record([prefix = edit.prefix](Store& store) -> Result<> {
      auto removed = store.allow_remove(prefix);
      return removed ? Result<>(Ok{}) : Result<>(removed.error());
    });
    say("the record's allowlist had " + to_string(edit.prefix) + ", not in force: taken out there");
  }
  const auto order = store_->mode_order();
  const bool holds =
      order && *order && (*order)->mode == mode_ && (*order)->file_mode == config_.mode;
  if (!order || holds || !mode_by_command()) return;
  record([wanted = ModeOrder{mode_, config_.mode, "recovered", clock_.now().wall}](Store& store) {
    return store.set_mode_order(wanted);
  });
  say("the mode by command was missing in the record: written again");
}

void Controller::prune() {
  if (store_ == nullptr || !unsaved_.empty()) return;
  const auto pruned =
      store_->prune(clock_.now().wall - config_.record.keep, config_.record.max_decisions);
  note_store(pruned ? Result<>(Ok{}) : Result<>(pruned.error()));
  if (pruned && *pruned > 0) spdlog::info("record pruned={}", *pruned);
}

}  // namespace mailweir
