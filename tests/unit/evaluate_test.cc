// SPDX-License-Identifier: GPL-2.0-or-later
// The evaluation's own parts: what is concluded from counts, and the synthetic day.
#include <gmock/gmock.h>

#include <cstring>
#include <map>
#include <set>

#include "evaluate/baselines.h"
#include "evaluate/bots.h"
#include "evaluate/population.h"
#include "evaluate/statistics.h"

namespace mailweir::evaluate {
namespace {

using namespace std::chrono_literals;
using testing::DoubleNear;

TEST(Statistics, TheIncompleteBetaFunctionIsAsInTheTables) {
  struct Row {
    double a, b, x, value;
  };
  for (const Row& row : {Row{1, 1, 0.3, 0.3},
                         {2, 3, 0.5, 0.6875},
                         {0.5, 0.5, 0.5, 0.5},
                         {5, 1, 0.5, 0.03125},
                         {10, 20, 0.25, 0.1663049},
                         {2, 3, 0, 0},
                         {2, 3, 1, 1}})
    EXPECT_NEAR(incomplete_beta(row.a, row.b, row.x), row.value, 1e-6)
        << row.a << " " << row.b << " " << row.x;
}

TEST(Statistics, TheExactIntervalIsClopperAndPearsons) {
  struct Row {
    std::uint64_t hits, trials;
    double low, high;
  };
  for (const Row& row : {Row{0, 10, 0, 0.3084971},
                         {5, 10, 0.1870860, 0.8129140},
                         {10, 10, 0.6915029, 1},
                         {1, 100, 0.0002531, 0.0544594},
                         {0, 10000, 0, 0.0003688},
                         {0, 0, 0, 1}}) {
    const Interval found = exact_interval(row.hits, row.trials);
    EXPECT_NEAR(found.low, row.low, 1e-6) << row.hits << " of " << row.trials;
    EXPECT_NEAR(found.high, row.high, 1e-6) << row.hits << " of " << row.trials;
  }
}

TEST(Statistics, AQuantileIsOneOfTheValues) {
  EXPECT_EQ(quantile({5, 1, 4, 2, 3}, .5), 3);
  EXPECT_EQ(quantile({4, 1, 3, 2}, .5), 2);
  EXPECT_EQ(quantile({4, 1, 3, 2}, .95), 4);
  EXPECT_EQ(quantile({4, 1, 3, 2}, 0), 1);
  EXPECT_EQ(quantile({}, .5), 0);
}

/// Remembers what it meets; drops what it is told to.
class FakeGate : public Gate {
 public:
  bool meet(ReplayFrame& frame) override {
    seen.push_back(frame);
    return !drops(frame);
  }
  [[nodiscard]] bool is_blocked(const mw_addr&) const override { return is_block; }

  std::function<bool(const ReplayFrame&)> drops = [](const ReplayFrame&) { return false; };
  bool is_block = false;
  std::vector<ReplayFrame> seen;
};

std::uint32_t word_at(const ReplayFrame& frame, std::size_t at) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < 4; ++i) word = word << 8 | frame.bytes.at(at + i);
  return word;
}
bool is_syn(const ReplayFrame& frame) {
  return (frame.bytes.at(33) & ClientPacket::syn) != 0;
}
std::uint16_t port_of(const ReplayFrame& frame) {
  return static_cast<std::uint16_t>(word_at(frame, 20) & 0xffff);
}

std::vector<ReplayFrame> frames_of_a_day(std::uint64_t seed) {
  FakeGate gate;
  Day day({.seed = seed}, gate, nullptr);
  (void)populate(day, 1000);
  day.run();
  return std::move(gate.seen);
}

TEST(SyntheticDay, TheSameSeedMakesTheSameFramesAndAnotherOneDoesNot) {
  const auto first = frames_of_a_day(1);
  const auto again = frames_of_a_day(1);
  const auto other = frames_of_a_day(2);
  ASSERT_EQ(first.size(), again.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    ASSERT_EQ(first[i].time, again[i].time) << i;
    ASSERT_EQ(first[i].bytes, again[i].bytes) << i;
  }
  EXPECT_NE(first.size(), other.size());
}

TEST(SyntheticDay, FramesAreInTimeOrderFromInsideAndTellTheirTrueLength) {
  WallTime last = day_begins();
  std::uint64_t payload = 0;
  for (const ReplayFrame& frame : frames_of_a_day(1)) {
    ASSERT_EQ(frame.link, ReplayFrame::Link::ip);
    ASSERT_EQ(frame.bytes.size(), 40U) << "headers alone";
    ASSERT_EQ(frame.bytes[0], 0x45);
    ASSERT_EQ(frame.bytes[9], 6);
    ASSERT_EQ(word_at(frame, 12) >> 20, 0xac1U) << "172.16.0.0/12";
    ASSERT_EQ(word_at(frame, 16) >> 28, 2U) << "32.0.0.0/4";
    ASSERT_GE(frame.time, last);
    const std::uint32_t length = word_at(frame, 0) & 0xffff;
    ASSERT_GE(length, 40U);
    ASSERT_LE(length, 1500U);
    if (is_syn(frame)) {
      ASSERT_EQ(length, 40U);
    }
    payload += length - 40;
    last = frame.time;
  }
  EXPECT_LT(last, day_begins() + kMidnight);
  EXPECT_GT(payload, 0U);
}

/// Counts what truly happens.
class Counting final : public Witness {
 public:
  void opened(Time now, const Connection& connection) override {
    times.push_back(now);
    servers.insert(connection.ends.server);
    if (times.size() == 1108) servers_of_1108 = servers.size();
  }
  void answered(Time, const Connection&) override { ++answers; }
  void unanswered(Time, const Connection&) override { ++failures; }
  void closed(Time, const Connection&, bool message_taken) override { messages += message_taken; }

  std::vector<Time> times;
  std::set<mw_addr> servers;
  std::size_t servers_of_1108 = 0;
  std::uint64_t answers = 0, failures = 0, messages = 0;
};

TEST(FastBot, ItsRatesAreTheCaptures) {
  FakeGate gate;
  Counting counting;
  Day day({.seed = 3, .loss = 0, .outage_from = 0s, .outage_to = 0s}, gate, &counting);
  const mw_addr address = ipv4_address(0xac100101);
  auto client = std::make_unique<Bot>(address, BotHabits{.active = {{1h, 3h}}, .draws = 7});
  Bot& bot = *client;
  bot.begin(day, day.add({.kind = Class::fast_bot, .address = address}, std::move(client)));
  day.run();

  const auto all = static_cast<double>(counting.times.size());
  EXPECT_THAT(all / 7200, DoubleNear(4.46, 0.45));
  EXPECT_THAT(static_cast<double>(counting.servers_of_1108), DoubleNear(840, 40));
  EXPECT_THAT(static_cast<double>(counting.answers) / all, DoubleNear(.949, .006));
  EXPECT_THAT(static_cast<double>(counting.messages) / all, DoubleNear(.114, .008));
  std::vector<double> gaps;
  for (std::size_t i = 1; i < counting.times.size(); ++i)
    gaps.push_back(in_seconds(counting.times[i] - counting.times[i - 1]));
  EXPECT_THAT(quantile(gaps, .5), DoubleNear(.092, .010));
  EXPECT_THAT(quantile(gaps, .9), DoubleNear(.284, .030));
  for (std::size_t i = 13; i < counting.times.size(); ++i)
    ASSERT_GE(counting.times[i] - counting.times[i - 13], 1s) << "at most 13 in a second";
}

/// One letter, to one server that takes it.
SourceDay one_letter(FakeGate& gate) {
  Day day({.seed = 1, .loss = 0}, gate, nullptr);
  const mw_addr address = ipv4_address(0xac100101);
  auto client = std::make_unique<Mailer>(address, Mailer::Habits{.draws = 5},
                                         std::vector<Server>{{.network = 5}},
                                         std::vector<Delivery>{{.due = 1h}});
  Mailer& mailer = *client;
  mailer.begin(day, day.add({.kind = Class::plain, .address = address}, std::move(client)));
  day.run();
  return day.sources().front();
}

std::vector<double> syn_seconds(const FakeGate& gate) {
  std::vector<double> at;
  for (const ReplayFrame& frame : gate.seen)
    if (is_syn(frame))
      at.push_back(std::chrono::duration<double>(frame.time - day_begins() - 1h).count());
  return at;
}

TEST(Mailer, ALetterThatNothingDropsIsDeliveredAtOnce) {
  FakeGate gate;
  const SourceDay day = one_letter(gate);
  EXPECT_EQ(day.delivered, 1U);
  EXPECT_EQ(day.lost, 0U);
  EXPECT_EQ(day.delayed, 0U);
  EXPECT_EQ(day.longest_delay, 0s);
  EXPECT_GE(day.bytes, 574U) << "the smallest letter in the captures";
  EXPECT_EQ(port_of(gate.seen.front()), 25);
}

TEST(Mailer, ADroppedSynComesAgainAsTcpSendsItAndTheLetterIsLateNotLost) {
  FakeGate gate;
  int drops = 2;
  gate.drops = [&](const ReplayFrame&) { return drops-- > 0; };
  const SourceDay day = one_letter(gate);
  EXPECT_EQ(syn_seconds(gate), (std::vector<double>{0, 1, 3}));
  EXPECT_EQ(day.longest_delay, 3s);
  EXPECT_EQ(day.delayed, 0U) << "3 s is not 10";
  EXPECT_EQ(day.lost, 0U);
  EXPECT_EQ(day.delivered, 1U);
}

TEST(Mailer, AfterSixDroppedSynsTheQueueTriesAgainInFiveMinutes) {
  FakeGate gate;
  int drops = 6;
  gate.drops = [&](const ReplayFrame&) { return drops-- > 0; };
  const SourceDay day = one_letter(gate);
  EXPECT_EQ(syn_seconds(gate), (std::vector<double>{0, 1, 3, 7, 15, 31, 63 + 300}));
  EXPECT_EQ(day.delayed, 1U);
  EXPECT_EQ(day.lost, 0U);
}

TEST(Mailer, ALetterThatABlockDropsIsLostEvenIfItArrivesLater) {
  FakeGate gate;
  gate.is_block = true;
  int drops = 1;
  gate.drops = [&](const ReplayFrame&) { return drops-- > 0; };
  const SourceDay day = one_letter(gate);
  EXPECT_EQ(day.delivered, 1U);
  EXPECT_EQ(day.lost, 1U);
}

TEST(Mailer, ALetterThatIsNeverLetThroughIsLost) {
  FakeGate gate;
  gate.drops = [](const ReplayFrame&) { return true; };
  const SourceDay day = one_letter(gate);
  EXPECT_EQ(day.delivered, 0U);
  EXPECT_EQ(day.lost, 1U);
  EXPECT_TRUE(day.passed.empty());
}

TEST(Baselines, EachAlarmsWhereItsRuleSaysAndNotOneBefore) {
  const auto& kinds = baseline_kinds();
  const auto alarm = [&](std::size_t kind, int connections, Time apart) {
    Baselines baselines;
    for (int i = 0; i < connections; ++i) {
      Connection connection;
      connection.ends.server_port = kSmtp;
      connection.ends.server = ipv4_address(0x20000001 + static_cast<std::uint32_t>(i) * 256);
      baselines.opened(i * apart, connection);
    }
    return baselines.alarm(kind, 0).has_value();
  };
  ASSERT_EQ(kinds[0].name, "connlimit 30");
  EXPECT_FALSE(alarm(0, 30, 1s));
  EXPECT_TRUE(alarm(0, 31, 1s));
  ASSERT_EQ(kinds[2].name, "20 in 60 s");
  EXPECT_FALSE(alarm(2, 19, 1s));
  EXPECT_TRUE(alarm(2, 20, 1s));
  EXPECT_FALSE(alarm(2, 40, 4s));
  ASSERT_EQ(kinds[3].name, "10 servers in 5 min");
  EXPECT_FALSE(alarm(3, 9, 1s));
  EXPECT_TRUE(alarm(3, 10, 1s));
  EXPECT_FALSE(alarm(3, 40, 40s));
}

}  // namespace
}  // namespace mailweir::evaluate
