// SPDX-License-Identifier: GPL-2.0-or-later
// What is remembered of a day, and what other thresholds would have made of it.
#include "policy/day.h"

#include <gtest/gtest.h>

namespace mailweir {
namespace {

using namespace std::chrono_literals;

const mw_addr kSource = *parse_address("172.16.7.70");

class DayTest : public testing::Test {
 protected:
  void outcome(mw_event_kind kind, std::uint32_t networks, bool is_contact = true) {
    mw_event event{};
    event.kind = kind;
    event.is_contact = is_contact ? 1 : 0;
    event.destination = *parse_address("198.18.0.25");
    event.destination.bytes[14] = static_cast<__u8>(++server_);
    watch_.count(event, networks, now_);
  }
  void outcomes(int times, mw_event_kind kind, std::uint32_t networks) {
    for (int i = 0; i < times; ++i) outcome(kind, networks);
  }
  [[nodiscard]] bool blocked(std::uint32_t servers, double score, double proven = 13.8) const {
    return would_block(watch_.day(), {servers, score, proven});
  }
  void advance(std::chrono::seconds by) {
    now_.boot += by;
    now_.wall += by;
  }

  Now now_{BootTime(1h), std::chrono::sys_days(std::chrono::year(2026) / 11 / 24) + 13h};
  DayWatch watch_{kSource, now_.wall};
  int server_ = 0;
};

TEST_F(DayTest, AThresholdIsTriedOnTheHighestScoreBehindItsGate) {
  outcomes(8, MW_EVENT_UNPRODUCTIVE, 9);
  EXPECT_FALSE(blocked(10, 9.21)) << "the gate was closed";
  EXPECT_TRUE(blocked(5, 9.21));
  outcome(MW_EVENT_UNPRODUCTIVE, 12);
  EXPECT_TRUE(blocked(10, 9.21));
  EXPECT_TRUE(blocked(10, 11.2)) << "9 steps of 1.253: it is not used up at the first threshold";
  EXPECT_FALSE(blocked(10, 11.3));
  EXPECT_FALSE(blocked(15, 1));
  outcomes(30, MW_EVENT_PRODUCTIVE, 12);
  EXPECT_TRUE(blocked(10, 9.21)) << "what was, was";
  EXPECT_EQ(watch_.day().contacts, 39U);
  EXPECT_EQ(watch_.day().messages, 30U);
}

TEST_F(DayTest, AProvenMailerHasAThresholdOfItsOwn) {
  outcomes(5, MW_EVENT_PRODUCTIVE, 12);
  outcomes(10, MW_EVENT_UNPRODUCTIVE, 20);
  EXPECT_FALSE(blocked(10, 9.21)) << "12.5 < 13.8";
  EXPECT_TRUE(blocked(10, 9.21, 12.5));
}

TEST_F(DayTest, MidnightBeginsANewDayAndKeepsTheScore) {
  outcomes(7, MW_EVENT_UNPRODUCTIVE, 12);
  advance(11h - 5min);
  EXPECT_FALSE(watch_.is_over(now_.wall));
  advance(5min);
  EXPECT_TRUE(watch_.is_over(now_.wall));
  watch_.count_unanswered(3, now_.wall);
  EXPECT_EQ(watch_.day().contacts, 3U);
  EXPECT_EQ(watch_.day().unanswered, 3U);
  EXPECT_EQ(watch_.day().day, std::chrono::sys_days(std::chrono::year(2026) / 11 / 25));
  EXPECT_FALSE(blocked(10, 1)) << "of eleven idle hours nothing is left";
}

TEST_F(DayTest, AMailServerIsToldByWhatItDelivers) {
  outcomes(12, MW_EVENT_PRODUCTIVE, 12);
  EXPECT_TRUE(looks_like_mail_server(watch_.day()));
  outcomes(4, MW_EVENT_UNPRODUCTIVE, 12);
  EXPECT_FALSE(looks_like_mail_server(watch_.day())) << "12 of 16";
}

TEST_F(DayTest, AClientOfOneServerIsNoMailServer) {
  for (int i = 0; i < 500; ++i) outcome(MW_EVENT_PRODUCTIVE, 1, i == 0);
  EXPECT_FALSE(looks_like_mail_server(watch_.day()));
}

TEST(GateTest, IsTheNextThatIsNotAbove) {
  EXPECT_EQ(gate_for(1), 5U);
  EXPECT_EQ(gate_for(10), 10U);
  EXPECT_EQ(gate_for(14), 10U);
  EXPECT_EQ(gate_for(1000), 30U);
}

}  // namespace
}  // namespace mailweir
