// SPDX-License-Identifier: GPL-2.0-or-later
// bpf/limit.h on the host: rates, time slices, contacts. Flows: flow_slot_test.cc, flow_test.cc.
#include "bpf/limit.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdio>
#include <functional>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "policy/rule.h"

namespace mailweir {
namespace {

constexpr __u64 kMs = 1'000'000;
constexpr __u64 kSecond = 1000 * kMs;

mw_rate rate_of(__u64 interval_ns, __u64 burst) {
  return {interval_ns, (burst - 1) * interval_ns};
}

/// What GCRA must equal: a bucket of `burst` tokens that gains one each interval. Tokens are exact
/// fractions with the interval as their denominator.
class TokenBucket {
 public:
  TokenBucket(__u64 interval_ns, __u64 burst, __u64 now_ns)
      : token_(interval_ns), full_(token_ * burst), level_(full_), filled_ns_(now_ns) {}

  bool take(__u64 now_ns) {
    level_ = std::min(full_, level_ + (now_ns - filled_ns_));
    filled_ns_ = now_ns;
    if (level_ < token_) return false;
    level_ -= token_;
    return true;
  }

 private:
  using Exact = unsigned __int128;
  Exact token_, full_, level_;
  __u64 filled_ns_;
};

/// Arrivals as clients make them: bursts, a pace about the rate, silence.
__u64 next_gap(std::mt19937_64& random, __u64 interval_ns) {
  switch (random() % 8) {
    case 0:
    case 1:
    case 2:
      return 0;
    case 3:
      return random() % (50 * interval_ns + 1);
    default:
      return random() % (2 * interval_ns + 1);
  }
}

TEST(Rate, EqualsAnExactTokenBucketForAnyRateBurstAndArrivals) {
  __u64 taken = 0, held = 0;
  for (__u64 seed = 1; seed <= 100; ++seed) {
    std::mt19937_64 random(seed);
    const __u64 interval = 1 + random() % (1ULL << (random() % 35));
    const __u64 burst = 1 + random() % (1ULL << (random() % 13));
    const mw_rate rate = rate_of(interval, burst);
    __u64 now = 1 + random() % (1ULL << 50), tat = 0;
    TokenBucket bucket(interval, burst, now);

    for (int arrival = 0; arrival < 10'000; ++arrival) {
      now += next_gap(random, interval);
      const bool conforms = mw_rate_conforms(tat, &rate, now);
      const mw_taken verdict = mw_rate_take(&tat, &rate, now);
      ASSERT_EQ(bucket.take(now) ? MW_TAKEN : MW_HELD, verdict)
          << "seed " << seed << " arrival " << arrival;
      ASSERT_EQ(conforms, verdict == MW_TAKEN) << "asking and taking disagree";
      ++(verdict == MW_TAKEN ? taken : held);
    }
  }
  EXPECT_GT(taken, 100'000U);
  EXPECT_GT(held, 100'000U) << "the limit was hardly met: little was proved";
}

TEST(Rate, AdmitsTheBurstAtOnceThenOneAnInterval) {
  const mw_rate rate = rate_of(100 * kMs, 3);
  __u64 tat = 0;
  struct Step {
    __u64 ms;
    mw_taken verdict;
  };
  constexpr Step kSteps[] = {{1000, MW_TAKEN}, {1000, MW_TAKEN}, {1000, MW_TAKEN}, {1000, MW_HELD},
                             {1099, MW_HELD},  {1100, MW_TAKEN}, {1199, MW_HELD},  {1200, MW_TAKEN},
                             {9000, MW_TAKEN}, {9000, MW_TAKEN}, {9000, MW_TAKEN}, {9000, MW_HELD}};
  for (const Step& step : kSteps)
    EXPECT_EQ(step.verdict, mw_rate_take(&tat, &rate, step.ms * kMs)) << step.ms << " ms";
}

TEST(Rate, OfIntervalZeroIsNoLimitAndKeepsNoState) {
  const mw_rate none{};
  __u64 tat = 0;
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(MW_TAKEN, mw_rate_take(&tat, &none, 5));
  EXPECT_EQ(0U, tat);
  EXPECT_TRUE(mw_rate_conforms(~0ULL, &none, 0));

  const mw_rate some = rate_of(1, 1);
  EXPECT_FALSE(mw_rate_conforms(~0ULL, &some, 0));
}

TEST(Rate, IsNotOpenedByAClockThatGoesBack) {
  for (__u64 seed = 1; seed <= 100; ++seed) {
    std::mt19937_64 random(seed);
    const __u64 interval = 1 + random() % kSecond, burst = 1 + random() % 100;
    const mw_rate rate = rate_of(interval, burst);
    const __u64 start = kSecond * 1000;
    __u64 tat = 0, now = start, latest = start, taken = 0;
    ASSERT_EQ(MW_TAKEN, mw_rate_take(&tat, &rate, now));
    for (int arrival = 0; arrival < 10'000; ++arrival) {
      now += next_gap(random, interval);
      latest = std::max(latest, now);
      // Another CPU's reading, up to ten intervals old, yet not before the first one.
      const __u64 reading = std::max(start, now - random() % (10 * interval));
      taken += mw_rate_take(&tat, &rate, reading) == MW_TAKEN;
    }
    ASSERT_LE(taken + 1, burst + (latest - start) / interval) << "seed " << seed;
  }
}

/// Where two threads wait for each other without sleeping: they leave within nanoseconds.
class Meeting {
 public:
  void meet(int who) {
    const unsigned round = arrived_[who].fetch_add(1) + 1;
    for (unsigned spins = 0; arrived_[1 - who].load() < round; ++spins)
      if (spins > 100'000) std::this_thread::yield();
  }

 private:
  std::array<std::atomic<unsigned>, 2> arrived_{};
};

/// Runs `work(0)` and `work(1)` at the same time, on a CPU each if there are two.
void two_threads(const std::function<void(int)>& work) {
  Meeting start;
  const auto run = [&](int who) {
    cpu_set_t cpu;
    CPU_ZERO(&cpu);
    CPU_SET(who, &cpu);
    ::pthread_setaffinity_np(::pthread_self(), sizeof(cpu), &cpu);
    start.meet(who);
    work(who);
  };
  std::thread first(run, 0), second(run, 1);
  first.join();
  second.join();
}

TEST(Rate, IsExactWhenTwoCpusTakeAtOnce) {
  // The burst outlasts most of the arrivals, so that both take all the time.
  constexpr __u64 kInterval = 1000, kBurst = 2'000'000, kArrivals = 2'000'000, kStart = 1'000'000;
  const mw_rate rate = rate_of(kInterval, kBurst);
  __u64 tat = 0;
  std::array<__u64, 2> all_taken{}, all_contended{};

  two_threads([&](int who) {
    __u64 taken = 0, contended = 0;
    for (__u64 i = 0; i < kArrivals; ++i) {
      const mw_taken verdict = mw_rate_take(&tat, &rate, kStart + i);
      taken += verdict == MW_TAKEN;
      contended += verdict == MW_CONTENDED;
    }
    all_taken[who] = taken;
    all_contended[who] = contended;
  });
  const __u64 most = kBurst + (kArrivals - 1) / kInterval;
  const __u64 taken = all_taken[0] + all_taken[1], contended = all_contended[0] + all_contended[1];
  std::printf("taken %llu of at most %llu, contended %llu\n", taken, most, contended);
  EXPECT_LE(taken, most);
  EXPECT_GE(taken + contended, most) << "both together ask for twice as much";
  EXPECT_GT(std::min(all_taken[0], all_taken[1]), 0U) << "they did not meet";
}

// ---- slices ----

constexpr __u64 at_slice(__u64 number) {
  return number * MW_SLICE_NS + kSecond;
}

mw_source with_stale_bits(std::uint32_t slice) {
  mw_source source{};
  source.slice = slice;
  for (mw_slice& stale : source.slices) {
    for (auto& word : stale.seen) word = ~0ULL;
    stale.syns = stale.contacts = stale.limited = stale.braked = 99;
  }
  return source;
}

bool is_clear(const mw_slice& slice) {
  const mw_slice clear{};
  return std::memcmp(&slice, &clear, sizeof(clear)) == 0;
}

TEST(Slice, TurnClearsTheNewCurrentOneAndAfterAGapTheOtherToo) {
  struct Case {
    const char* what;
    std::uint32_t was;
    __u64 now;
    std::uint32_t number;  ///< afterwards
    bool current_clear, other_clear;
  };
  constexpr Case kCases[] = {
      {"the same slice", 10, 10, 10, false, false},
      {"the next", 10, 11, 11, true, false},
      {"one was left out", 10, 12, 12, true, true},
      {"a day later", 10, 298, 298, true, true},
      {"a source's first SYN", 0, 77, 77, true, true},
      {"a reading older than another CPU's turn", 10, 9, 10, false, false},
      {"the number wraps", 0xffffffff, 0, 0, true, false},
      {"the number wraps over a gap", 0xffffffff, 1, 1, true, true},
  };
  for (const Case& tested : kCases) {
    mw_source source = with_stale_bits(tested.was);
    const mw_slice* current = mw_slice_turn(&source, at_slice(tested.now));
    EXPECT_EQ(tested.number, source.slice) << tested.what;
    EXPECT_EQ(&source.slices[tested.now & 1], current) << tested.what;
    EXPECT_EQ(tested.current_clear, is_clear(source.slices[tested.now & 1])) << tested.what;
    EXPECT_EQ(tested.other_clear, is_clear(source.slices[~tested.now & 1])) << tested.what;
  }
}

TEST(Slice, TurnedByTwoCpusAtOnceKeepsNoStaleBitAndInventsNone) {
  constexpr std::uint32_t kRounds = 20'000;
  mw_source source{};
  std::uint32_t round = 0;
  std::array<__u64, 2> marked{};
  std::array<int, 2> told_first{};
  int told = 0, kept = 0, stale = 0, wrong_number = 0;

  const auto judge_round = [&] {
    const mw_slice& current = source.slices[0];
    stale += (current.seen[0] & ~(marked[0] | marked[1])) != 0 || current.seen[1] != 0 ||
             !is_clear(source.slices[1]);
    wrong_number += source.slice != 2 * round + 2;
    kept += std::popcount(current.seen[0]);
    told += told_first[0] + told_first[1];
  };
  Meeting meeting;
  two_threads([&](int who) {
    std::mt19937_64 random(static_cast<__u64>(who));
    for (std::uint32_t i = 0; i < kRounds; ++i) {
      const std::uint32_t bit = random() % 64;
      if (who == 0) source = with_stale_bits(2 * i);
      meeting.meet(who);
      marked[who] = 1ULL << bit;
      told_first[who] = mw_contact_mark(mw_slice_turn(&source, at_slice(2 * i + 2)), bit);
      meeting.meet(who);
      if (who == 0) judge_round(), ++round;
    }
  });
  EXPECT_EQ(0, stale);
  EXPECT_EQ(0, wrong_number);
  EXPECT_EQ(kept, told) << "each contact that is kept was told of once";
  EXPECT_GT(kept, static_cast<int>(kRounds)) << "most contacts survive the turn";
}

TEST(Contact, IsSeenInEitherSliceAndOnlyThere) {
  mw_source source{};
  for (std::uint32_t bit = 0; bit < MW_SEEN_BITS; ++bit) {
    EXPECT_FALSE(mw_contact_seen(&source, bit));
    EXPECT_TRUE(mw_contact_mark(&source.slices[bit & 1], bit)) << "first";
    EXPECT_FALSE(mw_contact_mark(&source.slices[bit & 1], bit)) << "again";
    EXPECT_TRUE(mw_contact_seen(&source, bit));
    EXPECT_FALSE(mw_contact_seen(&source, (bit + 1) % MW_SEEN_BITS) && bit + 1 < MW_SEEN_BITS);
  }
}

TEST(Contact, IsToldToExactlyOneOfTwoCpus) {
  constexpr int kRounds = 2000;
  mw_slice slice{};
  std::array<int, 2> firsts{};
  Meeting meeting;
  two_threads([&](int who) {
    std::vector<std::uint32_t> bits(MW_SEEN_BITS);
    std::iota(bits.begin(), bits.end(), 0U);
    std::mt19937_64 random(static_cast<__u64>(who));
    for (int round = 0; round < kRounds; ++round) {
      std::shuffle(bits.begin(), bits.end(), random);
      if (who == 0) slice = {};
      meeting.meet(who);
      for (const std::uint32_t bit : bits) firsts[who] += mw_contact_mark(&slice, bit);
      meeting.meet(who);
    }
  });
  EXPECT_EQ(kRounds * MW_SEEN_BITS, firsts[0] + firsts[1]);
  EXPECT_GT(std::min(firsts[0], firsts[1]), 0) << "they did not meet";
}

/// Mean and standard deviation of the estimate for `count` networks that `network(i)` numbers.
struct Spread {
  double mean, deviation;
};
Spread spread_of(int count, const std::function<__u64(std::mt19937_64&, int)>& network) {
  constexpr int kSeeds = 1000;
  double sum = 0, squares = 0;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    std::mt19937_64 random(static_cast<__u64>(seed));
    const __u64 hash_seed = random();
    mw_source source{};
    for (int i = 0; i < count; ++i) {
      const __u64 number = network(random, i);
      const std::uint32_t words[] = {static_cast<std::uint32_t>(number >> 32),
                                     static_cast<std::uint32_t>(number)};
      mw_contact_mark(&source.slices[i & 1], mw_hash(words, 2, hash_seed) % MW_SEEN_BITS);
    }
    const double estimate = estimate_networks(source);
    sum += estimate;
    squares += estimate * estimate;
  }
  const double mean = sum / kSeeds;
  return {mean, std::sqrt(squares / kSeeds - mean * mean)};
}

TEST(Contact, CountsNetworksWithinALinearCountersError) {
  struct Case {
    const char* what;
    __u64 (*network)(std::mt19937_64& random, int i);
  };
  // As the kernel hashes them: an IPv4 /24 with its last byte masked, in network byte order.
  constexpr Case kCases[] = {
      {"random /24s", [](std::mt19937_64& random, int) { return __u64{random() & 0x00ffffff}; }},
      {"neighbouring /24s",
       [](std::mt19937_64&, int i) { return static_cast<__u64>(i) << 16 | 0x12c6; }},
      {"neighbouring /48s", [](std::mt19937_64&, int i) {
         return __u64{0xb80d0120} << 32 | static_cast<__u64>(i) << 8;
       }}};
  for (const Case& tested : kCases)
    for (const int count : {10, 20, 50, 100}) {
      const Spread spread = spread_of(count, tested.network);
      std::printf("%-18s n=%3d  mean %6.2f  sd %5.2f\n", tested.what, count, spread.mean,
                  spread.deviation);
      EXPECT_NEAR(count, spread.mean, count / 10.0) << tested.what;
      EXPECT_LT(spread.deviation, count / 10.0) << tested.what;
    }
}

int takes(__u64& tat_ns, const mw_rate& rate, __u64 now_ns) {
  int taken = 0;
  while (taken < 1000 && mw_rate_take(&tat_ns, &rate, now_ns) == MW_TAKEN) ++taken;
  return taken;
}

TEST(RateGiveBack, CanBeTakenAgainAndNeverExceedsAFullBurst) {
  const mw_rate brake = rate_of(2 * kSecond, 20);
  for (const __u64 now : {__u64{1}, kSecond, 1000 * kSecond}) {
    for (int spent = 0; spent <= 20; ++spent)
      for (const int given : {1, 2, 5, 100}) {
        __u64 tat = 0;
        for (int i = 0; i < spent; ++i) ASSERT_EQ(MW_TAKEN, mw_rate_take(&tat, &brake, now));
        mw_rate_give_back(&tat, &brake, given);
        EXPECT_EQ(std::min(20, 20 - spent + given), takes(tat, brake, now))
            << spent << " spent, " << given << " given back at " << now;
      }
    __u64 tat = 0;
    for (int i = 0; i < 1000; ++i) mw_rate_give_back(&tat, &brake, 2);
    EXPECT_EQ(20, takes(tat, brake, now)) << "a thousand messages save up nothing";
  }
  __u64 tat = 4711;
  constexpr mw_rate kNone{};
  mw_rate_give_back(&tat, &kNone, 2);
  EXPECT_EQ(4711U, tat) << "no limit";
}

bool is_refused(const mw_source& source, std::uint32_t bit) {
  return mw_refused_seen(&source, bit) != 0;
}

TEST(Refused, IsRememberedForAnHourAndForgottenByTheSecondTurn) {
  constexpr __u64 kHour = MW_REFUSED_SLICE_NS;
  for (const std::uint32_t bit : {0U, 63U, 64U, 255U}) {
    mw_source source{};
    const std::uint32_t other = (bit + 1) % MW_SEEN_BITS;
    mw_refused_mark(&source, bit, 7 * kHour - 1);
    EXPECT_TRUE(is_refused(source, bit));
    EXPECT_FALSE(is_refused(source, other));
    mw_refused_mark(&source, other, 7 * kHour);
    EXPECT_TRUE(is_refused(source, bit)) << "the hour before";
    mw_refused_mark(&source, other, 8 * kHour);
    EXPECT_FALSE(is_refused(source, bit));
    EXPECT_TRUE(is_refused(source, other));
    mw_refused_mark(&source, bit, 20 * kHour);
    EXPECT_FALSE(is_refused(source, other)) << "nothing of a day ago";
    mw_refused_mark(&source, other, 20 * kHour - 1);
    EXPECT_TRUE(is_refused(source, bit)) << "an older clock reading turns nothing back";
  }
}

}  // namespace
}  // namespace mailweir
