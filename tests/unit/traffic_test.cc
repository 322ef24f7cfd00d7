// SPDX-License-Identifier: GPL-2.0-or-later
// Windows of 1, 10 and 60 minutes from totals that are sampled: what counts into which, what does
// not, and how much is remembered.
#include "policy/traffic.h"

#include <gtest/gtest.h>

namespace mailweir {
namespace {

using namespace std::chrono_literals;

mw_addr numbered(std::uint32_t number) {
  mw_addr addr = *parse_address("172.16.0.0");
  addr.bytes[13] = static_cast<__u8>(16 + (number >> 16));
  addr.bytes[14] = static_cast<__u8>(number >> 8);
  addr.bytes[15] = static_cast<__u8>(number);
  return addr;
}

class TrafficTest : public testing::Test {
 protected:
  TrafficTest() { source_.first_ns = to_ns(now_) + 1; }

  /// What the kernel counts meanwhile, without a sample.
  void send(std::uint64_t syns, std::uint64_t bytes = 0) {
    source_.syns += syns;
    source_.bytes += bytes;
  }
  void meet(int bit) {
    const auto slice = static_cast<__u32>(to_ns(now_) / MW_SLICE_NS);
    if (slice != source_.slice) {
      source_.slices[slice & 1] = {};
      if (slice - source_.slice > 1) source_.slices[~slice & 1] = {};
      source_.slice = slice;
    }
    source_.slices[slice & 1].seen[bit / 64] |= 1ULL << (bit % 64);
    ++source_.syns;
  }
  void sample() { book_.take(kSource, source_, now_); }
  void wait(std::chrono::seconds time) {
    for (; time >= 10s; time -= 10s) {
      now_ += 10s;
      sample();
      book_.tidy(now_);
    }
    now_ += time;
  }
  [[nodiscard]] Traffic over(std::uint32_t minutes) const {
    return book_.over(kSource, minutes, now_);
  }

  const mw_addr kSource = numbered(7);
  BootTime now_{100h};
  TrafficBook book_{now_, 100};
  mw_source source_{};
};

TEST_F(TrafficTest, TrafficLeavesOneWindowAfterTheOther) {
  send(5, 700);
  sample();
  for (const std::uint32_t minutes : kTrafficMinutes) {
    EXPECT_EQ(5U, over(minutes).syns);
    EXPECT_EQ(700U, over(minutes).bytes);
  }
  const std::pair<std::chrono::seconds, std::array<std::uint64_t, 3>> later[] = {
      {60s, {5, 5, 5}},    // a minute ago
      {20s, {0, 5, 5}},    // 80 seconds
      {520s, {0, 5, 5}},   // ten minutes
      {70s, {0, 0, 5}},    // 11 minutes and 10 seconds
      {48min, {0, 0, 5}},  // 59 minutes
      {6min, {0, 0, 0}}};  // 65 minutes
  for (const auto& [time, syns] : later) {
    wait(time);
    for (std::size_t i = 0; i < syns.size(); ++i)
      EXPECT_EQ(syns[i], over(kTrafficMinutes[i]).syns)
          << kTrafficMinutes[i] << " minutes, " << (now_ - BootTime(100h)) / 1s << " s later";
  }
}

TEST_F(TrafficTest, SteadyTrafficFillsEachWindowToItsLengthAndAtMostOneSlotMore) {
  for (int i = 0; i < 2 * 360; ++i) {
    wait(10s);
    send(10);
  }
  sample();
  EXPECT_GE(over(1).syns, 60U);
  EXPECT_LE(over(1).syns, 80U);
  EXPECT_GE(over(10).syns, 600U);
  EXPECT_LE(over(10).syns, 670U);
  EXPECT_GE(over(60).syns, 3600U);
  EXPECT_LE(over(60).syns, 3910U);
}

TEST_F(TrafficTest, WhatWasCountedBeforeTheDaemonCameIsNotThisMinutesTraffic) {
  source_.first_ns = to_ns(book_.since()) - 1;
  source_.dropped = 3;
  send(1'000'000, 1'000'000'000);
  meet(1);
  sample();
  EXPECT_EQ(0U, over(60).syns + over(60).bytes + over(60).servers + over(60).dropped);
  send(2, 80);
  meet(2);
  sample();
  EXPECT_EQ(3U, over(1).syns);
  EXPECT_EQ(80U, over(1).bytes);
  EXPECT_EQ(1U, over(1).servers);
}

TEST_F(TrafficTest, ASourceThatTheTableForgotBeginsAnewAndIsNeverNegative) {
  send(100, 5000);
  sample();
  source_ = {};
  source_.first_ns = to_ns(now_) + 5;
  send(7, 300);
  sample();
  EXPECT_EQ(107U, over(1).syns);
  EXPECT_EQ(5300U, over(1).bytes);
  send(1);
  sample();
  EXPECT_EQ(108U, over(1).syns);
}

TEST_F(TrafficTest, AnEntryThatTheKernelIsMakingIsNotYetCounted) {
  source_.first_ns = 0;
  send(1);
  sample();
  EXPECT_EQ(0U, over(1).syns);
  source_.first_ns = to_ns(now_) + 1;
  sample();
  sample();
  EXPECT_EQ(1U, over(1).syns);
}

TEST_F(TrafficTest, ServersAreTheNetworksOfTheWindowEachOnce) {
  for (int bit = 0; bit < 5; ++bit) meet(bit);
  sample();
  EXPECT_EQ(5U, over(1).servers);
  wait(120s);
  for (int bit = 3; bit < 7; ++bit) meet(bit);
  sample();
  EXPECT_EQ(2U, over(1).servers) << "two of four were met before in this slice";
  EXPECT_EQ(7U, over(10).servers);
  wait(8min);
  meet(6);
  sample();
  EXPECT_EQ(1U, over(1).servers) << "known, but of an earlier slice";
  EXPECT_EQ(7U, over(60).servers);
  wait(65min);
  EXPECT_EQ(0U, over(60).servers);
}

TEST_F(TrafficTest, ServersBeyondTheBitmapAreItsMost) {
  for (int bit = 0; bit < MW_SEEN_BITS; ++bit) meet(bit);
  send(10'000);
  sample();
  EXPECT_EQ(1420U, over(1).servers);
}

TEST_F(TrafficTest, DropsOfABlockCountWhetherOrNotTheTableKnowsTheSource) {
  book_.take_drops(kSource, 40, now_ + 1s, now_ + 2s);
  EXPECT_EQ(40U, over(1).dropped) << "the block is younger than the daemon";
  book_.take_drops(kSource, 90, now_ + 1s, now_ + 3s);
  EXPECT_EQ(90U, over(1).dropped);
  book_.take_drops(kSource, 5, now_ + 4s, now_ + 5s);
  EXPECT_EQ(95U, over(1).dropped) << "unblocked, and blocked again";
  source_.dropped = 6;
  sample();
  EXPECT_EQ(101U, over(1).dropped) << "with what limit and brake held";

  book_.take_drops(numbered(8), 1000, now_ - 1s, now_);
  EXPECT_EQ(0U, book_.over(numbered(8), 1, now_).dropped) << "a block from before";
  book_.take_drops(numbered(8), 1001, now_ - 1s, now_);
  EXPECT_EQ(1U, book_.over(numbered(8), 1, now_).dropped);
  book_.take_drops(numbered(9), 0, now_, now_);
  EXPECT_EQ(2U, book_.size()) << "nobody runs into it: nothing to remember";
}

TEST_F(TrafficTest, AClockThatStandsBackCountsIntoTheNewestSlot) {
  send(1);
  sample();
  send(1);
  book_.take(kSource, source_, now_ - 30s);
  EXPECT_EQ(2U, over(1).syns);
  wait(80s);
  EXPECT_EQ(0U, over(1).syns);
}

TEST_F(TrafficTest, TimeAsleepEndsTheWindows) {
  send(9);
  sample();
  now_ += 24h;
  EXPECT_EQ(0U, over(60).syns);
  send(1);
  sample();
  EXPECT_EQ(1U, over(60).syns);
}

TEST_F(TrafficTest, TopIsInOrderAndHoldsNoMoreThanWasAsked) {
  for (std::uint32_t i = 1; i <= 5; ++i) {
    mw_source source{};
    source.first_ns = to_ns(now_) + 1;
    source.syns = i;
    source.bytes = 100 - i;
    source.dropped = i == 3 ? 9 : 0;
    book_.take(numbered(i), source, now_);
  }
  const auto keys = [&](TrafficOrder by, std::size_t limit) {
    std::string list;
    for (const auto& [key, traffic] : book_.top(by, 10, limit, now_)) list += to_string(key) + " ";
    return list;
  };
  EXPECT_EQ("172.16.0.5 172.16.0.4 ", keys(TrafficOrder::syns, 2));
  EXPECT_EQ("172.16.0.1 ", keys(TrafficOrder::bytes, 1));
  EXPECT_EQ("172.16.0.3 172.16.0.1 ", keys(TrafficOrder::dropped, 2)) << "then by address";
  EXPECT_EQ(5U, book_.top(TrafficOrder::servers, 1, 100, now_).size());
}

TEST_F(TrafficTest, WhatTheTableForgotLeavesWithItsHour) {
  send(3);
  sample();
  now_ += 30min;
  book_.tidy(now_);
  EXPECT_EQ(1U, book_.size());
  EXPECT_EQ(3U, over(60).syns);
  now_ += 36min;
  book_.tidy(now_);
  EXPECT_EQ(0U, book_.size());
}

TEST_F(TrafficTest, AFloodOfSourcesTakesNoMoreRoomAndDoesNotWashOutWhoSendsMuch) {
  send(50);
  sample();
  for (std::uint32_t i = 1000; i < 6000; ++i) {
    if (i % 20 == 0) now_ += 10s;
    mw_source forged{};
    forged.first_ns = to_ns(now_);
    forged.syns = 1;
    book_.take(numbered(i), forged, now_);
    EXPECT_LE(book_.size(), 100U);
  }
  EXPECT_EQ(50U, over(60).syns) << "gone from the kernel's table for long";
  EXPECT_EQ(kSource, book_.top(TrafficOrder::syns, 60, 1, now_).front().first);
}

TEST_F(TrafficTest, WhereAllAreThereTheLeastMakeRoomAndTheRestIsLeftOutAndCounted) {
  for (std::uint32_t i = 0; i < 120; ++i) {
    mw_source source{};
    source.first_ns = to_ns(now_);
    source.syns = 1;
    book_.take(numbered(i), source, now_);
  }
  EXPECT_EQ(100U, book_.size());
  EXPECT_EQ(7U, book_.left_out()) << "13 made room, once in ten seconds";
  for (std::uint32_t i = 200; i < 220; ++i) book_.take_drops(numbered(i), 5, now_, now_);
  EXPECT_EQ(100U, book_.size());
  EXPECT_EQ(27U, book_.left_out());
}

TEST_F(TrafficTest, WhoHadToMakeRoomIsNotCountedTwice) {
  mw_source old{};
  old.first_ns = to_ns(now_);
  old.syns = 1'000'000;
  book_.take(numbered(1), old, now_);
  book_.take_drops(numbered(2), 1'000'000, now_, now_);
  now_ += 66min;
  for (std::uint32_t i = 1000; i < 1100; ++i) {
    mw_source source{};
    source.first_ns = to_ns(now_);
    source.syns = 5;
    book_.take(numbered(i), source, now_);
  }
  book_.take(numbered(1), old, now_ + 1s);
  book_.take_drops(numbered(2), 1'000'000, BootTime(100h), now_ + 1s);
  EXPECT_EQ(0U, book_.over(numbered(1), 60, now_).syns);
  EXPECT_EQ(0U, book_.over(numbered(2), 60, now_).dropped);
  ++old.syns;
  book_.take(numbered(1), old, now_ + 2s);
  EXPECT_EQ(1U, book_.over(numbered(1), 60, now_).syns);
}

TEST(TrafficOrderTest, WordsOfTheOrder) {
  EXPECT_EQ(TrafficOrder::bytes, parse_order("bytes"));
  EXPECT_EQ(TrafficOrder::dropped, parse_order("dropped"));
  EXPECT_FALSE(parse_order("colour"));
  EXPECT_FALSE(parse_order(""));
}

}  // namespace
}  // namespace mailweir
