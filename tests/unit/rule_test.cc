// SPDX-License-Identifier: GPL-2.0-or-later
// The automatic rule: what is counted, when it blocks, for how long, and when it must not.
#include "policy/rule.h"

#include <gtest/gtest.h>

namespace mailweir {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kSlice = 1000;
const WallTime kWall{std::chrono::sys_days{std::chrono::year{2026} / 11 / 24} + 14h};

Now in_slice(std::uint32_t slice) {
  return {boot_time(slice * MW_SLICE_NS + 60'000'000'000), kWall};
}

/// A source whose current slice is kSlice: 3 networks there, 2 in the one before.
mw_source source_of_two_slices() {
  mw_source source{};
  source.slice = kSlice;
  source.slices[kSlice & 1] = {{0b111, 0, 0, 0}, 30, 3, 4, 5, 0, 0, 0, 0};
  source.slices[~kSlice & 1] = {{0, 0b11, 0, 0}, 20, 2, 1, 2, 0, 0, 0, 0};
  source.first_ns = kSlice * MW_SLICE_NS - 1'000'000'000;
  source.last_ns = kSlice * MW_SLICE_NS + 50'000'000'000;
  return source;
}

TEST(EstimateNetworks, IsLinearCountingOverTheUnionOfBothSlices) {
  struct Case {
    int bits;
    std::uint32_t networks;
  };
  // -256 ln((256 - bits) / 256), rounded.
  constexpr Case kCases[] = {{0, 0},      {1, 1},      {9, 9},     {10, 10},   {19, 20},
                             {20, 21},    {64, 74},    {128, 177}, {192, 355}, {250, 961},
                             {254, 1242}, {255, 1420}, {256, 1420}};
  for (const Case& expected : kCases) {
    mw_source source{};
    for (int bit = 0; bit < expected.bits; ++bit)
      source.slices[bit & 1].seen[bit / 64] |= 1ULL << (bit & 63);
    EXPECT_EQ(expected.networks, estimate_networks(source)) << expected.bits << " bits";
  }
}

TEST(EstimateNetworks, CountsANetworkOnceThatWasMetInBothSlices) {
  mw_source source{};
  source.slices[0].seen[3] = 0b1010;
  source.slices[1].seen[3] = 0b1010;
  EXPECT_EQ(2U, estimate_networks(source));
}

TEST(EvidenceOf, CountsTheCurrentAndThePreviousSliceAndNothingOlder) {
  struct Case {
    const char* what;
    std::uint32_t now_slice;
    std::uint32_t syns, networks, limited, braked;
  };
  constexpr Case kCases[] = {
      {"the clock was read before the kernel turned", kSlice - 1, 50, 5, 5, 7},
      {"the same slice", kSlice, 50, 5, 5, 7},
      {"one slice without a SYN", kSlice + 1, 30, 3, 4, 5},
      {"two slices without a SYN", kSlice + 2, 0, 0, 0, 0},
      {"a day without a SYN", kSlice + 288, 0, 0, 0, 0},
  };
  for (const Case& expected : kCases) {
    const Evidence evidence =
        evidence_of(source_of_two_slices(), {}, Rule{}, in_slice(expected.now_slice));
    EXPECT_EQ(expected.syns, evidence.syns) << expected.what;
    EXPECT_EQ(expected.networks, evidence.networks) << expected.what;
    EXPECT_EQ(expected.limited, evidence.limited) << expected.what;
    EXPECT_EQ(expected.braked, evidence.braked) << expected.what;
  }
}

TEST(EvidenceOf, TellsWhenTheSourceWasSeenInWallTime) {
  const Evidence evidence = evidence_of(source_of_two_slices(), {}, Rule{}, in_slice(kSlice));
  EXPECT_EQ(kWall - 61s, evidence.first_seen);
  EXPECT_EQ(kWall - 10s, evidence.last_seen);

  // The kernel made the entry this moment and has not stamped it yet.
  EXPECT_EQ(kWall, evidence_of({}, {}, Rule{}, in_slice(kSlice)).first_seen);
}

TEST(EvidenceOf, CarriesScoreThresholdAndExamples) {
  mw_score score{};
  score.score = 1000;
  score.unconfirmed = 3;
  score.examples[0] = *parse_address("198.51.100.21");
  mw_source source = source_of_two_slices();
  source.lost = 7;
  Evidence evidence = evidence_of(source, score, Rule{}, in_slice(kSlice));
  EXPECT_EQ(1000U, evidence.score_256ths);
  EXPECT_EQ(2358U, evidence.threshold_256ths);
  EXPECT_EQ(3U, evidence.unconfirmed);
  EXPECT_EQ(7U, evidence.lost);
  EXPECT_EQ(std::vector{*parse_address("198.51.100.21")}, evidence.examples);

  score.proven_until_ns = ~0ULL >> 1;
  evidence = evidence_of(source, score, Rule{}, in_slice(kSlice));
  EXPECT_EQ(3533U, evidence.threshold_256ths);
}

TEST(ShouldBlock, WantsManyNewNetworksAndAScoreAtItsThreshold) {
  struct Case {
    const char* who;
    std::uint32_t networks, score;
    bool block;
  };
  constexpr Case kCases[] = {
      {"a bot", 16, 2568, true},
      {"exactly at both thresholds", 10, 2358, true},
      {"one network short", 9, 10000, false},
      {"a hair of score short", 1000, 2357, false},
      {"silence", 0, 0, false},
  };
  for (const Case& expected : kCases) {
    Evidence evidence;
    evidence.networks = expected.networks;
    evidence.score_256ths = expected.score;
    evidence.threshold_256ths = Rule{}.threshold_256ths(false);
    EXPECT_EQ(expected.block, should_block(evidence, Rule{})) << expected.who;
  }
}

const Rule kRule{.durations = {1h, 4h, 24h}, .manual_grace = 30min};

Decision automatic_block(std::chrono::seconds ago) {
  Decision decision;
  decision.since = kWall - ago;
  decision.until = decision.since + 1h;
  decision.ended = decision.until;
  decision.end_cause = EndCause::expired;
  return decision;
}

TEST(NextDuration, GrowsWithEachEarlierAutomaticBlockAndStaysAtTheLast) {
  std::vector<Decision> history;
  for (const auto expected : {1h, 4h, 24h, 24h}) {
    EXPECT_EQ(expected, next_duration(history, kRule, kWall)) << history.size() << " earlier";
    history.push_back(automatic_block(24h));
  }
}

TEST(NextDuration, ForgetsWhatIsOldWasOnlyRecordedOrWasUndone) {
  struct Case {
    const char* what;
    std::chrono::seconds ago;
    Origin origin;
    bool would;
    std::optional<EndCause> cause;
    bool weighs;
  };
  const Case kCases[] = {
      {"expired", 24h, Origin::automatic, false, EndCause::expired, true},
      {"still active", 1h, Origin::automatic, false, std::nullopt, true},
      {"ended by a change of mode", 1h, Origin::automatic, false, EndCause::mode, true},
      {"replaced by another decision", 1h, Origin::automatic, false, EndCause::replaced, true},
      {"29 days old", 29 * 24h, Origin::automatic, false, EndCause::expired, true},
      {"30 days old", 30 * 24h, Origin::automatic, false, EndCause::expired, false},
      {"a would-block", 24h, Origin::automatic, true, EndCause::expired, false},
      {"ordered by a person", 24h, Origin::manual, false, EndCause::expired, false},
      {"written with bpftool", 24h, Origin::bpftool, false, EndCause::expired, false},
      {"unblocked", 24h, Origin::automatic, false, EndCause::unblocked, false},
      {"ended by the allowlist", 24h, Origin::automatic, false, EndCause::allowed, false},
      {"removed by hand", 24h, Origin::automatic, false, EndCause::removed, false},
  };
  for (const Case& earlier : kCases) {
    Decision decision = automatic_block(earlier.ago);
    decision.origin = earlier.origin;
    decision.would = earlier.would;
    decision.end_cause = earlier.cause;
    if (!earlier.cause) decision.ended.reset();
    EXPECT_EQ(earlier.weighs ? 4h : 1h, next_duration({decision}, kRule, kWall)) << earlier.what;
  }
}

TEST(NextDuration, OfARuleWithoutDurationsBlocksNobody) {
  EXPECT_EQ(0s, next_duration({}, Rule{}, kWall));
}

TEST(GraceUntil, LastsFromTheLatestUndoingAndThenIsOver) {
  Decision undone = automatic_block(2h);
  undone.end_cause = EndCause::unblocked;
  undone.ended = kWall - 10min;
  Decision earlier = undone;
  earlier.ended = kWall - 20min;

  EXPECT_EQ(kWall + 20min, grace_until({earlier, undone}, kRule, kWall));
  EXPECT_EQ(kWall + 20min, grace_until({undone, earlier}, kRule, kWall));
  EXPECT_EQ(kWall + 20min, grace_until({undone}, kRule, kWall + 20min - 1s));
  EXPECT_EQ(std::nullopt, grace_until({undone}, kRule, kWall + 20min));
}

TEST(GraceUntil, IsGivenByAPersonOnly) {
  struct Case {
    EndCause cause;
    bool grace;
  };
  constexpr Case kCases[] = {{EndCause::unblocked, true}, {EndCause::removed, true},
                             {EndCause::allowed, true},   {EndCause::expired, false},
                             {EndCause::mode, false},     {EndCause::replaced, false}};
  for (const Case& expected : kCases) {
    Decision decision = automatic_block(30min);
    decision.ended = kWall - 1min;
    decision.end_cause = expected.cause;
    EXPECT_EQ(expected.grace, grace_until({decision}, kRule, kWall).has_value())
        << to_string(expected.cause);
  }
  EXPECT_EQ(std::nullopt, grace_until({}, kRule, kWall));
}

TEST(GraceUntil, OfZeroIsNone) {
  Decision undone = automatic_block(2h);
  undone.end_cause = EndCause::unblocked;
  undone.ended = kWall;
  EXPECT_EQ(std::nullopt, grace_until({undone}, Rule{}, kWall));
  EXPECT_EQ(kWall + 30min, grace_until({undone}, kRule, kWall));
}

}  // namespace
}  // namespace mailweir
