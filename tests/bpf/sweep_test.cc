// SPDX-License-Identifier: GPL-2.0-or-later
// What time alone tells of contacts, and what the sweep counts.
#include <bpf/bpf.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "bpf/flow.h"
#include "contact_fixture.h"

namespace mailweir {
namespace {

class SweepTest : public ContactFixture {
 protected:
  Lines told_by_sweep() {
    sweep();
    Lines lines = told();
    std::ranges::sort(lines);
    return lines;
  }
  /// As exact as a flow's clock is.
  static constexpr nanoseconds kTick = 2ms;

  std::string unanswered(int count, int client) const {
    return fmt::format("{} unanswered {}", count, to_string(path().key(client)));
  }
};
INSTANTIATE_TEST_SUITE_P(, SweepTest, ::testing::ValuesIn(plain_paths()), path_name);

TEST_P(SweepTest, UnansweredContactsAreToldOnceASourceAfterTenSeconds) {
  const auto servers = distinct_servers(5);
  for (int i = 0; i < 3; ++i) expect_pass(syn(7, servers[i]));
  const Session late = session(8, servers[3]);
  expect_pass(late.syn());
  advance(1s);
  const Session younger = session(7, servers[4]);
  expect_pass(younger.syn());
  open(session(9, servers[0]));
  advance(9s - 2ms);
  EXPECT_EQ(Lines{}, told_by_sweep());
  advance(2 * kTick);
  EXPECT_EQ((Lines{unanswered(1, 8), unanswered(3, 7)}), told_by_sweep());
  EXPECT_EQ(Lines{}, told_by_sweep()) << "once";
  EXPECT_EQ((Counts{{"opened", 6}, {"answered", 1}, {"unanswered", 4}}), counted())
      << "one is pending still";

  expect_pass(younger.ack());
  expect_pass(younger.end(74, 9));
  EXPECT_EQ(Lines{younger.outcome("unproductive", 74, 9)}, told()) << "left alone";
  EXPECT_EQ(pass("retransmit"), sent(late.syn())) << "its slot is kept for its retries";
  expect_pass(late.ack());
  expect_pass(late.end(500, 9));
  EXPECT_EQ(Lines{}, told()) << "answered too late: it has had its outcome";
  EXPECT_EQ((Counts{{"opened", 1}, {"unanswered", 1}}), counted_of(8));
}

TEST_P(SweepTest, AServerThatSaysNothingForThirtySecondsIsToldOnceWithItsTuple) {
  const Session silent = session(7, 1);
  open(silent);
  expect_pass(silent.data(0, 20));
  open(session(8, 1), 1);
  advance(30s - kTick);
  EXPECT_EQ(Lines{}, told_by_sweep());
  advance(2 * kTick);
  EXPECT_EQ(Lines{silent.outcome("unproductive", 20)}, told_by_sweep());
  EXPECT_EQ(Lines{}, told_by_sweep());
  expect_pass(silent.fin(20, 9));
  EXPECT_EQ(Lines{}, told()) << "it has had its outcome";
  EXPECT_EQ((Counts{{"opened", 1}, {"answered", 1}, {"finished", 1}, {"no message", 1}}),
            counted_of(7));
  EXPECT_EQ((Counts{{"opened", 1}, {"answered", 1}}), counted_of(8)) << "one byte is enough";
}

TEST_P(SweepTest, AContactWithoutAnEndIsOverdueAfterTenMinutes) {
  const Session endless = session(7, 1);
  open(endless, 200);
  expect_pass(endless.data(0, 74, 250));
  advance(1s);
  const Session younger = session(8, 1);
  open(younger, 200);
  advance(599s - kTick);
  EXPECT_EQ(Lines{}, told_by_sweep());
  advance(2 * kTick);
  EXPECT_EQ(Lines{endless.outcome("unproductive", 74, 250)}, told_by_sweep());
  EXPECT_EQ(Lines{}, told_by_sweep());
  expect_pass(younger.end(500, 300));
  EXPECT_EQ(Lines{younger.outcome("productive", 500, 300)}, told());
  EXPECT_EQ((Counts{{"opened", 2}, {"answered", 2}, {"finished", 2}}), counted());
}

TEST_P(SweepTest, AnOverdueContactThatCarriedAMessageIsProductive) {
  const Session reset = session(7, 1);
  open(reset, 200);
  expect_pass(reset.data(0, 500, 250));
  // The server ends it with a RST, upon which a client says nothing more.
  advance(601s);
  EXPECT_EQ(Lines{reset.outcome("productive", 500, 250)}, told_by_sweep());
  EXPECT_EQ(0U, counted_of(7)["no message"]);
}

TEST_P(SweepTest, ConnectionsThatAreNoContactAreLetGoInSilence) {
  run_to_end(session(7, 1), 500);
  (void)told();
  const Session second = session(7, 1);
  expect_pass(second.syn());
  open(session(7, 1));
  advance(31s);
  EXPECT_EQ(Lines{}, told_by_sweep());
  EXPECT_EQ((Counts{{"opened", 1}, {"answered", 1}, {"finished", 1}}), counted_of(7));
}

TEST_P(SweepTest, ANetworkWhoseServerSaidNothingIsRefusedUntilItTakesAMessage) {
  open(session(7, 1));
  advance(31s);
  EXPECT_EQ(1U, told_by_sweep().size());
  const Session later = session(7, 1);
  run_to_end(later, 500);
  EXPECT_EQ(Lines{later.outcome("productive again", 500, 100)}, told());
}

TEST_P(SweepTest, AContactWhoseEndOurBlockDropsHasNoOutcome) {
  const Session open_before = session(7, 1);
  open(open_before, 100);
  const Session asked_before = session(7, 2);
  expect_pass(asked_before.syn());
  block(path().key(7), 1h);
  EXPECT_EQ(drop("blocked"), sent(asked_before.ack()));
  EXPECT_EQ(drop("blocked"), sent(open_before.data(0, 2000, 100)));
  EXPECT_EQ(drop("blocked"), sent(open_before.fin(2000, 100)));
  advance(601s);
  EXPECT_EQ(Lines{}, told_by_sweep()) << "we cut it off ourselves";
}

TEST_P(SweepTest, CountsSourcesAndWhichOfThemAreActive) {
  const auto servers = distinct_servers(2);
  open(session(7, servers[0]));
  open(session(8, servers[0]));
  expect_pass(syn(9));
  sweep();
  EXPECT_EQ(3U, datapath().tracked_sources());
  EXPECT_EQ(2U, datapath().active_sources()) << "nobody answered the third";
  advance(5min);
  open(session(8, servers[1]));
  expect_pass(syn(10, 1, 465));
  advance(5min - 1ns);
  sweep();
  EXPECT_EQ(4U, datapath().tracked_sources());
  EXPECT_EQ(2U, datapath().active_sources());
  advance(1ns);
  sweep();
  EXPECT_EQ(4U, datapath().tracked_sources());
  EXPECT_EQ(1U, datapath().active_sources());
  clear_sources();
  sweep();
  EXPECT_EQ(0U, datapath().tracked_sources());
}

TEST_P(SweepTest, ContactsForgottenWithTheirSourceAreLost) {
  const auto servers = distinct_servers(4);
  for (const int server : servers) open(session(7, server), 9);
  run_to_end(session(8, servers[0]), 74);
  open(session(8, servers[1]), 9);
  sweep();
  EXPECT_EQ(0U, counted()["lost"]) << "pending is not lost";
  const mw_addr key = path().key(7);
  ASSERT_EQ(0, bpf_map_delete_elem(map_fd("sources"), &key));
  sweep();
  EXPECT_EQ(4U, counted()["lost"]);
  sweep();
  EXPECT_EQ(4U, counted()["lost"]) << "once";
}

TEST_P(SweepTest, ASweepAfterALongBreakJudgesWhatIsOverdueOrCountsItLost) {
  const Session left = session(7, 1);
  open(left, 100);
  advance(2h);
  sweep();
  const auto told_at_once = told().size();
  EXPECT_EQ(1U, told_at_once + counted()["lost"]);
  expect_pass(syn(7, 2));
  sweep();
  EXPECT_EQ(1U, told_at_once + told().size() + counted()["lost"]) << "one outcome, not two";
}

TEST_P(SweepTest, AContactWhoseClientIsQuietForAMinuteIsJudgedByWhatItSent) {
  const Session message = session(7, 1), none = session(8, 1), busy = session(9, 1);
  const auto asked_ns = now_ns();
  for (const Session& each : {message, none, busy}) open(each, 100);
  expect_pass(message.data(0, 300, 100));
  expect_pass(none.data(0, 299, 100));
  advance(1s);
  EXPECT_EQ(Lines{}, told_by_sweep()) << "from here on they are quiet";
  advance(30s);
  expect_pass(busy.ack(0, 100));
  EXPECT_EQ(Lines{}, told_by_sweep());
  advance(30s - kTick);
  EXPECT_EQ(Lines{}, told_by_sweep());
  advance(2 * kTick);
  sweep();
  std::map<std::string, __u32> kinds;
  for (const mw_event& event : events()) {
    kinds[to_string(event.client)] = event.kind;
    EXPECT_EQ(1U, event.is_by_time);
    EXPECT_EQ(1U, event.is_contact);
    EXPECT_NEAR(static_cast<double>(asked_ns), static_cast<double>(event.started_ns), 2e6);
  }
  EXPECT_EQ((std::map<std::string, __u32>{{path().client(7), MW_EVENT_PRODUCTIVE},
                                          {path().client(8), MW_EVENT_UNPRODUCTIVE}}),
            kinds);
  EXPECT_EQ(0U, counted_of(7)["no message"]);
  EXPECT_EQ(1U, counted_of(8)["no message"]);
  expect_pass(message.fin(300, 100));
  EXPECT_EQ(Lines{}, told()) << "it has had its outcome";
  advance(31s);
  EXPECT_EQ(Lines{busy.outcome("unproductive", 0, 100)}, told_by_sweep());
}

TEST_P(SweepTest, AQuietTlsSessionIsJudgedByWhatItSentAfterTheHandshake) {
  const Session refused = session(7, 1);
  open(refused, 100);
  expect_pass(refused.data(0, 1600, 100).truncate(200));
  expect_pass(refused.ack(1600, 1170));
  expect_pass(refused.data(1600, 346, 1500));
  EXPECT_EQ(Lines{}, told_by_sweep());
  advance(61s);
  EXPECT_EQ(Lines{refused.outcome("unproductive", 346, 1500)}, told_by_sweep());
}

TEST_P(SweepTest, AFinBeyondAGapIsNotBelievedAndTheSweepEndsItsContact) {
  const Session early = session(7, 1), complete = session(8, 1);
  for (const Session& each : {early, complete}) {
    open(each, 9);
    expect_pass(each.data(0, 20, 9));
  }
  expect_pass(early.fin(74, 9));
  EXPECT_EQ(Lines{}, told());
  expect_pass(complete.fin(20, 9));
  EXPECT_EQ(Lines{complete.outcome("unproductive", 20, 9)}, told());
  EXPECT_EQ(Lines{}, told_by_sweep());
  advance(61s);
  EXPECT_EQ(Lines{early.outcome("unproductive", 74, 9)}, told_by_sweep());
}

TEST_P(SweepTest, AMessageAfterAContactWasJudgedByTimeTakesItsStepBackOnce) {
  const Session by_end = session(7, 1), at_once = session(8, 1), tls = session(9, 1),
                never = session(10, 1);
  for (const Session& each : {by_end, at_once, tls, never}) open(each, 100);
  EXPECT_EQ(Lines{}, told_by_sweep());
  advance(61s);
  EXPECT_EQ(4U, told_by_sweep().size());
  expect_pass(by_end.end(300, 100));
  EXPECT_EQ(Lines{by_end.outcome("productive again", 300, 100)}, told());
  expect_pass(at_once.message(0, 100));
  EXPECT_EQ(Lines{at_once.outcome("productive again", 4096, 100)}, told());
  expect_pass(at_once.fin(4096, 100));
  expect_pass(tls.ack(0, 1170));
  EXPECT_EQ(Lines{}, told());
  expect_pass(tls.data(0, 450, 1170));
  EXPECT_EQ(Lines{tls.outcome("productive again", 450, 1170)}, told());
  expect_pass(never.end(299, 100));
  EXPECT_EQ(Lines{}, told());
  for (const int client : {7, 8, 9, 10})
    EXPECT_EQ((Counts{{"opened", 1}, {"answered", 1}, {"finished", 1}, {"no message", 1}}),
              counted_of(client))
        << "contacts only";
}

TEST_P(SweepTest, AMessageThatTimeTellsGivesTokensOfTheBrakeBackAsAnyOther) {
  rules_.brake = rate(1000h, 1);
  apply(rules_);
  const auto servers = distinct_servers(2);
  const Session none = session(7, servers[0]), message = session(8, servers[0]);
  open(none, 100);
  open(message, 100);
  expect_pass(message.data(0, 500, 100));
  EXPECT_EQ(Lines{}, told_by_sweep());
  advance(61s);
  EXPECT_EQ(2U, told_by_sweep().size());
  EXPECT_EQ(drop("braked"), sent(session(7, servers[1]).syn()));
  EXPECT_EQ(pass("passed"), sent(session(8, servers[1]).syn()));
}

/// A table that overflows at once, as a flood of sources makes it.
class SmallTableTest : public ProgramFixture {
 protected:
  SmallTableTest() : ProgramFixture(kCapacity) {}
  static constexpr std::uint32_t kCapacity = 1024;

  static Packet packet(int client, std::uint32_t seq) {
    const auto source = fmt::format("172.20.{}.{}", client / 250, client % 250 + 1);
    return Packet{}.eth().ipv4(source, "198.18.1.25").tcp(25).isn(seq);
  }
  mw_contacts counts() const {
    const auto found = datapath().contacts();
    EXPECT_TRUE(found);
    return found ? *found : mw_contacts{};
  }
};

TEST_F(SmallTableTest, ContactsOfEvictedSourcesAreLostAndAllOthersAccountedFor) {
  constexpr int kClients = 5000;
  Ruleset rules = default_rules();
  apply(rules);
  sweep();
  const mw_contacts before = counts();
  for (int i = 0; i < kClients; ++i) {
    repeat(Program::xdp, packet(i, 100).syn(), 1);
    if (i % 2 == 0) repeat(Program::xdp, packet(i, 101).ack_number(1).ack(), 1);
    if (i % 4 == 0) repeat(Program::xdp, packet(i, 101).ack_number(9).fin(), 1);
  }
  sweep();
  const mw_contacts after = counts();
  EXPECT_EQ(std::uint64_t{kClients}, after.opened - before.opened);
  EXPECT_LE(datapath().tracked_sources(), std::uint64_t{kCapacity});
  std::uint64_t pending = 0;
  ASSERT_TRUE(datapath().each_source([&](const mw_addr&, const mw_source& source) {
    for (const __u64 word : source.flow_words) pending += mw_flow_is_pending(word) != 0;
  }));
  EXPECT_GT(pending, 100U);
  EXPECT_EQ(std::uint64_t{kClients / 4}, after.finished - before.finished);
  EXPECT_EQ(kClients - kClients / 4 - pending, after.lost - before.lost);
}

class SweepRaceTest : public SmallTableTest {};

TEST_F(SweepRaceTest, NothingIsLostWhileOthersMeetNewNetworksDuringTheSweep) {
  Ruleset rules = default_rules();
  rules.brake = kNoLimit;
  apply(rules);
  sweep();
  const auto lost_before = counts().lost;
  std::atomic<bool> done{false};
  std::thread clients([&] {
    for (int round = 0; round < 20; ++round)
      for (int client = 0; client < 200; ++client) {
        const auto source = fmt::format("172.20.0.{}", client + 1);
        const auto server = fmt::format("198.18.{}.25", round * 12 + 1);
        repeat(Program::xdp, Packet{}.eth().ipv4(source, server).tcp(25, 2000 + round).syn(), 1);
      }
    done = true;
  });
  while (!done) sweep();
  clients.join();
  sweep();
  std::uint64_t syns = 0;
  std::uint64_t lost = 0;
  ASSERT_TRUE(datapath().each_source([&](const mw_addr&, const mw_source& source) {
    syns += source.syns;
    lost += source.lost;
  }));
  ASSERT_EQ(20U * 200U, syns) << "no source was evicted";
  const auto counted = counts().lost - lost_before;
  EXPECT_GE(counted, lost);
  EXPECT_LE(counted, lost + 1) << "slots overwritten, and one that was on its way into its slot";
}

}  // namespace
}  // namespace mailweir
