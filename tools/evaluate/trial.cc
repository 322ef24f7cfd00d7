// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/trial.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>

#include "evaluate/baselines.h"
#include "replay/replay.h"

namespace mailweir::evaluate {
namespace {

class OpenGate final : public Gate {
 public:
  bool meet(ReplayFrame&) override { return true; }
  [[nodiscard]] bool is_blocked(const mw_addr&) const override { return false; }
};

class MailweirGate final : public Gate {
 public:
  explicit MailweirGate(const ReplayOptions& options) {
    // libbpf keeps its last words in one place for all.
    static std::mutex loading;
    const std::scoped_lock lock(loading);
    auto opened = Replay::open(options);
    if (!opened) throw std::runtime_error(opened.error().message);
    replay_ = std::move(*opened);
  }
  bool meet(ReplayFrame& frame) override {
    auto met = replay_->meet(frame);
    if (!met) throw std::runtime_error(met.error().message);
    return *met;
  }
  [[nodiscard]] bool is_blocked(const mw_addr& source) const override {
    return replay_->is_blocked(source);
  }
  [[nodiscard]] ReplayResult finish() { return replay_->finish(); }

 private:
  std::unique_ptr<Replay> replay_;
};

/// While it lives the thread stays on one CPU: each on the next of those it may use, so that two
/// threads are not in each other's way.
class OnOneCpu {
 public:
  OnOneCpu() {
    static std::atomic<int> next = 0;
    ::sched_getaffinity(0, sizeof(before_), &before_);
    int skip = next++ % std::max(1, CPU_COUNT(&before_));
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &before_) || skip-- > 0) continue;
      CPU_SET(cpu, &one);
      break;
    }
    ::sched_setaffinity(0, sizeof(one), &one);
  }
  ~OnOneCpu() { ::sched_setaffinity(0, sizeof(before_), &before_); }
  OnOneCpu(const OnOneCpu&) = delete;
  OnOneCpu& operator=(const OnOneCpu&) = delete;

 private:
  cpu_set_t before_{};
};

/// More than mail on a day: a larger table is as good, but its sweeps take four times as long as
/// all the rest. The flood meets the default one, full.
constexpr std::uint32_t kTable = 8192, kFloodTable = 65536;

void populate(Day& day, const Plan& plan) {
  switch (plan.part) {
    case Plan::Part::day:
      (void)populate(day, plan.clients);
      break;
    case Plan::Part::flood:
      populate_flood(day, plan.forged);
      break;
    case Plan::Part::margins:
      populate_margins(day, plan.trials);
      break;
  }
}

}  // namespace

Config default_policy() {
  Config config;
  config.networks.inside = {*parse_prefix("172.16.0.0/12")};
  config.node = "evaluate";
  return config;
}

Trial run_mailweir(const Setting& setting, const Plan& plan, std::uint64_t seed) {
  std::optional<OnOneCpu> pinned;
  if (plan.part == Plan::Part::flood) pinned.emplace();
  const ReplayOptions options{.config = setting.config,
                              .sources = plan.part == Plan::Part::flood ? kFloodTable : kTable,
                              .seed = seed_of(seed, 60)};
  MailweirGate gate(options);
  Day day({.seed = seed,
           .one_network_each = setting.one_network_each,
           .early_repeats = setting.early_repeats},
          gate, nullptr);
  populate(day, plan);
  day.run();

  const ReplayResult result = gate.finish();
  Trial trial{.detector = setting.name,
              .seed = seed,
              .frames = day.frames(),
              .runs = result.runs,
              .froze = result.froze,
              .took = std::chrono::duration<double>(result.took).count()};
  for (SourceDay& source : day.sources()) {
    if (!source.first_syn) continue;
    Judged judged{.day = std::move(source)};
    if (const auto found = result.sources.find(judged.day.address); found != result.sources.end()) {
      judged.blocks = found->second.blocks;
      if (found->second.block)
        judged.blocked =
            std::chrono::duration_cast<Time>(found->second.block->since - day_begins());
    }
    trial.sources.push_back(std::move(judged));
  }
  return trial;
}

std::vector<Trial> run_baselines(const Plan& plan, std::uint64_t seed) {
  const auto began = std::chrono::steady_clock::now();
  OpenGate gate;
  Baselines baselines;
  Day day({.seed = seed}, gate, &baselines);
  populate(day, plan);
  day.run();
  const double took =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();

  std::vector<Trial> trials;
  for (std::size_t kind = 0; kind < baseline_kinds().size(); ++kind) {
    Trial trial{.detector = baseline_kinds()[kind].name,
                .seed = seed,
                .frames = day.frames(),
                .took = took};
    for (std::uint32_t i = 0; i < day.sources().size(); ++i) {
      const SourceDay& source = day.source(i);
      if (!source.first_syn) continue;
      Judged judged{.day = source, .blocked = baselines.alarm(kind, i)};
      // The SYN that raises an alarm is not let through.
      if (judged.blocked) *judged.blocked -= Time(1);
      judged.blocks = judged.blocked ? 1 : 0;
      if (judged.blocked)
        judged.day.lost = static_cast<std::uint64_t>(
            source.began.end() - std::ranges::upper_bound(source.began, *judged.blocked));
      trial.sources.push_back(std::move(judged));
    }
    trials.push_back(std::move(trial));
  }
  return trials;
}

}  // namespace mailweir::evaluate
