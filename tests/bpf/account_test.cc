// SPDX-License-Identifier: GPL-2.0-or-later
// What the program tells: counters per interface, events and their budget.
#include <net/if.h>

#include <set>

#include "program_fixture.h"

namespace mailweir {
namespace {

using CounterTest = PathTest;
INSTANTIATE_TEST_SUITE_P(, CounterTest, ::testing::ValuesIn(plain_paths()), path_name);

/// A test run can name the interface of an Ethernet frame only.
using InterfaceTest = PathTest;
INSTANTIATE_TEST_SUITE_P(, InterfaceTest, ::testing::ValuesIn([] {
                           auto paths = plain_paths();
                           std::erase_if(paths, [](const Path& path) {
                             return path.program == Program::tc_ip;
                           });
                           return paths;
                         }()),
                         path_name);

TEST_P(InterfaceTest, EachInterfaceHasItsOwnCounters) {
  ASSERT_TRUE(make_veth("mwone", "mwtwo"));
  const unsigned one = ::if_nametoindex("mwone");
  const unsigned two = ::if_nametoindex("mwtwo");
  block(path().key(7));
  const Program program = path().program;
  EXPECT_EQ(pass("passed"), run_on(program, one, syn(8)));
  EXPECT_EQ(drop("blocked"), run_on(program, one, syn(7)));
  EXPECT_EQ(drop("blocked"), run_on(program, two, syn(7)));
  EXPECT_EQ(drop("blocked"), run_on(program, two, flow(7).ack()));
  EXPECT_EQ(uncounted(), run_on(program, two, syn(7, 1, 443)));

  EXPECT_EQ(1U, counters(one).passed.enforced);
  EXPECT_EQ(1U, counters(one).blocked.enforced);
  EXPECT_EQ(0U, counters(two).passed.enforced);
  EXPECT_EQ(2U, counters(two).blocked.enforced);
  EXPECT_EQ(3U, drops(path().key(7)).packets) << "a source has one count over all interfaces";
  ASSERT_TRUE(remove_interface("mwone"));
}

TEST_P(CounterTest, TheVerdictsAddUpToWhatWasSentToJudgedPorts) {
  Ruleset rules = default_rules();
  rules.mode = MW_MODE_THROTTLE;
  rules.groups[0].limit = rate(1h, 30);
  apply(rules);
  block(path().key(6));
  block(path().key(7), 1h, MW_REASON_EVIDENCE);
  const auto servers = distinct_servers(25);
  std::map<std::string, int> outcomes;
  for (const int client : {6, 7, 8})
    for (int i = 0; i < 40; ++i) ++outcomes[sent(syn(client, servers[i % 25])).counted];
  const std::map<std::string, int> expected = {
      // Client 7 is not blocked in this mode: what limit and brake let pass would be.
      {"blocked", 40},
      {"would blocked", 30},
      {"passed", 30},
      {"braked", 10},
      {"limited", 10}};
  EXPECT_EQ(expected, outcomes);
  EXPECT_EQ(40U, drops(path().key(6)).packets);
  EXPECT_EQ(0U, drops(path().key(7)).packets);
  EXPECT_EQ(40U, evidence(7).syns);
  EXPECT_EQ(10U, evidence(7).dropped);
  EXPECT_EQ(evidence(8).limited + evidence(8).braked, evidence(8).dropped);
}

TEST_P(CounterTest, BytesToJudgedPortsAreCountedFromTheNetworkHeaderOn) {
  Ruleset rules = default_rules();
  rules.groups[0].limit = rate(1h, 2);
  apply(rules);
  std::uint64_t bytes = 0;
  const auto counted = [&](const Packet& packet) {
    (void)sent(packet);
    bytes += packet.network_bytes();
    EXPECT_EQ(bytes, evidence(7).bytes);
  };
  const Packet open = syn(7);
  counted(open);
  counted(open);  // a retransmission
  Packet letter = flow(7).ack();
  counted(letter.payload(1400));  // of a connection that nobody has seen begin
  counted(flow(7).ack());
  counted(syn(7));
  EXPECT_EQ(drop("limited"), sent(syn(7)));
  bytes += syn(7).network_bytes();
  EXPECT_EQ(bytes, evidence(7).bytes) << "it came in, whatever became of it";

  (void)sent(syn(7, 1, 465));
  (void)sent(flow(7, 1, 443).ack());
  EXPECT_EQ(bytes, evidence(7).bytes) << "other ports are not judged";
  (void)sent(syn(8));
  EXPECT_EQ(bytes, evidence(7).bytes) << "another source has its own";
}

TEST_P(CounterTest, WhatABlockDroppedIsInItsOwnCountAndNotAmongTheBytes) {
  (void)sent(syn(7));
  const std::uint64_t before = evidence(7).bytes;
  block(path().key(7), 1h);
  const Packet held = syn(7);
  EXPECT_EQ(drop("blocked"), sent(held));
  EXPECT_EQ(before, evidence(7).bytes);
  EXPECT_EQ(held.network_bytes(), drops(path().key(7)).bytes);

  advance(2h);
  EXPECT_EQ(pass("passed"), sent(syn(7)));
  EXPECT_EQ(before + held.network_bytes(), evidence(7).bytes) << "the block is over";
}

using EventTest = PathTest;
INSTANTIATE_TEST_SUITE_P(, EventTest, ::testing::ValuesIn(plain_paths()), path_name);

TEST_P(EventTest, ABrakedSourceIsReportedWithItsDestination) {
  Ruleset rules = default_rules();
  rules.brake = rate(1h, 1);
  apply(rules);
  const auto servers = distinct_servers(2);
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[0])));
  EXPECT_TRUE(events().empty()) << "nothing to report yet";

  EXPECT_EQ(drop("braked"), sent(syn(7, servers[1])));
  const auto reported = events();
  ASSERT_EQ(1U, reported.size());
  EXPECT_EQ(MW_EVENT_BRAKED, reported[0].kind);
  EXPECT_EQ(now_ns(), reported[0].time_ns);
  EXPECT_EQ(path().key(7), reported[0].source);
  EXPECT_EQ(*parse_address(path().server(servers[1])), reported[0].destination);
  EXPECT_EQ(counters(reported[0].ifindex).braked.enforced, 1U);
}

TEST_P(EventTest, ALimitedSourceIsReportedInEveryMode) {
  Ruleset rules = default_rules();
  rules.groups[0].limit = rate(1h, 1);
  for (const mw_mode mode : {MW_MODE_OBSERVE, MW_MODE_BLOCK}) {
    rules.mode = mode;
    apply(rules);
    clear_sources();
    (void)sent(syn(7));
    EXPECT_TRUE(events().empty());
    (void)sent(syn(7));
    const auto reported = events();
    ASSERT_EQ(1U, reported.size()) << "mode " << mode;
    EXPECT_EQ(MW_EVENT_LIMITED, reported[0].kind);
  }
}

TEST_P(EventTest, TheTenthNetworkOfASliceIsReportedAtOnce) {
  const auto servers = distinct_servers(12);
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(pass("passed"), sent(syn(7, servers[i])));
    EXPECT_EQ(pass("passed"), sent(syn(7, servers[i]))) << "met again: not counted";
    EXPECT_EQ(pass("passed"), sent(syn(8, servers[0]))) << "one network only";
    const auto reported = events();
    ASSERT_EQ(i == 9 ? 1U : 0U, reported.size()) << "network " << i + 1;
    if (i != 9) continue;
    EXPECT_EQ(MW_EVENT_HEAVY, reported[0].kind);
    EXPECT_EQ(path().key(7), reported[0].source);
  }
}

TEST_P(EventTest, AnythingElseOfASourceIsReportedAtMostEvery200Milliseconds) {
  Ruleset rules = default_rules();
  rules.groups[0].limit = rate(24h, 1);
  apply(rules);
  (void)sent(syn(7));
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(drop("limited"), sent(syn(7)));
    advance(25ms);
  }
  EXPECT_EQ(5U, events().size()) << "in one second";
  (void)sent(syn(8));
  EXPECT_EQ(drop("limited"), sent(syn(8)));
  EXPECT_EQ(drop("limited"), sent(syn(7)));
  EXPECT_EQ(2U, events().size()) << "another source has its own";
}

TEST_P(EventTest, TheTenthHeldSynOfASliceIsReportedAtOnce) {
  Ruleset rules = default_rules();
  rules.brake = rate(1h, 1);
  apply(rules);
  const auto servers = distinct_servers(2);
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[0])));
  for (int i = 1; i <= 12; ++i) {
    EXPECT_EQ(drop("braked"), sent(syn(7, servers[1])));
    const auto reported = events();
    ASSERT_EQ(i == 1 || i == MW_BRAKED_MANY ? 1U : 0U, reported.size()) << "held SYN " << i;
    for (const mw_event& event : reported) EXPECT_EQ(MW_EVENT_BRAKED, event.kind);
  }
}

TEST_P(EventTest, AClockReadingOlderThanTheLastEventSendsNoSecondOne) {
  Ruleset rules = default_rules();
  rules.groups[0].limit = rate(24h, 1);
  apply(rules);
  (void)sent(syn(7));
  EXPECT_EQ(drop("limited"), sent(syn(7)));
  advance(-1us);
  EXPECT_EQ(drop("limited"), sent(syn(7)));
  EXPECT_EQ(1U, events().size());
}

class EventFloodTest : public ProgramFixture {
 protected:
  EventFloodTest() : ProgramFixture(65536) {}
};

TEST_F(EventFloodTest, AFloodOfBrakedSourcesSpendsTheBudgetAndCountsTheRest) {
  constexpr std::uint64_t kSources = 10'000;
  constexpr std::uint64_t kAtOnce = 4'000;
  constexpr std::uint64_t kPerSecond = 2'000;
  Ruleset rules = default_rules();
  rules.groups[0].limit = rate(24h, 1);
  apply(rules);
  const auto lost_before = datapath().events_lost();
  const auto syn_of_each = [&](std::uint32_t isn) {
    for (std::uint64_t i = 0; i < kSources; ++i) {
      const std::string source =
          "172.17." + std::to_string(i / 250) + "." + std::to_string(i % 250);
      repeat(Program::xdp, Packet{}.eth().ipv4(source, "198.18.1.25").tcp(25).syn().isn(isn), 1);
    }
  };
  syn_of_each(1);
  EXPECT_TRUE(events().empty()) << "the first one is within the limit";
  syn_of_each(2);
  const auto reported = events();
  EXPECT_EQ(kAtOnce, reported.size());
  EXPECT_EQ(lost_before + kSources - kAtOnce, datapath().events_lost());

  const auto less = [](const mw_addr& a, const mw_addr& b) { return a < b; };
  std::set<mw_addr, decltype(less)> distinct(less);
  for (const mw_event& event : reported) distinct.insert(event.source);
  EXPECT_EQ(kAtOnce, distinct.size());

  advance(1s);
  syn_of_each(3);
  EXPECT_EQ(kPerSecond, events().size());
  EXPECT_EQ(kSources, dropped_packets(counters(1)) / 2) << "the drops go on all the same";
}

}  // namespace
}  // namespace mailweir
