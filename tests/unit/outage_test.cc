// SPDX-License-Identifier: GPL-2.0-or-later
// When the uplink is down and not the customers; when so many blocks are too many.
#include "policy/outage.h"

#include <gtest/gtest.h>

#include "policy/breaker.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;

const BootTime kNow{100h};

void tell_sources(OutageWatch& watch, int sources) {
  for (int i = 0; i < sources; ++i) {
    mw_addr source = *parse_address("172.16.0.0");
    source.bytes[15] = static_cast<__u8>(i);
    watch.add_source(kNow, source);
  }
}

TEST(OutageWatch, WantsMostOfTwentyContactsOfFiveSourcesUnanswered) {
  struct Case {
    const char* what;
    std::uint64_t answered, unanswered;
    int sources;
    bool down;
  };
  constexpr Case kCases[] = {
      {"an outage", 3, 200, 40, true},
      {"just enough", 9, 11, 5, true},
      {"half is not more than half", 10, 10, 9, false},
      {"too few contacts", 0, 19, 9, false},
      {"one scanner", 10, 4000, 1, false},
      {"four sources", 0, 4000, 4, false},
      {"a quiet night", 0, 0, 0, false},
  };
  for (const Case& tested : kCases) {
    OutageWatch watch;
    watch.add(kNow, tested.answered, tested.unanswered);
    tell_sources(watch, tested.sources);
    EXPECT_EQ(tested.down, watch.is_down(kNow)) << tested.what;
  }
}

TEST(OutageWatch, LooksAtTheLastMinuteOnly) {
  OutageWatch watch;
  tell_sources(watch, 10);
  for (int i = 0; i < 30; ++i) watch.add(kNow + i * 1s, 0, 1);
  EXPECT_TRUE(watch.is_down(kNow + 30s));
  EXPECT_FALSE(watch.is_down(kNow + 75s)) << "fifteen are left";
}

TEST(OutageWatch, SeesItWhileTheMinuteIsStillFullOfAnswers) {
  OutageWatch watch;
  tell_sources(watch, 10);
  for (int i = 0; i < 45; ++i) watch.add(kNow + i * 1s, 10, 0);
  for (int i = 52; i < 54; ++i) watch.add(kNow + i * 1s, 0, 8);
  EXPECT_FALSE(watch.is_down(kNow + 53s)) << "seven answered seconds among the last fifteen";
  for (int i = 54; i < 60; ++i) watch.add(kNow + i * 1s, 0, 8);
  EXPECT_TRUE(watch.is_down(kNow + 59s));
}

TEST(OutageWatch, IsNotAskedWhileContactsAreAnsweredAgain) {
  OutageWatch watch;
  tell_sources(watch, 10);
  watch.add(kNow, 0, 30);
  EXPECT_TRUE(watch.is_down(kNow));
  watch.add(kNow + 5s, 31, 0);
  EXPECT_FALSE(watch.is_down(kNow + 5s));
}

TEST(IsByOutage, IsWhatBeganBeforeItsEndUnlessItShowsThatTheUplinkWorks) {
  const Freeze freeze{kNow, kNow + 60s};
  struct Case {
    const char* what;
    std::chrono::seconds started;
    std::uint32_t heard;
    bool by_time;
    bool excused;
  };
  constexpr Case kCases[] = {
      {"cut off when it began", -5s, 100, true, true},
      {"begun long before", -500s, 100, false, true},
      {"begun meanwhile, silent server", 10s, 0, false, true},
      {"begun meanwhile, greeted, then stalled", 10s, 100, true, true},
      {"begun meanwhile, refused by its server", 10s, 100, false, false},
      {"begun after its end", 60s, 0, true, false},
  };
  for (const Case& tested : kCases) {
    mw_event event{};
    event.kind = MW_EVENT_UNPRODUCTIVE;
    event.started_ns = to_ns(kNow + tested.started);
    event.heard_bytes = tested.heard;
    event.is_by_time = tested.by_time ? 1 : 0;
    EXPECT_EQ(tested.excused, is_by_outage(event, freeze)) << tested.what;
    EXPECT_FALSE(is_by_outage(event, {})) << tested.what << ", no outage so far";
    event.kind = MW_EVENT_PRODUCTIVE;
    EXPECT_FALSE(is_by_outage(event, freeze)) << "a message is one";
  }
}

TEST(BreakerTest, OpensAtItsNumberOrAtOnePercentOfTheActiveSources) {
  constexpr BreakerRule kRule{3, 600s};
  Breaker breaker;
  EXPECT_FALSE(breaker.is_open(kNow, kRule, 0));
  for (int i = 0; i < 3; ++i) breaker.add_block(kNow + i * 1s);
  EXPECT_TRUE(breaker.is_open(kNow + 3s, kRule, 0));
  EXPECT_TRUE(breaker.is_open(kNow + 3s, kRule, 399));
  EXPECT_FALSE(breaker.is_open(kNow + 3s, kRule, 400));
  EXPECT_TRUE(breaker.is_open(kNow + 599s, kRule, 0));
  EXPECT_FALSE(breaker.is_open(kNow + 600s, kRule, 0)) << "the first is ten minutes old";
}

}  // namespace
}  // namespace mailweir
