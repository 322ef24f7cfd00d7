// SPDX-License-Identifier: GPL-2.0-or-later
// The durable record gives back what it was given. Crashes, damage and locks: store_faults_test.cc.
#include "store/store.h"

#include <gmock/gmock.h>

#include "store_fixture.h"

namespace mailweir {
namespace {

using testing::HasSubstr;

void expect_same(const Decision& expected, const Decision& actual) {
  EXPECT_EQ(expected.id(), actual.id());
  EXPECT_EQ(to_string(expected.prefix()), to_string(actual.prefix()));
  EXPECT_EQ(expected.origin, actual.origin);
  EXPECT_EQ(expected.would, actual.would);
  EXPECT_EQ(expected.since, actual.since);
  EXPECT_EQ(expected.until, actual.until);
  EXPECT_EQ(expected.by, actual.by);
  EXPECT_EQ(expected.reason, actual.reason);
  EXPECT_EQ(expected.evidence, actual.evidence);
  EXPECT_EQ(expected.ended, actual.ended);
  EXPECT_EQ(expected.end_cause, actual.end_cause);
  EXPECT_EQ(expected.dropped_packets, actual.dropped_packets);
  EXPECT_EQ(expected.dropped_bytes, actual.dropped_bytes);
}

TEST_F(StoreTest, StartsEmptyInAStateDirectoryThatIsNotThereYet) {
  dir_ += "/state";
  const Store store = open();
  EXPECT_EQ(0U, *store.last_number());
  EXPECT_TRUE(store.open_decisions()->empty());
  EXPECT_TRUE(store.allow_edits()->empty());
  EXPECT_EQ(std::nullopt, *store.mode_order());
  EXPECT_EQ("", store.note());
  dir_ = fs::path(dir_).parent_path();
}

TEST_F(StoreTest, GivesADecisionBackAsItWasAlsoAfterReopening) {
  Decision manual = decision(2, "2001:db8:1:2::");
  manual.origin = Origin::manual;
  manual.ipv6_prefix = 56;
  manual.until.reset();
  manual.evidence.reset();
  manual.by = "root (uid 0)";
  Decision would = decision(3, "172.16.9.41");
  would.would = true;

  ASSERT_TRUE(open().add({decision(1), manual, would}));
  const auto read = open().open_decisions();
  ASSERT_TRUE(read);
  ASSERT_EQ(3U, read->size());
  expect_same(decision(1), (*read)[0]);
  expect_same(manual, (*read)[1]);
  expect_same(would, (*read)[2]);
}

TEST_F(StoreTest, KeepsWhatAnUpdateSaysAndLeavesTheNeighbourAlone) {
  Store store = open();
  ASSERT_TRUE(store.add({decision(1), decision(2, "172.16.9.41")}));
  Decision ended = decision(1);
  ended.until = kWall + 5h;
  ended.ended = kWall + 2h;
  ended.end_cause = EndCause::unblocked;
  ended.dropped_packets = 1904;
  ended.dropped_bytes = std::numeric_limits<std::uint64_t>::max();
  ASSERT_TRUE(store.update(ended));

  const auto open_now = store.open_decisions();
  ASSERT_EQ(1U, open_now->size());
  expect_same(decision(2, "172.16.9.41"), open_now->front());
  const auto history = store.history(ended.source, WallTime{});
  ASSERT_EQ(1U, history->size());
  ended.dropped_bytes = std::numeric_limits<std::int64_t>::max();  // SQLite has no more
  expect_same(ended, history->front());
}

TEST_F(StoreTest, RefusesToUpdateADecisionThatItDoesNotKnow) {
  Store store = open();
  ASSERT_TRUE(store.add({decision(1)}));
  const auto unknown = store.update(decision(2));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(ENOENT, unknown.error().code);
  EXPECT_THAT(unknown.error().message, HasSubstr("nat1-2"));
  EXPECT_TRUE(store.update(decision(1)));
}

TEST_F(StoreTest, AddsAllDecisionsOrNone) {
  Store store = open();
  ASSERT_TRUE(store.add({decision(1)}));
  EXPECT_FALSE(store.add({decision(2), decision(1)})) << "the number is taken";
  EXPECT_FALSE(store.add({decision(2), decision(0)})) << "0 is no number";
  EXPECT_EQ(1U, store.open_decisions()->size());
  EXPECT_EQ(1U, *store.last_number());
  EXPECT_TRUE(store.add({decision(2), decision(3)}));
  EXPECT_TRUE(store.add({}));
  EXPECT_EQ(3U, store.open_decisions()->size());
}

TEST_F(StoreTest, TellsASourcesHistoryNewestFirst) {
  Store store = open();
  ASSERT_TRUE(store.add({decision(1), decision(2, "172.16.7.7"), decision(3), decision(4)}));
  const auto since = [&](std::uint32_t number) {
    std::vector<std::uint32_t> numbers;
    for (const auto& found : *store.history(decision(1).source, decision(number).since))
      numbers.push_back(found.number);
    return numbers;
  };
  EXPECT_THAT(since(0), testing::ElementsAre(4, 3, 1));
  EXPECT_THAT(since(3), testing::ElementsAre(4, 3));
  EXPECT_THAT(since(5), testing::IsEmpty());
}

TEST_F(StoreTest, NeverLowersTheLastNumber) {
  ASSERT_TRUE(open().add({decision(7), decision(6)}));
  EXPECT_EQ(7U, *open().last_number());
  sql("DELETE FROM decisions");
  EXPECT_EQ(7U, *open().last_number()) << "pruned history";
  ASSERT_TRUE(open().add({decision(3), decision(4'000'000'000)}));
  EXPECT_EQ(4'000'000'000U, *open().last_number());
}

TEST_F(StoreTest, KeepsHostileTextAsText) {
  using namespace std::string_literals;
  for (const std::string& text :
       {"x'); DROP TABLE decisions;--"s, "line\n-A FORWARD -j ACCEPT"s, "nul\0nul"s, "\xff\xfe"s,
        std::string(100'000, '"'), "Übermaß"s, ""s}) {
    Store store = open();
    Decision made = decision(*store.last_number() + 1);
    made.node = made.by = made.reason = text;
    ASSERT_TRUE(store.add({made}));
    expect_same(made, store.open_decisions()->back());
    ASSERT_TRUE(store.allow_add({*parse_prefix("172.16.0.0/28"), text, text, kWall}));
    EXPECT_EQ(text, store.allow_edits()->front().reason);
  }
  EXPECT_EQ(7U, open().open_decisions()->size());
}

TEST_F(StoreTest, IsReadableWithSqlite3) {
  ASSERT_TRUE(open().add({decision(1, "2001:db8:1:2::")}));
  SQLite::Database raw(file());
  SQLite::Statement select(raw, "SELECT source, origin, since_ms, networks FROM decisions");
  ASSERT_TRUE(select.executeStep());
  EXPECT_EQ("2001:db8:1:2::", select.getColumn(0).getString());
  EXPECT_EQ("auto", select.getColumn(1).getString());
  EXPECT_EQ(1'795'528'981'000, select.getColumn(2).getInt64());
  EXPECT_EQ(24, select.getColumn(3).getInt());
}

TEST_F(StoreTest, KeepsAllowEditsInOrderOfAddressAndReplacesOneOfTheSamePrefix) {
  Store store = open();
  const auto edit = [](const char* prefix, const char* reason) {
    return AllowEdit{*parse_prefix(prefix), "root", reason, kWall};
  };
  ASSERT_TRUE(store.allow_add(edit("172.16.10.0/24", "mail")));
  ASSERT_TRUE(store.allow_add(edit("2001:db8:1::/48", "mail")));
  ASSERT_TRUE(store.allow_add(edit("172.16.9.1", "first")));
  ASSERT_TRUE(store.allow_add(edit("172.16.9.1", "second")));

  const auto edits = open().allow_edits();
  ASSERT_EQ(3U, edits->size());
  EXPECT_EQ("172.16.9.1", to_string((*edits)[0].prefix));
  EXPECT_EQ("second", (*edits)[0].reason);
  EXPECT_EQ(kWall, (*edits)[0].since);
  EXPECT_EQ("172.16.10.0/24", to_string((*edits)[1].prefix));
  EXPECT_EQ("2001:db8:1::/48", to_string((*edits)[2].prefix));

  EXPECT_TRUE(*store.allow_remove(*parse_prefix("172.16.9.1")));
  EXPECT_FALSE(*store.allow_remove(*parse_prefix("172.16.9.1")));
  EXPECT_FALSE(*store.allow_remove(*parse_prefix("172.16.10.0/25")));
  EXPECT_EQ(2U, store.allow_edits()->size());
}

TEST_F(StoreTest, KeepsTheLatestModeOrder) {
  ASSERT_TRUE(open().set_mode_order({Mode::block, Mode::observe, "root", kWall}));
  ASSERT_TRUE(open().set_mode_order({Mode::throttle, Mode::block, "anna", kWall + 1s}));
  const auto order = *open().mode_order();
  ASSERT_TRUE(order);
  EXPECT_EQ(Mode::throttle, order->mode);
  EXPECT_EQ(Mode::block, order->file_mode);
  EXPECT_EQ("anna", order->by);
  EXPECT_EQ(kWall + 1s, order->since);
}

}  // namespace
}  // namespace mailweir
