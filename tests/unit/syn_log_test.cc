// SPDX-License-Identifier: GPL-2.0-or-later
// When the SYN log is on, and what is written of SYNs beyond its limits.
#include "daemon/syn_log.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "base/time_text.h"
#include "fake_datapath.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class SynLogTest : public testing::Test {
 protected:
  SynLogTest() {
    char path[] = "/tmp/mailweir-log.XXXXXX";
    directory_ = ::mkdtemp(path);
    config_.node = "nat1";
    config_.log.file = directory_ + "/smtp.log";
    start();
  }
  ~SynLogTest() override { std::filesystem::remove_all(directory_); }

  void start() {
    log_.emplace(kernel_, clock_, journal_);
    ASSERT_TRUE(log_->configure(config_));
  }
  void pass(std::chrono::seconds time) {
    for (; time > 0s; time -= 1s) {
      clock_.advance(1s);
      log_->tick();
    }
  }
  [[nodiscard]] std::string text() const {
    std::ifstream file(config_.log.file);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string directory_;
  Config config_;
  FakeDatapath kernel_;
  FakeClock clock_;
  Journal journal_;
  std::optional<SynLog> log_;
  const mw_addr source_ = *parse_address("172.16.7.70");
};

TEST_F(SynLogTest, IsOffUntilItIsTurnedOnAndEndsByItself) {
  EXPECT_FALSE(log_->state().is_on);
  EXPECT_EQ(kernel_.log_rules.until, BootTime{});
  ASSERT_TRUE(log_->turn_on(30min, source_, "root"));
  EXPECT_TRUE(log_->state().is_on);
  EXPECT_EQ(log_->state().until, clock_.now().wall + 30min);
  EXPECT_EQ(log_->state().source, source_);
  EXPECT_EQ(kernel_.log_rules.until, clock_.now().boot + 30min);
  EXPECT_EQ(kernel_.log_rules.limit.events, 5U);
  EXPECT_EQ(kernel_.log_rules.limit.window_ns, 60'000'000'000U);
  EXPECT_EQ(kernel_.log_rules.total.events, 50U);
  pass(30min);
  EXPECT_FALSE(log_->state().is_on);
  EXPECT_EQ(kernel_.log_rules.until, BootTime{});
}

TEST_F(SynLogTest, AnOrderOutlivesARestartUntilItsEnd) {
  ASSERT_TRUE(log_->turn_on(30min, source_, "root"));
  pass(10min);
  start();
  EXPECT_TRUE(log_->state().is_on);
  EXPECT_EQ(log_->state().until, clock_.now().wall + 20min);
  EXPECT_EQ(log_->state().source, source_);
  pass(20min);
  EXPECT_FALSE(log_->state().is_on);
}

TEST_F(SynLogTest, AnOrderWithoutAnEndOutlivesARestartToo) {
  ASSERT_TRUE(log_->turn_on(kForever, source_, "root"));
  start();
  EXPECT_TRUE(log_->state().is_on);
  EXPECT_FALSE(log_->state().until);
  EXPECT_EQ(log_->state().source, source_);
}

TEST_F(SynLogTest, WhatWasSuppressedBeforeARestartIsNotToldAgain) {
  ASSERT_TRUE(log_->turn_on(30min, std::nullopt, "root"));
  kernel_.logged[source_].suppressed = 45;
  kernel_.counted_lines.suppressed = 45;
  start();
  pass(20s);
  EXPECT_THAT(text(), Not(HasSubstr("SUPPRESSED")));
  EXPECT_EQ(log_->state().suppressed, 0U);
}

TEST_F(SynLogTest, TheFilesWordHoldsAgainAfterAnOrder) {
  config_.log.enabled = true;
  ASSERT_TRUE(log_->configure(config_));
  EXPECT_TRUE(log_->state().is_on);
  EXPECT_FALSE(log_->state().until);
  ASSERT_TRUE(log_->turn_on(10min, source_, "root"));
  pass(10min);
  EXPECT_TRUE(log_->state().is_on);
  EXPECT_FALSE(log_->state().source);
  ASSERT_TRUE(log_->turn_off("root"));
  EXPECT_FALSE(log_->state().is_on);
  config_.log.enabled = false;
  start();
  EXPECT_FALSE(log_->state().is_on) << "an end was never given: the file decides";
}

TEST_F(SynLogTest, WritesWhatTheProgramTells) {
  ASSERT_TRUE(log_->turn_on(30min, std::nullopt, "root"));
  kernel_.logged_syn(mw_logged_syn{});
  EXPECT_THAT(text(), HasSubstr(" nat1 kernel: ["));
  EXPECT_THAT(text(), HasSubstr("] MAILWEIR IN="));
  EXPECT_EQ(log_->state().lines, 1U);
}

TEST_F(SynLogTest, TellsTheNoisiestAndTheRestTogether) {
  ASSERT_TRUE(log_->turn_on(30min, std::nullopt, "root"));
  kernel_.logged[source_].suppressed = 4213;
  kernel_.counted_lines.suppressed = 4300;
  pass(10s);
  EXPECT_THAT(text(), HasSubstr(" MAILWEIR-SUPPRESSED SRC=172.16.7.70 N=4213 SECONDS=10\n"));
  EXPECT_THAT(text(), HasSubstr(" MAILWEIR-SUPPRESSED SRC=others N=87 SECONDS=10\n"));
  std::filesystem::resize_file(config_.log.file, 0);
  pass(10s);
  EXPECT_THAT(text(), IsEmpty()) << "nothing is told twice";
  for (int i = 1; i <= 200; ++i)
    kernel_.logged[*parse_address("172.16.1." + std::to_string(i))].suppressed = 10;
  kernel_.counted_lines.suppressed += 2000;
  pass(10s);
  const std::string told = text();
  EXPECT_EQ(std::ranges::count(told, '\n'), 21);
  EXPECT_THAT(told, HasSubstr("SRC=others N=1800 "));
}

TEST_F(SynLogTest, WhereNoLineCanBeWrittenItIsNotTurnedOn) {
  config_.log.file = directory_ + "/no/such/smtp.log";
  ASSERT_TRUE(log_->configure(config_));
  const auto on = log_->turn_on(30min, std::nullopt, "root");
  ASSERT_FALSE(on);
  EXPECT_THAT(on.error().message, HasSubstr("/no/such/smtp.log"));
  EXPECT_FALSE(log_->state().is_on);
}

TEST_F(SynLogTest, LinesThatAreLostAreCounted) {
  ASSERT_TRUE(log_->turn_on(30min, std::nullopt, "root"));
  kernel_.counted_lines.lost = 3;
  std::filesystem::remove_all(directory_);
  std::filesystem::create_directory(directory_);
  std::ofstream(directory_ + "/in_the_way");
  config_.log.file = directory_ + "/in_the_way/smtp.log";
  ASSERT_TRUE(log_->configure(config_));
  kernel_.logged_syn(mw_logged_syn{});
  EXPECT_EQ(log_->state().lost, 4U);
  EXPECT_FALSE(log_->state().problem.empty());
  std::filesystem::remove(directory_ + "/in_the_way");
  kernel_.logged_syn(mw_logged_syn{});
  EXPECT_FALSE(log_->state().problem.empty()) << "one line that went well is not enough";
  pass(20s);
  EXPECT_EQ(log_->state().problem, "") << "ten seconds without a loss are";
}

}  // namespace
}  // namespace mailweir
