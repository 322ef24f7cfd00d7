// SPDX-License-Identifier: GPL-2.0-or-later
#include "mirror/comment.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/time_text.h"

namespace mailweir {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/=+@,%~-";

WallTime at(std::string_view text) {
  return *parse_rfc3339(text);
}

Decision automatic() {
  Decision decision;
  decision.node = "nat1";
  decision.number = 4821;
  decision.source = *parse_address("172.16.7.70");
  decision.since = at("2026-11-24T13:03:11Z");
  decision.until = at("2026-11-24T14:03:11Z");
  decision.by = "auto";
  decision.reason = "evidence";
  decision.evidence = Evidence{.syns = 16,
                               .networks = 15,
                               .answered = 14,
                               .finished = 9,
                               .no_message = 8,
                               .score_256ths = 2568,
                               .first_seen = decision.since,
                               .last_seen = decision.since};
  return decision;
}

Decision manual(std::string reason) {
  Decision decision = automatic();
  decision.number = 4822;
  decision.origin = Origin::manual;
  decision.until.reset();
  decision.by = "root";
  decision.reason = std::move(reason);
  decision.evidence.reset();
  return decision;
}

/// What an admin's eyes and iptables-restore rely on, whatever went in.
void expect_safe(const std::string& comment) {
  EXPECT_LE(comment.size(), kCommentBytes);
  EXPECT_TRUE(comment.starts_with("SPAM_2026-11-24 id=nat1-4822 by=")) << comment;
  EXPECT_TRUE(std::all_of(comment.begin(), comment.end(), [](char c) {
    return c == ' ' || kAlphabet.find(c) != std::string_view::npos;
  })) << comment;
  EXPECT_TRUE(decode_comment(comment)) << comment;
}

TEST(CommentTest, AutomaticBlockStatesItsDateThenKeysThenEvidenceThenReason) {
  EXPECT_EQ(encode_comment(automatic()),
            "SPAM_2026-11-24 id=nat1-4821 by=auto until=2026-11-24T14:03:11Z conns=16 servers=15 "
            "answered=14 nomail=8/9 score=10.0 reason=evidence");
}

TEST(CommentTest, ManualBlockStatesWhoAndWhyInTheirWords) {
  EXPECT_EQ(encode_comment(manual("complaint 4711")),
            "SPAM_2026-11-24 id=nat1-4822 by=root until=forever reason=complaint+4711");
}

TEST(CommentTest, BlockWithoutReasonOrNameLeavesTheReasonOutAndNamesTheOrigin) {
  Decision decision = manual("");
  decision.origin = Origin::bpftool;
  decision.by.clear();
  EXPECT_EQ(encode_comment(decision), "SPAM_2026-11-24 id=nat1-4822 by=bpftool until=forever");
}

TEST(CommentTest, DateIsTheUtcDateOfTheDecision) {
  Decision decision = automatic();
  decision.since = at("2026-11-24T23:59:59Z");
  EXPECT_TRUE(encode_comment(decision).starts_with("SPAM_2026-11-24 "));
  decision.since += std::chrono::seconds(1);
  EXPECT_TRUE(encode_comment(decision).starts_with("SPAM_2026-11-25 "));
}

TEST(CommentTest, ReasonComesBackByteForByte) {
  std::string every_byte;
  for (int byte = 0; byte < 48; ++byte) every_byte += static_cast<char>(byte);
  for (const std::string& reason :
       {std::string("complaint 4711"), std::string("a+b=c 100%"), std::string("%41+%2B"),
        std::string("x\n-A FORWARD -j ACCEPT"), std::string("\"quoted\" 'single' back\\slash"),
        std::string("жалоба"), std::string("  two  spaces  "), std::string("ends in ~"), every_byte,
        std::string("\xff\xfe\x80")}) {
    const std::string comment = encode_comment(manual(reason));
    expect_safe(comment);
    const auto fields = decode_comment(comment);
    ASSERT_TRUE(fields) << comment;
    EXPECT_EQ(fields->date, "2026-11-24");
    EXPECT_EQ(fields->value("reason"), reason) << comment;
  }
}

TEST(CommentTest, HostileReasonIsNeverASecondRuleNorMoreThan255Bytes) {
  for (const std::string& reason :
       {std::string("x\n-A FORWARD -j ACCEPT"), std::string("\" -j ACCEPT #"),
        std::string(5000, 'a'), std::string(5000, '"'), std::string(5000, '\n'),
        std::string(5000, '\xff'), std::string(5000, '\0'), std::string(5000, ' '),
        std::string("$(reboot) `reboot` ; reboot"), std::string("a b=c id=nat1-1")}) {
    const std::string comment = encode_comment(manual(reason));
    expect_safe(comment);
    EXPECT_EQ(decode_comment(comment)->value("id"), "nat1-4822");
  }
}

TEST(CommentTest, HostileNameOfUserIsEncodedAndShortened) {
  for (const std::string& by : {std::string("root\n"), std::string(5000, 'u'), std::string("a b"),
                                std::string(5000, '\n')}) {
    Decision decision = manual("complaint");
    decision.by = by;
    const std::string comment = encode_comment(decision);
    expect_safe(comment);
    EXPECT_EQ(decode_comment(comment)->value("reason"), "complaint") << comment;
  }
}

TEST(CommentTest, LongReasonFillsTheCommentAndIsMarkedAsShortened) {
  const std::string comment = encode_comment(manual(std::string(5000, 'a')));
  EXPECT_EQ(comment.size(), kCommentBytes);
  EXPECT_TRUE(comment.ends_with("aaa~"));

  const std::string head = encode_comment(manual("a"));
  const std::string whole(kCommentBytes - head.size() + 1, 'a');
  EXPECT_EQ(encode_comment(manual(whole)), head.substr(0, head.size() - 1) + whole)
      << "a reason that just fits is not shortened";
}

TEST(CommentTest, ReasonIsCutBetweenTwoCharactersNotInsideOne) {
  std::string reason;
  for (int i = 0; i < 100; ++i) reason += "ж";
  for (int shift = 0; shift < 12; ++shift) {
    const auto fields = decode_comment(encode_comment(manual(std::string(shift, 'x') + reason)));
    ASSERT_TRUE(fields);
    std::string cut(*fields->value("reason"));
    ASSERT_EQ(cut.back(), '~');
    cut.pop_back();
    EXPECT_EQ((cut.size() - shift) % std::string("ж").size(), 0U) << cut;
  }
}

TEST(CommentTest, WhatDoesNotFitIsLeftOutFromTheEnd) {
  Decision decision = automatic();
  decision.origin = Origin::manual;
  decision.node = std::string(400, 'n');
  decision.by = std::string(400, 'u');
  const std::uint32_t most = UINT32_MAX;
  decision.evidence = Evidence{.syns = most, .networks = most, .answered = most};

  const std::string comment = encode_comment(decision);
  const auto fields = decode_comment(comment);
  ASSERT_TRUE(fields) << comment;
  EXPECT_LE(comment.size(), kCommentBytes);
  EXPECT_EQ(fields->value("until"), "2026-11-24T14:03:11Z");
  EXPECT_EQ(fields->value("conns"), "4294967295") << "a count is whole or absent";
  EXPECT_EQ(fields->value("servers"), "4294967295");
  EXPECT_FALSE(fields->value("reason"));
}

TEST(CommentTest, ReadsWhatItWroteInOrder) {
  const auto fields = decode_comment(encode_comment(automatic()));
  ASSERT_TRUE(fields);
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"id", "nat1-4821"}, {"by", "auto"},    {"until", "2026-11-24T14:03:11Z"},
      {"conns", "16"},     {"servers", "15"}, {"answered", "14"},
      {"nomail", "8/9"},   {"score", "10.0"}, {"reason", "evidence"}};
  EXPECT_EQ(fields->values, expected);
}

TEST(CommentTest, ReadsTheKeysOfAnotherRelease) {
  const auto fields = decode_comment("SPAM_2026-11-24 id=nat1-1 servers=16 no_mail=8/8");
  ASSERT_TRUE(fields);
  EXPECT_EQ(fields->value("no_mail"), "8/8");
}

TEST(CommentTest, WhatAnAdminWroteIsNotOurs) {
  for (const std::string_view comment : {"",
                                         "SPAM_",
                                         "SPAM_09_01_2021",
                                         "SPAM_2026-11-24",
                                         "SMTP_Blocked_to_local",
                                         "MAILWEIR_server",
                                         "spam_2026-11-24 id=nat1-1",
                                         "SPAM_2026-11-24 by=root id=nat1-1",
                                         "SPAM_2026-11-24id=nat1-1",
                                         "SPAM_2026-11-24  id=nat1-1",
                                         "SPAM_2026-11-24 id=nat1-1 ",
                                         "SPAM_2026-11-24 id=",
                                         "SPAM_2026-11-24 id",
                                         "SPAM_2026-11-24 id=nat1-1 free text",
                                         "SPAM_2026-11-24 id=nat1-1 id=nat1-2",
                                         "SPAM_2026-11-24 id=nat1-1 =x",
                                         "SPAM_2026-11-24 id=nat1-1 Reason=x",
                                         "SPAM_2026-13-24 id=nat1-1",
                                         "SPAM_2026-02-30 id=nat1-1",
                                         "SPAM_2026-1-24 id=nat1-11",
                                         "SPAM_2026-11-24 id=nat1-1 reason=%",
                                         "SPAM_2026-11-24 id=nat1-1 reason=%4",
                                         "SPAM_2026-11-24 id=nat1-1 reason=%zz",
                                         "SPAM_2026-11-24 id=nat1-1 reason=%0a",
                                         "SPAM_2026-11-24 id=nat1-1 reason=%41",
                                         "SPAM_2026-11-24 id=nat1-1 reason=a\"b",
                                         "SPAM_2026-11-24 id=nat1-1\n-A FORWARD",
                                         "SPAM_2026-11-24 id=nat1-1 reason=a\nb"})
    EXPECT_FALSE(decode_comment(comment)) << comment;

  EXPECT_TRUE(decode_comment("SPAM_2026-11-24 id=nat1-1 reason=%0A")) << "one capital letter away";
  const std::string longest = "SPAM_2026-11-24 id=nat1-1 reason=";
  EXPECT_TRUE(decode_comment(longest + std::string(kCommentBytes - longest.size(), 'a')));
  EXPECT_FALSE(decode_comment(longest + std::string(kCommentBytes - longest.size() + 1, 'a')));
}

}  // namespace
}  // namespace mailweir
