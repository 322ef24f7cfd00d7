// SPDX-License-Identifier: GPL-2.0-or-later
// bpf/flow.h on the host: the flow slots of a source, and which SYN is a real retransmission.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "bpf/flow.h"

namespace mailweir {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kSecond = 1000 * kMs;
constexpr std::uint64_t kTick = 1ULL << MW_FLOW_TICK_SHIFT;
constexpr std::uint64_t kNow = 1000 * kSecond;

TEST(FlowWord, KeepsTagTimeRetriesAndState) {
  for (const auto state : {MW_FLOW_FREE, MW_FLOW_OPEN, MW_FLOW_HELD, MW_FLOW_SENT, MW_FLOW_JUDGED})
    for (const std::uint32_t retries : {0U, 1U, 6U, 15U})
      for (const std::uint32_t tag : {0U, 1U, 0xdeadbeefU, 0xffffffffU})
        for (const std::uint64_t now : {0UL, kNow, kTick * MW_FLOW_TICKS_MASK}) {
          const std::uint64_t word = mw_flow_word(tag, now, retries, state);
          EXPECT_EQ(tag, mw_flow_tag(word));
          EXPECT_EQ(state, mw_flow_state(word));
          EXPECT_EQ(retries, mw_flow_retries(word));
          EXPECT_EQ(0U, mw_flow_age_ticks(word, now));
        }
}

TEST(FlowWord, TellsItsAgeOverTheWrapOfTheClock) {
  constexpr std::uint64_t kWrap = (MW_FLOW_TICKS_MASK + 1ULL) * kTick;
  for (const std::uint64_t start : {kTick, kWrap - kTick, kWrap, 3 * kWrap - kTick})
    for (const std::uint64_t age : {0ULL, 1ULL, 2ULL, 5000ULL, 0xffffffULL})
      EXPECT_EQ(age,
                mw_flow_age_ticks(mw_flow_word(1, start, 0, MW_FLOW_OPEN), start + age * kTick));

  const std::uint64_t word = mw_flow_word(1, kNow, 0, MW_FLOW_OPEN);
  EXPECT_EQ(0U, mw_flow_age_ticks(word, kNow + kWrap)) << "4.9 hours look like nothing: documented";
}

TEST(FlowRetry, IsWhatAStackSendsAndNothingElse) {
  struct Case {
    const char* what;
    std::uint64_t after_ns;
    std::uint32_t retries;
    bool retry;
  };
  constexpr Case kCases[] = {
      {"at once", 0, 0, false},
      {"a flood's repetition", 10 * kMs, 0, false},
      {"just too early", 498 * kMs, 0, false},
      {"as early as any stack", 500 * kMs, 0, true},
      {"Linux, first", kSecond, 0, true},
      {"Linux, sixth", 32 * kSecond, 5, true},
      {"one too many", 64 * kSecond, 6, false},
      {"far too many", 64 * kSecond, 15, false},
      {"the last moment", 129 * kSecond, 0, true},
      {"a flow of its own", 131 * kSecond, 0, false},
      {"an hour later", 3600 * kSecond, 0, false},
  };
  for (const Case& tested : kCases) {
    const std::uint64_t word = mw_flow_word(7, kNow, tested.retries, MW_FLOW_SENT);
    EXPECT_EQ(tested.retry, mw_flow_is_retry(word, kNow + tested.after_ns)) << tested.what;
  }
}

TEST(FlowRetry, IsAllowedFrom500MsOnWhereverInATickTheFirstSynFell) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t start = kNow + random() % (100 * kSecond);
    const std::uint64_t word = mw_flow_word(7, start, 0, MW_FLOW_SENT);
    ASSERT_TRUE(mw_flow_is_retry(word, start + 500 * kMs)) << start;
    ASSERT_FALSE(mw_flow_is_retry(word, start + 498 * kMs)) << start;
  }
}

TEST(FlowRetry, IsNotSeenInAReadingOlderThanTheSlot) {
  const std::uint64_t word = mw_flow_word(7, kNow, 0, MW_FLOW_SENT);
  EXPECT_FALSE(mw_flow_is_retry(word, kNow - kSecond));
  EXPECT_TRUE(mw_flow_is_retry(word, kNow + kSecond));
}

constexpr std::uint32_t kSet = 2;  ///< the tags below all fall into this set
constexpr std::uint32_t kFirst = kSet * MW_FLOW_WAYS;
constexpr std::uint32_t kTag = 0xabc0 + kSet, kOther = 0x1230 + kSet, kThird = 0x4560 + kSet;
static_assert(MW_FLOW_SLOTS / MW_FLOW_WAYS == 4 && MW_FLOW_WAYS == 8);

struct Slot {
  std::uint32_t tag = 0;
  std::uint32_t state = MW_FLOW_FREE;  ///< enum mw_flow_state, and MW_FLOW_CONTACT
  std::uint64_t age_ns = 0;
};

mw_flow_place find(const Slot& left, const Slot& right, std::uint32_t tag, bool may_evict) {
  mw_source source{};
  // The set's other ways cannot be had.
  for (int way = 2; way < MW_FLOW_WAYS; ++way)
    source.flow_words[kFirst + way] = mw_flow_word(0, kNow, 0, MW_FLOW_BUSY);
  for (int way = 0; way < 2; ++way) {
    const Slot& slot = way == 0 ? left : right;
    source.flow_words[kFirst + way] = mw_flow_word(slot.tag, kNow - slot.age_ns, 0, slot.state);
  }
  return mw_flow_find(&source, tag, kNow, may_evict);
}

TEST(FlowFind, GivesUpWhatCostsTheLeastEvidence) {
  constexpr std::uint64_t kOldest = MW_FLOW_TICKS_MASK * kTick;
  struct Case {
    const char* what;
    Slot left, right;
    std::uint32_t evicting, keeping;  ///< the way; 2: none
  };
  const Case kCases[] = {
      {"both free", {}, {}, 0, 0},
      {"the right one free", {kOther, MW_FLOW_OPEN, kSecond}, {}, 1, 1},
      {"free before held", {kOther, MW_FLOW_HELD, kSecond}, {}, 1, 1},
      {"held before open", {kOther, MW_FLOW_OPEN, kSecond}, {kThird, MW_FLOW_HELD, 0}, 1, 1},
      {"held before the oldest open one",
       {kOther, MW_FLOW_OPEN, kOldest},
       {kThird, MW_FLOW_HELD, 0},
       1,
       1},
      {"both held", {kOther, MW_FLOW_HELD, 0}, {kThird, MW_FLOW_HELD, kSecond}, 0, 0},
      {"the left one older",
       {kOther, MW_FLOW_OPEN, 2 * kSecond},
       {kThird, MW_FLOW_OPEN, kSecond},
       0,
       2},
      {"the right one older",
       {kOther, MW_FLOW_OPEN, kSecond},
       {kThird, MW_FLOW_OPEN, 2 * kSecond},
       1,
       2},
      {"told before pending",
       {kOther, MW_FLOW_OPEN, kOldest},
       {kThird, MW_FLOW_JUDGED | MW_FLOW_CONTACT, 0},
       1,
       2},
      {"no contact before a contact",
       {kOther, MW_FLOW_SENT | MW_FLOW_CONTACT, kOldest},
       {kThird, MW_FLOW_OPEN, 0},
       1,
       2},
      {"never one that is being written",
       {kOther, MW_FLOW_BUSY, kOldest},
       {kThird, MW_FLOW_OPEN | MW_FLOW_CONTACT, 0},
       1,
       2},
      {"both being written",
       {kOther, MW_FLOW_BUSY, kOldest},
       {kThird, MW_FLOW_BUSY, kOldest},
       2,
       2},
      {"both new", {kOther, MW_FLOW_OPEN, 0}, {kThird, MW_FLOW_OPEN, 0}, 0, 2},
      {"told, and too old for a retry",
       {kOther, MW_FLOW_JUDGED, 130 * kSecond},
       {kThird, MW_FLOW_JUDGED, 132 * kSecond},
       1,
       1},
  };
  for (const Case& tested : kCases) {
    const auto index = [](std::uint32_t way) { return way == 2 ? MW_FLOW_SLOTS : kFirst + way; };
    const mw_flow_place evicting = find(tested.left, tested.right, kTag, true);
    EXPECT_FALSE(evicting.found) << tested.what;
    EXPECT_EQ(index(tested.evicting), evicting.index) << tested.what;
    const mw_flow_place keeping = find(tested.left, tested.right, kTag, false);
    EXPECT_FALSE(keeping.found) << tested.what;
    EXPECT_EQ(index(tested.keeping), keeping.index) << tested.what << ", a held SYN";
  }
}

TEST(FlowFind, GivesUpTheOlderOfOpenFlows) {
  const mw_settings settings{.message_bytes = 300, .message_bytes_tls = 450};
  for (std::uint32_t oldest = 0; oldest < MW_FLOW_WAYS; ++oldest) {
    mw_source source{};
    for (std::uint32_t way = 0; way < MW_FLOW_WAYS; ++way) {
      const std::uint64_t asked_ns = kNow - (way == oldest ? 9 : 1 + way) * kSecond;
      source.flows[way].isn = 1000;
      source.flow_words[way] = mw_flow_word(way << 8, asked_ns, 0, MW_FLOW_SENT | MW_FLOW_CONTACT);
      const mw_segment ack{.seq = 1001, .ack = 1, .is_ack = 1};
      mw_flow_measure measure{};
      __u64 word = 0;
      ASSERT_EQ(MW_NEWS_ANSWERED,
                mw_flow_take(&source, way, way << 8, &ack, &settings, &measure, &word));
    }
    EXPECT_EQ(oldest, mw_flow_find(&source, 0xff00, kNow, 1).index);
  }
}

TEST(FlowFind, FindsTheFlowsOwnSlotWhateverElseIsFree) {
  for (const bool may_evict : {false, true})
    for (const std::uint32_t state : {MW_FLOW_SENT, MW_FLOW_OPEN, MW_FLOW_HELD, MW_FLOW_JUDGED}) {
      const mw_flow_place right = find({}, {kTag, state, kSecond}, kTag, may_evict);
      EXPECT_TRUE(right.found);
      EXPECT_EQ(kFirst + 1, right.index);
      const mw_flow_place left =
          find({kTag, state, 0}, {kOther, MW_FLOW_OPEN, kSecond}, kTag, may_evict);
      EXPECT_TRUE(left.found);
      EXPECT_EQ(kFirst, left.index);
    }
  EXPECT_FALSE(find({kTag, MW_FLOW_FREE, 0}, {}, kTag, true).found) << "a freed slot";
  EXPECT_TRUE(find({kTag, MW_FLOW_BUSY, 0}, {}, kTag, true).found) << "one flow, one slot";
}

TEST(FlowFind, DoesNotTakeAnEmptySlotForTheFlowWithTagZero) {
  const mw_source source{};
  EXPECT_FALSE(mw_flow_find(&source, 0, kNow, 1).found);
}

TEST(FlowFind, UsesEverySetAndStaysWithinTheSlots) {
  mw_source source{};
  std::set<std::uint32_t> used;
  for (std::uint32_t tag = 1; tag <= 10'000; ++tag) {
    const mw_flow_place place = mw_flow_find(&source, tag, kNow + tag * kSecond, 1);
    ASSERT_LT(place.index, static_cast<std::uint32_t>(MW_FLOW_SLOTS));
    ASSERT_EQ(tag % (MW_FLOW_SLOTS / MW_FLOW_WAYS), place.index / MW_FLOW_WAYS);
    source.flow_words[place.index] = mw_flow_word(tag, kNow + tag * kSecond, 0, MW_FLOW_OPEN);
    used.insert(place.index);
  }
  EXPECT_EQ(static_cast<std::size_t>(MW_FLOW_SLOTS), used.size());
  for (std::uint32_t tag = 10'000; tag > 10'000 - MW_FLOW_SLOTS; --tag)
    EXPECT_TRUE(mw_flow_find(&source, tag, kNow + 10'001 * kSecond, 1).found)
        << "the youngest " << MW_FLOW_SLOTS << " are kept";
}

}  // namespace
}  // namespace mailweir
