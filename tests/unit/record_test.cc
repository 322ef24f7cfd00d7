// SPDX-License-Identifier: GPL-2.0-or-later
// What a start makes of record and kernel, and a record that fails while decisions are made.
#include <SQLiteCpp/SQLiteCpp.h>

#include <fstream>

#include "controller_fixture.h"

namespace mailweir {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

class RecordTest : public ControllerTest {
 protected:
  [[nodiscard]] std::vector<Decision> on_record() { return *store_->open_decisions(); }
  [[nodiscard]] mw_block& entry(const char* source) { return kernel_.blocklist[address(source)]; }
};

// ---- FAULTS row 2: a crash between record and kernel

TEST_F(RecordTest, F02_ABlockThatIsOnRecordOnlyIsPutIntoTheKernel) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  kernel_.blocklist.clear();
  EXPECT_THAT(open().at(0), HasSubstr("block put back: 172.16.7.70 (nat1-1)"));
  EXPECT_TRUE(is_blocked("172.16.7.70"));
}

TEST_F(RecordTest, F02_ANewerDecisionOnRecordReplacesTheOlderInTheKernel) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  const mw_block older = entry("172.16.7.70");
  controller_->block({"172.16.7.70"}, 24h, by_root_);
  // As if it had died before the kernel was told.
  entry("172.16.7.70") = older;
  EXPECT_THAT(open().at(0), HasSubstr("older decision replaced: 172.16.7.70 (nat1-2)"));
  EXPECT_EQ(entry("172.16.7.70").decision, 2U);
  EXPECT_EQ(controller_->find_active(address("172.16.7.70"))->until, clock_.now().wall + 24h);
  EXPECT_EQ(on_record().size(), 1U);
}

TEST_F(RecordTest, F02_ABlockThatHasEndedOnRecordIsTakenOutOfTheKernelAndNotInventedAnew) {
  controller_->block({"172.16.7.70", "172.16.7.71"}, 1h, by_root_);
  const mw_block ended = entry("172.16.7.70");
  controller_->unblock({"172.16.7.70"}, by_root_);
  entry("172.16.7.70") = ended;
  EXPECT_THAT(open().at(0), HasSubstr("had ended taken out of the kernel: 172.16.7.70 (nat1-1)"));
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  EXPECT_TRUE(is_blocked("172.16.7.71"));
  EXPECT_EQ(on_record().size(), 1U);
}

TEST_F(RecordTest, F02_AnEntryWrittenByHandWhileNobodyLookedIsAdopted) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  entry("172.16.7.70") = {};
  entry("172.16.7.71") = {};
  open();
  EXPECT_EQ(controller_->find_active(address("172.16.7.70"))->origin, Origin::bpftool);
  EXPECT_EQ(controller_->find_active(address("172.16.7.71"))->origin, Origin::bpftool);
}

// ---- FAULTS row 15: the kernel's blocklist is full

TEST_F(RecordTest, F15_AFullBlocklistIsSaidAndTheDecisionWaitsForRoom) {
  for (int i = 1; i <= 8; ++i)
    ASSERT_TRUE(controller_->block({"172.16.7." + std::to_string(i)}, 1h, by_root_).at(0).ok);
  const auto outcome = controller_->block({"172.16.7.9"}, 1h, by_root_).at(0);
  EXPECT_TRUE(outcome.ok);
  EXPECT_THAT(outcome.note, HasSubstr("blocklist full (8): enforced by iptables only"));
  EXPECT_FALSE(is_blocked("172.16.7.9"));
  EXPECT_TRUE(controller_->is_waiting(address("172.16.7.9")));
  EXPECT_EQ(on_record().size(), 9U);
  spams("172.16.7.70");
  EXPECT_TRUE(controller_->is_waiting(address("172.16.7.70")));

  controller_->tick();
  EXPECT_EQ(controller_->active().size(), 10U) << "it is not gone by hand: it never was there";
  open();
  EXPECT_EQ(controller_->waiting(), 2U);
  controller_->unblock({"172.16.7.1"}, by_root_);
  controller_->tick();
  EXPECT_EQ(controller_->waiting(), 1U);
  controller_->unblock({"172.16.7.2"}, by_root_);
  controller_->tick();
  EXPECT_TRUE(is_blocked("172.16.7.9"));
  EXPECT_TRUE(is_blocked("172.16.7.70"));
  EXPECT_EQ(controller_->enforced(), 8U);
}

TEST_F(RecordTest, F15_AWaitingBlockThatEndsIsForgotten) {
  for (int i = 1; i <= 9; ++i) controller_->block({"172.16.7." + std::to_string(i)}, 1h, by_root_);
  controller_->unblock({"172.16.7.9"}, by_root_);
  EXPECT_EQ(controller_->waiting(), 0U);
  controller_->unblock({"172.16.7.1"}, by_root_);
  controller_->tick();
  EXPECT_FALSE(is_blocked("172.16.7.9"));
}

// ---- FAULTS row 21: the wall clock steps

TEST_F(RecordTest, F21_AClockStepWhileTheControllerIsDeadFreesNobody) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  clock_.advance(10min);
  clock_.step_wall(std::chrono::days(1));
  open();
  EXPECT_TRUE(is_blocked("172.16.7.70"));
  EXPECT_EQ(*controller_->find_active(address("172.16.7.70"))->until, clock_.now().wall + 50min);
  clock_.step_wall(-std::chrono::days(2));
  open();
  EXPECT_EQ(*controller_->find_active(address("172.16.7.70"))->until, clock_.now().wall + 50min)
      << "nor is anybody held for longer";
  clock_.advance(50min + 1s);
  open();
  EXPECT_FALSE(is_blocked("172.16.7.70"));
}

TEST_F(RecordTest, F21_AfterARebootTheRemainingTimeHolds) {
  controller_->block({"172.16.7.70", "172.16.7.71"}, 1h, by_root_);
  controller_->block({"172.16.7.72"}, 10min, by_root_);
  kernel_ = {};
  clock_.advance(20min);
  open();
  EXPECT_EQ(entry("172.16.7.70").until_ns, to_ns(clock_.now().boot + 40min));
  EXPECT_FALSE(is_blocked("172.16.7.72"));
}

TEST_F(RecordTest, F21_AfterARebootWithAClockThatIsBehindNobodyIsHeldForLongerThanWasDecided) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  kernel_ = {};
  clock_.step_wall(-std::chrono::days(3650));
  EXPECT_THAT(open().at(0), HasSubstr("clock is behind"));
  EXPECT_EQ(entry("172.16.7.70").until_ns, to_ns(clock_.now().boot + 1h));
  clock_.step_wall(std::chrono::days(3650));  // the time server answers
  controller_->tick();
  EXPECT_TRUE(is_blocked("172.16.7.70"));
  EXPECT_EQ(*controller_->find_active(address("172.16.7.70"))->until, clock_.now().wall + 1h);
}

// ---- FAULTS row 23: the record is damaged

TEST_F(RecordTest, F23_ARecordThatIsDamagedInUseIsMovedAsideAndMadeAnew) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  controller_->allow({"172.16.0.25"}, by_root_);
  ASSERT_TRUE(controller_->set_mode(Mode::throttle, by_root_));
  // Its schema is gone: as good as a page that was written over.
  SQLite::Database(directory_ + "/mailweir.db", SQLite::OPEN_READWRITE)
      .exec("DROP TABLE decisions; DROP TABLE allow_edits");
  const auto outcome = controller_->block({"172.16.7.71"}, 1h, by_root_).at(0);
  EXPECT_THAT(outcome.note, HasSubstr("not persisted"));
  clock_.advance(5s);
  controller_->tick();
  clock_.advance(5s);
  controller_->tick();
  EXPECT_EQ(controller_->store_problem(), "");
  EXPECT_THAT(controller_->record_note(), HasSubstr("moved to"));
  EXPECT_EQ(on_record().size(), 2U);

  kernel_ = {};
  open();
  EXPECT_TRUE(is_blocked("172.16.7.70"));
  EXPECT_TRUE(is_blocked("172.16.7.71"));
  EXPECT_TRUE(controller_->is_allowed(address("172.16.0.25")));
  EXPECT_EQ(controller_->mode(), Mode::throttle);
  EXPECT_EQ(controller_->block({"172.16.7.72"}, 1h, by_root_).at(0).decision->number, 3U);
}

TEST_F(RecordTest, F23_ARecordThatWasLostIsMadeAgainFromTheKernel) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  spams("172.16.7.71");
  store_.reset();
  std::ofstream(directory_ + "/mailweir.db", std::ios::trunc) << "this is no database at all";
  std::filesystem::remove(directory_ + "/mailweir.db-wal");
  open();
  EXPECT_THAT(controller_->record_note(), HasSubstr("moved to"));
  ASSERT_EQ(controller_->active().size(), 2U);
  EXPECT_EQ(controller_->find_active(address("172.16.7.70"))->origin, Origin::manual);
  EXPECT_EQ(controller_->find_active(address("172.16.7.71"))->origin, Origin::automatic);
  EXPECT_THAT(controller_->find_active(address("172.16.7.71"))->reason, HasSubstr("lost"));
  EXPECT_EQ(controller_->active().at(0).number, 3U) << "no number is given out twice";
  open();
  EXPECT_EQ(controller_->record_note(), "") << "moved aside once";
}

// ---- FAULTS row 24: somebody locks the record

TEST_F(RecordTest, F24_WhatALockedRecordDidNotTakeIsWrittenWhenItIsFree) {
  {
    SQLite::Database other(directory_ + "/mailweir.db", SQLite::OPEN_READWRITE);
    other.exec("BEGIN EXCLUSIVE");
    EXPECT_THAT(controller_->block({"172.16.7.70"}, 1h, by_root_).at(0).note, HasSubstr("locked"));
    EXPECT_THAT(controller_->allow({"172.16.0.25"}, by_root_).at(0).note, HasSubstr("locked"));
    EXPECT_TRUE(is_blocked("172.16.7.70"));
    controller_->unblock({"172.16.7.70"}, by_root_);
    controller_->block({"172.16.7.71"}, 1h, by_root_);
  }
  clock_.advance(5s);
  controller_->tick();
  EXPECT_EQ(controller_->store_problem(), "");
  ASSERT_EQ(on_record().size(), 1U);
  EXPECT_EQ(on_record().at(0).source, address("172.16.7.71"));
  EXPECT_EQ(controller_->history(address("172.16.7.70")).at(0).end_cause, EndCause::unblocked);
  EXPECT_EQ(store_->allow_edits()->size(), 1U);
}

// ---- drift of the record

TEST_F(RecordTest, WhatOthersWroteIntoTheRecordIsRepairedOrEnded) {
  controller_->block({"172.16.7.70", "172.16.7.71"}, 1h, by_root_);
  controller_->check_record();
  {
    SQLite::Database other(directory_ + "/mailweir.db", SQLite::OPEN_READWRITE);
    other.exec("DELETE FROM decisions WHERE number = 1");
    other.exec("UPDATE decisions SET ended_ms = 1, end_cause = 'expired' WHERE number = 2");
    other.exec(
        "INSERT INTO decisions (number, node, source, ipv6_prefix, origin, would, since_ms, "
        "decided_by, reason, dropped_packets, dropped_bytes) VALUES (77, 'nat1', '172.16.7.77', "
        "64, 'manual', 0, 0, 'me', '', 0, 0)");
  }
  controller_->check_record();
  ASSERT_EQ(on_record().size(), 2U);
  EXPECT_EQ(on_record().at(0).number, 1U);
  EXPECT_EQ(on_record().at(1).number, 2U);
  EXPECT_FALSE(is_blocked("172.16.7.77"));
  EXPECT_EQ(controller_->history(address("172.16.7.70")).size(), 1U);
}

TEST_F(RecordTest, F23_ARecordThatIsRemovedInUseIsWrittenAgain) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  std::filesystem::remove(directory_ + "/mailweir.db");
  controller_->check_record();
  controller_->tick();
  EXPECT_EQ(on_record().size(), 1U);
  kernel_ = {};
  open();
  EXPECT_TRUE(is_blocked("172.16.7.70"));
}

// ---- history

TEST_F(RecordTest, PrunesWhatIsOldAndWhatIsTooMuchAndNeverWhatIsInForce) {
  controller_->block({"172.16.7.1", "172.16.7.2", "172.16.7.3"}, seconds::max(), by_root_);
  controller_->unblock({"172.16.7.1"}, by_root_);
  clock_.advance(366 * 24h);
  controller_->prune();
  EXPECT_TRUE(controller_->history(address("172.16.7.1")).empty());
  EXPECT_EQ(store_->decisions_since({})->size(), 2U);

  for (int i = 0; i < 20; ++i) {
    controller_->block({"172.16.7.9"}, 1h, by_root_);
    controller_->unblock({"172.16.7.9"}, by_root_);
    clock_.advance(1s);
  }
  config_.record.max_decisions = 10;
  open();
  controller_->prune();
  const auto left = *store_->decisions_since({});
  ASSERT_EQ(left.size(), 10U);
  EXPECT_EQ(left.front().number, 2U) << "in force";
  EXPECT_EQ(left.back().number, 23U) << "the youngest";
}

}  // namespace
}  // namespace mailweir
