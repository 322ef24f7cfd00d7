// SPDX-License-Identifier: GPL-2.0-or-later
// The two seams as values a test can set: a kernel that only remembers, and a clock that stands.
#pragma once

#include <map>

#include "base/clock.h"
#include "datapath/datapath.h"

namespace mailweir {

class FakeClock final : public Clock {
 public:
  Now now() const override { return now_; }
  void advance(std::chrono::nanoseconds by) {
    now_.boot += by;
    now_.wall += std::chrono::duration_cast<WallTime::duration>(by);
  }
  /// Somebody sets the wall clock; boot time does not care.
  void step_wall(std::chrono::seconds by) { now_.wall += by; }

 private:
  Now now_{
      BootTime(std::chrono::hours(1)),
      WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 24) + std::chrono::hours(13))};
};

class FakeDatapath final : public Datapath {
 public:
  Result<> apply(const Ruleset& rules) override {
    applied = rules;
    return Ok{};
  }
  Result<> beat(BootTime now) override {
    heartbeat = now;
    return Ok{};
  }
  std::uint32_t last_decision() const override { return last_number; }
  Result<> set_last_decision(std::uint32_t number) override {
    last_number = number;
    return Ok{};
  }
  Result<> put_block(const mw_addr& source, const mw_block& block) override {
    if (blocklist.size() >= capacity && !blocklist.contains(source))
      return Error{E2BIG, "blocklist full"};
    blocklist[source] = block;
    return Ok{};
  }
  Result<> remove_block(const mw_addr& source) override {
    blocklist.erase(source);
    return Ok{};
  }
  Result<std::vector<std::pair<mw_addr, mw_block>>> blocks() override {
    return std::vector<std::pair<mw_addr, mw_block>>(blocklist.begin(), blocklist.end());
  }
  Result<mw_drops> drops(const mw_addr& source) override { return dropped[source]; }
  Result<> forget_drops(const mw_addr& source) override {
    dropped.erase(source);
    return Ok{};
  }
  Result<std::optional<mw_source>> source(const mw_addr& key) override {
    const auto found = sources.find(key);
    return found == sources.end() ? std::optional<mw_source>() : std::optional(found->second);
  }
  Result<> each_source(
      const std::function<void(const mw_addr&, const mw_source&)>& visit) override {
    for (const auto& [key, source] : sources) visit(key, source);
    return Ok{};
  }
  Result<std::optional<std::uint32_t>> some_sources(
      std::optional<std::uint32_t> cursor, std::uint32_t most,
      const std::function<void(const mw_addr&, const mw_source&)>& visit) override {
    std::uint32_t at = 0;
    for (const auto& [key, source] : sources) {
      if (at >= cursor.value_or(0) + most) return std::optional<std::uint32_t>(at);
      if (at++ >= cursor.value_or(0)) visit(key, source);
    }
    return std::optional<std::uint32_t>();
  }
  Result<std::map<unsigned, mw_counters>> counters() override {
    return std::map<unsigned, mw_counters>{};
  }
  Result<std::optional<mw_score>> score(const mw_addr& source) override {
    const auto found = scored.find(source);
    return found == scored.end() ? std::optional<mw_score>() : std::optional(found->second);
  }
  Result<> put_score(const mw_addr& source, const mw_score& score) override {
    scored[source] = score;
    return Ok{};
  }
  Result<> remove_score(const mw_addr& source) override {
    scored.erase(source);
    return Ok{};
  }
  Result<std::vector<std::pair<mw_addr, mw_score>>> scores() override {
    return std::vector<std::pair<mw_addr, mw_score>>(scored.begin(), scored.end());
  }
  Result<> sweep_flows() override { return Ok{}; }
  Result<mw_contacts> contacts() override { return counted; }
  std::uint64_t tracked_sources() const override { return sources.size(); }
  std::uint64_t active_sources() const override { return active; }
  Confirmation confirm(const mw_event&) override { return confirmation; }
  std::pair<BootTime, BootTime> frozen() const override { return freeze; }
  Result<> set_frozen(BootTime since, BootTime until) override {
    freeze = {since, until};
    return Ok{};
  }
  Result<> set_log(const LogRules& rules) override {
    log_rules = rules;
    return Ok{};
  }
  LogRules log() const override { return log_rules; }
  void when_logged(std::function<void(const mw_logged_syn&)> told) override {
    logged_syn = std::move(told);
  }
  Result<> each_logged(
      const std::function<void(const mw_addr&, const mw_logged&)>& visit) override {
    for (const auto& [key, entry] : logged) visit(key, entry);
    return Ok{};
  }
  Result<mw_log_counts> log_counts() override { return counted_lines; }
  std::uint32_t source_capacity() const override { return 65536; }
  std::uint32_t block_capacity() const override { return capacity; }
  int events_fd() const override { return -1; }
  void read_events(const std::function<void(const mw_event&)>&) override {}
  std::uint64_t events_lost() const override { return 0; }
  std::vector<Attachment> attach(const std::vector<std::string>&, AttachChoice) override {
    return {};
  }
  std::vector<Attachment> check_attached() override { return {}; }
  std::string pin_problem() const override { return ""; }

  Ruleset applied;
  BootTime heartbeat;
  std::uint32_t last_number = 0;
  std::uint32_t capacity = 8;
  std::map<mw_addr, mw_block> blocklist;
  std::map<mw_addr, mw_drops> dropped;
  std::map<mw_addr, mw_source> sources;
  std::map<mw_addr, mw_score> scored;
  mw_contacts counted{};
  LogRules log_rules{};
  std::function<void(const mw_logged_syn&)> logged_syn;
  std::map<mw_addr, mw_logged> logged;
  mw_log_counts counted_lines{};
  std::uint64_t active = 0;
  Confirmation confirmation = Confirmation::confirmed;
  std::pair<BootTime, BootTime> freeze;
};

}  // namespace mailweir
