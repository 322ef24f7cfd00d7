// SPDX-License-Identifier: GPL-2.0-or-later
// The texts of the chain MAILWEIR_SHIELD. That iptables lists them so: tests/e2e/story_shield.sh.
#include "mirror/shield.h"

#include <gmock/gmock.h>

namespace mailweir {
namespace {

using testing::HasSubstr;
using testing::Not;

const ShieldTable kTable{{25, 445},
                         {*parse_prefix("172.16.0.0/12"), *parse_prefix("2001:db8::/32")},
                         {*parse_prefix("172.16.0.25")},
                         {*parse_prefix("172.16.0.25")}};

constexpr std::string_view kForward =
    "-P FORWARD ACCEPT\n"
    "-A FORWARD -p tcp -m tcp --dport 25 -j MAILWEIR\n"
    "-A FORWARD -p tcp -m multiport --dports 25,445 -j MAILWEIR_SHIELD\n"
    "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
constexpr std::string_view kChain =
    "-N MAILWEIR_SHIELD\n"
    "-A MAILWEIR_SHIELD -d 172.16.0.25/32 -m comment --comment SHIELD_allowed -j RETURN\n"
    "-A MAILWEIR_SHIELD -s 172.16.0.25/32 -m comment --comment SHIELD_allowed -j RETURN\n"
    "-A MAILWEIR_SHIELD -d 172.16.0.0/12 -p tcp -m tcp --dport 25 -m conntrack --ctstate NEW -m "
    "comment --comment SMTP_Blocked_to_local -j DROP\n"
    "-A MAILWEIR_SHIELD -d 172.16.0.0/12 -p tcp -m tcp --dport 445 -m conntrack --ctstate NEW -m "
    "comment --comment SHIELD_445 -j DROP\n";

TEST(Shield, WhatIsAsItShouldBeIsLeftAlone) {
  EXPECT_EQ(shield_drift(kTable, false, kForward, kChain), "");
}

TEST(Shield, EveryDifferenceIsSeen) {
  std::string moved(kForward);
  moved.insert(moved.find("-A FORWARD -p tcp -m multiport"), "-A FORWARD -j LOG\n");
  EXPECT_THAT(shield_drift(kTable, false, moved, kChain), HasSubstr("not in its place"));
  EXPECT_THAT(shield_drift(kTable, false, "-P FORWARD ACCEPT\n", kChain),
              HasSubstr("not in its place"));
  ShieldTable more = kTable;
  more.ports.push_back(139);
  EXPECT_NE(shield_drift(more, false, kForward, kChain), "");
  ShieldTable fewer = kTable;
  fewer.open.clear();
  fewer.may_connect.clear();
  EXPECT_THAT(shield_drift(fewer, false, kForward, kChain), HasSubstr("4 rules, not the 2"));
  EXPECT_NE(shield_drift({}, false, kForward, kChain), "");
  EXPECT_EQ(shield_drift({}, false, "-P FORWARD ACCEPT\n", ""), "");
}

TEST(Shield, TheJumpStandsBehindThatOfTheBlocks) {
  const std::string text = shield_text(kTable, false, kForward, "");
  EXPECT_THAT(text,
              HasSubstr("-D FORWARD -p tcp -m multiport --dports 25,445 -j MAILWEIR_SHIELD\n"));
  EXPECT_THAT(text,
              HasSubstr("-I FORWARD 2 -p tcp -m multiport --dports 25,445 -j MAILWEIR_SHIELD\n"));
  EXPECT_THAT(shield_text(kTable, false, "-P FORWARD ACCEPT\n", ""), HasSubstr("-I FORWARD 1 "));
  EXPECT_THAT(
      text,
      HasSubstr("[0:0] -A MAILWEIR_SHIELD -d 172.16.0.0/12 -p tcp -m tcp --dport 25 -m "
                "conntrack --ctstate NEW -m comment --comment SMTP_Blocked_to_local -j DROP\n"));
}

TEST(Shield, CountersSurviveWhatDoesNotConcernTheirRule) {
  const std::string counted =
      "-N MAILWEIR_SHIELD\n-A MAILWEIR_SHIELD -d 172.16.0.0/12 -p tcp -m tcp --dport 25 -m "
      "conntrack "
      "--ctstate NEW -m comment --comment SMTP_Blocked_to_local -c 4 240 -j DROP\n";
  EXPECT_THAT(shield_text(kTable, false, kForward, counted),
              HasSubstr("[4:240] -A MAILWEIR_SHIELD -d 172.16.0.0/12 -p tcp -m tcp --dport 25 "));
  EXPECT_THAT(shield_text(kTable, false, "-P FORWARD ACCEPT\n", kChain),
              Not(HasSubstr("-A MAILWEIR_SHIELD")))
      << "the jump alone is mended";
}

TEST(Shield, EachFamilyHasItsOwnClients) {
  const std::string text = shield_text(kTable, true, "-P FORWARD ACCEPT\n", "");
  EXPECT_THAT(text, HasSubstr("-d 2001:db8::/32 -p tcp"));
  EXPECT_THAT(text, Not(HasSubstr("172.16")));
  ShieldTable only_ipv4 = kTable;
  only_ipv4.inside.pop_back();
  EXPECT_EQ(shield_drift(only_ipv4, true, "-P FORWARD ACCEPT\n", ""), "");
}

TEST(Shield, AnAdminsOwnRuleIntoTheChainIsNotOurs) {
  const std::string forward =
      "-A FORWARD -s 192.0.2.0/24 -p tcp -m tcp --dport 25 -j MAILWEIR_SHIELD\n";
  EXPECT_THAT(shield_text(kTable, false, forward, ""), Not(HasSubstr("-D FORWARD")));
}

}  // namespace
}  // namespace mailweir
