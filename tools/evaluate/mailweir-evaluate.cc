// SPDX-License-Identifier: GPL-2.0-or-later
// Days through the detector and through other rules, recorded traffic, the report, and whether the
// bounds hold: exit 0 or 1.
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <thread>

#include "evaluate/baselines.h"
#include "evaluate/picture.h"
#include "evaluate/report.h"

namespace mailweir::evaluate {
namespace {

namespace fs = std::filesystem;

struct Order {
  std::uint32_t seeds = 10, clients = 10'000, jobs = 2;
  bool quick = false;
  std::string traces, docs = "docs";
};

constexpr std::uint32_t kTraceSeeds = 20;
constexpr std::uint32_t kFloodDays = 2, kAblationDays = 3;

std::vector<Setting> ablations() {
  const auto with = [](const std::string& name, const std::function<void(Config&)>& change) {
    Setting setting{.name = name, .config = default_policy()};
    change(setting.config);
    return setting;
  };
  std::vector<Setting> all{
      with("no gate (servers 1)", [](Config& config) { config.block.servers = 1; }),
      with("message_bytes 150", [](Config& config) { config.block.message_bytes = 150; }),
      with("message_bytes 600", [](Config& config) { config.block.message_bytes = 600; }),
      with("score 4.6", [](Config& config) { config.block.score = 4.6; }),
      with("score 13.8", [](Config& config) { config.block.score = 13.8; }),
      with("contacts by address", [](Config&) {})};
  all.back().one_network_each = true;
  return all;
}

/// Work that is done side by side; where each puts its result is its own, so that the order in
/// which they end does not show.
class Jobs {
 public:
  void add(std::function<void()> job) { jobs_.push_back(std::move(job)); }

  void run(std::uint32_t threads) {
    std::atomic<std::size_t> next = 0;
    std::mutex failing;
    std::exception_ptr failed;
    const auto work = [&] {
      for (std::size_t at; (at = next++) < jobs_.size();) try {
          jobs_[at]();
        } catch (...) {
          const std::scoped_lock lock(failing);
          failed = std::current_exception();
          next = jobs_.size();
        }
    };
    {
      std::vector<std::jthread> workers;
      for (std::uint32_t i = 0; i < std::max(threads, 1U); ++i) workers.emplace_back(work);
    }
    if (failed) std::rethrow_exception(failed);
  }

 private:
  std::vector<std::function<void()>> jobs_;
};

struct Days {
  std::vector<Trial> mailweir, flood, early_repeats;
  std::vector<std::vector<Trial>> baselines;  ///< by seed
  std::vector<std::vector<Trial>> ablations;  ///< by setting
  Trial margins;
};

Trial told(Trial trial, const std::string& what) {
  fmt::print("{:<34} {:>10} packets {:>10} runs {:>7.1f} s\n",
             fmt::format("{}, {}, seed {}", what, trial.detector, trial.seed), trial.frames,
             trial.runs, trial.took);
  std::fflush(stdout);
  return trial;
}

Days run_days(const Order& order, const Plan& day, const Plan& flood, const Plan& margins) {
  const Setting ours{.name = "mailweir", .config = default_policy()};
  const Setting repeating{
      .name = "early repeats", .config = default_policy(), .early_repeats = true};
  const std::vector<Setting> settings = ablations();
  const std::uint32_t few = std::min(order.seeds, order.quick ? 1U : kAblationDays);
  const std::uint32_t floods = std::min(order.seeds, order.quick ? 1U : kFloodDays);
  Days days;
  days.mailweir.resize(order.seeds);
  days.baselines.resize(order.seeds);
  days.flood.resize(floods);
  days.early_repeats.resize(order.seeds);
  days.ablations.assign(settings.size(), std::vector<Trial>(few));

  Jobs jobs;
  for (std::uint32_t i = 0; i < floods; ++i)
    jobs.add([&, i] { days.flood[i] = told(run_mailweir(ours, flood, i + 1), "flood"); });
  for (std::uint32_t i = 0; i < order.seeds; ++i) {
    jobs.add([&, i] { days.mailweir[i] = told(run_mailweir(ours, day, i + 1), "day"); });
    jobs.add([&, i] { days.baselines[i] = run_baselines(day, i + 1); });
    jobs.add([&, i] { days.early_repeats[i] = told(run_mailweir(repeating, day, i + 1), "day"); });
  }
  jobs.add([&] { days.margins = told(run_mailweir(ours, margins, 1), "margins"); });
  for (std::size_t kind = 0; kind < settings.size(); ++kind)
    for (std::uint32_t i = 0; i < few; ++i)
      jobs.add([&, kind, i] {
        days.ablations[kind][i] = told(run_mailweir(settings[kind], day, i + 1), "ablation");
      });
  jobs.run(order.jobs);
  return days;
}

void count(Findings& findings, const Trial& trial) {
  findings.packets += trial.frames;
  findings.runs += trial.runs;
}

Findings findings_of(const Order& order, const Days& days) {
  Findings findings{.seeds = order.seeds, .clients = order.clients};
  for (const Trial& trial : days.mailweir) {
    findings.mailweir.add(trial);
    count(findings, trial);
  }
  for (const Trial& trial : days.flood) {
    findings.flood.add(trial);
    count(findings, trial);
  }
  for (const Trial& trial : days.early_repeats) {
    findings.early_repeats.add(trial);
    count(findings, trial);
  }
  findings.baselines.resize(baseline_kinds().size());
  for (const auto& seed : days.baselines)
    for (std::size_t kind = 0; kind < seed.size(); ++kind) findings.baselines[kind].add(seed[kind]);
  findings.ablation_seeds = static_cast<std::uint32_t>(days.ablations.front().size());
  for (std::uint32_t i = 0; i < findings.ablation_seeds; ++i)
    findings.with_few_seeds.add(days.mailweir[i]);
  for (const auto& kind : days.ablations) {
    findings.ablations.emplace_back();
    for (const Trial& trial : kind) {
      findings.ablations.back().add(trial);
      count(findings, trial);
    }
  }
  add(findings.margins, days.margins);
  count(findings, days.margins);
  return findings;
}

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  if (!file) throw std::runtime_error("write " + path.string() + ": it cannot be written");
}

int evaluate(const Order& order, const std::string& command) {
  spdlog::set_level(spdlog::level::off);
  const Plan day{.clients = order.clients};
  const Plan flood{.part = Plan::Part::flood, .forged = order.quick ? 200'000U : 1'000'000U};
  const Plan margins{.part = Plan::Part::margins, .trials = order.quick ? 3U : 20U};
  Findings findings = findings_of(order, run_days(order, day, flood, margins));
  findings.forged = flood.forged;
  findings.trials = margins.trials;
  if (!order.traces.empty()) {
    auto traces = judge_traces(order.traces, kTraceSeeds);
    if (!traces) throw std::runtime_error(traces.error().message);
    findings.packets += traces->frames;
    findings.runs += traces->runs;
    findings.traces = std::move(*traces);
  }

  write(order.docs + "/evaluation.md", report(findings, command));
  write(order.docs + "/evaluation/leak.svg", leak_picture(findings));
  write(order.docs + "/evaluation/margins.svg", margin_picture(findings));

  fmt::print("\n{} packets, {} runs of the kernel program\n", findings.packets, findings.runs);
  bool all_hold = true;
  for (const Bound& bound : bounds_of(findings)) {
    fmt::print("{:<4} {}: {}\n", bound.holds ? "yes" : "NO", bound.says, bound.found);
    all_hold = all_hold && bound.holds;
  }
  if (!findings.traces) fmt::print("no recorded traffic: its bounds were not tried\n");
  fmt::print("{}: {}/evaluation.md\n", all_hold ? "all bounds hold" : "not all bounds hold",
             order.docs);
  return all_hold ? 0 : 1;
}

}  // namespace
}  // namespace mailweir::evaluate

int main(int argc, char** argv) {
  mailweir::evaluate::Order order;
  CLI::App app{"The detector against a synthetic day, recorded traffic and other rules."};
  const auto* seeds = app.add_option("--seeds", order.seeds, "days")->check(CLI::Range(1, 1000));
  app.add_option("--clients", order.clients, "of the gateway; a tenth of them mails")
      ->check(CLI::Range(1000, 100'000));
  app.add_flag("--quick", order.quick, "2 days, 200,000 forged sources, fewer trials");
  app.add_option("--jobs", order.jobs, "side by side");
  app.add_option("--traces", order.traces, "folder of recorded traffic");
  app.add_option("--docs", order.docs, "where evaluation.md and its pictures are written");
  CLI11_PARSE(app, argc, argv);
  if (order.quick && seeds->count() == 0) order.seeds = 2;
  std::string command = fmt::format("scripts/evaluate --seeds {}", order.seeds);
  if (order.clients != 10'000) command += fmt::format(" --clients {}", order.clients);
  if (order.quick) command += " --quick";
  try {
    return mailweir::evaluate::evaluate(order, command);
  } catch (const std::exception& failed) {
    fmt::print(stderr, "mailweir-evaluate: {}\n", failed.what());
    return 2;
  }
}
