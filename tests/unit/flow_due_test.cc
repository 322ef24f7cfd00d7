// SPDX-License-Identifier: GPL-2.0-or-later
// bpf/flow.h on the host: what time tells of a flow, when it is a message, and two CPUs at it.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "flow_fixture.h"

namespace mailweir {
namespace {

TEST(FlowDue, JudgesByTimeAlone) {
  struct Case {
    const char* what;
    std::uint32_t state, heard;
    std::uint64_t from_ns;
    enum mw_flow_due before, after;
  };
  const Case kCases[] = {
      {"no handshake", MW_FLOW_SENT, 0, MW_ANSWER_NS, MW_DUE_NOT, MW_DUE_UNANSWERED},
      {"a silent server", MW_FLOW_OPEN, 0, MW_SILENT_NS, MW_DUE_QUIET, MW_DUE_OVER},
      {"no end", MW_FLOW_OPEN, 1, MW_OVERDUE_NS, MW_DUE_QUIET, MW_DUE_OVER},
      {"no end, TLS", MW_FLOW_TLS, 2000, MW_OVERDUE_NS, MW_DUE_QUIET, MW_DUE_OVER},
      {"told", MW_FLOW_JUDGED, 0, MW_OVERDUE_NS, MW_DUE_NOT, MW_DUE_NOT},
      {"held", MW_FLOW_HELD, 0, MW_OVERDUE_NS, MW_DUE_NOT, MW_DUE_NOT},
      {"free", MW_FLOW_FREE, 0, MW_OVERDUE_NS, MW_DUE_NOT, MW_DUE_NOT},
      {"being written", MW_FLOW_BUSY, 0, MW_OVERDUE_NS, MW_DUE_NOT, MW_DUE_NOT},
  };
  constexpr std::uint64_t kTick = 1 << MW_FLOW_TICK_SHIFT;  // as exact as the clock of a flow
  for (const Case& tested : kCases)
    for (const std::uint32_t contact : {0, MW_FLOW_CONTACT}) {
      Flow flow(1000, 2000);
      (void)flow.ack(0);
      (void)flow.data(0, 74, tested.heard);
      flow.word() = mw_flow_word(kTag, kNow, 0, tested.state | contact);
      EXPECT_EQ(tested.before, flow.due(tested.from_ns - kTick)) << tested.what;
      EXPECT_EQ(tested.after, flow.due(tested.from_ns + kTick)) << tested.what;
      EXPECT_EQ(tested.before, flow.due(-kSecond)) << tested.what << ", by an older clock reading";
    }
}

TEST(FlowDue, IsOverAfterAMinuteWithoutAWordOfTheClient) {
  constexpr std::uint64_t kMark = 100 * kSecond;
  Flow flow(1000, 2000);
  (void)flow.ack(0);
  (void)flow.data(0, 74, 100);
  flow.mark_quiet(kMark);
  EXPECT_EQ(MW_DUE_NOT, flow.due(kMark + 59 * kSecond));
  EXPECT_EQ(MW_DUE_OVER, flow.due(kMark + 61 * kSecond));
  EXPECT_EQ(kNothing, flow.ack(73, 100)) << "a keep-alive is one";
  EXPECT_EQ(MW_DUE_QUIET, flow.due(kMark + 61 * kSecond)) << "to be marked anew";
  EXPECT_TRUE(mw_flow_is_contact(flow.word()));
  flow.mark_quiet(kMark + 61 * kSecond);
  EXPECT_EQ(over(74, 100), flow.fin(74));
}

TEST(FlowMeasure, IsAMessageFromTheThresholdOnThatTheSessionCallsFor) {
  struct Case {
    std::uint32_t sent;
    bool tls, message, enough;
  };
  constexpr Case kCases[] = {
      {0, false, false, false},   {299, false, false, false}, {300, false, true, false},
      {4095, false, true, false}, {4096, false, true, true},  {300, true, false, false},
      {449, true, false, false},  {450, true, true, true},
  };
  for (const Case& tested : kCases) {
    const mw_flow_measure measure{.sent_bytes = tested.sent, .is_tls = tested.tls};
    EXPECT_EQ(tested.message, mw_is_message(&measure, &kSettings) != 0) << tested.sent;
    EXPECT_EQ(tested.enough, mw_is_enough(&measure, &kSettings) != 0) << tested.sent;
  }
}

constexpr std::size_t kFlows = 20'000;

/// `work(cpu, flow)` of each flow by two threads, which come to it at the same time.
template <typename Work>
void on_two_cpus(Work work) {
  std::atomic<std::size_t> arrived{0};
  const auto run = [&](std::size_t cpu) {
    for (std::size_t i = 0; i < kFlows; ++i) {
      ++arrived;
      for (int spins = 0; arrived < 2 * (i + 1); ++spins)
        if (spins > 10'000) std::this_thread::yield();
      work(cpu, i);
    }
  };
  std::thread other(run, 1);
  run(0);
  other.join();
}

TEST(FlowOnTwoCpus, HasOneOutcomeWithAllThatItsClientSent) {
  std::vector<Flow> flows(kFlows, Flow(1000, 2000));
  std::vector<std::array<Told, 2>> told(kFlows);
  for (Flow& flow : flows) (void)flow.data(0, 80, 10);
  on_two_cpus([&](std::size_t cpu, std::size_t i) {
    // One CPU has its last data while the other has its end already.
    if (cpu == i % 2) (void)flows[i].data(80, 106, 20);
    told[i][cpu] = flows[i].fin(186, 30);
  });

  int wrong = 0;
  for (const auto& [one, another] : told) {
    ASSERT_EQ(1, (one.news != 0) + (another.news != 0));
    wrong += (one.news != 0 ? one : another) != over(186, 20);
  }
  EXPECT_EQ(0, wrong) << "of " << kFlows;
}

TEST(FlowOnTwoCpus, HearsItsServerOnce) {
  std::vector<Flow> flows(kFlows, Flow(1000, 2000));
  std::vector<std::array<bool, 2>> told(kFlows);
  for (Flow& flow : flows) (void)flow.ack(0);
  on_two_cpus([&](std::size_t cpu, std::size_t i) {
    const mw_segment ack = flows[i].segment(0, 0, cpu == 0 ? 10 : 20);
    mw_flow_measure measure{};
    __u64 word = 0;
    told[i][cpu] =
        (mw_flow_take(&flows[i].source(), kIndex, kTag, &ack, &kSettings, &measure, &word) &
         MW_NEWS_HEARD) != 0;
  });
  int wrong = 0;
  for (const auto& [one, another] : told) wrong += one == another;
  EXPECT_EQ(0, wrong) << "of " << kFlows;
}

}  // namespace
}  // namespace mailweir
