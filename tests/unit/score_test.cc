// SPDX-License-Identifier: GPL-2.0-or-later
// What a source's outcomes add up to: the sequential test, refunds, decay, proven mailers.
#include "policy/score.h"

#include <gtest/gtest.h>

#include "base/address.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kMost = 7066;
const BootTime kNow{100h};

mw_event outcome(mw_event_kind kind, int network, bool is_contact = true) {
  mw_event event{};
  event.kind = kind;
  event.is_contact = is_contact ? 1 : 0;
  event.destination = *parse_address("198.18.0.25");
  event.destination.bytes[13] = static_cast<__u8>(18 + network / 256);
  event.destination.bytes[14] = static_cast<__u8>(network % 256);
  return event;
}

class ScoreTest : public testing::Test {
 protected:
  ScoreStep up(int network) {
    return count_outcome(score_, outcome(MW_EVENT_UNPRODUCTIVE, network), now_, kMost);
  }
  ScoreStep down(int network) {
    return count_outcome(score_, outcome(MW_EVENT_PRODUCTIVE, network), now_, kMost);
  }
  /// A later message to a network that is no first contact.
  ScoreStep again(int network) {
    return count_outcome(score_, outcome(MW_EVENT_PRODUCTIVE, network, false), now_, kMost);
  }

  mw_score score_{};
  BootTime now_ = kNow;
};

TEST_F(ScoreTest, EightOfEightWithoutAMessageCrossTheThreshold) {
  for (int i = 0; i < 7; ++i) EXPECT_EQ(ScoreStep::up, up(i));
  EXPECT_LT(score_.score, 2358U);
  up(7);
  EXPECT_EQ(8 * 321U, score_.score);
  EXPECT_GE(score_.score, 2358U);
}

TEST_F(ScoreTest, NeverFallsBelowZeroNorRisesAboveItsMost) {
  EXPECT_EQ(ScoreStep::down, down(0));
  EXPECT_EQ(0U, score_.score);
  for (int i = 1; i < 200; ++i) up(i);
  EXPECT_EQ(kMost, score_.score);
  down(300);
  EXPECT_EQ(kMost - 251, score_.score);
}

TEST_F(ScoreTest, RefundsANetworkThatTakesAMessageWithinTheHourOnce) {
  up(1);
  up(2);
  now_ += 9min;
  EXPECT_EQ(ScoreStep::refund, again(1));
  EXPECT_EQ(321U, score_.score);
  EXPECT_EQ(ScoreStep::none, again(1)) << "only once";
  EXPECT_EQ(ScoreStep::none, again(3)) << "it never refused";
  EXPECT_EQ(321U, score_.score);
  EXPECT_EQ(ScoreStep::down, down(2)) << "a first contact anew pays both";
  EXPECT_EQ(0U, score_.score);
}

TEST_F(ScoreTest, DoesNotRefundAfterTheHour) {
  for (int i = 0; i < 8; ++i) up(i);
  now_ += 1h + 1s;
  const std::uint32_t before = decayed(score_, now_).score;
  EXPECT_EQ(ScoreStep::none, again(1));
  EXPECT_EQ(before, score_.score);
}

TEST_F(ScoreTest, CountsANetworkThatRefusesAgainOnlyOnceAnHour) {
  up(1);
  now_ += 9min;
  EXPECT_EQ(ScoreStep::same, up(1)) << "a queue that tries again";
  EXPECT_EQ(321U, score_.score);
  EXPECT_EQ(ScoreStep::up, up(2));
  now_ += 1h;
  EXPECT_EQ(ScoreStep::up, up(1));
}

TEST_F(ScoreTest, ANetworkIsASlash24OrASlash48) {
  mw_event event = outcome(MW_EVENT_UNPRODUCTIVE, 1);
  count_outcome(score_, event, now_, kMost);
  event.destination.bytes[15] = 99;
  EXPECT_EQ(ScoreStep::same, count_outcome(score_, event, now_, kMost));
  event.destination = *parse_address("2001:db8:1:1::25");
  EXPECT_EQ(ScoreStep::up, count_outcome(score_, event, now_, kMost));
  event.destination = *parse_address("2001:db8:1:2::25");
  EXPECT_EQ(ScoreStep::same, count_outcome(score_, event, now_, kMost));
  event.destination = *parse_address("2001:db8:2:1::25");
  EXPECT_EQ(ScoreStep::up, count_outcome(score_, event, now_, kMost));
}

TEST_F(ScoreTest, DecaysOneStepInTenIdleMinutes) {
  for (int i = 0; i < 8; ++i) up(i);
  EXPECT_EQ(8 * 321U, decayed(score_, now_ + 9min + 59s).score);
  EXPECT_EQ(7 * 321U, decayed(score_, now_ + 10min).score);
  EXPECT_EQ(7 * 321U, decayed(score_, now_ + 19min).score);
  EXPECT_EQ(0U, decayed(score_, now_ + 80min).score);
  EXPECT_EQ(0U, decayed(score_, now_ + 1000h).score);
  EXPECT_EQ(8 * 321U, decayed(score_, now_ - 1h).score)
      << "counted on another CPU, or in the future";

  // Whoever looks in between does not lengthen the time.
  mw_score looked = decayed(score_, now_ + 15min);
  EXPECT_EQ(6 * 321U, decayed(looked, now_ + 20min).score);
}

TEST_F(ScoreTest, FiveProductiveFirstContactsInARowProveAMailerFor30Days) {
  for (int i = 0; i < 4; ++i) down(i);
  up(4);
  for (int i = 5; i < 9; ++i) down(i);
  EXPECT_FALSE(is_proven(score_, now_)) << "four, a refusal, four";
  again(4);
  EXPECT_FALSE(is_proven(score_, now_)) << "a refund is no first contact";
  down(9);
  EXPECT_TRUE(is_proven(score_, now_));
  EXPECT_TRUE(is_proven(score_, now_ + 30 * 24h - 1s));
  EXPECT_FALSE(is_proven(score_, now_ + 30 * 24h));
}

TEST_F(ScoreTest, KeepsTheLastThreeServersAsExamples) {
  for (int i = 1; i <= 4; ++i) up(i);
  down(9);
  EXPECT_EQ(outcome(MW_EVENT_UNPRODUCTIVE, 4).destination, score_.examples[0]);
  EXPECT_EQ(outcome(MW_EVENT_UNPRODUCTIVE, 2).destination, score_.examples[2]);
}

TEST_F(ScoreTest, ADecisionLeavesHalfTheThresholdAndNoProof) {
  for (int i = 0; i < 5; ++i) down(i);
  for (int i = 5; i < 30; ++i) up(i);
  spend(score_, 2358, now_ + 1h);
  EXPECT_EQ(1179U, score_.score);
  EXPECT_FALSE(is_proven(score_, now_));
  EXPECT_EQ(1179U, decayed(score_, now_ + 1h + 9min).score) << "the time of the block is not idle";
  EXPECT_EQ(858U, decayed(score_, now_ + 1h + 10min).score);
}

TEST_F(ScoreTest, IsIdleWhenNothingIsLeftToRemember) {
  up(1);
  EXPECT_FALSE(is_idle(score_, now_ + 59min)) << "the network may still be refunded";
  EXPECT_TRUE(is_idle(score_, now_ + 1h + 1s));
  for (int i = 2; i < 8; ++i) down(i);
  EXPECT_FALSE(is_idle(score_, now_ + 29 * 24h)) << "a proven mailer";
  EXPECT_TRUE(is_idle(score_, now_ + 31 * 24h));
}

}  // namespace
}  // namespace mailweir
