// SPDX-License-Identifier: GPL-2.0-or-later
// The controller on a kernel that only remembers: record, blocklist and allowlist agree, whoever
// decides.
#include "controller_fixture.h"

namespace mailweir {
namespace {

TEST_F(ControllerTest, BlocksASourceOnManyNewServersOfWhichFewTookAMessage) {
  kernel_.sources[address("172.16.7.70")] = met(16);
  outcomes("172.16.7.70", MW_EVENT_UNPRODUCTIVE, 7);
  EXPECT_FALSE(is_blocked("172.16.7.70")) << "8.8 < 9.2";
  outcome("172.16.7.70", MW_EVENT_UNPRODUCTIVE);
  ASSERT_TRUE(is_blocked("172.16.7.70"));
  const Decision* decision = controller_->find_active(address("172.16.7.70"));
  ASSERT_NE(decision, nullptr);
  EXPECT_EQ(decision->id(), "nat1-1");
  EXPECT_EQ(decision->evidence->score_256ths, 2568U);
  EXPECT_EQ(decision->evidence->examples.size(), 3U);
  EXPECT_EQ(kernel_.blocklist[address("172.16.7.70")].reason,
            static_cast<__u32>(MW_REASON_EVIDENCE));

  kernel_.sources[address("172.16.7.71")] = met(9);
  outcomes("172.16.7.71", MW_EVENT_UNPRODUCTIVE, 50);
  EXPECT_FALSE(is_blocked("172.16.7.71")) << "the gate: nine networks";
  kernel_.sources[address("172.16.7.72")] = met(200);
  for (int i = 0; i < 40; ++i) {
    outcome("172.16.7.72", MW_EVENT_UNPRODUCTIVE);
    outcomes("172.16.7.72", MW_EVENT_PRODUCTIVE, 2);
  }
  EXPECT_FALSE(is_blocked("172.16.7.72")) << "two of three took a message";
  spams("192.0.2.1");
  EXPECT_FALSE(is_blocked("192.0.2.1")) << "not in [networks] inside";
}

TEST_F(ControllerTest, TheGateMayOpenAfterTheScoreWasReached) {
  kernel_.sources[address("172.16.7.70")] = met(9);
  outcomes("172.16.7.70", MW_EVENT_UNPRODUCTIVE, 9);
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  controller_->watch();
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  kernel_.sources[address("172.16.7.70")] = met(10);
  controller_->watch();
  EXPECT_TRUE(is_blocked("172.16.7.70"));
}

TEST_F(ControllerTest, CountsOnlyWhatConntrackConfirms) {
  kernel_.confirmation = Confirmation::unknown;
  spams("172.16.7.70");
  outcomes("172.16.7.70", MW_EVENT_UNPRODUCTIVE, 50);
  EXPECT_FALSE(is_blocked("172.16.7.70")) << "a neighbour may have forged them";
  EXPECT_EQ(controller_->scoring().unconfirmed(), 58U);
  EXPECT_THAT(controller_->scoring().problem(), testing::HasSubstr("confirms only 0 of the last"));

  kernel_.confirmation = Confirmation::unavailable;
  outcome("172.16.7.70", MW_EVENT_UNPRODUCTIVE);
  EXPECT_THAT(controller_->scoring().problem(), testing::HasSubstr("cannot be asked"));

  config_.block.confirm = Confirm::none;
  ASSERT_TRUE(controller_->reload(config_));
  EXPECT_EQ(controller_->scoring().problem(), "");
  spams("172.16.7.70");
  EXPECT_TRUE(is_blocked("172.16.7.70"));
}

TEST_F(ControllerTest, AConnectionThatConntrackHasForgottenWasConfirmedWhileItLived) {
  kernel_.sources[address("172.16.7.70")] = met(16);
  for (int i = 0; i < 8; ++i) {
    kernel_.confirmation = Confirmation::confirmed;
    outcome("172.16.7.70", MW_EVENT_HEARD);
    --last_server_;
    kernel_.confirmation = Confirmation::unknown;
    outcome("172.16.7.70", MW_EVENT_UNPRODUCTIVE);
  }
  EXPECT_TRUE(is_blocked("172.16.7.70"));
  EXPECT_EQ(controller_->scoring().unconfirmed(), 0U);
}

TEST_F(ControllerTest, AProvenMailerNeedsMoreAndIsRememberedOverAReboot) {
  kernel_.sources[address("172.16.0.25")] = met(60);
  outcomes("172.16.0.25", MW_EVENT_PRODUCTIVE, 5);
  outcomes("172.16.0.25", MW_EVENT_UNPRODUCTIVE, 8);
  EXPECT_FALSE(is_blocked("172.16.0.25")) << "10.0 < 13.8";
  kernel_ = {};
  open();
  kernel_.sources[address("172.16.0.25")] = met(60);
  outcomes("172.16.0.25", MW_EVENT_UNPRODUCTIVE, 11);
  EXPECT_FALSE(is_blocked("172.16.0.25")) << "13.79 < 13.8";
  outcome("172.16.0.25", MW_EVENT_UNPRODUCTIVE);
  EXPECT_TRUE(is_blocked("172.16.0.25"));

  kernel_ = {};
  clock_.advance(2h);
  open();
  EXPECT_EQ(controller_->scoring().score(address("172.16.0.25")).proven_until_ns, 0U)
      << "a block ends it";
}

TEST_F(ControllerTest, AScoreOutlivesTheController) {
  kernel_.sources[address("172.16.7.70")] = met(16);
  outcomes("172.16.7.70", MW_EVENT_UNPRODUCTIVE, 7);
  open();
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  outcome("172.16.7.70", MW_EVENT_UNPRODUCTIVE);
  EXPECT_TRUE(is_blocked("172.16.7.70"));
}

TEST_F(ControllerTest, AfterABlockHalfOfTheEvidenceIsEnough) {
  spams("172.16.7.70");
  clock_.advance(1h + 1s);
  controller_->tick();
  ASSERT_FALSE(is_blocked("172.16.7.70"));
  kernel_.sources[address("172.16.7.70")] = met(16);
  outcomes("172.16.7.70", MW_EVENT_UNPRODUCTIVE, 3);
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  outcome("172.16.7.70", MW_EVENT_UNPRODUCTIVE);
  EXPECT_TRUE(is_blocked("172.16.7.70"));
}

TEST_F(ControllerTest, WhatABlockCutOffSaysNothing) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  spams("172.16.7.70");
  EXPECT_EQ(controller_->scoring().score(address("172.16.7.70")).score, 0U);
}

TEST_F(ControllerTest, AnOutageOfTheUplinkFreezesTheScoreAndTakesBackWhatItDid) {
  controller_->watch();
  kernel_.sources[address("172.16.0.25")] = met(40);
  outcomes("172.16.0.25", MW_EVENT_UNPRODUCTIVE, 6);
  spams("172.16.0.26");
  EXPECT_TRUE(is_blocked("172.16.0.26"));
  const auto nobody_answers = [&](const char* source) {
    mw_event event{};
    event.source = address(source);
    event.kind = MW_EVENT_UNANSWERED;
    event.count = 5;
    controller_->on_kernel_event(event);
  };
  for (const char* source : {"172.16.1.1", "172.16.1.2", "172.16.1.3", "172.16.1.4"})
    nobody_answers(source);
  kernel_.counted.unanswered = 30;
  controller_->watch();
  EXPECT_FALSE(controller_->scoring().is_frozen()) << "four sources are not five";
  nobody_answers("172.16.1.5");
  controller_->watch();
  ASSERT_TRUE(controller_->scoring().is_frozen());
  EXPECT_EQ(controller_->scoring().score(address("172.16.0.25")).score, 0U);
  EXPECT_FALSE(is_blocked("172.16.0.26")) << "decided before anybody knew";
  EXPECT_EQ(controller_->history(address("172.16.0.26")).at(0).end_cause, EndCause::outage);
  EXPECT_EQ(controller_->next_duration(address("172.16.0.26")), 1h) << "and it does not weigh";
  outcomes("172.16.0.25", MW_EVENT_UNPRODUCTIVE, 30);
  EXPECT_FALSE(is_blocked("172.16.0.25"));

  open();
  EXPECT_TRUE(controller_->scoring().is_frozen()) << "a restart has not seen the minute before";
  clock_.advance(2min);
  kernel_.counted.answered = 200;
  controller_->watch();
  EXPECT_FALSE(controller_->scoring().is_frozen());
  spams("172.16.0.25");
  EXPECT_TRUE(is_blocked("172.16.0.25"));
}

TEST_F(ControllerTest, TheBreakerStopsBlockingWhenTooManyAreBlockedAtOnce) {
  config_.block.breaker = {3, 600s};
  open();
  for (const char* source : {"172.16.7.70", "172.16.7.71", "172.16.7.72", "172.16.7.73"})
    spams(source);
  EXPECT_TRUE(is_blocked("172.16.7.72"));
  EXPECT_FALSE(is_blocked("172.16.7.73"));
  EXPECT_TRUE(controller_->breaker_open());
  controller_->unblock({"172.16.7.70", "172.16.7.71"}, by_root_);
  EXPECT_TRUE(controller_->block({"172.16.7.74"}, 1h, by_root_).at(0).ok) << "a person still may";

  open();
  outcome("172.16.7.73", MW_EVENT_UNPRODUCTIVE);
  EXPECT_FALSE(is_blocked("172.16.7.73")) << "a restart does not forget";
  kernel_.active = 400;
  controller_->watch();
  EXPECT_TRUE(is_blocked("172.16.7.73")) << "1 % of 400 active sources are four";
  spams("172.16.7.75");
  EXPECT_FALSE(is_blocked("172.16.7.75"));
  clock_.advance(9min);
  kernel_.sources[address("172.16.7.75")] = met(16);
  controller_->watch();
  EXPECT_FALSE(is_blocked("172.16.7.75"));
  clock_.advance(1min);
  kernel_.sources[address("172.16.7.75")] = met(16);
  outcome("172.16.7.75", MW_EVENT_UNPRODUCTIVE);
  EXPECT_TRUE(is_blocked("172.16.7.75"));
  controller_->watch();
  EXPECT_FALSE(controller_->breaker_open());
}

TEST_F(ControllerTest, RecordsAWouldBlockInObserveAndDoesNotTurnItIntoABlock) {
  ASSERT_TRUE(controller_->set_mode(Mode::observe, by_root_));
  spams("172.16.7.70");
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  ASSERT_NE(controller_->find_active(address("172.16.7.70")), nullptr);
  EXPECT_TRUE(controller_->find_active(address("172.16.7.70"))->would);
  outcomes("172.16.7.70", MW_EVENT_UNPRODUCTIVE, 30);
  ASSERT_TRUE(controller_->set_mode(Mode::block, by_root_));
  controller_->watch();
  EXPECT_FALSE(is_blocked("172.16.7.70")) << "its evidence is from before";
  outcomes("172.16.7.70", MW_EVENT_UNPRODUCTIVE, 2);
  ASSERT_TRUE(controller_->reload(config_)) << "which takes nothing away";
  outcome("172.16.7.70", MW_EVENT_UNPRODUCTIVE);
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  outcome("172.16.7.70", MW_EVENT_UNPRODUCTIVE);
  EXPECT_TRUE(is_blocked("172.16.7.70")) << "new evidence is";
}

TEST_F(ControllerTest, ARestartInBlockModeDoesNotTurnWouldBlocksIntoBlocks) {
  config_.mode = Mode::observe;
  open();
  spams("172.16.7.70");
  outcomes("172.16.7.70", MW_EVENT_UNPRODUCTIVE, 30);
  config_.mode = Mode::block;
  open();
  controller_->watch();
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  EXPECT_EQ(controller_->find_active(address("172.16.7.70")), nullptr);
  spams("172.16.7.70");
  EXPECT_TRUE(is_blocked("172.16.7.70"));
}

TEST_F(ControllerTest, ALowerThresholdJudgesAgainAtOnce) {
  kernel_.sources[address("172.16.7.70")] = met(16);
  outcomes("172.16.7.70", MW_EVENT_UNPRODUCTIVE, 4);
  config_.block.score = 3;
  ASSERT_TRUE(controller_->reload(config_));
  controller_->watch();
  EXPECT_TRUE(is_blocked("172.16.7.70"));
}

TEST_F(ControllerTest, LiftsAutomaticBlocksWhenTheModeForbidsThemAndKeepsManualOnes) {
  spams("172.16.7.70");
  controller_->block({"172.16.7.71"}, 1h, by_root_);
  const auto lifted = controller_->set_mode(Mode::throttle, by_root_);
  ASSERT_TRUE(lifted);
  ASSERT_EQ(lifted->size(), 1U);
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  EXPECT_TRUE(is_blocked("172.16.7.71"));
}

TEST_F(ControllerTest, AGroupHasItsOwnMode) {
  config_.groups = {{.name = "mail-servers",
                     .networks = {*parse_prefix("172.16.0.0/28")},
                     .limit = {},
                     .mode = Mode::observe}};
  open();
  spams("172.16.0.3");
  spams("172.16.0.33");
  EXPECT_FALSE(is_blocked("172.16.0.3"));
  EXPECT_TRUE(is_blocked("172.16.0.33"));
}

TEST_F(ControllerTest, BlocksLastLongerEachTimeAndExpire) {
  for (const auto lasts : {1h, 4h, 24h, 24h}) {
    spams("172.16.7.70");
    ASSERT_TRUE(is_blocked("172.16.7.70"));
    clock_.advance(lasts - 1s);
    controller_->tick();
    EXPECT_TRUE(is_blocked("172.16.7.70"));
    clock_.advance(2s);
    controller_->tick();
    EXPECT_FALSE(is_blocked("172.16.7.70"));
  }
}

TEST_F(ControllerTest, AnUnblockIsNotUndoneByTheRuleDuringTheGrace) {
  spams("172.16.7.70");
  const auto undone = controller_->unblock({"172.16.7.70"}, by_root_);
  ASSERT_TRUE(undone.at(0).ok);
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  clock_.advance(29min);
  spams("172.16.7.70");
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  clock_.advance(2min);
  spams("172.16.7.70");
  EXPECT_TRUE(is_blocked("172.16.7.70"));
}

TEST_F(ControllerTest, TheAllowlistBeatsEveryBlock) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  ASSERT_TRUE(is_blocked("172.16.7.70"));
  const auto allowed = controller_->allow({"172.16.7.0/24"}, by_root_);
  ASSERT_TRUE(allowed.at(0).ok);
  EXPECT_THAT(allowed.at(0).note, testing::HasSubstr("nat1-1"));
  EXPECT_FALSE(is_blocked("172.16.7.70"));

  const auto refused = controller_->block({"172.16.7.70"}, 1h, by_root_);
  EXPECT_FALSE(refused.at(0).ok);
  EXPECT_THAT(refused.at(0).error, testing::HasSubstr("allowed by 172.16.7.0/24"));
  EXPECT_EQ(refused.at(0).hint, "mailweir allow remove 172.16.7.0/24");

  ASSERT_TRUE(controller_->disallow({"172.16.7.0/24"}, by_root_).at(0).ok);
  EXPECT_TRUE(controller_->block({"172.16.7.70"}, 1h, by_root_).at(0).ok);
}

TEST_F(ControllerTest, RefusesWhatMakesNoSense) {
  const struct {
    const char* source;
    const char* error;
  } refused[] = {{"172.16.7", "is not an address"},
                 {"172.16.7.0/33", "prefix length"},
                 {"172.16.7.1/24", "host bits"},
                 {"0.0.0.0/0", "more than 1024"},
                 {"198.51.100.1", "not in [networks] inside"},
                 {"2001:db8::/40", "more than 1024"}};
  for (const auto& each : refused) {
    const auto outcomes = controller_->block({each.source}, 1h, by_root_);
    ASSERT_EQ(outcomes.size(), 1U) << each.source;
    EXPECT_FALSE(outcomes[0].ok) << each.source;
    EXPECT_THAT(outcomes[0].error, testing::HasSubstr(each.error));
    EXPECT_NE(outcomes[0].hint, "") << each.source;
  }
  EXPECT_FALSE(controller_->allow({"::/0"}, by_root_).at(0).ok) << "it would allow all of IPv4";
  EXPECT_TRUE(controller_->allow({"2001:db8:9::/48"}, by_root_).at(0).ok);
  EXPECT_TRUE(kernel_.blocklist.empty());
  EXPECT_EQ(controller_->block({"172.16.7.8/29"}, 1h, by_root_).size(), 8U);
}

TEST_F(ControllerTest, AnIpv6AddressStandsForItsSlash64) {
  const auto outcomes = controller_->block({"2001:db8:1:2::5"}, 1h, by_root_);
  EXPECT_EQ(outcomes.at(0).source, "2001:db8:1:2::/64");
  EXPECT_TRUE(is_blocked("2001:db8:1:2::"));
  EXPECT_EQ(controller_->unblock({"2001:db8:1:2::9"}, by_root_).at(0).ok, true);
}

TEST_F(ControllerTest, DryRunChangesNothing) {
  const Order dry{.by = "root", .reason = "", .dry_run = true};
  EXPECT_TRUE(controller_->block({"172.16.7.70"}, 1h, dry).at(0).ok);
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  EXPECT_TRUE(controller_->allow({"172.16.7.70"}, dry).at(0).ok);
  EXPECT_FALSE(controller_->is_allowed(address("172.16.7.70")));
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  EXPECT_TRUE(controller_->unblock({"172.16.7.70"}, dry).at(0).ok);
  EXPECT_TRUE(is_blocked("172.16.7.70"));
}

TEST_F(ControllerTest, AdoptsAnEntryThatWasWrittenByHand) {
  kernel_.blocklist[address("172.16.7.70")] = {};
  kernel_.blocklist[address("172.16.7.71")] = {.until_ns = 1, .decision = 0, .reason = 0};
  kernel_.blocklist[address("192.0.2.1")] = {};
  kernel_.blocklist[address("2001:db8:1:2::5")] = {};
  controller_->tick();
  const Decision* adopted = controller_->find_active(address("172.16.7.70"));
  ASSERT_NE(adopted, nullptr);
  EXPECT_EQ(adopted->origin, Origin::bpftool);
  EXPECT_FALSE(adopted->until.has_value());
  EXPECT_EQ(kernel_.blocklist[address("172.16.7.70")].decision, adopted->number);
  EXPECT_FALSE(is_blocked("172.16.7.71")) << "its time was past";
  EXPECT_FALSE(is_blocked("192.0.2.1")) << "not inside";
  EXPECT_FALSE(is_blocked("2001:db8:1:2::5"));
  EXPECT_TRUE(is_blocked("2001:db8:1:2::")) << "masked to its /64";
}

TEST_F(ControllerTest, AnEntryDeletedByHandEndsItsDecision) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  kernel_.blocklist.clear();
  controller_->tick();
  EXPECT_EQ(controller_->find_active(address("172.16.7.70")), nullptr);
  EXPECT_EQ(controller_->history(address("172.16.7.70")).at(0).end_cause, EndCause::removed);
}

TEST_F(ControllerTest, ARestartFindsDecisionsModeAndAllowlistAgain) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  spams("172.16.7.71");
  controller_->allow({"172.16.9.0/24"}, by_root_);
  ASSERT_TRUE(controller_->set_mode(Mode::block, by_root_));
  EXPECT_TRUE(open().empty());
  EXPECT_EQ(controller_->active().size(), 2U);
  EXPECT_EQ(controller_->find_active(address("172.16.7.71"))->evidence->score_256ths, 2568U);
  EXPECT_TRUE(controller_->is_allowed(address("172.16.9.9")));
}

TEST_F(ControllerTest, AfterARebootBlocksAreBackWithTheirRemainingTime) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  controller_->block({"172.16.7.71"}, 10min, by_root_);
  kernel_ = {};
  clock_.advance(30min);
  EXPECT_EQ(open().size(), 1U);
  ASSERT_TRUE(is_blocked("172.16.7.70"));
  EXPECT_FALSE(is_blocked("172.16.7.71"));
  const BootTime until = boot_time(kernel_.blocklist[address("172.16.7.70")].until_ns);
  EXPECT_LE(std::chrono::abs(until - clock_.now().boot - 30min), 1s);
  EXPECT_EQ(controller_->block({"172.16.7.72"}, 1h, by_root_).at(0).decision->number, 3U)
      << "no number is given out twice";
}

TEST_F(ControllerTest, ModeByCommandStandsUntilTheFileSaysSomethingNew) {
  ASSERT_TRUE(controller_->set_mode(Mode::throttle, by_root_));
  open();
  EXPECT_EQ(controller_->mode(), Mode::throttle);
  config_.mode = Mode::observe;
  open();
  EXPECT_EQ(controller_->mode(), Mode::observe);
}

TEST_F(ControllerTest, AReloadKeepsBlocksAndLiftsThoseThatAreAllowedNow) {
  controller_->block({"172.16.7.70", "172.16.7.71"}, 1h, by_root_);
  Config next = config_;
  next.allow.networks = {{*parse_prefix("172.16.7.71"), "mailweir.toml:31"}};
  ASSERT_TRUE(controller_->reload(next));
  EXPECT_TRUE(is_blocked("172.16.7.70"));
  EXPECT_FALSE(is_blocked("172.16.7.71"));
}

TEST_F(ControllerTest, AStepOfTheWallClockNeitherFreesNorHolds) {
  controller_->block({"172.16.7.70"}, 1h, by_root_);
  for (const auto step : {24h, -48h}) {
    clock_.step_wall(step);
    controller_->tick();
    ASSERT_TRUE(is_blocked("172.16.7.70"));
    EXPECT_EQ(*controller_->find_active(address("172.16.7.70"))->until, clock_.now().wall + 1h);
  }
  clock_.advance(1h + 1s);
  controller_->tick();
  EXPECT_FALSE(is_blocked("172.16.7.70"));
}

TEST_F(ControllerTest, AnAutomaticBlockWhoseRecordWasLostStaysAutomatic) {
  kernel_.blocklist[address("172.16.7.70")] = {
      .until_ns = to_ns(clock_.now().boot + 1h), .decision = 7, .reason = MW_REASON_EVIDENCE};
  controller_->tick();
  EXPECT_EQ(controller_->find_active(address("172.16.7.70"))->origin, Origin::automatic);
}

TEST_F(ControllerTest, AnOldModeOrderDoesNotComeBack) {
  config_.mode = Mode::observe;
  open();
  ASSERT_TRUE(controller_->set_mode(Mode::block, by_root_));
  for (const Mode mode : {Mode::throttle, Mode::observe}) {
    config_.mode = mode;
    ASSERT_TRUE(controller_->reload(config_));
  }
  open();
  EXPECT_EQ(controller_->mode(), Mode::observe);
}

TEST_F(ControllerTest, ABlockEndsWhenItsSourceIsNoClientAnyMore) {
  controller_->block({"172.16.7.70", "172.16.100.1"}, 1h, by_root_);
  Config next = config_;
  next.networks.inside = {*parse_prefix("172.16.100.0/24")};
  ASSERT_TRUE(controller_->reload(next));
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  EXPECT_TRUE(is_blocked("172.16.100.1"));
  EXPECT_EQ(controller_->history(address("172.16.7.70")).at(0).end_cause, EndCause::outside);
}

TEST_F(ControllerTest, AnotherIpv6PrefixEndsTheBlocksThatMeantTheOldOne) {
  controller_->block({"2001:db8:1:2::5", "172.16.7.70"}, 1h, by_root_);
  config_.networks.ipv6_prefix = 56;
  EXPECT_EQ(open().size(), 1U);
  EXPECT_FALSE(is_blocked("2001:db8:1:2::"));
  EXPECT_TRUE(is_blocked("172.16.7.70"));
}

TEST_F(ControllerTest, AManualBlockTakesOverAndKeepsTheCount) {
  spams("172.16.7.70");
  kernel_.dropped[address("172.16.7.70")] = {500, 30000};
  const auto outcomes = controller_->block({"172.16.7.70"}, 48h, by_root_);
  EXPECT_THAT(outcomes.at(0).note, testing::HasSubstr("nat1-1"));
  EXPECT_EQ(kernel_.dropped[address("172.16.7.70")].packets, 500U);
  EXPECT_EQ(controller_->find_active(address("172.16.7.70"))->origin, Origin::manual);
  controller_->unblock({"172.16.7.70"}, by_root_);
  EXPECT_FALSE(kernel_.dropped.contains(address("172.16.7.70")));
}

}  // namespace
}  // namespace mailweir
