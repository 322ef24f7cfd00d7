// SPDX-License-Identifier: GPL-2.0-or-later
// Who is judged, and what is enforced: scope, blocks, modes, groups, allowlist, dead man. Each
// sentence on each path: hook, family, encapsulation.
#include "program_fixture.h"

namespace mailweir {
namespace {

using VerdictTest = PathTest;
INSTANTIATE_TEST_SUITE_P(, VerdictTest, ::testing::ValuesIn(all_paths()), path_name);

constexpr mw_mode kModes[] = {MW_MODE_OBSERVE, MW_MODE_THROTTLE, MW_MODE_BLOCK};

Prefix host(const mw_addr& key) {
  return source_prefix(key, 64);
}

TEST_P(VerdictTest, DropsEveryPacketOfABlockedSourceToAJudgedPort) {
  block(path().key(7));
  EXPECT_EQ(drop("blocked"), sent(flow(7).syn()));
  EXPECT_EQ(drop("blocked"), sent(flow(7).ack()));
  EXPECT_EQ(drop("blocked"), sent(flow(7).fin()));
  EXPECT_EQ(drop("blocked"), sent(flow(7).rst()));
  EXPECT_EQ(drop("blocked"), sent(flow(7).ack().payload(400)));

  EXPECT_EQ(uncounted(), sent(syn(7, 1, 443))) << "another port";
  EXPECT_EQ(pass("watched"), sent(syn(7, 1, 465))) << "a watched port";
  EXPECT_EQ(pass("passed"), sent(syn(8))) << "another source";
  EXPECT_EQ(pass("flow"), sent(flow(8).ack())) << "another source";
  const Packet answer = path().ip(path().server(1), path().client(7)).tcp(51422, 25).ack();
  EXPECT_EQ(uncounted(), sent(answer)) << "the other direction";
}

TEST_P(VerdictTest, LetsASourcePassFromTheMomentItsBlockExpires) {
  block(path().key(7), 1h);
  advance(1h - 1ns);
  EXPECT_EQ(drop("blocked"), sent(syn(7)));
  advance(1ns);
  EXPECT_EQ(pass("passed"), sent(syn(7)));
  EXPECT_EQ(pass("flow"), sent(flow(7).ack()));
}

TEST_P(VerdictTest, AnEntryOfZerosBlocksForEver) {
  ASSERT_TRUE(datapath().put_block(path().key(7), mw_block{}));
  EXPECT_EQ(drop("blocked"), sent(syn(7)));
  advance(24h * 365);
  EXPECT_EQ(drop("blocked"), sent(syn(7)));
  ASSERT_TRUE(datapath().remove_block(path().key(7)));
  EXPECT_EQ(pass("passed"), sent(syn(7)));
}

TEST_P(VerdictTest, LetsASourceOutsidePassAndKeepsNothingOfIt) {
  const mw_addr key = source_key(*parse_address(path().foreigner()), 64);
  const auto from_outside = [&] { return path().ip(path().foreigner(), path().server(1)); };
  block(key);
  EXPECT_EQ(pass("not_inside"), sent(from_outside().tcp(25).syn()));
  EXPECT_EQ(pass("not_inside"), sent(from_outside().tcp(25).ack()));
  EXPECT_EQ(pass("not_inside"), sent(from_outside().tcp(465).syn()));
  EXPECT_FALSE(source(key));

  EXPECT_EQ(pass("passed"), sent(syn(7)));
  EXPECT_TRUE(source(path().key(7))) << "one inside is kept";
}

TEST_P(VerdictTest, CountsSynsToWatchedPortsAndNeverDropsThem) {
  Ruleset rules = default_rules();
  rules.groups[0].limit = rate(1h, 1);
  rules.brake = rate(1h, 1);
  apply(rules);
  for (int i = 1; i <= 5; ++i) EXPECT_EQ(pass("watched"), sent(syn(7, i, i < 3 ? 465 : 587)));
  EXPECT_EQ(5U, evidence(7).watched);
  EXPECT_EQ(0U, evidence(7).syns);

  EXPECT_EQ(uncounted(), sent(flow(7, 1, 465).ack())) << "only SYNs are counted there";
  EXPECT_EQ(pass("passed"), sent(syn(7))) << "they used up nothing";
  EXPECT_EQ(drop("limited"), sent(syn(7)));
}

TEST_P(VerdictTest, NeverDropsAnAllowedSourceButCountsWhatItWouldDrop) {
  Ruleset rules = default_rules();
  rules.networks[host(path().key(7))] = {MW_SCOPE_INSIDE | MW_SCOPE_ALLOWED, 0};
  rules.groups[0].limit = rate(1h, 2);
  rules.brake = rate(1h, 1);
  apply(rules);
  const auto servers = distinct_servers(2);

  EXPECT_EQ(pass("passed"), sent(syn(7, servers[0])));
  EXPECT_EQ(would("braked"), sent(syn(7, servers[1])));
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[1]))) << "a network that it met";
  EXPECT_EQ(would("limited"), sent(syn(7, servers[1])));
  block(path().key(7));
  EXPECT_EQ(would("blocked"), sent(syn(7)));
  EXPECT_EQ(would("blocked"), sent(flow(7).ack()));
  EXPECT_EQ(0U, drops(path().key(7)).packets);
  EXPECT_EQ(0U, evidence(7).dropped);
  EXPECT_EQ(2U, evidence(7).limited) << "the one under the block too: it gathers evidence";

  block(path().key(8));
  EXPECT_EQ(drop("blocked"), sent(syn(8))) << "its neighbour is not allowed";
}

TEST_P(VerdictTest, EnforcesAManualBlockInEveryMode) {
  Ruleset rules = default_rules();
  block(path().key(7));
  for (const mw_mode mode : kModes) {
    rules.mode = mode;
    apply(rules);
    EXPECT_EQ(drop("blocked"), sent(syn(7))) << "mode " << mode;
    EXPECT_EQ(drop("blocked"), sent(flow(7).ack())) << "mode " << mode;
    EXPECT_EQ(pass("passed"), sent(syn(8))) << "mode " << mode;
  }
}

TEST_P(VerdictTest, EnforcesAnAutomaticBlockInBlockModeOnly) {
  Ruleset rules = default_rules();
  block(path().key(7), 24h, MW_REASON_EVIDENCE);
  for (const mw_mode mode : kModes) {
    rules.mode = mode;
    apply(rules);
    const Outcome expected = mode == MW_MODE_BLOCK ? drop("blocked") : would("blocked");
    EXPECT_EQ(expected, sent(syn(7))) << "mode " << mode;
    EXPECT_EQ(expected, sent(flow(7).ack())) << "mode " << mode;
  }
  EXPECT_EQ(2U, evidence(7).syns) << "what a would-block lets pass is evidence";
  EXPECT_EQ(2U, drops(path().key(7)).packets) << "what it would drop, it did not";
}

TEST_P(VerdictTest, EnforcesLimitAndBrakeUnlessItOnlyObserves) {
  Ruleset rules = default_rules();
  rules.groups[0].limit = rate(1h, 2);
  rules.brake = rate(1h, 1);
  const auto servers = distinct_servers(2);
  for (const mw_mode mode : {MW_MODE_INHERIT, MW_MODE_OBSERVE, MW_MODE_THROTTLE, MW_MODE_BLOCK}) {
    rules.mode = mode;
    apply(rules);
    clear_sources();
    const bool enforced = mode >= MW_MODE_THROTTLE;
    EXPECT_EQ(pass("passed"), sent(syn(7, servers[0])));
    EXPECT_EQ(enforced ? drop("braked") : would("braked"), sent(syn(7, servers[1])));
    EXPECT_EQ(pass("passed"), sent(syn(7, servers[0])));
    EXPECT_EQ(enforced ? drop("limited") : would("limited"), sent(syn(7, servers[0])));
    EXPECT_EQ(enforced ? 2U : 0U, evidence(7).dropped);
    EXPECT_EQ(1U, evidence(7).limited) << "mode " << mode;
    EXPECT_EQ(1U, evidence(7).braked) << "mode " << mode;
  }
}

TEST_P(VerdictTest, AGroupHasItsOwnLimitAndItsOwnMode) {
  Ruleset rules = default_rules();
  rules.mode = MW_MODE_OBSERVE;
  rules.groups = {mw_group{.limit = rate(1h, 1)},
                  mw_group{.limit = rate(1h, 2), .mode = MW_MODE_BLOCK}};
  rules.networks[host(path().key(7))] = {MW_SCOPE_INSIDE, 1};
  apply(rules);
  block(path().key(6), 1h, MW_REASON_EVIDENCE);
  EXPECT_EQ(pass("passed"), sent(syn(7)));
  EXPECT_EQ(pass("passed"), sent(syn(7)));
  EXPECT_EQ(drop("limited"), sent(syn(7)));
  block(path().key(7), 1h, MW_REASON_EVIDENCE);
  EXPECT_EQ(drop("blocked"), sent(syn(7)));

  EXPECT_EQ(pass("passed"), sent(syn(8))) << "the default group";
  EXPECT_EQ(would("limited"), sent(syn(8))) << "the default group";
  EXPECT_EQ(would("blocked"), sent(syn(6))) << "the default group";
}

TEST_P(VerdictTest, AHostsEntryGoesBeforeItsNetworks) {
  Ruleset rules = default_rules();
  rules.groups = {mw_group{.limit = rate(1h, 1)}, mw_group{}};
  rules.networks[host(path().key(7))] = {MW_SCOPE_INSIDE, 0};
  rules.hosts[path().key(7)] = {MW_SCOPE_INSIDE, 1};
  apply(rules);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pass("passed"), sent(syn(7)));
  EXPECT_EQ(pass("passed"), sent(syn(8)));
  EXPECT_EQ(drop("limited"), sent(syn(8))) << "its neighbour is in the default group";
}

TEST_P(VerdictTest, DropsNothingOnceTheControllerHasBeenSilentForTooLong) {
  Ruleset rules = default_rules();
  rules.dead_man = 24h;
  rules.groups[0].limit = rate(1000h, 1);
  apply(rules);
  beat();
  block(path().key(7));
  EXPECT_EQ(pass("passed"), sent(syn(8)));
  advance(24h);
  EXPECT_EQ(drop("blocked"), sent(syn(7)));
  EXPECT_EQ(drop("limited"), sent(syn(8)));
  advance(1ns);
  EXPECT_EQ(would("blocked"), sent(syn(7)));
  EXPECT_EQ(would("blocked"), sent(flow(7).ack()));
  EXPECT_EQ(would("limited"), sent(syn(8)));
  EXPECT_EQ(1U, drops(path().key(7)).packets);

  beat();
  EXPECT_EQ(drop("blocked"), sent(syn(7))) << "it lives again";
}

TEST_P(VerdictTest, AHeartbeatYoungerThanThePacketsClockIsAlive) {
  Ruleset rules = default_rules();
  rules.dead_man = 24h;
  apply(rules);
  block(path().key(7));
  beat();
  advance(-1us);
  EXPECT_EQ(drop("blocked"), sent(syn(7)));
}

TEST_P(VerdictTest, NeverJudgesWhatGoesToAnAllowedServer) {
  Ruleset rules = default_rules();
  const mw_addr relay = *parse_address(path().server(2));
  rules.networks[Prefix{relay, 128}] = {MW_SCOPE_SERVER, 0};
  rules.has_servers = true;
  rules.groups[0].limit = rate(1h, 1);
  apply(rules);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pass("passed"), sent(syn(7, 2)));
  EXPECT_FALSE(source(path().key(7))) << "it is no evidence either";
  EXPECT_EQ(pass("passed"), sent(syn(7, 3)));
  EXPECT_EQ(drop("limited"), sent(syn(7, 3))) << "another server";

  block(path().key(7));
  EXPECT_EQ(pass("passed"), sent(syn(7, 2)));
  EXPECT_EQ(pass("flow"), sent(flow(7, 2).ack()));
  EXPECT_EQ(drop("blocked"), sent(syn(7, 3))) << "another server";
}

TEST_P(VerdictTest, OneIpv6NetworkIsOneSourceAndOneIpv4AddressToo) {
  Ruleset rules = default_rules();
  rules.groups[0].limit = rate(1h, 1);
  apply(rules);
  const auto from_other_address = [&] {
    return path().ip(path().other_address(7), path().server(1)).tcp(25, 40000).syn();
  };
  EXPECT_EQ(pass("passed"), sent(syn(7)));
  EXPECT_EQ(drop("limited"), sent(from_other_address()));
  block(path().key(7));
  EXPECT_EQ(drop("blocked"), sent(from_other_address()));
  EXPECT_EQ(pass("passed"), sent(syn(8))) << "the next /64 or /32";
}

TEST_P(VerdictTest, AChangedScopeHoldsForASourceThatIsKnownAlready) {
  Ruleset rules = default_rules();
  block(path().key(7));
  EXPECT_EQ(pass("passed"), sent(syn(8)));
  EXPECT_EQ(drop("blocked"), sent(syn(7)));

  rules.networks[host(path().key(7))] = {MW_SCOPE_INSIDE | MW_SCOPE_ALLOWED, 0};
  rules.networks[host(path().key(8))] = {0, 0};
  apply(rules);
  EXPECT_EQ(would("blocked"), sent(syn(7)));
  EXPECT_EQ(pass("not_inside"), sent(syn(8)));

  apply(default_rules());
  EXPECT_EQ(drop("blocked"), sent(syn(7)));
  EXPECT_EQ(pass("passed"), sent(syn(8)));
}

TEST_P(VerdictTest, AChangedPortIsJudgedAtOnce) {
  Ruleset rules = default_rules();
  block(path().key(7));
  EXPECT_EQ(uncounted(), sent(syn(7, 1, 2525)));
  rules.judged_ports = {2525, 65535};
  apply(rules);
  EXPECT_EQ(drop("blocked"), sent(syn(7, 1, 2525)));
  EXPECT_EQ(drop("blocked"), sent(syn(7, 1, 65535)));
  EXPECT_EQ(uncounted(), sent(syn(7, 1, 25)));
  EXPECT_EQ(uncounted(), sent(syn(7, 1, 2526)));
}

TEST_P(VerdictTest, CountsWhatABlockCostInPacketsAndIpBytes) {
  block(path().key(7));
  std::uint64_t bytes = 0;
  for (int i = 0; i < 10; ++i) {
    const Packet packet = flow(7).ack().payload(static_cast<std::size_t>(i) * 100);
    bytes += packet.network_bytes();
    EXPECT_EQ(drop("blocked"), sent(packet));
  }
  EXPECT_EQ(10U, drops(path().key(7)).packets);
  EXPECT_EQ(bytes, drops(path().key(7)).bytes);
  EXPECT_EQ(0U, drops(path().key(8)).packets);

  block(path().key(7), 1h);
  EXPECT_EQ(10U, drops(path().key(7)).packets) << "extending a block keeps them";
}

}  // namespace
}  // namespace mailweir
