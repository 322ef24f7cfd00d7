// SPDX-License-Identifier: GPL-2.0-or-later
// The mirror against the real iptables of both backends: what it writes, reads, and leaves alone.
#include <gmock/gmock.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>

#include <algorithm>
#include <fstream>
#include <iostream>

#include "iptables_fixture.h"

namespace mailweir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kJump[] = "-A FORWARD -p tcp -m tcp --dport 25 -j MAILWEIR\n";

class IptablesTest : public IptablesFixture {};
INSTANTIATE_TEST_SUITE_P(Backends, IptablesTest, testing::Values("nft", "legacy"), backend_name);

class LegacyTest : public IptablesFixture {};
INSTANTIATE_TEST_SUITE_P(Backends, LegacyTest, testing::Values("legacy"), backend_name);

/// Half of them IPv6, with counters, one in three without end.
MirrorTable table_of(std::size_t rules) {
  MirrorTable table{{25}, {*parse_prefix("203.0.113.5"), *parse_prefix("2001:db8::25")}, {}};
  for (std::size_t i = 0; i < rules; ++i) {
    MirrorRule rule =
        rule_for(i % 2 == 0 ? fmt::format("172.{}.{}.{}", 16 + i / 65536, i / 256 % 256, i % 256)
                            : fmt::format("2001:db8:1:{:x}::/64", i),
                 static_cast<std::uint32_t>(i + 1));
    rule.packets = i * 7;
    rule.bytes = i * 420 + (1ULL << 40);
    if (i % 3 != 0) rule.stops = *parse_rfc3339("2026-12-01T00:00:00Z") + std::chrono::seconds(i);
    table.rules.push_back(rule);
  }
  return table;
}

std::vector<MirrorRule> of_family(const MirrorTable& table, bool ipv6) {
  std::vector<MirrorRule> rules;
  std::copy_if(table.rules.begin(), table.rules.end(), std::back_inserter(rules),
               [ipv6](const MirrorRule& rule) { return rule.source.is_ipv4() != ipv6; });
  return rules;
}

std::string text_of(const MirrorRule& rule) {
  return fmt::format("{} [{}:{}] until {} \"{}\"", to_string(rule.source), rule.packets, rule.bytes,
                     rule.stops ? rfc3339(*rule.stops) : "forever", rule.comment);
}

/// The first rule that differs, in words; empty: none does.
std::string difference(const std::vector<MirrorRule>& found,
                       const std::vector<MirrorRule>& wanted) {
  if (found.size() != wanted.size())
    return fmt::format("{} rules instead of {}", found.size(), wanted.size());
  const auto [one, other] = std::mismatch(found.begin(), found.end(), wanted.begin());
  if (one == found.end()) return {};
  return fmt::format("rule {}: {} instead of {}", one - found.begin() + 1, text_of(*one),
                     text_of(*other));
}

/// All tables of both families with counters; without the times that iptables-save notes.
std::string saved() {
  return shell("for f in ip ip6; do ${f}tables-save -c | grep -v ^#; done; true");
}

/// What is left of it without our chain and jump.
std::string without_ours(const std::string& text) {
  std::string rest;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.find("MAILWEIR") == std::string::npos) rest += line + "\n";
  return rest;
}

/// ip6tables-nft 1.8.9 ignores counters wherever they are given (netfilter bug 1647).
bool ipv6_counters_are_lost() {
  shell("ip6tables -N PROBE && ip6tables -A PROBE -c 7 700 -j DROP");
  const bool lost = shell("ip6tables -v -S PROBE").find("-c 7 700") == std::string::npos;
  shell("ip6tables -F PROBE && ip6tables -X PROBE");
  return lost;
}

/// What a gateway has, with counts that a rewrite would lose.
void install_foreign_rules() {
  const std::string batch =
      "*filter\\n:SUPPORT - [0:0]\\n"
      "[11:660] -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\\n"
      "[12:720] -A FORWARD -m comment --comment \"customer \\\\\"a\\\\\" -j MAILWEIR\" -j ACCEPT\\n"
      "[13:780] -A FORWARD -p tcp -m tcp --dport 25 -j SUPPORT\\n"
      "[14:840] -A SUPPORT -m comment --comment SPAM_09_01_2021 -j DROP\\nCOMMIT\\n"
      "*mangle\\n[15:900] -A PREROUTING -p tcp -j ACCEPT\\nCOMMIT\\n";
  for (const std::string tool : {"iptables", "ip6tables"})
    shell("printf '" + batch + "' | " + tool + "-restore --counters");
  shell("iptables -t nat -A POSTROUTING -s 172.16.0.0/12 -j MASQUERADE");
}

TEST_P(IptablesTest, NamesItsBackend) {
  EXPECT_EQ(open().backend(), backend());
}

TEST_P(IptablesTest, ReadsBackFiveThousandRulesWithTheirCounters) {
  const Iptables iptables = open();
  const MirrorTable table = table_of(5000);
  write(iptables, table);
  for (const bool ipv6 : {false, true}) {
    const MirrorFound found = read(iptables, ipv6);
    std::vector<MirrorRule> expected = of_family(table, ipv6);
    if (ipv6 && ipv6_counters_are_lost()) {
      EXPECT_EQ(backend(), "nft");
      for (MirrorRule& rule : expected) rule.packets = rule.bytes = 0;
    }
    EXPECT_EQ(difference(found.rules, expected), "");
    EXPECT_THAT(found.servers, ElementsAre(table.servers[ipv6 ? 1 : 0]));
    EXPECT_TRUE(found.available);
    EXPECT_TRUE(found.jump_is_first);
    EXPECT_EQ(found.jumps, 1U);
    EXPECT_EQ(found.foreign_rules, 0U);
  }
  write(iptables, table);
  EXPECT_EQ(difference(read(iptables).rules, of_family(table, false)), "") << "when repeated";
}

TEST_P(IptablesTest, TellsHowLongManyRulesTake) {
  const Iptables iptables = open();
  for (const std::size_t rules : {5000, 10000}) {
    MirrorTable table = table_of(rules * 2);
    table.rules = of_family(table, false);
    const auto start = std::chrono::steady_clock::now();
    write(iptables, table);
    const auto written = std::chrono::steady_clock::now();
    const MirrorFound found = read(iptables);
    const std::chrono::duration<double> write_time = written - start;
    const std::chrono::duration<double> read_time = std::chrono::steady_clock::now() - written;
    EXPECT_EQ(found.rules.size(), rules);
    std::cout << fmt::format("{}: {} rules written in {:.2f} s, read in {:.2f} s\n", backend(),
                             rules, write_time.count(), read_time.count());
  }
}

TEST_P(IptablesTest, AdminSeesDateReasonAndCountersInTheListing) {
  MirrorRule rule = rule_for("172.16.7.70");
  rule.packets = 1904;
  rule.bytes = 114240;
  write(open(), {{25}, {}, {rule}});
  const std::string listing = shell("iptables -L MAILWEIR -v -n | tr -s ' '");
  EXPECT_THAT(listing, HasSubstr("1904 114K DROP"));
  EXPECT_THAT(listing, HasSubstr("172.16.7.70 0.0.0.0/0 tcp dpt:25 /* SPAM_2026-11-24 id=nat1-1 "
                                 "by=root until=2026-11-24T14:03:11Z reason=evidence */"));
}

TEST_P(IptablesTest, EmptyTableKeepsChainAndJumpInPlace) {
  const Iptables iptables = open();
  write(iptables, table_of(10));
  write(iptables, {{25}, {}, {}});
  for (const bool ipv6 : {false, true}) {
    const MirrorFound found = read(iptables, ipv6);
    EXPECT_THAT(found.rules, IsEmpty());
    EXPECT_THAT(found.servers, IsEmpty());
    EXPECT_TRUE(found.jump_is_first && found.jumps == 1);
  }
}

TEST_P(IptablesTest, ForeignRulesAndTheirCountersStayAsTheyWere) {
  install_foreign_rules();
  const std::string before = saved();
  const Iptables iptables = open();
  for (int round = 0; round < 3; ++round) {
    write(iptables, table_of(20));
    EXPECT_EQ(without_ours(saved()), without_ours(before));
  }
  // A jump that has to be moved passes by the foreign rules.
  shell("iptables -A FORWARD -p tcp -m tcp --dport 25 -j MAILWEIR");
  shell("iptables -D FORWARD 1");
  write(iptables, table_of(20));
  EXPECT_EQ(without_ours(saved()), without_ours(before));
  EXPECT_TRUE(read(iptables).jump_is_first);

  const auto removed = iptables.remove();
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_EQ(saved(), before) << "nothing of ours is left";
}

TEST_P(IptablesTest, JumpComesBackToTheFirstPlaceExactlyOnce) {
  install_foreign_rules();
  const Iptables iptables = open();
  write(iptables, table_of(4));
  const std::string intact = shell("iptables -S FORWARD");
  ASSERT_THAT(intact, HasSubstr(std::string("-P FORWARD ACCEPT\n") + kJump));
  const std::string jump = "FORWARD -p tcp -m tcp --dport 25 -j MAILWEIR";
  for (const std::string& fault :
       {"iptables -D " + jump, "iptables -A " + jump,
        "iptables -D " + jump + "; iptables -A " + jump,
        std::string("iptables -I FORWARD 1 -p tcp -m tcp --dport 587 -j MAILWEIR"),
        std::string("iptables -I FORWARD 1 -p tcp -m multiport --dports 25 -j MAILWEIR"),
        "iptables -I " + jump + "; iptables -A " + jump + "; iptables -A " + jump}) {
    shell(fault);
    const MirrorFound found = read(iptables);
    EXPECT_FALSE(found.jump_is_first && found.jumps == 1) << "seen: " << fault;
    write(iptables, table_of(4));
    EXPECT_EQ(shell("iptables -S FORWARD"), intact) << fault;
  }
  shell("iptables -I FORWARD 1 -s 172.16.1.1 -j ACCEPT");
  EXPECT_FALSE(read(iptables).jump_is_first);
  write(iptables, table_of(4));
  EXPECT_THAT(shell("iptables -S FORWARD"),
              HasSubstr(std::string("ACCEPT\n") + kJump + "-A FORWARD -s 172.16.1.1/32 -j ACCEPT"));
}

TEST_P(IptablesTest, OtherJudgedPortsReplaceTheJump) {
  const Iptables iptables = open();
  write(iptables, {{25}, {}, {rule_for("172.16.7.70")}});
  write(iptables, {{587, 25}, {}, {rule_for("172.16.7.70")}});
  EXPECT_EQ(shell("iptables -S FORWARD"),
            "-P FORWARD ACCEPT\n-A FORWARD -p tcp -m multiport --dports 25,587 -j MAILWEIR\n");
  EXPECT_EQ(read(iptables).rules.size(), 1U);
  write(iptables, {{}, {}, {}});
  EXPECT_EQ(shell("iptables -S FORWARD"), "-P FORWARD ACCEPT\n");
}

TEST_P(IptablesTest, FlushByTheAdminIsRebuiltWithoutDuplicates) {
  const Iptables iptables = open();
  const MirrorTable table = table_of(6);
  write(iptables, table);
  const std::string intact = saved();
  for (const char* fault :
       {"iptables -F", "iptables -F FORWARD; iptables -F MAILWEIR", "iptables -F; iptables -X",
        "iptables -D MAILWEIR 2", "iptables -A MAILWEIR -j ACCEPT"}) {
    shell(fault);
    const MirrorFound found = read(iptables);
    EXPECT_FALSE(found.rules == of_family(table, false) && found.jumps == 1 &&
                 found.foreign_rules == 0)
        << "seen: " << fault;
    write(iptables, table);
    EXPECT_EQ(saved(), intact) << fault;
  }
}

TEST_P(IptablesTest, HostileReasonIsNeverASecondRuleAndTheLongestCommentIsWhole) {
  const Iptables iptables = open();
  MirrorTable table{{25}, {}, {}};
  for (const std::string& reason :
       {std::string("x\n-A FORWARD -j ACCEPT"), std::string("\" -j ACCEPT #"),
        std::string(5000, 'a'), std::string(5000, '\n'), std::string("жалоба \xff \\\" '"),
        std::string(5000, '"')}) {
    MirrorRule rule = rule_for(fmt::format("172.16.7.{}", table.rules.size() + 1));
    rule.comment = comment_for(1, reason);
    table.rules.push_back(rule);
  }
  write(iptables, table);
  EXPECT_EQ(difference(read(iptables).rules, table.rules), "");
  EXPECT_EQ(read(iptables).foreign_rules, 0U);
  EXPECT_EQ(shell("iptables -S FORWARD"), std::string("-P FORWARD ACCEPT\n") + kJump);
}

TEST_P(IptablesTest, RefusedTableChangesNothing) {
  const Iptables iptables = open();
  write(iptables, table_of(6));
  const std::string before = saved();
  MirrorTable hostile = table_of(4);
  hostile.rules[3].comment = "x\n-A FORWARD -j ACCEPT";
  EXPECT_FALSE(iptables.write(hostile));
  EXPECT_EQ(saved(), before);
}

TEST_P(IptablesTest, BadLineInTheBatchAppliesNothingOfIt) {
  const Iptables iptables = open();
  write(iptables, table_of(6));
  shell("iptables -D FORWARD 1");
  const std::string before = shell("iptables-save -c | grep -v ^#");
  const std::filesystem::path restore = bin() / "iptables-restore";
  std::filesystem::remove(restore);
  std::ofstream(restore)
      << "#!/bin/sh\nsed 's/^COMMIT/-A MAILWEIR --nonsense\\nCOMMIT/' | iptables-" << backend()
      << "-restore \"$@\"\n";
  std::filesystem::permissions(restore, std::filesystem::perms::owner_all);

  const auto done = iptables.write(table_of(4));
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("iptables-restore --noflush --counters -w 3 exited "
                                              "with 2: "));
  EXPECT_THAT(done.error().message, HasSubstr("unknown option \"--nonsense\""));
  EXPECT_EQ(shell("iptables-save -c | grep -v ^#"), before);
  EXPECT_EQ(read(iptables, true).rules.size(), 2U) << "IPv6 is written all the same";
}

TEST_P(IptablesTest, AdminsOwnWayIntoTheChainIsLeftAlone) {
  shell("iptables -N MAILWEIR; iptables -A FORWARD -i eth1 -p tcp --dport 25 -j MAILWEIR");
  const Iptables iptables = open();
  write(iptables, table_of(2));
  EXPECT_EQ(read(iptables).jumps, 1U);
  EXPECT_THAT(shell("iptables -S FORWARD"),
              HasSubstr(std::string(kJump) + "-A FORWARD -i eth1 -p tcp -m tcp --dport 25"));

  const auto removed = iptables.remove();
  ASSERT_FALSE(removed);
  EXPECT_THAT(removed.error().message, HasSubstr("chain MAILWEIR is empty now but stays"));
  EXPECT_THAT(shell("iptables -S"), HasSubstr("-N MAILWEIR\n-A FORWARD -i eth1 -p tcp"));
  EXPECT_THAT(shell("ip6tables -S"), Not(HasSubstr("MAILWEIR"))) << "the other family is clean";
}

TEST_P(IptablesTest, RemoveIsNoErrorIfThereIsNothingOrHalf) {
  const Iptables iptables = open();
  for (const char* half :
       {"true", "iptables -N MAILWEIR", "ip6tables -N MAILWEIR; ip6tables -A MAILWEIR -j DROP"}) {
    shell(half);
    for (int twice = 0; twice < 2; ++twice) {
      const auto removed = iptables.remove();
      EXPECT_TRUE(removed) << half << ": " << removed.error().message;
    }
    EXPECT_THAT(saved(), Not(HasSubstr("MAILWEIR"))) << half;
  }
}

TEST_P(IptablesTest, ReadWithoutAChainFindsNothing) {
  const MirrorFound found = read(open());
  EXPECT_TRUE(found.rules.empty() && found.servers.empty());
  EXPECT_FALSE(found.jump_is_first);
  EXPECT_EQ(found.jumps + found.foreign_rules, 0U);
}

TEST_P(IptablesTest, HostWithoutIp6tablesStillMirrorsIpv4) {
  for (const char* tool : {"ip6tables", "ip6tables-restore"}) std::filesystem::remove(bin() / tool);
  const Iptables iptables = open();
  write(iptables, {{25}, {}, {rule_for("172.16.7.70")}});
  EXPECT_EQ(read(iptables).rules.size(), 1U);
  EXPECT_FALSE(read(iptables, true).available);

  const auto done =
      iptables.write({{25}, {}, {rule_for("172.16.7.71"), rule_for("2001:db8::/64")}});
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("IPv6 rules are not mirrored: run ip6tables"));
  EXPECT_EQ(read(iptables).rules.at(0).source, *parse_prefix("172.16.7.71")) << "IPv4 is";
  EXPECT_TRUE(iptables.remove());
}

TEST_P(IptablesTest, SaysIfTheOtherBackendHoldsRulesToo) {
  const Iptables iptables = open();
  write(iptables, table_of(2));
  EXPECT_EQ(iptables.other_backend_in_use(), std::nullopt);
  EXPECT_THAT(shell("cat /proc/net/ip_tables_names /proc/net/ip6_tables_names | sort -u"),
              backend() == "nft" ? "" : "filter\n")
      << "asking makes no tables";

  shell("iptables-" + other_backend() + " -N X");
  EXPECT_EQ(iptables.other_backend_in_use(), std::nullopt) << "a chain alone meets no packet";
  shell("iptables-" + other_backend() + " -A FORWARD -s 172.16.1.1 -j DROP");
  shell("ip6tables-" + other_backend() + " -A FORWARD -s 2001:db8::1 -j DROP");
  const auto line = iptables.other_backend_in_use();
  ASSERT_TRUE(line);
  EXPECT_THAT(*line, HasSubstr("writes to " + backend()));
  EXPECT_THAT(*line, HasSubstr(other_backend() + " holds 2 more"));
}

TEST_P(LegacyTest, HeldLockIsToldFromOtherFailuresAndPasses) {
  const Iptables iptables = open({std::chrono::seconds(1), std::chrono::seconds(20)});
  write(iptables, table_of(2));
  UniqueFd lock(::open("/run/xtables.lock", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(lock.valid());
  ASSERT_EQ(::flock(lock.get(), LOCK_EX | LOCK_NB), 0);

  const auto done = iptables.write(table_of(4));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, EAGAIN);
  EXPECT_EQ(done.error().message,
            "xtables lock held by somebody else for 1s; trying again at the next refresh");
  lock.reset();
  write(iptables, table_of(4));
  EXPECT_EQ(read(iptables).rules.size(), 2U);
}

}  // namespace
}  // namespace mailweir
