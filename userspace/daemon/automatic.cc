// SPDX-License-Identifier: GPL-2.0-or-later
// The controller's automatic part: what the kernel tells, and what follows from it.
#include <spdlog/spdlog.h>

#include "base/log.h"
#include "base/time_text.h"
#include "daemon/controller.h"

namespace mailweir {
namespace {

using std::chrono::seconds;

constexpr seconds kNoteEvery{10};

std::string_view kind_word(__u32 kind) {
  switch (kind) {
    case MW_EVENT_LIMITED:
      return "limited";
    case MW_EVENT_BRAKED:
      return "braked";
    default:
      return "heavy";
  }
}

}  // namespace

void Controller::on_kernel_event(const mw_event& event) {
  if (event.kind >= MW_EVENT_UNANSWERED) return on_outcome(event);
  const WallTime now = clock_.now().wall;
  if (auto [noted, is_new] = last_noted_.try_emplace(event.source, now);
      is_new || now - noted->second >= kNoteEvery) {
    noted->second = now;
    if (const auto source = datapath_.source(event.source); source && *source)
      journal_.add(now, std::string(kind_word(event.kind)), name_of(event.source),
                   evidence(event.source, **source).sentence());
  }
  // The gate may have opened for a source whose score was there already.
  if (scoring_.at_threshold().contains(event.source)) evaluate(event.source);
}

void Controller::on_outcome(const mw_event& event) {
  // What we cut off ourselves says nothing about its source.
  if (const Decision* known = find_active(event.source); known != nullptr && !known->would) return;
  const Scoring::Taken taken = scoring_.take(event);
  note_day(event, taken.counted);
  if (taken.proved) {
    const Now now = clock_.now();
    const WallTime until = now.wall_of(boot_time(scoring_.score(event.source).proven_until_ns));
    journal_.add(now.wall, "proven", name_of(event.source),
                 fmt::format("{} new servers in a row took a message: no brake until {}",
                             kProvenStreak, rfc3339(until)));
    record(
        [source = event.source, until](Store& store) { return store.set_proven(source, until); });
  }
  if (scoring_.at_threshold().contains(event.source)) evaluate(event.source);
}

/// For simulate.
void Controller::note_day(const mw_event& event, bool is_counted) {
  const Now now = clock_.now();
  if (event.kind == MW_EVENT_UNANSWERED) return days_.count_unanswered(event, now.wall);
  if (!is_counted) return;
  const auto source = datapath_.source(event.source);
  if (source && *source) days_.count(event, evidence(event.source, **source).networks, now);
}

void Controller::write_days() {
  auto days = days_.take_changes(clock_.now().wall);
  if (!days.empty())
    record([days = std::move(days)](Store& store) { return store.put_days(days); });
}

void Controller::watch() {
  if (scoring_.watch()) lift_outage_blocks();
  // By copy: a decision spends the score, and takes the source from the set.
  const std::set<mw_addr> due = scoring_.at_threshold();
  for (const mw_addr& key : due) evaluate(key);
  breaker_said_ = breaker_said_ && !may_block();
}

/// What was decided while nobody knew yet that the uplink was down.
void Controller::lift_outage_blocks() {
  const WallTime now = clock_.now().wall;
  std::vector<mw_addr> due;
  for (const auto& [key, decision] : decisions_)
    if (decision.origin == Origin::automatic && now - decision.since < kOutageUnseen)
      due.push_back(key);
  for (const mw_addr& key : due) end(key, EndCause::outage, "auto");
  journal_.add(now, "frozen", "",
               fmt::format("most contacts go unanswered: the uplink is down, not the customers; "
                           "what it cuts off is not scored; {} young blocks lifted",
                           due.size()));
}

void Controller::review() {
  const WallTime now = clock_.now().wall;
  std::erase_if(last_noted_, [&](const auto& noted) { return now - noted.second >= kNoteEvery; });
  scoring_.review();
  write_days();
}

Evidence Controller::evidence(const mw_addr& key, const mw_source& source) const {
  return evidence_of(source, scoring_.score(key), make_rule(config_), clock_.now());
}

std::string Controller::waits_for(const mw_addr& key, const Evidence& evidence) const {
  if (evidence.score_256ths < evidence.threshold_256ths || find_active(key) != nullptr) return {};
  if (evidence.networks < config_.block.servers)
    return fmt::format("the gate: {} of {} new networks", evidence.networks, config_.block.servers);
  if (breaker_said_) return "the circuit breaker: too many automatic blocks at once";
  if (grace_until(key)) return "the end of its grace";
  return {};
}

bool Controller::may_block() {
  return !breaker_.is_open(clock_.now().boot, make_rule(config_).breaker,
                           datapath_.active_sources());
}

void Controller::evaluate(const mw_addr& key) {
  const auto source = datapath_.source(key);
  if (!source || !*source || !is_inside(key)) return;
  const Now now = clock_.now();
  const Rule rule = make_rule(config_);
  Evidence found = evidence(key, **source);
  if (!should_block(found, rule)) return;
  const bool would = mode_for(key) != Mode::block || is_allowed(key);
  if (const Decision* known = find_active(key); known != nullptr && (!known->would || would))
    return;
  const auto earlier = history(key);
  if (mailweir::grace_until(earlier, rule, now.wall)) return;
  if (!would && !may_block()) {
    if (!std::exchange(breaker_said_, true)) {
      const std::string said = fmt::format(
          "{} automatic blocks in {}: something else may be wrong; no more until they are fewer. "
          "Limit and brake go on",
          breaker_.blocks(), duration_text(rule.breaker.window));
      spdlog::error("breaker open because={}", log_value(said));
      journal_.add(now.wall, "breaker", "", said);
    }
    return;
  }

  Decision decision = new_decision(key);
  decision.would = would;
  decision.by = "auto";
  decision.reason = "evidence";
  decision.evidence = std::move(found);
  const seconds lasts = mailweir::next_duration(earlier, rule, now.wall);
  if (lasts != kForever) decision.until = now.wall + lasts;
  const std::optional<WallTime> until = decision.until;
  if (!would) begin_count(key);
  if (auto added = add(std::move(decision)); added) {
    if (!would) breaker_.add_block(now.boot);
    scoring_.spend(key, would || !until ? now.boot : now.boot_of(*until));
    record([key](Store& store) { return store.set_proven(key, std::nullopt); });
  } else {
    spdlog::error("block source={} failed={}", name_of(key), log_value(added.error().message));
  }
}

/// After a reboot the kernel's scores are gone; who has proven to deliver mail is on record.
void Controller::restore_proven() {
  if (store_ == nullptr) return;
  const auto proven = store_->proven(clock_.now().wall);
  note_store(proven ? Result<>(Ok{}) : Result<>(proven.error()));
  if (!proven) return;
  for (const auto& [key, until] : *proven)
    scoring_.restore_proven(key, clock_.now().boot_of(until));
}

}  // namespace mailweir
