// SPDX-License-Identifier: GPL-2.0-or-later
// Which flow is a first contact, what its message earns, and when its outcome is lost. Outcomes
// themselves: outcome_test.cc.
#include <functional>

#include "contact_fixture.h"

namespace mailweir {
namespace {

using ContactTest = ContactFixture;
INSTANTIATE_TEST_SUITE_P(, ContactTest, ::testing::ValuesIn(plain_paths()), path_name);

TEST_P(ContactTest, AMessageGivesTwoTokensOfTheBrakeBackAndNeverMoreThanABurst) {
  rules_.brake = rate(1000h, 4);
  apply(rules_);
  const auto servers = distinct_servers(12);
  std::vector<Session> sessions;
  for (const int server : servers) sessions.push_back(session(7, server));
  for (int i = 0; i < 4; ++i) open(sessions[i], 100);
  EXPECT_EQ(drop("braked"), sent(sessions[4].syn()));

  expect_pass(sessions[0].fin(0, 100));
  EXPECT_EQ(drop("braked"), sent(sessions[4].syn())) << "no message, no credit";
  expect_pass(sessions[1].message(0, 100));
  open(sessions[5], 100);
  open(sessions[6], 100);
  EXPECT_EQ(drop("braked"), sent(sessions[7].syn()));
  expect_pass(sessions[1].fin(4096, 100));
  run_to_end(session(7, servers[1]), 1000);
  EXPECT_EQ(drop("braked"), sent(sessions[7].syn())) << "once for each network";

  for (const int i : {2, 3, 5, 6}) expect_pass(sessions[i].message(0, 100));
  for (int i = 7; i < 11; ++i) EXPECT_EQ(pass("passed"), sent(sessions[i].syn())) << i;
  EXPECT_EQ(drop("braked"), sent(sessions[11].syn())) << "four messages, but a burst of four";
}

TEST_P(ContactTest, OnlyTheFirstConnectionToANetworkIsAContact) {
  const Session first = session(7, 1);
  const Session second = session(7, 1);
  open(first, 100);
  open(second, 100);
  const std::string neighbour =
      path().family == Family::ipv4 ? "198.18.1.200" : "2001:db8:f001:9::1";
  const Session third = session_of(path().client(7), neighbour);
  run_to_end(third, 20);
  expect_pass(second.fin(0, 100));
  EXPECT_EQ(Lines{}, told());
  expect_pass(first.fin(0, 100));
  EXPECT_EQ(Lines{first.outcome("unproductive", 0, 100)}, told());
  EXPECT_EQ((Counts{{"opened", 1}, {"answered", 1}, {"finished", 1}}), counted());
}

TEST_P(ContactTest, AMessageToARefusedNetworkIsToldThoughItIsNoContact) {
  run_to_end(session(7, 1), 74);
  run_to_end(session(7, 2), 500);
  run_to_end(session(8, 3), 74);
  EXPECT_EQ(3U, told().size());
  run_to_end(session(7, 1), 74);
  EXPECT_EQ(Lines{}, told()) << "refused again";
  run_to_end(session(7, 2), 500);
  EXPECT_EQ(Lines{}, told()) << "it took the first as well";
  const Session later = session(7, 1);
  run_to_end(later, 500);
  EXPECT_EQ(Lines{later.outcome("productive again", 500, 100)}, told());
  const Session longer = session(7, 1);
  run_to_end(longer, 1200);
  EXPECT_EQ(Lines{longer.outcome("productive again", 1200, 100)}, told());
  EXPECT_EQ(2U, counted_of(7)["finished"]) << "contacts only";
}

TEST_P(ContactTest, ASynThatWasDroppedHasNoOutcomeAndItsRetryIsTheFirstContact) {
  struct Case {
    const char* verdict;
    std::function<void()> hold;
  };
  const auto servers = distinct_servers(3);
  const Case cases[] = {
      {"braked", [&] { rules_.brake = rate(1000h, 1); }},
      {"limited", [&] { rules_.groups[0].limit = rate(1000h, 1); }},
  };
  for (const Case& tested : cases) {
    const auto rules = rules_;
    clear_sources();
    tested.hold();
    apply(rules_);
    expect_pass(session(7, servers[0]).syn());
    const Session held = session(7, servers[1]);
    EXPECT_EQ(drop(tested.verdict), sent(held.syn()));
    expect_pass(held.ack());
    expect_pass(held.end(20, 45));
    EXPECT_EQ((Counts{{"opened", 1}}), counted_of(7)) << tested.verdict;
    rules_ = rules;
    apply(rules_);
    advance(1s);
    run_to_end(held, 74);
    EXPECT_EQ(Lines{held.outcome("unproductive", 74, 100)}, told()) << tested.verdict;
    EXPECT_EQ(2U, counted_of(7)["opened"]);
  }
}

TEST_P(ContactTest, ASynThatABlockDroppedHasNoOutcome) {
  block(path().key(7), 1h);
  const Session blocked = session(7, 1);
  EXPECT_EQ(drop("blocked"), sent(blocked.syn()));
  EXPECT_EQ(drop("blocked"), sent(blocked.ack()));
  EXPECT_FALSE(source(path().key(7)));
  run_to_end(session(8, 1), 74);
  EXPECT_EQ(1U, told().size()) << "another source";
  advance(1h);
  run_to_end(blocked, 74);
  EXPECT_EQ(Lines{blocked.outcome("unproductive", 74, 100)}, told()) << "its retry is a contact";
}

TEST_P(ContactTest, WhatWouldBeDroppedHasOutcomes) {
  rules_.brake = rate(1000h, 1);
  const auto servers = distinct_servers(2);
  for (const bool by_allowlist : {true, false}) {
    rules_.networks[source_prefix(path().key(7), 64)] = {
        static_cast<__u16>(MW_SCOPE_INSIDE | (by_allowlist ? MW_SCOPE_ALLOWED : 0)), 0};
    rules_.mode = by_allowlist ? MW_MODE_BLOCK : MW_MODE_OBSERVE;
    apply(rules_);
    clear_sources();
    block(path().key(7), 1h, MW_REASON_EVIDENCE);
    EXPECT_EQ(would("blocked"), sent(session(7, servers[0]).syn()));
    const Session braked = session(7, servers[1]);
    EXPECT_EQ(would("blocked"), sent(braked.syn())) << "braked as well";
    EXPECT_EQ(would("blocked"), sent(braked.ack()));
    EXPECT_EQ(would("blocked"), sent(braked.end(74, 9)));
    EXPECT_EQ(Lines{braked.outcome("unproductive", 74, 9)}, told());
  }
}

TEST_P(ContactTest, AFlowMetInTheMiddleHasNoOutcome) {
  const Session unseen = session(7, 1);
  expect_pass(unseen.ack());
  expect_pass(unseen.data(0, 2000, 9));
  expect_pass(unseen.fin(2000, 9));
  EXPECT_FALSE(source(path().key(7)));
  open(session(7, 2));
  expect_pass(unseen.data(0, 2000, 9));
  expect_pass(unseen.fin(2000, 9));
  EXPECT_EQ(Lines{}, told());
  EXPECT_EQ((Counts{{"opened", 1}, {"answered", 1}}), counted());
}

TEST_P(ContactTest, AClientThatAcknowledgesWhatNoServerSaysLosesItsContact) {
  const Session guessed = session(7, 1);
  open(guessed);
  const Session second = session(7, 1);
  open(second);
  expect_pass(guessed.ack(0, 500'000'000));
  expect_pass(guessed.end(74, 500'000'001));
  expect_pass(second.ack(0, 500'000'000));
  const Session behind = session(8, 1);
  open(behind);
  expect_pass(behind.ack(0, -MW_HEARD_MOST - 1));
  expect_pass(behind.end(74, 9));
  EXPECT_EQ(Lines{}, told());
  const Counts once = {{"opened", 1}, {"answered", 1}, {"lost", 1}};
  EXPECT_EQ(once, counted_of(7)) << "one that is no contact costs nothing";
  EXPECT_EQ(once, counted_of(8));
  const Session wordy = session(9, 1);
  run_to_end(wordy, 74, MW_HEARD_MOST);
  EXPECT_EQ(1U, told().size()) << "as much as a server may say";
}

TEST_P(ContactTest, AServerOfTheAllowlistIsNoEvidence) {
  rules_.networks[*parse_prefix(path().server(1))] = {MW_SCOPE_SERVER, 0};
  rules_.has_servers = true;
  apply(rules_);
  run_to_end(session(7, 1), 74);
  EXPECT_EQ(Lines{}, told());
  run_to_end(session(7, 2), 74);
  EXPECT_EQ(1U, told().size());
}

TEST_P(ContactTest, APortUsedAgainIsAFlowOfItsOwnAndTheOneBeforeItIsLost) {
  struct Case {
    const char* before;
    std::uint32_t sent;  ///< before it was left; 0: not even answered
    std::uint64_t lost;
  };
  constexpr Case kCases[] = {{"sent", 0, 1}, {"open", 74, 1}, {"told", MW_ENOUGH_BYTES, 0}};
  const auto servers = distinct_servers(3);
  for (int i = 0; i < 3; ++i) {
    const Case& tested = kCases[i];
    const Session left = session(7, servers[i]);
    expect_pass(left.syn());
    if (tested.sent != 0) {
      expect_pass(left.ack());
      expect_pass(left.data(0, tested.sent, 9).truncate(200));
    }
    (void)told();
    const auto lost_before = counted_of(7)["lost"];
    const Session again = left.reused();
    EXPECT_EQ(pass("passed"), sent(again.syn())) << tested.before;
    EXPECT_EQ(lost_before + tested.lost, counted_of(7)["lost"]) << tested.before;
    expect_pass(left.data(tested.sent, 2000, 9));
    expect_pass(left.fin(tested.sent + 2000, 9));
    expect_pass(left.rst(tested.sent + 2000));
    EXPECT_EQ(Lines{}, told()) << "late packets of the one before: " << tested.before;
    expect_pass(again.ack());
    expect_pass(again.end(74, 9));
    EXPECT_EQ(Lines{}, told()) << "its network was met already: " << tested.before;
  }
  EXPECT_EQ(2U, counted()["lost"]);
}

TEST_P(ContactTest, ASynThatTheNetworkDoubledCostsItsContactNothing) {
  const Session doubled = session(7, 1);
  expect_pass(doubled.syn());
  advance(1ms);
  expect_pass(doubled.syn());
  EXPECT_EQ(0U, counted()["lost"]);
  expect_pass(doubled.ack());
  expect_pass(doubled.syn());
  expect_pass(doubled.end(74, 9));
  EXPECT_EQ(Lines{doubled.outcome("unproductive", 74, 9)}, told());
}

TEST_P(ContactTest, ASynThatTheClientRepeatsIsTheSameContact) {
  const Session repeated = session(7, 1);
  expect_pass(repeated.syn());
  for (int i = 0; i < 3; ++i) {
    advance(1s * (1 << i));
    EXPECT_EQ(pass("retransmit"), sent(repeated.syn()));
  }
  expect_pass(repeated.ack());
  expect_pass(repeated.end(74, 9));
  EXPECT_EQ(Lines{repeated.outcome("unproductive", 74, 9)}, told());
}

TEST_P(ContactTest, LargeSegmentsCountAllTheirBytes) {
  const Session merged = session(7, 1);
  open(merged, 9);
  // What GRO made of many; the frame itself may be short, since its headers tell its length.
  expect_pass(merged.data(0, 60'000, 9).truncate(200));
  EXPECT_EQ(Lines{merged.outcome("productive", 60'000, 9)}, told());
  const Session last = session(8, 1);
  open(last, 9);
  expect_pass(last.end(999, 9).truncate(200));
  EXPECT_EQ(Lines{last.outcome("productive", 999, 9)}, told()) << "data and FIN in one";
}

TEST_P(ContactTest, AJumbogramCountsFromTheNextSequenceNumber) {
  // A length field that tells nothing: IPv6 beyond 64 KiB, and IPv4 likewise (BIG TCP).
  const auto jumbo = [&](Packet packet) {
    const std::size_t length_at = path().family == Family::ipv4 ? 2 : 4;
    return packet.network_byte(length_at, 0).network_byte(length_at + 1, 0);
  };
  const Session big = session(7, 1);
  open(big, 9);
  expect_pass(jumbo(big.data(0, 100, 9)));
  EXPECT_EQ(Lines{}, told()) << "its payload counts as none";
  expect_pass(big.ack(100'000, 50));
  EXPECT_EQ(Lines{big.outcome("productive", 100'000, 50)}, told());
}

TEST_P(ContactTest, ASlotThatIsOverwrittenIsALostContact) {
  const auto servers = distinct_servers(60);
  std::vector<Session> sessions;
  for (const int server : servers) {
    sessions.push_back(session(7, server));
    open(sessions.back());
  }
  const auto lost = counted()["lost"];
  EXPECT_GE(lost, 60U - MW_FLOW_SLOTS);
  EXPECT_LT(lost, 60U);
  EXPECT_EQ(lost, evidence(7).lost);
  for (const Session& session : sessions) expect_pass(session.end(74, 9));
  EXPECT_EQ(60U - lost, told().size());
  EXPECT_EQ((Counts{{"opened", 60}, {"answered", 60}, {"finished", 60 - lost}, {"lost", lost}}),
            counted());
}

TEST_P(ContactTest, AFloodOfHeldSynsOverwritesNoContact) {
  rules_.brake = rate(1000h, 12);
  apply(rules_);
  const auto servers = distinct_servers(13);
  std::vector<Session> sessions;
  for (int i = 0; i < 12; ++i) {
    sessions.push_back(session(7, servers[i]));
    open(sessions.back());
  }
  const auto lost = counted()["lost"];
  for (int i = 0; i < 300; ++i) EXPECT_EQ(drop("braked"), sent(session(7, servers[12]).syn()));
  EXPECT_EQ(drop("braked"), sent(session(7, servers[12]).reused().syn()));
  for (const Session& session : sessions) expect_pass(session.end(74, 9));
  EXPECT_EQ(12U - lost, told().size());
  EXPECT_EQ(lost, counted()["lost"]);
}

TEST_P(ContactTest, AProvenMailerIsNotBrakedUntilItsTimeIsOver) {
  rules_.brake = rate(1000h, 1);
  apply(rules_);
  ASSERT_TRUE(datapath().put_score(path().key(7), {.proven_until_ns = now_ns() + 1'000'000'000}));
  ASSERT_TRUE(datapath().put_score(path().key(8), {.proven_until_ns = now_ns()}));
  const auto servers = distinct_servers(4);
  for (const int server : servers) EXPECT_EQ(pass("passed"), sent(syn(7, server)));
  for (const int client : {8, 9}) {
    EXPECT_EQ(pass("passed"), sent(syn(client, servers[0])));
    EXPECT_EQ(drop("braked"), sent(syn(client, servers[1]))) << client;
  }
  clear_sources();
  advance(1s);
  EXPECT_EQ(pass("passed"), sent(syn(7, servers[0])));
  EXPECT_EQ(drop("braked"), sent(syn(7, servers[1]))) << "its time is over";
}

class PrefixTest : public ContactFixture {};
INSTANTIATE_TEST_SUITE_P(, PrefixTest,
                         ::testing::Values(Path{Program::xdp, Family::ipv6},
                                           Path{Program::tc, Family::ipv6}),
                         path_name);

TEST_P(PrefixTest, AnOutcomeNamesTheClientsOwnAddressWhateverItsPrefix) {
  for (const int bits : {32, 48, 56, 60, 64, 72, 128}) {
    rules_.ipv6_prefix = bits;
    rules_.networks[*parse_prefix("2001:db8::/32")] = {MW_SCOPE_INSIDE, 0};
    apply(rules_);
    clear_sources();
    const std::string client = "2001:db8:1:75ab:1234::6";
    const Session ended = session_of(client, path().server(1));
    run_to_end(ended, 74);
    const Session silent = session_of(client, path().server(2));
    open(silent);
    const auto by_packet = events();
    ASSERT_EQ(2U, by_packet.size()) << "the server speaks; the end";
    for (const mw_event& event : by_packet)
      EXPECT_EQ(client, to_string(event.client)) << "/" << bits << ", kind " << event.kind;
    advance(31s);
    sweep();
    const auto by_time = events();
    ASSERT_EQ(1U, by_time.size());
    // A slot keeps the last 8 bytes; the rest is the key's.
    if (bits >= 64) {
      EXPECT_EQ(client, to_string(by_time[0].client)) << "/" << bits;
    }
    EXPECT_EQ(0, std::memcmp(by_packet[0].client.bytes + 8, by_time[0].client.bytes + 8, 8));
  }
}

}  // namespace
}  // namespace mailweir
