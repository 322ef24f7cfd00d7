// SPDX-License-Identifier: GPL-2.0-or-later
#include "mirror/handmade.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mailweir {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<HandmadeRule> parse(std::string_view listing) {
  return parse_handmade(listing, {25, 587});
}

TEST(Handmade, ReadsTheArticlesOwnRule) {
  const auto rules = parse(
      "-P FORWARD ACCEPT\n"
      "-A FORWARD -p tcp -m tcp --dport 25 -j MAILWEIR\n"
      "-A FORWARD -s 172.16.7.70/32 -p tcp -m tcp --dport 25 -m comment --comment "
      "SPAM_09_01_2021 -j DROP\n");
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0].obstacle, "");
  EXPECT_EQ(rules[0].source, *parse_prefix("172.16.7.70"));
  EXPECT_EQ(rules[0].comment, "SPAM_09_01_2021");
  EXPECT_EQ(rules[0].date, "2021-01-09");
  EXPECT_THAT(rules[0].spec,
              ElementsAre("-s", "172.16.7.70/32", "-p", "tcp", "-m", "tcp", "--dport", "25", "-m",
                          "comment", "--comment", "SPAM_09_01_2021", "-j", "DROP"));
}

TEST(Handmade, ReadsADateHoweverItIsWritten) {
  for (const auto& [comment, date] :
       std::vector<std::pair<std::string, std::string>>{{"SPAM_09_01_2021", "2021-01-09"},
                                                        {"SPAM_09.01.2021", "2021-01-09"},
                                                        {"SPAM_2021-01-09", "2021-01-09"},
                                                        {"SPAM_9_1_2021", "2021-01-09"},
                                                        {"SPAM_29_02_2024", "2024-02-29"},
                                                        {"SPAM_29_02_2023", ""},
                                                        {"SPAM_09_01_21", ""},
                                                        {"SPAM_32_01_2021", ""},
                                                        {"SPAM_", ""},
                                                        {"SPAM_ticket_4711", ""},
                                                        {"SPAM_09_01_2021_again", "2021-01-09"}}) {
    const auto rules = parse(
        "-A FORWARD -s 172.16.7.70/32 -p tcp -m tcp --dport 25 -m comment "
        "--comment " +
        comment + " -j DROP\n");
    ASSERT_EQ(rules.size(), 1U) << comment;
    EXPECT_EQ(rules[0].date, date) << comment;
    EXPECT_EQ(rules[0].obstacle, "") << comment;
  }
}

TEST(Handmade, AQuotedCommentIsOneWordAndMayBeginWithADash) {
  const auto rules = parse(
      "-A FORWARD -s 172.16.7.70/32 -p tcp -m tcp --dport 25 -m comment --comment "
      "\"SPAM_09_01_2021 -j \\\"x\\\"\" -j DROP\n");
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0].comment, "SPAM_09_01_2021 -j \"x\"");
  EXPECT_EQ(rules[0].obstacle, "");
}

TEST(Handmade, TakesSeveralPortsIfAllAreJudgedAndANetwork) {
  const auto rules = parse(
      "-A FORWARD -s 172.16.7.0/28 -p tcp -m multiport --dports 25,587 -m comment --comment SPAM_a "
      "-j DROP\n");
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0].obstacle, "");
  EXPECT_EQ(rules[0].source, *parse_prefix("172.16.7.0/28"));
}

TEST(Handmade, SaysWhyARuleIsNoBlock) {
  const std::string front = "-A FORWARD -s 172.16.7.70/32 ", port = "-p tcp -m tcp --dport 25 ",
                    comment = "-m comment --comment SPAM_a ";
  for (const auto& [rule, obstacle] : std::vector<std::pair<std::string, std::string>>{
           {front + port + comment + "-j REJECT --reject-with tcp-reset",
            "its target is REJECT, not DROP"},
           {"-A FORWARD ! -s 172.16.7.70/32 " + port + comment + "-j DROP", "it asks for ! "},
           {front + "-i eth1 " + port + comment + "-j DROP", "it asks for -i eth1"},
           {front + "-d 203.0.113.7/32 " + port + comment + "-j DROP",
            "it asks for -d 203.0.113.7/32"},
           {front + port + "--tcp-flags FIN,SYN,RST,ACK SYN " + comment + "-j DROP",
            "it asks for --tcp-flags FIN,SYN,RST,ACK SYN"},
           {front + "-p udp -m udp --dport 25 " + comment + "-j DROP", "it asks for -p udp"},
           {"-A FORWARD " + port + comment + "-j DROP", "it names no source"},
           {front + "-p tcp " + comment + "-j DROP",
            "it names no port: it drops all that the source sends"},
           {front + "-p tcp -m tcp --dport 465 " + comment + "-j DROP",
            "it drops port 465, which [smtp] judge does not name"},
           {front + "-p tcp -m tcp --dport 20:30 " + comment + "-j DROP",
            "it asks for --dport 20:30"}}) {
    const auto rules = parse(rule + "\n");
    ASSERT_EQ(rules.size(), 1U) << rule;
    EXPECT_EQ(rules[0].obstacle, obstacle) << rule;
  }
}

TEST(Handmade, LeavesOutOtherRulesAndMailweirsOwn) {
  EXPECT_THAT(
      parse(
          "-A FORWARD -s 172.16.7.70/32 -p tcp -m tcp --dport 25 -j DROP\n"
          "-A INPUT -s 172.16.7.70/32 -p tcp -m tcp --dport 25 -m comment --comment SPAM_a -j "
          "DROP\n"
          "-A FORWARD -s 172.16.7.70/32 -p tcp -m tcp --dport 25 -m comment --comment NOSPAM_a -j "
          "DROP\n"
          "-A FORWARD -s 172.16.7.71/32 -p tcp -m tcp --dport 25 -m comment --comment "
          "\"SPAM_2026-11-24 id=nat1-4821 by=auto until=2026-11-24T14:03:11Z\" -j DROP\n"),
      IsEmpty());
  EXPECT_THAT(parse(""), IsEmpty());
  EXPECT_THAT(parse("-A\n-A FORWARD\n\n"), IsEmpty());
}

}  // namespace
}  // namespace mailweir
