// SPDX-License-Identifier: GPL-2.0-or-later
// The SYN log: which SYNs are told, within which limits, and what the record holds.
#include <gmock/gmock.h>

#include "daemon/syn_line.h"
#include "program_fixture.h"

namespace mailweir {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

constexpr mw_quota quota(nanoseconds window, std::uint32_t events) {
  return {static_cast<__u64>(window.count()), events, 0};
}

class LogTest : public PathTest {
 protected:
  void turn_on(LogRules rules = {}) {
    if (rules.until == BootTime{}) rules.until = BootTime::max();
    if (rules.limit.events == 0) rules.limit = quota(60s, 1000);
    if (rules.total.events == 0) rules.total = quota(1s, 100'000);
    ASSERT_TRUE(datapath().set_log(rules));
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::vector<std::string> found;
    datapath().when_logged(
        [&](const mw_logged_syn& syn) { found.push_back(syn_line(syn, "eth1")); });
    (void)events();
    datapath().when_logged({});
    return found;
  }
  [[nodiscard]] std::uint64_t suppressed(int client) const {
    std::uint64_t number = 0;
    (void)datapath().each_logged([&](const mw_addr& key, const mw_logged& entry) {
      if (key == path().key(client)) number = entry.suppressed;
    });
    return number;
  }
};
INSTANTIATE_TEST_SUITE_P(, LogTest, ::testing::ValuesIn(all_paths()), path_name);

TEST_P(LogTest, EverySynToAJudgedPortIsToldWhateverBecomesOfIt) {
  EXPECT_EQ(pass("passed"), sent(syn(7)));
  EXPECT_THAT(lines(), IsEmpty()) << "the log is off";
  turn_on();
  EXPECT_EQ(pass("passed"), sent(syn(7)));
  EXPECT_THAT(lines(), SizeIs(1));
  block(path().key(7));
  EXPECT_EQ(drop("blocked"), sent(syn(7)));
  EXPECT_THAT(lines(), SizeIs(1));
  EXPECT_EQ(drop("blocked"), sent(flow(7).ack()));
  EXPECT_EQ(pass("flow"), sent(flow(8).ack()));
  EXPECT_EQ(pass("watched"), sent(syn(8, 1, 465)));
  EXPECT_EQ(uncounted(), sent(syn(8, 1, 443)));
  EXPECT_EQ(pass("not_inside"),
            sent(path().ip(path().foreigner(), path().server(1)).tcp(25).syn()));
  EXPECT_THAT(lines(), IsEmpty());
}

TEST_P(LogTest, TheLineHasWhatThePacketSaid) {
  turn_on();
  (void)sent(path().ip(path().client(7), path().server(3)).tcp(25, 51422).syn());
  const auto told = lines();
  ASSERT_THAT(told, SizeIs(1));
  const std::string& line = told[0];
  EXPECT_THAT(line, StartsWith("MAILWEIR IN=eth1 OUT= MAC="));
  EXPECT_THAT(line, HasSubstr("PROTO=TCP SPT=51422 DPT=25 WINDOW="));
  EXPECT_THAT(line, EndsWith(" SYN URGP=0 "));
  if (path().family == Family::ipv4)
    EXPECT_THAT(line, HasSubstr(" SRC=172.16.0.7 DST=198.18.3.25 LEN="));
  else
    EXPECT_THAT(line,
                HasSubstr(" SRC=2001:0db8:0001:0007:0000:0000:0000:0005 DST=2001:0db8:f003:"));
  if (path().program == Program::tc_ip)
    EXPECT_THAT(line, HasSubstr(" MAC= SRC="));
  else
    EXPECT_THAT(line, HasSubstr(path().family == Family::ipv4 ? ":08:00 SRC=" : ":86:dd SRC="));
}

TEST_P(LogTest, OneSourceHasSoManyLinesAWindowAndTheRestIsCounted) {
  turn_on({.limit = quota(60s, 5)});
  for (int i = 0; i < 12; ++i) (void)sent(syn(7));
  EXPECT_THAT(lines(), SizeIs(5));
  EXPECT_EQ(suppressed(7), 7U);
  EXPECT_EQ(suppressed(8), 0U);
  (void)sent(syn(8));
  EXPECT_THAT(lines(), SizeIs(1)) << "another source";
  advance(61s);
  for (int i = 0; i < 12; ++i) (void)sent(syn(7));
  EXPECT_THAT(lines(), SizeIs(5));
  EXPECT_EQ(suppressed(7), 14U);
}

TEST_P(LogTest, AllTogetherHaveSoManyLinesAWindow) {
  turn_on({.total = quota(1s, 3)});
  for (int client = 1; client <= 10; ++client) (void)sent(syn(client));
  EXPECT_THAT(lines(), SizeIs(3));
  advance(2s);
  for (int client = 11; client <= 20; ++client) (void)sent(syn(client));
  EXPECT_THAT(lines(), SizeIs(3));
  const auto counts = datapath().log_counts();
  ASSERT_TRUE(counts);
  EXPECT_GE(counts->suppressed, 14U);
}

TEST_P(LogTest, AnOrderEndsByItself) {
  turn_on({.until = boot_time(now_ns()) + 30min});
  advance(30min - 1ns);
  (void)sent(syn(7));
  EXPECT_THAT(lines(), SizeIs(1));
  advance(1ns);
  (void)sent(syn(7));
  EXPECT_THAT(lines(), IsEmpty());
}

TEST_P(LogTest, AnOrderMayNameASource) {
  turn_on({.source = path().key(7)});
  (void)sent(syn(7));
  (void)sent(syn(8));
  EXPECT_THAT(lines(), SizeIs(1));
  EXPECT_EQ(suppressed(8), 0U);
}

}  // namespace
}  // namespace mailweir
