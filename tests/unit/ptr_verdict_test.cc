// SPDX-License-Identifier: GPL-2.0-or-later
// What answers mean, and how a message is read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dns/verdict.h"

namespace mailweir {
namespace {

using Kind = ServerState::Kind;

mw_addr addr(std::string_view text) {
  return *parse_address(text);
}
const mw_addr kHere = addr("198.51.100.7");

TEST(AddressVerdict, NeedsOnePtrWithTheNameOfAHost) {
  EXPECT_EQ("missing PTR", judge_names(kHere, {})->text);
  EXPECT_EQ("2 PTRs", judge_names(kHere, {"a.example.net", "b.example.net"})->text);
  EXPECT_EQ("no host name", judge_names(kHere, {"a_b.example.net"})->text);
  EXPECT_FALSE(judge_names(kHere, {"nat-7.example.net"})) << "to be looked up";
}

TEST(AddressVerdict, NeedsTheNameToLeadBack) {
  const auto judge = [](std::vector<mw_addr> back, Rcode rcode = Rcode::no_error) {
    return judge_back(kHere, "nat-7.example.net", std::move(back), rcode);
  };
  EXPECT_EQ(Grade::good, judge({kHere}).grade);
  EXPECT_EQ(Grade::good, judge({addr("198.51.100.8"), kHere}).grade) << "one of several is enough";
  EXPECT_EQ("mismatch", judge({addr("198.51.100.8")}).text);
  EXPECT_EQ("name does not exist", judge({}, Rcode::nx_domain).text);
  EXPECT_EQ("name has no A", judge({}).text);
  EXPECT_EQ("name has no AAAA",
            judge_back(addr("2001:db8::1"), "a.example.net", {}, Rcode::no_error).text);
}

TEST(AddressVerdict, OfAGenericNameIsNotBad) {
  const auto generic = judge_back(kHere, "dynamic.pool.example.net", {kHere}, Rcode::no_error);
  EXPECT_EQ(Grade::generic, generic.grade);
  EXPECT_EQ(
      Grade::bad,
      judge_back(kHere, "dynamic.pool.example.net", {addr("198.51.100.8")}, Rcode::no_error).grade);
}

TEST(AddressVerdict, OfTwoServersTheWorseOneCounts) {
  const auto good = judge_back(kHere, "a.example.net", {kHere}, Rcode::no_error);
  const auto silent = unknown_address(kHere, {}, "timed out");
  const auto bad = *judge_names(kHere, {});
  EXPECT_EQ(Grade::unknown, worse_of(good, silent).grade);
  EXPECT_EQ(Grade::bad, worse_of(silent, bad).grade);
  EXPECT_EQ(Grade::good, worse_of(good, good).grade);
  EXPECT_EQ(Grade::bad,
            worse_of(good, judge_back(kHere, "b.example.net", {kHere}, Rcode::no_error)).grade);
}

ZoneVerdict zone(std::vector<std::string> names, std::vector<ServerState> servers,
                 bool known = true) {
  ZoneVerdict verdict{.zone = "z", .name_servers = std::move(names), .servers = std::move(servers)};
  judge_zone(verdict, known);
  return verdict;
}
ServerState serves(const std::string& name, std::uint32_t serial, const std::string& address = "") {
  return {name, Kind::serves, serial, "", address};
}

TEST(ZoneVerdict, NeedsTwoServersWithOneSerial) {
  const std::vector<std::string> two = {"ns1", "ns2"};
  EXPECT_EQ(Grade::good, zone(two, {serves("ns1", 5, "a"), serves("ns2", 5, "b")}).grade);
  EXPECT_EQ("serials differ: ns1 5, ns2 4", zone(two, {serves("ns1", 5), serves("ns2", 4)}).text);
  EXPECT_EQ("one name server only", zone({"ns1"}, {serves("ns1", 5)}).text);
  EXPECT_EQ("no NS record", zone({}, {}).text);
  EXPECT_EQ("all name servers have one address",
            zone(two, {serves("ns1", 5, "a"), serves("ns2", 5, "a")}).text);
  const auto lame = zone(two, {serves("ns1", 5), {"ns2", Kind::lame, 0, "REFUSED", ""}});
  EXPECT_EQ(Grade::bad, lame.grade);
  EXPECT_EQ("ns2 does not serve it (REFUSED)", lame.text);
}

TEST(ZoneVerdict, OfASilentServerIsUnknownNeverBad) {
  const auto silent =
      zone({"ns1", "ns2"}, {serves("ns1", 5), {"ns2", Kind::unknown, 0, "timed out", ""}});
  EXPECT_EQ(Grade::unknown, silent.grade);
  EXPECT_EQ("unknown: ns2 timed out", silent.text);
  EXPECT_EQ(Grade::unknown, zone({}, {}, false).grade);
}

TEST(RegistryZone, IsWhatARegistryServesItself) {
  for (const auto registry : {"", "in-addr.arpa", "198.in-addr.arpa", "ip6.arpa", "0.a.2.ip6.arpa",
                              "6.0.1.0.0.2.ip6.arpa"})
    EXPECT_TRUE(is_registry_zone(registry)) << registry;
  for (const auto ours :
       {"51.198.in-addr.arpa", "64/26.100.51.198.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"})
    EXPECT_FALSE(is_registry_zone(ours)) << ours;
}

/// Header, question 7.a. PTR, and what is appended.
std::vector<unsigned char> packet(const std::vector<unsigned char>& answers, unsigned count) {
  std::vector<unsigned char> bytes = {0, 1, 0x84, 0, 0, 1,   0, static_cast<unsigned char>(count),
                                      0, 0, 0,    0, 1, '7', 1, 'a',
                                      0, 0, 12,   0, 1};
  for (const unsigned char each : answers) bytes.push_back(each);
  return bytes;
}

TEST(MessageBytes, FollowAliasesAndIgnoreCase) {
  // 7.a. CNAME X.a.; X.a. PTR n.a.
  const auto message =
      parse_message(packet({0xc0, 12, 0, 5,  0, 1, 0, 0, 0, 9, 0, 4, 1, 'X', 0xc0, 14,
                            0xc0, 33, 0, 12, 0, 1, 0, 0, 0, 9, 0, 4, 1, 'N', 0xc0, 14},
                           2));
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->authoritative);
  EXPECT_EQ("x.a", end_of_aliases(*message, "7.a"));
  const auto found = answers_about(*message, "x.a", RecordType::ptr);
  ASSERT_EQ(1U, found.size());
  EXPECT_EQ("n.a", found[0].target);
}

TEST(MessageBytes, ThatAreBrokenAreRefusedAtEveryLength) {
  const auto whole = packet({0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 9, 0, 4, 1, 'n', 0xc0, 14}, 1);
  ASSERT_TRUE(parse_message(whole));
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(parse_message(std::span(whole).first(length))) << length;
  auto loop = packet({0xc0, 21, 0, 12, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 21}, 1);
  EXPECT_FALSE(parse_message(loop)) << "a name that points at itself";
  for (std::size_t at = 12; at < whole.size(); ++at)
    for (const int value : {0, 0x3f, 0xc0, 0xff}) {
      auto mutated = whole;
      mutated[at] = static_cast<unsigned char>(value);
      (void)parse_message(mutated);  // whatever becomes of it, it ends
    }
}

TEST(MessageBytes, AliasesInACircleEnd) {
  Message message;
  message.answers = {{"a", RecordType::cname, "b", {}, 0}, {"b", RecordType::cname, "a", {}, 0}};
  EXPECT_TRUE(answers_about(message, end_of_aliases(message, "a"), RecordType::ptr).empty());
}

}  // namespace
}  // namespace mailweir
