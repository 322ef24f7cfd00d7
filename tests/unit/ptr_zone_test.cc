// SPDX-License-Identifier: GPL-2.0-or-later
// Zone files: what is written, what is read again, and what differs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dns/master_file.h"
#include "dns/named_conf.h"
#include "dns/range.h"

namespace mailweir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const Authority kAuthority{
    {{"ns1.example.net", "192.0.2.53"}, {"ns2.example.net", "192.0.2.54:5353"}}, "example.net"};

NamedZone zone_of(std::string_view network) {
  const Prefix prefix = *parse_prefix(network);
  NamedZone named{plan_zones(*addresses_of({range_of(prefix)}), {prefix})[0], {}};
  for (std::size_t i = 0; i < named.zone.addresses.size(); ++i)
    named.names.push_back("nat-" + std::to_string(i) + ".example.net");
  return named;
}

TEST(ZoneText, ReadsBackAsItWasMeant) {
  const NamedZone named = zone_of("198.51.100.0/24");
  const auto read = parse_zone(zone_text(named, kAuthority, 2026112401), "");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ("100.51.198.in-addr.arpa", read->zone);
  EXPECT_EQ(2026112401U, read->serial);
  EXPECT_EQ(256U + 2 + 1, read->records.size());
  EXPECT_THAT(read->records, testing::Contains(ZoneRecord{"255.100.51.198.in-addr.arpa", "PTR",
                                                          "nat-255.example.net."}));
  EXPECT_THAT(zone_diff(*read, *parse_zone(zone_text(named, kAuthority, 2026112402), "")),
              IsEmpty())
      << "a serial alone is no difference";
}

TEST(ZoneText, OfLessThanATwentyFourTellsTheParentWhatToAdd) {
  const std::string text = zone_text(zone_of("198.51.100.64/30"), kAuthority, 1);
  EXPECT_THAT(text, HasSubstr("$ORIGIN 64/30.100.51.198.in-addr.arpa.\n"));
  EXPECT_THAT(text, HasSubstr(";\t64/30\tIN NS\tns1.example.net.\n"));
  EXPECT_THAT(text, HasSubstr(";\t67\tIN CNAME\t67.64/30\n"));
  EXPECT_THAT(text, HasSubstr("\n67\tIN PTR\tnat-3.example.net.\n"));
  EXPECT_THAT(zone_text(zone_of("198.51.100.0/24"), kAuthority, 1), Not(HasSubstr("CNAME")));
}

TEST(ForwardText, IsRelativeToItsDomain) {
  NamedZone named = zone_of("198.51.100.64/31");
  named.names[1] = "nat.example.org";
  EXPECT_EQ(
      "; Written by mailweir ptr zone: include it in the zone of example.net, and raise its "
      "serial\n$ORIGIN example.net.\nnat-0\tIN A\t198.51.100.64\nnat.example.org.\tIN "
      "A\t198.51.100.65\n",
      forward_text({named}, "example.net"));
}

TEST(NamedConf, TellsEachServerOfTheOther) {
  const std::vector<NamedZone> zones = {zone_of("198.51.100.64/26")};
  EXPECT_THAT(primary_conf(zones, kAuthority, "/etc/bind"),
              testing::AllOf(HasSubstr("zone \"64/26.100.51.198.in-addr.arpa\" {"),
                             HasSubstr("file \"/etc/bind/64-26.100.51.198.in-addr.arpa.zone\";"),
                             HasSubstr("allow-transfer { 192.0.2.54; };"),
                             HasSubstr("also-notify { 192.0.2.54 port 5353; };")));
  EXPECT_THAT(secondary_conf(zones, kAuthority), HasSubstr("primaries { 192.0.2.53; };"));
}

TEST(RipeObjects, AreOfWholeTwentyFours) {
  const std::string text =
      ripe_objects({zone_of("198.51.100.0/24"), zone_of("203.0.113.64/26")}, kAuthority);
  EXPECT_THAT(text, HasSubstr("domain:         100.51.198.in-addr.arpa\n"));
  EXPECT_THAT(text, HasSubstr("nserver:        ns2.example.net\nmnt-by:         FILL-IN\n"));
  EXPECT_THAT(text, Not(HasSubstr("domain:         64/26")));
  EXPECT_THAT(text, HasSubstr("% 64/26.113.0.203.in-addr.arpa: the registry delegates no less"));
}

TEST(MasterFile, ReadsWhatPeopleWrite) {
  const auto read = parse_zone(
      "$TTL 3600\n"
      "@          IN SOA ns1.example.com. admin.example.com. (\n"
      "              2020112511        ; Serial\n"
      "              21600 3600\n\n   3600000 86400 )  ; minimum\n"
      " \n"
      "        IN  NS NS1.example.com.\n"
      "  1h IN NS ns2.example.com.\n"
      "$ORIGIN 3.2.1.in-addr.arpa.\n"
      "100 IN PTR dynamic.pool.example.com.\n"
      "101 300 PTR a\n"
      "    PTR b.example.com.\n"
      "102 TXT \"a ; b ( c\"\n"
      "$GENERATE 110-112 $ PTR host-${1,3}.example.com.\n",
      "3.2.1.in-addr.arpa");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(2020112511U, read->serial);
  EXPECT_EQ("3.2.1.in-addr.arpa", read->zone);
  const auto rec = [](const char* owner, const char* type, const char* value) {
    return ZoneRecord{owner, type, value};
  };
  EXPECT_THAT(read->records,
              testing::UnorderedElementsAre(
                  rec("3.2.1.in-addr.arpa", "SOA",
                      "ns1.example.com. admin.example.com. 21600 3600 3600000 86400"),
                  rec("3.2.1.in-addr.arpa", "NS", "ns1.example.com."),
                  rec("3.2.1.in-addr.arpa", "NS", "ns2.example.com."),
                  rec("100.3.2.1.in-addr.arpa", "PTR", "dynamic.pool.example.com."),
                  rec("101.3.2.1.in-addr.arpa", "PTR", "a.3.2.1.in-addr.arpa."),
                  rec("101.3.2.1.in-addr.arpa", "PTR", "b.example.com."),
                  rec("102.3.2.1.in-addr.arpa", "TXT", "\"a ; b ( c\""),
                  rec("110.3.2.1.in-addr.arpa", "PTR", "host-111.example.com."),
                  rec("111.3.2.1.in-addr.arpa", "PTR", "host-112.example.com."),
                  rec("112.3.2.1.in-addr.arpa", "PTR", "host-113.example.com.")));
}

TEST(MasterFile, ThatIsBrokenIsRefusedWithItsLine) {
  const std::pair<std::string_view, std::string_view> wrong[] = {
      {"@ IN SOA a. b. ( 1 2 3 4 5\n", "a '(' is not closed"},
      {"\n7 PTR a. )\n", "2: a ')' without"},
      {"7 TXT \"a\n", "1: a '\"' is not closed"},
      {"\n\n$INCLUDE other\n", "3: '$INCLUDE' is not followed"},
      {"7 IN\n", "1: no type of record"},
      {"7 PTR\n", "1: PTR without a value"},
      {"@ SOA a. b. 1 2 3 4\n", "1: SOA has 7 values"},
      {"@ SOA a. b. x 2 3 4 5\n", "1: 'x' is no serial"},
      {"$GENERATE 1-5/0 $ PTR a.\n", "1: $GENERATE is not understood"},
  };
  for (const auto& [text, why] : wrong) {
    const auto read = parse_zone(text, "3.2.1.in-addr.arpa");
    ASSERT_FALSE(read) << text;
    EXPECT_THAT(read.error().message, HasSubstr(why));
  }
}

TEST(ZoneDiff, IsInTheOrderOfTheAddresses) {
  const auto before = *parse_zone("9 PTR a.x.\n10 PTR b.x.\n11 PTR c.x.\n", "z");
  const auto after = *parse_zone("9 PTR a2.x.\n10 PTR b2.x.\n11 PTR C.X.\n", "z");
  EXPECT_THAT(zone_diff(before, after), ElementsAre("- 9.z. PTR a.x.", "+ 9.z. PTR a2.x.",
                                                    "- 10.z. PTR b.x.", "+ 10.z. PTR b2.x."));
}

}  // namespace
}  // namespace mailweir
