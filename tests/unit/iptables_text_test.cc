// SPDX-License-Identifier: GPL-2.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/time_text.h"
#include "mirror/restore_text.h"

namespace mailweir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kComment[] =
    "SPAM_2026-11-24 id=nat1-4821 by=auto until=2026-11-24T14:03:11Z conns=16 networks=16 "
    "braked=10 "
    "reason=evidence";
constexpr char kJump[] = "-p tcp -m tcp --dport 25 -j MAILWEIR";

Prefix prefix(std::string_view text) {
  return *parse_prefix(text);
}

MirrorRule rule(std::string_view source) {
  return {prefix(source), kComment, std::nullopt, 1904, 114240};
}

FoundJumps in_place() {
  return {true, {kJump}};
}

MirrorTable table_of(std::vector<MirrorRule> rules) {
  return {{25}, {}, std::move(rules)};
}

std::string text_of(const MirrorTable& table, bool ipv6 = false,
                    const FoundJumps& found = in_place()) {
  const auto text = restore_text(table, ipv6, found);
  return text ? *text : "error: " + text.error().message;
}

TEST(RestoreTextTest, RuleCarriesCountersPortCommentAndStop) {
  MirrorTable table = table_of({rule("172.16.7.70")});
  table.rules[0].stops = parse_rfc3339("2026-12-01T00:00:00Z");
  EXPECT_EQ(text_of(table), std::string("*filter\n"
                                        ":MAILWEIR - [0:0]\n"
                                        "[1904:114240] -A MAILWEIR -s 172.16.7.70 -p tcp -m tcp "
                                        "--dport 25 -m comment --comment \"") +
                                kComment +
                                "\" -m time --datestop 2026-12-01T00:00:00 -j DROP\n"
                                "COMMIT\n");
}

TEST(RestoreTextTest, RuleForEverHasNoStop) {
  EXPECT_THAT(text_of(table_of({rule("172.16.7.70")})), HasSubstr("reason=evidence\" -j DROP\n"));
}

TEST(RestoreTextTest, EmptyTableKeepsTheEmptyChain) {
  EXPECT_EQ(text_of(table_of({})), "*filter\n:MAILWEIR - [0:0]\nCOMMIT\n");
}

TEST(RestoreTextTest, SeveralPortsAreMatchedTogetherEachOnceAndSorted) {
  MirrorTable table = table_of({rule("172.16.7.70")});
  table.ports = {587, 25, 587};
  const std::string text = text_of(table, false, {});
  EXPECT_THAT(text, HasSubstr("-s 172.16.7.70 -p tcp -m multiport --dports 25,587 -m comment"));
  EXPECT_THAT(text, HasSubstr("-I FORWARD 1 -p tcp -m multiport --dports 25,587 -j MAILWEIR\n"));
}

TEST(RestoreTextTest, MorePortsThanARuleMatchesAreRefused) {
  MirrorTable table = table_of({rule("172.16.7.70")});
  for (std::uint16_t port = 1001; table.ports.size() < kPortsPerRule; ++port)
    table.ports.push_back(port);
  table.ports.push_back(25);  // again
  EXPECT_TRUE(restore_text(table, false, {}));
  table.ports.push_back(2525);
  const auto text = restore_text(table, false, {});
  ASSERT_FALSE(text);
  EXPECT_THAT(text.error().message, HasSubstr("16 judged ports: an iptables rule matches 15"));
}

TEST(RestoreTextTest, WithoutJudgedPortsNothingMatchesAndNothingJumps) {
  MirrorTable table = table_of({rule("172.16.7.70")});
  table.ports.clear();
  table.servers = {prefix("203.0.113.5")};
  EXPECT_EQ(text_of(table, false, {}), "*filter\n:MAILWEIR - [0:0]\nCOMMIT\n");
  EXPECT_EQ(text_of(table, false, in_place()),
            std::string("*filter\n:MAILWEIR - [0:0]\n-D FORWARD ") + kJump + "\nCOMMIT\n");
}

TEST(RestoreTextTest, ServersReturnBeforeAnyRuleDrops) {
  MirrorTable table = table_of({rule("172.16.7.70")});
  table.servers = {prefix("203.0.113.5"), prefix("198.51.100.0/24"), prefix("2001:db8::/32")};
  const std::string text = text_of(table);
  const auto single = text.find(
      "[0:0] -A MAILWEIR -d 203.0.113.5 -p tcp -m tcp --dport 25 -m comment --comment "
      "MAILWEIR_server -j RETURN\n");
  const auto network = text.find("-A MAILWEIR -d 198.51.100.0/24 -p tcp");
  ASSERT_NE(single, std::string::npos) << text;
  ASSERT_NE(network, std::string::npos) << text;
  EXPECT_LT(single, network);
  EXPECT_LT(network, text.find("-j DROP"));
  EXPECT_EQ(text.find("2001:db8"), std::string::npos) << "the other family's";
}

TEST(RestoreTextTest, EachFamilyGetsItsOwnRules) {
  const MirrorTable table = table_of({rule("172.16.7.70"), rule("2001:db8:1:2::/64")});
  EXPECT_THAT(text_of(table, false), HasSubstr("-s 172.16.7.70 "));
  EXPECT_EQ(text_of(table, false).find("2001:db8"), std::string::npos);
  EXPECT_THAT(text_of(table, true), HasSubstr("-s 2001:db8:1:2::/64 "));
  EXPECT_EQ(text_of(table, true).find("172.16"), std::string::npos);
  EXPECT_TRUE(has_rules(table, true));
  EXPECT_FALSE(has_rules(table_of({rule("172.16.7.70")}), true));
}

TEST(RestoreTextTest, StopIsRoundedDownAndKeptWithinWhatTheKernelKnows) {
  const struct {
    WallTime stops;
    const char* written;
  } cases[] = {
      {*parse_rfc3339("2026-12-01T00:00:00Z") + std::chrono::milliseconds(999),
       "2026-12-01T00:00:00"},
      {*parse_rfc3339("2038-01-19T03:14:07Z"), "2038-01-19T03:14:07"},
      {*parse_rfc3339("2100-01-01T00:00:00Z"), "2038-01-19T03:14:07"},
      {WallTime{}, "1970-01-01T00:00:01"},
      {WallTime{} - std::chrono::hours(1), "1970-01-01T00:00:01"},
  };
  for (const auto& c : cases) {
    MirrorTable table = table_of({rule("172.16.7.70")});
    table.rules[0].stops = c.stops;
    EXPECT_THAT(text_of(table), HasSubstr(std::string("--datestop ") + c.written + " -j DROP"));
  }
}

TEST(RestoreTextTest, CommentThatIsNotOursIsRefusedWhoeverMadeIt) {
  for (const char* comment : {"", "x\n-A FORWARD -j ACCEPT", "SPAM_2026-11-24 id=nat1-1\nCOMMIT",
                              "SPAM_2026-11-24", "SPAM_2026-11-24 id=nat1-1 reason=\" -j ACCEPT"}) {
    MirrorTable table = table_of({rule("172.16.7.70")});
    table.rules[0].comment = comment;
    EXPECT_EQ(text_of(table), "error: mirror 172.16.7.70: its comment is not one of mailweir's");
  }
}

TEST(RestoreTextTest, JumpIsMovedInTheSameCommitAndOnlyIfItMust) {
  const std::string jump = kJump;
  const std::string old = "-p tcp -m multiport --dports 25,587 -j MAILWEIR";
  const std::string insert = "-I FORWARD 1 " + jump + "\n";
  const struct {
    const char* story;
    FoundJumps found;
    std::string repair;
  } cases[] = {
      {"in its place", {true, {jump}}, ""},
      {"missing", {false, {}}, insert},
      {"elsewhere", {false, {jump}}, "-D FORWARD " + jump + "\n" + insert},
      {"twice",
       {true, {jump, jump}},
       "-D FORWARD " + jump + "\n-D FORWARD " + jump + "\n" + insert},
      {"of other ports", {true, {old}}, "-D FORWARD " + old + "\n" + insert},
  };
  for (const auto& c : cases)
    EXPECT_EQ(text_of(table_of({}), false, c.found),
              "*filter\n:MAILWEIR - [0:0]\n" + c.repair + "COMMIT\n")
        << c.story;
}

TEST(RestoreTextTest, RemovalTakesEachJumpBySpecAndEmptiesTheChain) {
  EXPECT_EQ(removal_text(in_place()),
            std::string("*filter\n-D FORWARD ") + kJump + "\n-F MAILWEIR\nCOMMIT\n");
  EXPECT_EQ(removal_text({}), "*filter\n-F MAILWEIR\nCOMMIT\n");
}

TEST(ParseJumpsTest, FindsOursAndLeavesAdminsAlone) {
  const std::string jump = std::string("-A FORWARD ") + kJump + "\n";
  const std::string other = "-A FORWARD -s 172.16.1.1/32 -j ACCEPT\n";
  const struct {
    const char* story;
    std::string listing;
    bool first;
    std::size_t jumps;
  } cases[] = {
      {"alone", "-P FORWARD ACCEPT\n" + jump, true, 1},
      {"before others", "-P FORWARD ACCEPT\n" + jump + other, true, 1},
      {"after others", "-P FORWARD ACCEPT\n" + other + jump, false, 1},
      {"twice", "-P FORWARD DROP\n" + jump + other + jump, true, 2},
      {"of several ports", "-A FORWARD -p tcp -m multiport --dports 25,587 -j MAILWEIR\n", true, 1},
      {"without a last newline", jump.substr(0, jump.size() - 1), true, 1},
      {"none", "-P FORWARD ACCEPT\n" + other, false, 0},
      {"empty", "", false, 0},
      {"an admin's, of all packets", "-A FORWARD -j MAILWEIR\n", false, 0},
      {"an admin's, on one interface", "-A FORWARD -i eth1 -p tcp -m tcp --dport 25 -j MAILWEIR\n",
       false, 0},
      {"an admin's, of one client",
       "-A FORWARD -s 172.16.7.70/32 -p tcp -m tcp --dport 25 -j MAILWEIR\n", false, 0},
      {"an admin's, with a remark",
       "-A FORWARD -p tcp -m tcp --dport 25 -m comment --comment x -j MAILWEIR\n", false, 0},
      {"an admin's, negated", "-A FORWARD ! -p tcp -m tcp --dport 25 -j MAILWEIR\n", false, 0},
      {"a goto", "-A FORWARD -p tcp -m tcp --dport 25 -g MAILWEIR\n", false, 0},
      {"to another chain", "-A FORWARD -p tcp -m tcp --dport 25 -j MAILWEIR_SHIELD\n", false, 0},
      {"of another chain", "-A INPUT -p tcp -m tcp --dport 25 -j MAILWEIR\n", false, 0},
      {"of udp", "-A FORWARD -p udp -m udp --dport 25 -j MAILWEIR\n", false, 0},
      {"inside somebody's comment",
       "-A FORWARD -m comment --comment \"a \\\" b\n" + jump + "\" -j ACCEPT\n", false, 0},
  };
  for (const auto& c : cases) {
    const FoundJumps found = parse_jumps(c.listing);
    EXPECT_EQ(found.first, c.first) << c.story;
    EXPECT_EQ(found.specs.size(), c.jumps) << c.story;
  }
  EXPECT_THAT(parse_jumps(other + jump).specs, ElementsAre(kJump)) << "-D needs it as listed";
}

TEST(ParseChainTest, ReadsRulesServersAndStrangersApart) {
  const std::string listing =
      std::string("-N MAILWEIR\n") +
      "-A MAILWEIR -d 203.0.113.5/32 -p tcp -m tcp --dport 25 -m comment --comment MAILWEIR_server "
      "-c 3 180 -j RETURN\n"
      "-A MAILWEIR -s 172.16.7.70/32 -p tcp -m tcp --dport 25 -m comment --comment \"" +
      kComment +
      "\" -m time --datestop 2026-12-01T00:00:00 -c 1904 114240 -j DROP\n"
      "-A MAILWEIR -s 172.16.9.0/24 -p tcp -m tcp --dport 25 -m comment --comment \"" +
      kComment +
      "\" -c 0 0 -j DROP\n"
      "-A MAILWEIR -s 172.16.9.1/32 -p tcp -m tcp --dport 25 -m comment --comment "
      "SPAM_09_01_2021 -c 7 420 -j DROP\n";
  const MirrorFound found = parse_chain(listing, false);
  MirrorRule first = rule("172.16.7.70");
  first.stops = parse_rfc3339("2026-12-01T00:00:00Z");
  MirrorRule second = rule("172.16.9.0/24");
  second.packets = second.bytes = 0;
  EXPECT_THAT(found.rules, ElementsAre(first, second));
  EXPECT_THAT(found.servers, ElementsAre(prefix("203.0.113.5")));
  EXPECT_EQ(found.foreign_rules, 1U);
}

TEST(ParseChainTest, ReadsIptablesSaveAndAnyOrderOfMatches) {
  const std::string comment = std::string("-m comment --comment \"") + kComment + "\"";
  MirrorRule expected = rule("172.16.7.70");
  expected.stops = parse_rfc3339("2026-12-01T00:00:00Z");
  for (const std::string& line :
       {"[1904:114240] -A MAILWEIR -s 172.16.7.70/32 -p tcp -m tcp --dport 25 " + comment +
            " -m time --datestop 2026-12-01T00:00:00 -j DROP",
        "[1904:114240] -A MAILWEIR -s 172.16.7.70/32 -p tcp -m time --datestop "
        "2026-12-01T00:00:00 " +
            comment + " -m tcp --dport 25 -j DROP",
        "-A MAILWEIR -p tcp -s 172.16.7.70 " + comment +
            " -m multiport --dports 25,587 -m time --datestop 2026-12-01T00:00:00 -j DROP -c 1904 "
            "114240"}) {
    const MirrorFound found = parse_chain(
        "*filter\n:FORWARD ACCEPT [0:0]\n:MAILWEIR - [0:0]\n" + line + "\nCOMMIT\n", false);
    EXPECT_THAT(found.rules, ElementsAre(expected)) << line;
    EXPECT_EQ(found.foreign_rules, 0U) << line;
  }
}

TEST(ParseChainTest, RuleThatDiffersFromOursInAnyThingIsForeign) {
  const std::string comment = std::string(" -m comment --comment \"") + kComment + "\"";
  const std::string match = "-A MAILWEIR -s 172.16.7.70/32 -p tcp -m tcp --dport 25";
  EXPECT_EQ(parse_chain(match + comment + " -j DROP\n", false).rules.size(), 1U);
  for (const std::string& line :
       {match + comment + " -j ACCEPT", match + comment + " -j REJECT --reject-with icmp-port",
        match + comment + " -d 203.0.113.5/32 -j DROP", match + comment + " -i eth1 -j DROP",
        match + comment, match + " -j DROP", match + " -m comment --comment other -j DROP",
        "-A MAILWEIR ! -s 172.16.7.70/32 -p tcp -m tcp --dport 25" + comment + " -j DROP",
        "-A MAILWEIR -s 172.16.7.70/32" + comment + " -j DROP",
        "-A MAILWEIR -s 172.16.7.70/32 -p tcp -m tcp --dport 25:30" + comment + " -j DROP",
        match + comment + " -m time --datestop garbage -j DROP",
        match + comment + " -c x 0 -j DROP", "[x:0] " + match + comment + " -j DROP",
        match + comment + " -j", std::string("-A MAILWEIR")}) {
    const MirrorFound found = parse_chain(line + "\n", false);
    EXPECT_TRUE(found.rules.empty()) << line;
    EXPECT_EQ(found.foreign_rules, 1U) << line;
  }
}

TEST(ParseChainTest, OtherChainsAndGarbageAreNoRulesOfTheChain) {
  for (const std::string& listing :
       {std::string(), std::string("\n\n"), std::string("-N MAILWEIR\n"),
        std::string("-A FORWARD -j MAILWEIR\n"), std::string("-A MAILWEIR_SHIELD -j DROP\n"),
        std::string("\"\" \"-A\" x\n"), std::string("-A"), std::string("[1:2]"),
        std::string("\0\xff\x01 \"", 5)}) {
    const MirrorFound found = parse_chain(listing, false);
    EXPECT_TRUE(found.rules.empty() && found.servers.empty()) << listing;
    EXPECT_EQ(found.foreign_rules, 0U) << listing;
  }
}

TEST(ParseChainTest, MissingAddressMeansEveryAddressOfTheFamily) {
  const std::string server =
      "-A MAILWEIR -p tcp -m tcp --dport 25 -m comment --comment "
      "MAILWEIR_server -j RETURN\n";
  EXPECT_THAT(parse_chain(server, false).servers, ElementsAre(prefix("0.0.0.0/0")));
  EXPECT_THAT(parse_chain(server, true).servers, ElementsAre(prefix("::/0")));
}

TEST(CountRulesTest, CountsRulesOfAllChainsAndNothingElse) {
  EXPECT_EQ(count_rules("-P INPUT ACCEPT\n-N X\n-A INPUT -j X\n-A X -j DROP\n"), 2U);
  EXPECT_EQ(count_rules("-P INPUT ACCEPT\n-P FORWARD ACCEPT\n"), 0U);
}

TEST(BackendTest, IsReadFromTheVersion) {
  EXPECT_EQ(parse_backend("iptables v1.8.9 (nf_tables)\n"), "nft");
  EXPECT_EQ(parse_backend("iptables v1.8.9 (legacy)\n"), "legacy");
  EXPECT_EQ(parse_backend("iptables v1.6.1\n"), "legacy");
  for (const char* garbage : {"", "\n", "bash: nf_tables", "\xff\xfe"})
    EXPECT_FALSE(parse_backend(garbage)) << garbage;
}

}  // namespace
}  // namespace mailweir
