// SPDX-License-Identifier: GPL-2.0-or-later
// How fast a source may send: limit, brake, retransmissions. Each sentence on each path: hook,
// family, encapsulation. Who is judged at all: verdict_test.cc.
#include "program_fixture.h"

namespace mailweir {
namespace {

class RateTest : public PathTest {
 protected:
  void limit(const mw_rate& rate) {
    rules_.groups[0].limit = rate;
    apply(rules_);
  }
  void brake(const mw_rate& rate) {
    rules_.brake = rate;
    apply(rules_);
  }

 private:
  Ruleset rules_ = default_rules();
};
INSTANTIATE_TEST_SUITE_P(, RateTest, ::testing::ValuesIn(all_paths()), path_name);

TEST_P(RateTest, LimitsASourceAfterItsBurstAndLetsOneSynPassPerInterval) {
  limit(rate(100ms, 5));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(pass("passed"), sent(syn(7)));
  EXPECT_EQ(drop("limited"), sent(syn(7)));
  EXPECT_EQ(pass("flow"), sent(flow(7).ack())) << "not a SYN";
  EXPECT_EQ(pass("passed"), sent(syn(8))) << "another source";

  advance(100ms - 1ns);
  EXPECT_EQ(drop("limited"), sent(syn(7)));
  advance(1ns);
  EXPECT_EQ(pass("passed"), sent(syn(7)));
  EXPECT_EQ(drop("limited"), sent(syn(7)));
  advance(1h);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(pass("passed"), sent(syn(7)));
  EXPECT_EQ(drop("limited"), sent(syn(7))) << "a long silence saves up one burst, not more";

  EXPECT_EQ(15U, evidence(7).syns);
  EXPECT_EQ(4U, evidence(7).limited);
}

TEST_P(RateTest, BrakesASourceAtItsTwentyFirstNewNetwork) {
  const auto servers = distinct_servers(23);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(pass("passed"), sent(syn(7, servers[i]))) << i;
  EXPECT_EQ(drop("braked"), sent(syn(7, servers[20])));
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(pass("passed"), sent(syn(7, servers[i]))) << "a network that it met";
  EXPECT_EQ(pass("passed"), sent(syn(8, servers[20]))) << "another source";
  EXPECT_EQ(20U, evidence(7).slices[0].contacts + evidence(7).slices[1].contacts);

  advance(2s);
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[21]))) << "one more each 2 s";
  EXPECT_EQ(drop("braked"), sent(syn(7, servers[22])));
}

TEST_P(RateTest, ANetworkIsForgottenAfterTwoSlices) {
  brake(rate(1000h, 2));
  const auto servers = distinct_servers(2);
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[0])));
  advance(nanoseconds(MW_SLICE_NS));
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[0]))) << "known from the slice before: no charge";
  advance(nanoseconds(MW_SLICE_NS));
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[0]))) << "met again in the slice before: no charge";
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[1]))) << "the second of the burst";
  advance(2 * nanoseconds(MW_SLICE_NS));
  EXPECT_EQ(drop("braked"), sent(syn(7, servers[0])));
}

TEST_P(RateTest, ASynThatTheLimitDropsCostsNothingAtTheBrakeAndTheOtherWayRound) {
  limit(rate(1s, 1));
  brake(rate(1000h, 2));
  const auto servers = distinct_servers(3);
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[0])));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(drop("limited"), sent(syn(7, servers[1])));
  advance(1s);
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[1]))) << "the second of the brake's burst";
  advance(1s);
  EXPECT_EQ(drop("braked"), sent(syn(7, servers[2])));
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[0]))) << "the limit's one";
}

TEST_P(RateTest, ARetransmissionIsFreeSixTimes) {
  limit(rate(1h, 1));
  const Packet first = syn(7);
  EXPECT_EQ(pass("passed"), sent(first));
  for (int i = 0; i < 6; ++i) {
    advance(500ms * (1 << i));
    EXPECT_EQ(pass("retransmit"), sent(first)) << i;
    EXPECT_EQ(drop("limited"), sent(syn(7))) << "a new flow is not free";
  }
  advance(20s);
  EXPECT_EQ(drop("limited"), sent(first));
  EXPECT_EQ(6U, evidence(7).retransmits);
}

TEST_P(RateTest, ASynRepeatedTooSoonIsANewOne) {
  const Packet first = syn(7);
  EXPECT_EQ(pass("passed"), sent(first));
  advance(490ms);
  EXPECT_EQ(pass("passed"), sent(first));
  EXPECT_EQ(2U, evidence(7).syns);
  advance(500ms);
  EXPECT_EQ(pass("retransmit"), sent(first)) << "after 500 ms";
  EXPECT_EQ(2U, evidence(7).syns);
}

TEST_P(RateTest, ASynRepeatedAfterTheStackGaveUpIsANewOne) {
  const Packet early = syn(7);
  const Packet late = syn(8);
  EXPECT_EQ(pass("passed"), sent(early));
  EXPECT_EQ(pass("passed"), sent(late));
  advance(129s);
  EXPECT_EQ(pass("retransmit"), sent(early));
  advance(2s);
  EXPECT_EQ(pass("passed"), sent(late));
}

TEST_P(RateTest, AnotherSequenceNumberOrPortIsANewSyn) {
  const Packet first = syn(7);
  EXPECT_EQ(pass("passed"), sent(first));
  advance(1s);
  EXPECT_EQ(pass("passed"), sent(syn(7))) << "another source port";
  EXPECT_EQ(pass("retransmit"), sent(first));
  advance(1s);
  EXPECT_EQ(pass("passed"), sent(Packet(first).isn(4711))) << "another sequence number";
  EXPECT_EQ(3U, evidence(7).syns);
}

TEST_P(RateTest, TheRetryOfABrakedSynIsDroppedButNotCountedAgain) {
  brake(rate(1000h, 1));
  const auto servers = distinct_servers(2);
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[0])));
  const Packet held = syn(7, servers[1]);
  EXPECT_EQ(drop("braked"), sent(held));
  for (int i = 0; i < 6; ++i) {
    advance(1s * (1 << i));
    EXPECT_EQ(drop("braked"), sent(held));
  }
  EXPECT_EQ(1U, evidence(7).braked);
  EXPECT_EQ(2U, evidence(7).syns);
  EXPECT_EQ(7U, evidence(7).dropped);

  EXPECT_EQ(drop("braked"), sent(syn(7, servers[1])));
  EXPECT_EQ(2U, evidence(7).braked) << "a new SYN is counted";
}

TEST_P(RateTest, TheRetryOfALimitedSynIsDroppedButNotCountedAgain) {
  limit(rate(1h, 1));
  EXPECT_EQ(pass("passed"), sent(syn(7)));
  const Packet held = syn(7);
  EXPECT_EQ(drop("limited"), sent(held));
  advance(1s);
  EXPECT_EQ(drop("limited"), sent(held));
  EXPECT_EQ(1U, evidence(7).limited);
  EXPECT_EQ(2U, evidence(7).syns);

  EXPECT_EQ(drop("limited"), sent(held)) << "at once: no stack does that";
  EXPECT_EQ(2U, evidence(7).limited);
  EXPECT_EQ(3U, evidence(7).syns);
}

TEST_P(RateTest, AHeldSynPassesWithItsRetryOnceTheBrakeHasRecovered) {
  brake(rate(3s, 1));
  const auto servers = distinct_servers(2);
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[0])));
  const Packet held = syn(7, servers[1]);
  EXPECT_EQ(drop("braked"), sent(held));
  advance(1s);
  EXPECT_EQ(drop("braked"), sent(held));
  advance(2s);
  EXPECT_EQ(pass("passed"), sent(held));
  EXPECT_EQ(2U, evidence(7).syns);
  advance(1s);
  EXPECT_EQ(pass("retransmit"), sent(held)) << "from now on it is a flow like others";
}

}  // namespace
}  // namespace mailweir
