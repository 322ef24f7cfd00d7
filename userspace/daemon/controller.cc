// SPDX-License-Identifier: GPL-2.0-or-later
// Rules and kernel: start, reload, expiry, entries made by hand. What people order is in
// orders.cc, what the rule decides in automatic.cc, what the record is told in record.cc.
#include "daemon/controller.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/log.h"
#include "base/time_text.h"

namespace mailweir {
namespace {

using std::chrono::seconds;

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
  if (auto applied = apply_rules(); !applied) {
    // A start never depends on what somebody allowed: they are on record, not in force.
    const auto left_out = std::exchange(allow_edits_, {});
    if (left_out.empty()) return std::move(applied).error();
    spdlog::error("allow left-out={} because={}", left_out.size(),
                  log_value(applied.error().message));
    if (auto without = apply_rules(); !without) return std::move(without).error();
  }
  if (auto done = reconcile(repaired); !done) return std::move(done).error();
  restore_proven();
  if (auto today = days_since(std::chrono::floor<std::chrono::days>(clock_.now().wall)))
    days_.resume(*today);
  scoring_.review();
  end_would_blocks();
  remember_blocks();
  lift_forbidden(nullptr, "auto");
  is_started_ = true;
  return repaired;
}

Result<> Controller::apply_rules() {
  std::vector<Prefix> edits;
  for (const AllowEdit& edit : allow_edits_) edits.push_back(edit.prefix);
  scoring_.configure(make_rule(config_), config_.block.confirm);
  return datapath_.apply(make_ruleset(config_, edits, mode_, own_addresses_));
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
  if (is_new_mode)
    record([order = ModeOrder{mode_, config_.mode, "file", clock_.now().wall}](Store& store) {
      return store.set_mode_order(order);
    });
  lift_forbidden(nullptr, "auto");
  end_would_blocks();
  // The thresholds may be others now.
  scoring_.review();
  mirror_due_ = true;
  journal_.add(clock_.now().wall, "reload", "", "configuration reloaded");
  return Ok{};
}

void Controller::set_own_addresses(std::vector<mw_addr> addresses) {
  if (config_.shield.ports.empty()) addresses.clear();
  if (addresses == own_addresses_) return;
  own_addresses_ = std::move(addresses);
  if (!is_started_) return;
  if (auto applied = apply_rules(); !applied)
    spdlog::error("shield failed={}", log_value(applied.error().message));
}

Result<> Controller::open_gate() {
  // A controller that was never heard of is one the program does not enforce for.
  Ruleset rules = make_ruleset(config_, {}, mode_, {});
  rules.dead_man = std::chrono::nanoseconds(1);
  if (auto applied = datapath_.apply(rules); !applied) return applied;
  return datapath_.beat(BootTime{});
}

void Controller::tick() {
  if (auto beaten = datapath_.beat(clock_.now().boot); !beaten)
    spdlog::error("heartbeat failed={}", log_value(beaten.error().message));
  retry_record();
  retry_waiting();
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
    if (found == in_kernel.end() && !waiting_.contains(key))
      gone.push_back(key);
    else if (found != in_kernel.end() && found->second.decision == decision.number)
      follow_kernel(decision, found->second);
  }
  for (const mw_addr& key : gone) end(key, EndCause::removed, "bpftool");
  for (const auto& [key, block] : in_kernel) {
    const Decision* known = find_active(key);
    if (known == nullptr || known->would || known->number != block.decision) adopt(key, block);
  }
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
  // One with a number is ours, from a record that was lost.
  const bool is_ours = block.decision != 0;
  const bool is_automatic = is_ours && block.reason != MW_REASON_MANUAL;
  decision.origin = is_automatic ? Origin::automatic : is_ours ? Origin::manual : Origin::bpftool;
  decision.by = is_automatic ? "auto" : is_ours ? "unknown" : "bpftool";
  decision.reason = is_automatic ? "evidence, its record was lost"
                    : is_ours    ? "its record was lost"
                                 : "written into the blocklist map by hand";
  if (block.until_ns != 0) decision.until = now.wall_of(boot_time(block.until_ns));
  if (auto added = add(decision); !added)
    spdlog::error("adopt source={} failed={}", name_of(key), log_value(added.error().message));
}

/// What an end that was interrupted has left is not counted for the next block.
void Controller::begin_count(const mw_addr& key) {
  const Decision* const known = find_active(key);
  if (known != nullptr && !known->would) return;
  if (auto forgotten = datapath_.forget_drops(key); !forgotten)
    spdlog::error("blocklist failed={}", log_value(forgotten.error().message));
}

/// Record, then kernel, then mirror. A failing record does not hold up enforcement.
Result<> Controller::add(Decision decision) {
  last_number_ = decision.number;
  if (auto numbered = datapath_.set_last_decision(decision.number); !numbered) return numbered;
  persist(decision, true);
  if (!decision.would) {
    if (auto put = enforce(decision); !put) {
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

/// A full map holds up neither the record nor the mirror.
Result<> Controller::enforce(const Decision& decision) {
  auto put = datapath_.put_block(decision.source, kernel_block(decision));
  if (put) {
    waiting_.erase(decision.source);
    return put;
  }
  if (put.error().code != E2BIG) return put;
  waiting_.insert(decision.source);
  if (const WallTime now = clock_.now().wall; now - full_said_ >= std::chrono::minutes(1)) {
    full_said_ = now;
    spdlog::error("blocklist full={} effect={}", datapath_.block_capacity(),
                  log_value("new blocks are recorded and mirrored, not in the kernel program: "
                            "unblock some, or raise [maps] blocks"));
  }
  return Ok{};
}

void Controller::retry_waiting() {
  const std::set<mw_addr> due = waiting_;
  for (const mw_addr& key : due) {
    const Decision* decision = find_active(key);
    if (decision == nullptr || decision->would) {
      waiting_.erase(key);
      continue;
    }
    if (auto put = datapath_.put_block(key, kernel_block(*decision)); !put) return;
    waiting_.erase(key);
    spdlog::info("block source={} id={} effect={}", name_of(key), decision->id(),
                 log_value("in the kernel's blocklist now"));
  }
}

void Controller::end(const mw_addr& key, EndCause cause, std::string_view by) {
  const auto found = decisions_.find(key);
  if (found == decisions_.end()) return;
  Decision decision = std::move(found->second);
  decisions_.erase(found);
  if (cause != EndCause::replaced) waiting_.erase(key);
  decision.ended = clock_.now().wall;
  decision.end_cause = cause;
  if (auto dropped = datapath_.drops(key); dropped && !decision.would) {
    decision.dropped_packets = dropped->packets;
    decision.dropped_bytes = dropped->bytes;
  }
  persist(decision, false);
  if (when_ended_ && cause != EndCause::replaced) when_ended_(decision);
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
      std::ranges::count_if(decisions_, [](const auto& each) { return !each.second.would; }) -
      std::ssize(waiting_));
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

Result<std::vector<SourceDay>> Controller::days_since(std::chrono::sys_days day) const {
  if (store_ == nullptr) return std::vector<SourceDay>{};
  return store_->days_since(day);
}

seconds Controller::next_duration(const mw_addr& key) const {
  return mailweir::next_duration(history(key), make_rule(config_), clock_.now().wall);
}

std::optional<WallTime> Controller::grace_until(const mw_addr& key) const {
  return mailweir::grace_until(history(key), make_rule(config_), clock_.now().wall);
}

}  // namespace mailweir
