// SPDX-License-Identifier: GPL-2.0-or-later
// What top is told: by whom the book of traffic is fed, how often, and what the API makes of it.
#include "daemon/sampler.h"

#include "controller_fixture.h"
#include "daemon/api.h"

namespace mailweir {
namespace {

using nlohmann::json;

class SamplerTest : public ControllerTest {
 protected:
  mw_source& source(std::uint32_t number) {
    mw_addr key = address("172.16.0.0");
    key.bytes[14] = static_cast<__u8>(number >> 8);
    key.bytes[15] = static_cast<__u8>(number);
    mw_source& made = kernel_.sources[key];
    if (made.first_ns == 0) made.first_ns = made.last_ns = to_ns(clock_.now().boot) + 1;
    return made;
  }
  HttpAnswer ask(std::map<std::string, std::string> query) {
    HttpRequest request;
    request.method = "GET";
    request.path = "/v1/sources";
    request.query = std::move(query);
    return api_.answer(request);
  }
  json window(std::map<std::string, std::string> query) {
    return ask(std::move(query)).body["sources"][0]["window"];
  }

  DaemonState state_;
  Sampler sampler_{*controller_, kernel_, clock_};
  Journal log_journal_;
  SynLog syn_log_{kernel_, clock_, log_journal_};
  Api api_{
      *controller_, kernel_, clock_, state_, sampler_, syn_log_, [] { return Error{ENOSYS, ""}; }};
};

TEST_F(SamplerTest, AnAnswerIsOfThisMoment) {
  source(7).syns = 3;
  source(8).bytes = 900;
  EXPECT_EQ(3, window({})["syns"]);
  EXPECT_EQ(10, window({})["minutes"]);
  EXPECT_EQ(900, window({{"by", "bytes"}, {"over", "60"}})["bytes"]);
  source(7).syns = 5;
  EXPECT_EQ(5, window({{"over", "1"}})["syns"]);
  clock_.advance(90s);
  EXPECT_EQ(0, window({{"over", "1"}})["syns"]);
  const json body = ask({{"over", "10"}}).body;
  EXPECT_EQ(90, body["counted_seconds"]);
  EXPECT_EQ(10, body["over_minutes"]);
  EXPECT_EQ(5, body["sources"][0]["total"]["syns"]);
}

TEST_F(SamplerTest, WhoIsBlockedLeadsByDropsAlsoWhereTheTableHasForgottenHim) {
  source(8).dropped = 20;
  clock_.advance(1s);
  ASSERT_TRUE(controller_->block({"172.16.0.7"}, 1h, {.by = "root", .reason = ""})[0].ok);
  kernel_.dropped[address("172.16.0.7")] = {50, 3000};
  const json rows = ask({{"by", "dropped"}}).body["sources"];
  EXPECT_EQ("172.16.0.7", rows[0]["source"]);
  EXPECT_EQ("blocked", rows[0]["state"]);
  EXPECT_EQ(50, rows[0]["window"]["dropped"]);
  EXPECT_EQ(nullptr, rows[0]["last_seen"]);
  EXPECT_EQ("172.16.0.8", rows[1]["source"]);
  EXPECT_EQ(1U, ask({{"by", "dropped"}, {"limit", "1"}}).body["sources"].size());
}

TEST_F(SamplerTest, TheTableIsReadPieceByPieceEveryTenSeconds) {
  for (std::uint32_t i = 0; i < 5000; ++i) source(i).syns = 1;
  std::size_t before = 0;
  for (int steps = 0; steps < 3; ++steps) {
    sampler_.step();
    EXPECT_LE(sampler_.book().size() - before, 2048U) << "a piece";
    before = sampler_.book().size();
  }
  EXPECT_EQ(5000U, before);
  source(5000).syns = 1;
  clock_.advance(9s);
  sampler_.step();
  EXPECT_EQ(5000U, sampler_.book().size()) << "not yet due";
  clock_.advance(1s);
  for (int steps = 0; steps < 3; ++steps) sampler_.step();
  EXPECT_EQ(5001U, sampler_.book().size());
}

TEST_F(SamplerTest, ARestartBeginsTheWindowsAnewAndTakesNothingOfBefore) {
  source(7).syns = 1000;
  clock_.advance(1s);
  Sampler restarted(*controller_, kernel_, clock_);
  ASSERT_TRUE(restarted.take_all());
  const mw_addr key = address("172.16.0.7");
  EXPECT_EQ(0U, restarted.book().over(key, 60, clock_.now().boot).syns);
  source(7).syns = 1002;
  ASSERT_TRUE(restarted.take_all());
  EXPECT_EQ(2U, restarted.book().over(key, 60, clock_.now().boot).syns);
}

TEST_F(SamplerTest, OrdersAndWindowsThatAreNotKeptAreNamed) {
  const HttpAnswer order = ask({{"by", "colour"}});
  EXPECT_EQ(400, order.status);
  EXPECT_EQ("by=colour is not known", order.body["error"]);
  EXPECT_EQ("by: syn, bytes, servers, dropped", order.body["hint"]);
  for (const char* minutes : {"5", "0", "", "x", "-1"}) {
    const HttpAnswer window = ask({{"over", minutes}});
    EXPECT_EQ(400, window.status) << minutes;
    EXPECT_EQ("over: 1, 10, 60 (minutes)", window.body["hint"]);
  }
}

}  // namespace
}  // namespace mailweir
