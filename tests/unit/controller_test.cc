// SPDX-License-Identifier: GPL-2.0-or-later
// The controller on a kernel that only remembers: record, blocklist and allowlist agree, whoever
// decides.
#include "daemon/controller.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "fake_datapath.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;

mw_addr address(const char* text) {
  return *parse_address(text);
}

class ControllerTest : public testing::Test {
 protected:
  ControllerTest() {
    char path[] = "/tmp/mailweir-controller.XXXXXX";
    directory_ = ::mkdtemp(path);
    config_.node = "nat1";
    config_.mode = Mode::block;
    config_.networks.inside = {*parse_prefix("172.16.0.0/12"), *parse_prefix("2001:db8::/32")};
    open();
  }
  ~ControllerTest() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  /// As a restart of the daemon does: the kernel keeps what it has.
  std::vector<std::string> open() {
    controller_.reset();
    store_.reset();
    store_.emplace(std::move(*Store::open(directory_)));
    controller_ = std::make_unique<Controller>(config_, kernel_, clock_, &*store_);
    auto repaired = controller_->start();
    EXPECT_TRUE(repaired);
    return repaired ? *repaired : std::vector<std::string>{};
  }

  /// What the kernel would have counted of a source that walks new networks against the brake.
  mw_source flooder(int networks, std::uint32_t braked) {
    mw_source source{};
    const std::uint64_t now_ns = to_ns(clock_.now().boot);
    source.slice = static_cast<__u32>(now_ns / MW_SLICE_NS);
    source.first_ns = now_ns - 2'000'000'000;
    source.last_ns = now_ns;
    mw_slice& slice = source.slices[source.slice % 2];
    for (int i = 0; i < networks; ++i) slice.seen[i / 64] |= 1ULL << (i % 64);
    slice.contacts = static_cast<__u32>(networks);
    slice.syns = static_cast<__u32>(networks) + braked;
    slice.braked = braked;
    source.syns = slice.syns;
    source.braked = braked;
    return source;
  }

  void kernel_says(const char* source, const mw_source& value) {
    kernel_.sources[address(source)] = value;
    mw_event event{};
    event.source = address(source);
    event.kind = MW_EVENT_BRAKED;
    controller_->on_kernel_event(event);
  }

  bool is_blocked(const char* source) const { return kernel_.blocklist.contains(address(source)); }

  std::string directory_;
  Config config_;
  FakeDatapath kernel_;
  FakeClock clock_;
  std::optional<Store> store_;
  std::unique_ptr<Controller> controller_;
  const Order by_root_{.by = "root", .reason = "complaint 4711"};
};

TEST_F(ControllerTest, BlocksASourceThatWalksOnAgainstTheBrake) {
  kernel_says("172.16.7.70", flooder(40, 12));
  ASSERT_TRUE(is_blocked("172.16.7.70"));
  const Decision* decision = controller_->find_active(address("172.16.7.70"));
  ASSERT_NE(decision, nullptr);
  EXPECT_EQ(decision->id(), "nat1-1");
  EXPECT_EQ(decision->evidence->braked, 12U);
  EXPECT_EQ(kernel_.blocklist[address("172.16.7.70")].reason, static_cast<__u32>(MW_REASON_FANOUT));

  kernel_says("172.16.7.71", flooder(10, 500));
  EXPECT_FALSE(is_blocked("172.16.7.71")) << "few networks, however much is held";
  kernel_says("172.16.7.72", flooder(60, 3));
  EXPECT_FALSE(is_blocked("172.16.7.72")) << "many networks, but it heeds the brake";
  kernel_says("192.0.2.1", flooder(40, 12));
  EXPECT_FALSE(is_blocked("192.0.2.1")) << "not in [networks] inside";
}

TEST_F(ControllerTest, RecordsAWouldBlockInObserveAndDoesNotTurnItIntoABlock) {
  ASSERT_TRUE(controller_->set_mode(Mode::observe, by_root_));
  kernel_says("172.16.7.70", flooder(40, 12));
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  ASSERT_NE(controller_->find_active(address("172.16.7.70")), nullptr);
  EXPECT_TRUE(controller_->find_active(address("172.16.7.70"))->would);

  ASSERT_TRUE(controller_->set_mode(Mode::block, by_root_));
  controller_->sweep();
  EXPECT_FALSE(is_blocked("172.16.7.70")) << "its evidence is from before";
  kernel_says("172.16.7.70", flooder(40, 21));
  EXPECT_FALSE(is_blocked("172.16.7.70")) << "nine more are not ten";
  kernel_says("172.16.7.70", flooder(40, 22));
  EXPECT_TRUE(is_blocked("172.16.7.70")) << "new evidence is";
}

TEST_F(ControllerTest, LiftsAutomaticBlocksWhenTheModeForbidsThemAndKeepsManualOnes) {
  kernel_says("172.16.7.70", flooder(40, 12));
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
  kernel_says("172.16.0.3", flooder(40, 12));
  kernel_says("172.16.0.33", flooder(40, 12));
  EXPECT_FALSE(is_blocked("172.16.0.3"));
  EXPECT_TRUE(is_blocked("172.16.0.33"));
}

TEST_F(ControllerTest, BlocksLastLongerEachTimeAndExpire) {
  for (const auto lasts : {1h, 4h, 24h, 24h}) {
    kernel_says("172.16.7.70", flooder(40, 12));
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
  kernel_says("172.16.7.70", flooder(40, 12));
  const auto undone = controller_->unblock({"172.16.7.70"}, by_root_);
  ASSERT_TRUE(undone.at(0).ok);
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  clock_.advance(29min);
  kernel_says("172.16.7.70", flooder(40, 12));
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  clock_.advance(2min);
  kernel_says("172.16.7.70", flooder(40, 12));
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
  kernel_says("172.16.7.71", flooder(40, 12));
  controller_->allow({"172.16.9.0/24"}, by_root_);
  ASSERT_TRUE(controller_->set_mode(Mode::block, by_root_));
  EXPECT_TRUE(open().empty());
  EXPECT_EQ(controller_->active().size(), 2U);
  EXPECT_EQ(controller_->find_active(address("172.16.7.71"))->evidence->braked, 12U);
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
      .until_ns = to_ns(clock_.now().boot + 1h), .decision = 7, .reason = MW_REASON_FANOUT};
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
  kernel_says("172.16.7.70", flooder(40, 12));
  kernel_.dropped[address("172.16.7.70")] = {500, 30000};
  const auto outcomes = controller_->block({"172.16.7.70"}, 48h, by_root_);
  EXPECT_THAT(outcomes.at(0).note, testing::HasSubstr("nat1-1"));
  EXPECT_EQ(kernel_.dropped[address("172.16.7.70")].packets, 500U);
  EXPECT_EQ(controller_->find_active(address("172.16.7.70"))->origin, Origin::manual);
  controller_->unblock({"172.16.7.70"}, by_root_);
  EXPECT_FALSE(kernel_.dropped.contains(address("172.16.7.70")));
}

TEST_F(ControllerTest, AFullBlocklistIsSaidAndLosesNothing) {
  for (int i = 1; i <= 8; ++i)
    ASSERT_TRUE(controller_->block({"172.16.7." + std::to_string(i)}, 1h, by_root_).at(0).ok);
  const auto refused = controller_->block({"172.16.7.9"}, 1h, by_root_);
  EXPECT_FALSE(refused.at(0).ok);
  EXPECT_THAT(refused.at(0).error, testing::HasSubstr("full"));
  EXPECT_EQ(controller_->active().size(), 8U);

  kernel_says("172.16.7.70", flooder(40, 12));
  EXPECT_FALSE(is_blocked("172.16.7.70"));
  controller_->unblock({"172.16.7.1"}, by_root_);
  kernel_says("172.16.7.70", flooder(40, 12));
  EXPECT_TRUE(is_blocked("172.16.7.70")) << "there is room again, and it had no grace";
}

}  // namespace
}  // namespace mailweir
