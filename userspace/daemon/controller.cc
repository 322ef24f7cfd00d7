// SPDX-License-Identifier: GPL-2.0-or-later
// Rules, record and kernel: start, reload, expiry, entries made by hand. What people order is in
// orders.cc, what the rule decides in automatic.cc.
#include "daemon/controller.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/log.h"
#include "base/time_text.h"

namespace mailweir {
namespace {

using std::chrono::seconds;

/// A block's end in wall time and in boot time may drift apart by a clock step; less is rounding.
constexpr seconds kSameEnd{2};

}  // namespace

Controller::Controller(Config config, Datapath& datapath, const Clock& clock, Store* store)
    : config_(std::move(config)),
      datapath_(datapath),
      clock_(clock),
      store_(store),
      mode_(config_.mode),
      scoring_(datapath, clock) {
  if (store_ == nullptr) store_problem_ = "no record: nothing outlives a reboot";
}

Result<std::vector<std::string>> Controller::start() {
  std::vector<std::string> repaired;
  if (store_ != nullptr) {
    auto edits = store_->allow_edits();
    if (edits) allow_edits_ = std::move(*edits);
    note_store(edits ? Result<>(Ok{}) : Result<>(edits.error()));
    // A mode set by command stands until the file says something new.
    if (auto order = store_->mode_order(); order && *order && (*order)->file_mode == config_.mode)
      mode_ = (*order)->mode;
    if (auto number = store_->last_number()) last_number_ = *number;
  }
  last_number_ = std::max(last_number_, datapath_.last_decision());
  if (auto beaten = datapath_.beat(clock_.now().boot); !beaten) return std::move(beaten).error();
  if (auto applied = apply_rules(); !applied) return std::move(applied).error();
  if (auto done = reconcile(repaired); !done) return std::move(done).error();
  restore_proven();
  scoring_.review();
  end_would_blocks();
  remember_blocks();
  lift_forbidden(nullptr, "auto");
  return repaired;
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

Result<> Controller::apply_rules() {
  std::vector<Prefix> edits;
  for (const AllowEdit& edit : allow_edits_) edits.push_back(edit.prefix);
  scoring_.configure(make_rule(config_), config_.block.confirm);
  return datapath_.apply(make_ruleset(config_, edits, mode_));
}

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
  expire();
  drop_other_prefix(repaired);

  for (const auto& [key, decision] : decisions_) {
    if (decision.would) continue;
    const mw_block wanted = kernel_block(decision);
    const auto found = in_kernel.find(key);
    const bool is_there = found != in_kernel.end();
    if (is_there && found->second.decision == wanted.decision &&
        (found->second.until_ns == 0) == (wanted.until_ns == 0) &&
        std::chrono::abs(boot_time(found->second.until_ns) - boot_time(wanted.until_ns)) <=
            kSameEnd)
      continue;
    // Another decision's number: written over by hand while nobody looked. adopt_by_hand() takes
    // it.
    if (is_there && found->second.decision != wanted.decision) continue;
    if (auto put = datapath_.put_block(key, wanted); !put) return put;
    repaired.push_back((is_there ? "end of block corrected: " : "block put back: ") + name_of(key) +
                       " (" + decision.id() + ")");
  }
  adopt_by_hand();
  return Ok{};
}

Result<> Controller::reload(Config config) {
  Config before = std::exchange(config_, std::move(config));
  const Mode mode_before = mode_;
  // A file that says another mode than before is the younger order.
  const bool is_new_mode = config_.mode != before.mode;
  if (is_new_mode) mode_ = config_.mode;
  if (auto applied = apply_rules(); !applied) {
    config_ = std::move(before);
    mode_ = mode_before;
    if (auto back = apply_rules(); !back)
      spdlog::error("reload rollback-failed={}", log_value(back.error().message));
    return std::move(applied).error().in("reload");
  }
  // An older order by command must not come back at the next start.
  if (is_new_mode && store_ != nullptr)
    note_store(store_->set_mode_order({mode_, config_.mode, "file", clock_.now().wall}));
  lift_forbidden(nullptr, "auto");
  end_would_blocks();
  // The thresholds may be others now.
  scoring_.review();
  mirror_due_ = true;
  journal_.add(clock_.now().wall, "reload", "", "configuration reloaded");
  return Ok{};
}

Result<> Controller::open_gate() {
  // A controller that was never heard of is one the program does not enforce for.
  Ruleset rules = make_ruleset(config_, {}, mode_);
  rules.dead_man = std::chrono::nanoseconds(1);
  if (auto applied = datapath_.apply(rules); !applied) return applied;
  return datapath_.beat(BootTime{});
}

void Controller::tick() {
  if (auto beaten = datapath_.beat(clock_.now().boot); !beaten)
    spdlog::error("heartbeat failed={}", log_value(beaten.error().message));
  retry_persist();
  // Before the expiry: after a step of the wall clock the kernel's ends hold.
  adopt_by_hand();
  expire();
}

void Controller::expire() {
  const WallTime now = clock_.now().wall;
  std::vector<mw_addr> due;
  for (const auto& [key, decision] : decisions_)
    if (!decision.active(now)) due.push_back(key);
  for (const mw_addr& key : due) end(key, EndCause::expired, "auto");
}

/// What stands in the kernel map and not in our index was written there by a person with bpftool;
/// what we put there and is gone was deleted by one. The map is the truth for both.
void Controller::adopt_by_hand() {
  auto entries = datapath_.blocks();
  if (!entries) {
    spdlog::error("blocklist failed={}", log_value(entries.error().message));
    return;
  }
  const std::map<mw_addr, mw_block> in_kernel(entries->begin(), entries->end());
  std::vector<mw_addr> gone;
  for (auto& [key, decision] : decisions_) {
    if (decision.would) continue;
    const auto found = in_kernel.find(key);
    if (found == in_kernel.end())
      gone.push_back(key);
    else if (found->second.decision == decision.number)
      follow_kernel(decision, found->second);
  }
  for (const mw_addr& key : gone) end(key, EndCause::removed, "bpftool");
  for (const auto& [key, block] : in_kernel) {
    const Decision* known = find_active(key);
    if (known == nullptr || known->would || known->number != block.decision) adopt(key, block);
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

void Controller::adopt(const mw_addr& written_key, const mw_block& block) {
  const Now now = clock_.now();
  const mw_addr key = source_key(written_key, config_.networks.ipv6_prefix);
  const auto refused = [&](std::string_view why) {
    spdlog::warn("entry-removed source={} reason={}", name_of(key), log_value(why));
    if (auto removed = datapath_.remove_block(written_key); !removed)
      spdlog::error("blocklist failed={}", log_value(removed.error().message));
  };
  if (block.until_ns != 0 && boot_time(block.until_ns) <= now.boot)
    return refused("its time is past");
  if (const auto refusal = refuse_block(key)) return refused(refusal->error);
  if (key != written_key) refused("an IPv6 key stands for its /64; the masked key takes over");

  Decision decision = new_decision(key);
  // One with a number and the rule's reason is ours, from a record that was lost.
  const bool is_ours = block.decision != 0 && block.reason != MW_REASON_MANUAL;
  decision.origin = is_ours ? Origin::automatic : Origin::bpftool;
  decision.by = is_ours ? "auto" : "bpftool";
  decision.reason =
      is_ours ? "evidence, its record was lost" : "written into the blocklist map by hand";
  if (block.until_ns != 0) decision.until = now.wall_of(boot_time(block.until_ns));
  if (auto added = add(decision); !added)
    spdlog::error("adopt source={} failed={}", name_of(key), log_value(added.error().message));
}

/// Record, then kernel, then mirror. A failing record does not hold up enforcement.
Result<> Controller::add(Decision decision) {
  // Asked first: a decision that cannot be enforced is none.
  if (const Decision* known = find_active(decision.source);
      !decision.would && (known == nullptr || known->would) &&
      enforced() >= datapath_.block_capacity())
    return Error{E2BIG, fmt::format("blocklist full ({}): unblock some, or raise [maps] blocks",
                                    datapath_.block_capacity())};
  last_number_ = decision.number;
  if (auto numbered = datapath_.set_last_decision(decision.number); !numbered) return numbered;
  persist(decision, true);
  if (!decision.would) {
    if (auto put = datapath_.put_block(decision.source, kernel_block(decision)); !put) {
      decision.ended = clock_.now().wall;
      decision.end_cause = EndCause::failed;
      persist(decision, false);
      return put;
    }
    mirror_due_ = true;
  }
  // The old one last: until here it was what the kernel enforced.
  end(decision.source, EndCause::replaced, decision.by);
  const std::string why = decision.evidence ? decision.evidence->sentence() : decision.reason;
  spdlog::info("{} source={} id={} by={} until={} because={}",
               decision.would ? "would-block" : "block", name_of(decision.source), decision.id(),
               log_value(decision.by), decision.until ? rfc3339(*decision.until) : "forever",
               log_value(why));
  journal_.add(decision.since, decision.would ? "would_block" : "block", name_of(decision.source),
               decision.id() + " by " + decision.by + (why.empty() ? "" : ": " + why));
  decisions_[decision.source] = std::move(decision);
  return Ok{};
}

void Controller::end(const mw_addr& key, EndCause cause, std::string_view by) {
  const auto found = decisions_.find(key);
  if (found == decisions_.end()) return;
  Decision decision = std::move(found->second);
  decisions_.erase(found);
  decision.ended = clock_.now().wall;
  decision.end_cause = cause;
  if (auto dropped = datapath_.drops(key); dropped && !decision.would) {
    decision.dropped_packets = dropped->packets;
    decision.dropped_bytes = dropped->bytes;
  }
  persist(decision, false);
  if (cause == EndCause::unblocked || cause == EndCause::allowed || cause == EndCause::removed ||
      cause == EndCause::outage)
    scoring_.forget(key);
  else if (!decision.would && decision.origin == Origin::automatic && cause != EndCause::replaced)
    scoring_.spend(key, clock_.now().boot);
  if (!decision.would) {
    mirror_due_ = true;
    // The next decision takes over both the entry and its counts.
    if (cause != EndCause::replaced) {
      auto removed = datapath_.remove_block(key);
      if (removed) removed = datapath_.forget_drops(key);
      if (!removed) spdlog::error("blocklist failed={}", log_value(removed.error().message));
    }
  }
  spdlog::info("unblock source={} id={} cause={} by={} dropped={}", name_of(key), decision.id(),
               to_string(cause), log_value(by), decision.dropped_packets);
  journal_.add(*decision.ended, cause == EndCause::expired ? "expired" : "unblock", name_of(key),
               fmt::format("{} ended: {} by {}; {} packets dropped", decision.id(),
                           to_string(cause), by, decision.dropped_packets));
}

/// Going from observe to block does not turn old would-blocks into blocks: they end, and what was
/// counted under them settles.
void Controller::end_would_blocks() {
  std::vector<mw_addr> due;
  for (const auto& [key, decision] : decisions_)
    if (decision.would && mode_for(key) == Mode::block && !is_allowed(key)) due.push_back(key);
  for (const mw_addr& key : due) {
    end(key, EndCause::mode, "auto");
    scoring_.settle(key);
  }
}

/// With another ipv6_prefix a key means another set of addresses: such a block ends, and is said.
void Controller::drop_other_prefix(std::vector<std::string>& repaired) {
  std::vector<mw_addr> due;
  for (const auto& [key, decision] : decisions_)
    if (!is_ipv4(key) && decision.ipv6_prefix != config_.networks.ipv6_prefix) due.push_back(key);
  for (const mw_addr& key : due) {
    const Decision& decision = decisions_.at(key);
    repaired.push_back("block of " + to_string(decision.prefix()) + " (" + decision.id() +
                       ") ended, since ipv6_prefix is another now; order it again if it is wanted");
    end(key, EndCause::outside, "auto");
  }
}

/// Blocks that mode, allowlist or networks do not permit any more: they end, and a later change of
/// mode does not bring them back.
void Controller::lift_forbidden(std::vector<Decision>* lifted, std::string_view by) {
  std::vector<std::pair<mw_addr, EndCause>> due;
  for (const auto& [key, decision] : decisions_) {
    if (decision.would) continue;
    if (is_allowed(key))
      due.emplace_back(key, EndCause::allowed);
    else if (!is_inside(key))
      due.emplace_back(key, EndCause::outside);
    else if (decision.origin == Origin::automatic && mode_for(key) != Mode::block)
      due.emplace_back(key, EndCause::mode);
  }
  for (const auto& [key, cause] : due) {
    if (lifted != nullptr) lifted->push_back(decisions_.at(key));
    end(key, cause, by);
  }
}

mw_block Controller::kernel_block(const Decision& decision) const {
  const Now now = clock_.now();
  return {.until_ns = decision.until ? to_ns(now.boot_of(*decision.until)) : 0,
          .decision = decision.number,
          .reason = static_cast<__u32>(decision.origin == Origin::automatic ? MW_REASON_EVIDENCE
                                                                            : MW_REASON_MANUAL)};
}

Decision Controller::new_decision(const mw_addr& key) const {
  Decision decision;
  decision.node = config_.node;
  decision.number = last_number_ + 1;
  decision.source = key;
  decision.ipv6_prefix = static_cast<std::uint8_t>(config_.networks.ipv6_prefix);
  decision.since = clock_.now().wall;
  return decision;
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

void Controller::persist(const Decision& decision, bool is_new) {
  if (store_ == nullptr) return;
  const Result<> saved = is_new ? store_->add({decision}) : store_->update(decision);
  if (!saved) unsaved_.push_back({decision, is_new});
  note_store(saved);
}

/// In order, and no further than the first failure: a locked database waits at each.
void Controller::retry_persist() {
  while (!unsaved_.empty()) {
    const auto& [decision, is_new] = unsaved_.front();
    const Result<> saved = is_new ? store_->add({decision}) : store_->update(decision);
    note_store(saved);
    if (!saved) return;
    unsaved_.pop_front();
  }
}

void Controller::note_store(const Result<>& result) {
  const std::string problem = result ? "" : result.error().message;
  if (problem == store_problem_) return;
  store_problem_ = problem;
  if (problem.empty())
    spdlog::info("record recovered");
  else
    spdlog::error("record not-persisted={} effect={}", log_value(problem),
                  log_value("enforcement goes on; tried again each second"));
}

Mode Controller::mode_for(const mw_addr& key) const {
  const Group* best = nullptr;
  int best_bits = -1;
  for (const Group& group : config_.groups)
    for (const Prefix& written : group.networks) {
      // As the kernel's entry: never smaller than a client.
      const Prefix network = as_source(written);
      if (network.contains(key) && network.bits > best_bits) {
        best = &group;
        best_bits = network.bits;
      }
    }
  return best != nullptr && best->mode ? *best->mode : mode_;
}

bool Controller::is_inside(const mw_addr& key) const {
  return std::ranges::any_of(config_.networks.inside,
                             [&](const Prefix& network) { return network.contains(key); });
}

bool Controller::is_allowed(const mw_addr& key) const {
  return !allowed_by(key).empty();
}

std::vector<AllowView> Controller::allow_list() const {
  std::vector<AllowView> list;
  for (const AllowEntry& entry : config_.allow.networks)
    list.push_back({entry.prefix, entry.origin, "", "", std::nullopt});
  for (const AllowEdit& edit : allow_edits_)
    list.push_back({edit.prefix, "command", edit.by, edit.reason, edit.since});
  std::ranges::sort(list, {}, &AllowView::prefix);
  return list;
}

std::vector<AllowView> Controller::allowed_by(const mw_addr& key) const {
  std::vector<AllowView> matching = allow_list();
  // An IPv6 entry inside the client's prefix allows all of it: evidence knows nothing smaller.
  const Prefix source = source_prefix(key, config_.networks.ipv6_prefix);
  std::erase_if(matching, [&](const AllowView& entry) {
    return !entry.prefix.contains(key) && !source.contains(entry.prefix);
  });
  return matching;
}

const Decision* Controller::find_active(const mw_addr& key) const {
  const auto found = decisions_.find(key);
  return found == decisions_.end() ? nullptr : &found->second;
}

std::size_t Controller::enforced() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(decisions_, [](const auto& each) { return !each.second.would; }));
}

std::vector<Decision> Controller::active() const {
  std::vector<Decision> list;
  for (const auto& [key, decision] : decisions_) list.push_back(decision);
  std::ranges::sort(list, {}, &Decision::number);
  return list;
}

std::vector<Decision> Controller::history(const mw_addr& key) const {
  if (store_ == nullptr) return {};
  auto found = store_->history(key, clock_.now().wall - kEscalationMemory);
  return found ? std::move(*found) : std::vector<Decision>{};
}

seconds Controller::next_duration(const mw_addr& key) const {
  return mailweir::next_duration(history(key), make_rule(config_), clock_.now().wall);
}

std::optional<WallTime> Controller::grace_until(const mw_addr& key) const {
  return mailweir::grace_until(history(key), make_rule(config_), clock_.now().wall);
}

}  // namespace mailweir
