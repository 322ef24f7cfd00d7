// SPDX-License-Identifier: GPL-2.0-or-later
// What became of a first contact, as the client's own packets tell it: events and counters, on
// each path. Which flow is one: contact_test.cc. What time alone tells: sweep_test.cc.
#include "contact_fixture.h"

namespace mailweir {
namespace {

using OutcomeTest = ContactFixture;
INSTANTIATE_TEST_SUITE_P(, OutcomeTest, ::testing::ValuesIn(all_paths()), path_name);

TEST_P(OutcomeTest, AContactWithoutAMessageIsToldOnceWithItsWholeTuple) {
  const Session refused = session(7, 1);
  open(refused, 45);
  expect_pass(refused.data(0, 20, 45));
  expect_pass(refused.data(20, 54, 90));
  EXPECT_EQ(Lines{}, told()) << "not over yet";
  expect_pass(refused.fin(74, 250));
  EXPECT_EQ(Lines{refused.outcome("unproductive", 74, 250)}, told());
  expect_pass(refused.fin(74, 250));
  expect_pass(refused.ack(75, 251));
  EXPECT_EQ(Lines{}, told()) << "sent again";

  const Counts once = {{"opened", 1}, {"answered", 1}, {"finished", 1}};
  EXPECT_EQ(once, counted());
  EXPECT_EQ((Counts{{"opened", 1}, {"answered", 1}, {"finished", 1}, {"no message", 1}}),
            counted_of(7));
}

TEST_P(OutcomeTest, AContactWithAMessageIsToldOnce) {
  const Session small = session(7, 1);
  run_to_end(small, 300);
  EXPECT_EQ(Lines{small.outcome("productive", 300, 100)}, told());
  const Session large = session(8, 1);
  open(large, 100);
  expect_pass(large.message(0, 100));
  EXPECT_EQ(Lines{large.outcome("productive", 4096, 100)}, told()) << "as soon as it is known";
  expect_pass(large.data(4096, 1000, 150));
  expect_pass(large.fin(5096, 200));
  EXPECT_EQ(Lines{}, told());

  const Counts once = {{"opened", 1}, {"answered", 1}, {"finished", 1}};
  EXPECT_EQ(once, counted_of(7));
  EXPECT_EQ(once, counted_of(8));
  EXPECT_EQ((Counts{{"opened", 2}, {"answered", 2}, {"finished", 2}}), counted());
}

TEST_P(OutcomeTest, AHelloBeforeTheServersThousandBytesIsNoMessage) {
  const Session plain = session(7, 1);
  run_to_end(plain, 300, 999);
  EXPECT_EQ(Lines{plain.outcome("productive", 300, 999)}, told());
  int client = 8;
  for (const std::uint32_t bytes : {346, 449, 450, 536}) {
    const bool is_message = bytes >= 450;
    const Session tls = session(client++, 1);
    open(tls, 100);
    expect_pass(tls.data(0, 1600, 100).truncate(200));
    expect_pass(tls.ack(1600, 1170));
    EXPECT_EQ(Lines{}, told()) << "its hello";
    expect_pass(tls.data(1600, bytes, 1500));
    EXPECT_EQ(is_message ? Lines{tls.outcome("productive", bytes, 1500)} : Lines{}, told());
    expect_pass(tls.fin(1600 + bytes, 1600));
    EXPECT_EQ(is_message ? Lines{} : Lines{tls.outcome("unproductive", bytes, 1600)}, told());
  }
}

TEST_P(OutcomeTest, ARstEndsAContactAndBeforeTheHandshakeIsNoAnswer) {
  const Session reset = session(7, 1);
  open(reset, 45);
  expect_pass(reset.data(0, 20, 45));
  for (const std::uint32_t at : {0, 19, 21}) expect_pass(reset.rst(at));
  EXPECT_EQ(Lines{}, told()) << "not where its data ends";
  expect_pass(reset.rst(20));
  EXPECT_EQ(Lines{reset.outcome("unproductive", 20, 45)}, told());
  const Session given_up = session(8, 1);
  expect_pass(given_up.syn());
  expect_pass(given_up.rst(0));
  EXPECT_EQ(Lines{}, told());
  EXPECT_EQ((Counts{{"opened", 1}, {"unanswered", 1}}), counted_of(8));
}

TEST_P(OutcomeTest, AnOutcomeKnowsWhenItsConnectionBeganAndThatTheServerSpokeIsToldAtOnce) {
  const Session answered = session(7, 1);
  expect_pass(answered.syn());
  const auto asked_ns = now_ns();
  advance(1s);
  expect_pass(answered.ack());
  EXPECT_TRUE(events().empty()) << "a handshake can be forged";
  advance(1s);
  expect_pass(answered.ack(0, 45));
  const auto heard = events();
  ASSERT_EQ(1U, heard.size());
  EXPECT_EQ(MW_EVENT_HEARD, heard[0].kind);
  EXPECT_EQ(1U, heard[0].is_contact);
  EXPECT_EQ(path().client(7), to_string(heard[0].client));
  EXPECT_EQ(path().server(1), to_string(heard[0].destination));
  expect_pass(answered.ack(0, 90));
  expect_pass(answered.end(74, 90));
  const auto ended = events();
  ASSERT_EQ(1U, ended.size()) << "once";
  EXPECT_EQ(MW_EVENT_UNPRODUCTIVE, ended[0].kind);
  EXPECT_EQ(0U, ended[0].is_by_time);
  run_to_end(session(7, 1), 74, 45);
  EXPECT_TRUE(events().empty()) << "no contact";
  for (const mw_event& event : {heard[0], ended[0]})
    EXPECT_NEAR(static_cast<double>(asked_ns), static_cast<double>(event.started_ns), 2e6);
}

}  // namespace
}  // namespace mailweir
