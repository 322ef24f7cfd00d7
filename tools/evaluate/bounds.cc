// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/bounds.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace mailweir::evaluate {
namespace {

constexpr double kMostLeaked = 20;
constexpr double kMostDelayed = 1.0 / 1000;
constexpr double kTraceSyns = 25, kTraceSeconds = 4, kTraceMedian = 18;

Bound all_blocked(const ClassScore& bots) {
  return {"every fast, burst, very fast and multi-port bot is blocked",
          fmt::format("{} of {}", bots.blocked, bots.sources), bots.blocked == bots.sources};
}

Bound little_leaks(const ClassScore& bots) {
  const double median = quantile(bots.leaks, .5);
  return {fmt::format("of these, the median leaks at most {:.0f} SYNs", kMostLeaked),
          fmt::format("{:.0f}", median), median <= kMostLeaked};
}

Bound no_other_is_better(const Findings& findings) {
  const double ours = quantile(findings.mailweir.fast_bots().leaks, .5);
  const std::uint64_t our_false = findings.mailweir.honest().blocked;
  std::string better;
  for (const Scorecard& other : findings.baselines)
    if (quantile(other.fast_bots().leaks, .5) < ours && other.honest().blocked <= our_false)
      better += (better.empty() ? "" : ", ") + other.detector;
  return {"no baseline leaks fewer (median) with as few false blocks",
          better.empty() ? "none" : better, better.empty()};
}

void add_trace_bounds(const Traces& traces, std::vector<Bound>& bounds) {
  const BotCapture& bot = traces.bot;
  const double syns = quantile(bot.syns, 1);
  const double seconds = quantile(bot.seconds, 1);
  bounds.push_back({fmt::format("the captured bot is blocked under all of {} seeds", bot.seeds),
                    fmt::format("{}", bot.syns.size()), bot.syns.size() == bot.seeds});
  bounds.push_back({fmt::format("at SYN {:.0f} or before", kTraceSyns), fmt::format("{:.0f}", syns),
                    syns <= kTraceSyns});
  bounds.push_back({fmt::format("within {:.0f} s", kTraceSeconds), fmt::format("{:.1f} s", seconds),
                    seconds <= kTraceSeconds});
  const double median = quantile(bot.syns, .5);
  bounds.push_back({fmt::format("in the median at SYN {:.0f} or before", kTraceMedian),
                    fmt::format("{:.0f}", median), median <= kTraceMedian});
  std::uint64_t wronged = 0, sources = 0, syns_seen = 0;
  for (const OtherCapture& other : traces.others) {
    wronged += other.blocked + other.held;
    sources += other.sources;
    syns_seen += other.syns;
  }
  bounds.push_back(
      {"nobody in the other captures is blocked or braked",
       fmt::format("{} ({} sources, only {} SYNs to judged ports)", wronged, sources, syns_seen),
       wronged == 0});
}

}  // namespace

std::vector<Bound> bounds_of(const Findings& findings) {
  const ClassScore bots = findings.mailweir.fast_bots();
  ClassScore honest = findings.mailweir.honest();
  honest.add(findings.flood.honest());
  std::vector<Bound> bounds{all_blocked(bots), little_leaks(bots)};
  bounds.push_back(
      {"no plain, heavy or outage client, no mail server and no mailing with .9 productive is "
       "blocked",
       fmt::format("{} of {} source-days", honest.blocked, honest.sources), honest.blocked == 0});
  bounds.push_back({"none of their letters is lost",
                    fmt::format("{} of {}", honest.lost, honest.deliveries), honest.lost == 0});
  const double delayed = honest.deliveries == 0 ? 0
                                                : static_cast<double>(honest.delayed) /
                                                      static_cast<double>(honest.deliveries);
  bounds.push_back({"at most 1 of 1,000 is delayed by more than 10 s",
                    fmt::format("{} of {}", honest.delayed, honest.deliveries),
                    delayed <= kMostDelayed});
  bounds.push_back(no_other_is_better(findings));
  if (findings.traces) add_trace_bounds(*findings.traces, bounds);
  bounds.push_back({"each packet was one run of the kernel program",
                    fmt::format("{} = {}", findings.packets, findings.runs),
                    findings.packets == findings.runs});
  return bounds;
}

}  // namespace mailweir::evaluate
