// SPDX-License-Identifier: GPL-2.0-or-later
// Reverse DNS without a question: names, ranges, zones, patterns, serials.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dns/endpoint.h"
#include "dns/generic.h"
#include "dns/name.h"
#include "dns/naming.h"
#include "dns/range.h"
#include "dns/serial.h"
#include "dns/zone_plan.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

mw_addr addr(std::string_view text) {
  return *parse_address(text);
}
std::vector<mw_addr> all(std::string_view range) {
  return *addresses_of({*parse_range(range)});
}
Prefix prefix(std::string_view text) {
  return *parse_prefix(text);
}

TEST(ReverseName, HasTheOctetsOrNibblesFromTheEnd) {
  EXPECT_EQ("7.100.51.198.in-addr.arpa", reverse_name(addr("198.51.100.7")));
  EXPECT_EQ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
            reverse_name(addr("2001:db8::1")));
}

TEST(HostName, IsLettersDigitsAndInnerHyphens) {
  for (const auto good : {"nat-7.example.net", "7.example.net", "NAT.example.net.", "a.b"})
    EXPECT_TRUE(is_host_name(good)) << good;
  for (const auto bad : {"", ".", "nat", "nat_7.example.net", "-a.example.net", "a-.example.net",
                         "a..example.net", "a b.example.net", "a\\046b.example.net"})
    EXPECT_FALSE(is_host_name(bad)) << bad;
  EXPECT_FALSE(is_host_name(std::string(64, 'a') + ".example.net"));
  EXPECT_TRUE(is_host_name(std::string(63, 'a') + ".example.net"));
}

TEST(RangeText, IsAPrefixAnAddressOrFirstToLast) {
  EXPECT_EQ(256U, all("198.51.100.0/24").size()) << "a NAT pool uses the first and the last, too";
  EXPECT_THAT(all("198.51.100.7-198.51.100.9"),
              ElementsAre(addr("198.51.100.7"), addr("198.51.100.8"), addr("198.51.100.9")));
  EXPECT_THAT(all("198.51.100.255-198.51.101.0"),
              ElementsAre(addr("198.51.100.255"), addr("198.51.101.0")));
  EXPECT_EQ(65536U, all("2001:db8::/112").size());
  EXPECT_EQ(65536U, all("10.0.0.0/16").size());
}

TEST(RangeText, ThatCannotBeMeantIsRefused) {
  const std::pair<std::string_view, std::string_view> wrong[] = {
      {"198.51.100.0/33", "prefix length must be 0 to 32"},
      {"198.51.100.7/24", "did you mean '198.51.100.0/24'"},
      {"198.51.100.9-198.51.100.7", "did you mean '198.51.100.7-198.51.100.9'"},
      {"198.51.100.9-2001:db8::1", "different families"},
      {"198.51.100.7-9", "is no range"},
      {"", "is not an address"},
  };
  for (const auto& [text, why] : wrong) {
    const auto range = parse_range(text);
    ASSERT_FALSE(range) << text;
    EXPECT_THAT(range.error().message, HasSubstr(why));
  }
}

TEST(RangeText, MoreThanASixteenIsRefusedInOneLine) {
  const std::pair<std::string_view, std::string_view> large[] = {
      {"10.0.0.0/15", "10.0.0.0/15: more than the 65,536 addresses of a /16"},
      {"2001:db8::/64", "2001:db8::/64: more than the 65,536 addresses of a /16"},
      {"2001:db8::/64", "(an IPv6 /112)"},
      {"::/0", "::/0: more"},
      {"0.0.0.0/0", "0.0.0.0/0: more"},
      {"10.0.0.0-10.1.0.0", "10.0.0.0-10.1.0.0: more"},
  };
  for (const auto& [text, why] : large)
    EXPECT_THAT(addresses_of({*parse_range(text)}).error().message, HasSubstr(why));
  EXPECT_THAT(addresses_of({*parse_range("10.0.0.0/16"), *parse_range("10.9.0.0")}).error().message,
              HasSubstr("together"));
}

TEST(RangeText, OverlapsCountOnce) {
  const auto addresses =
      addresses_of({*parse_range("198.51.100.2"), *parse_range("198.51.100.0/30"),
                    *parse_range("198.51.100.3-198.51.100.4"), *parse_range("198.51.100.2")});
  EXPECT_EQ(all("198.51.100.0-198.51.100.4"), *addresses);
}

TEST(ZonePlan, NetworksAreCutWhereTheyAreDelegated) {
  const auto names = [](std::string_view network) {
    std::vector<std::string> zones;
    for (const ReverseZone& zone : plan_zones(all(network), {usual_delegation(prefix(network))}))
      zones.push_back(zone.name);
    return zones;
  };
  EXPECT_THAT(names("198.51.100.0/24"), ElementsAre("100.51.198.in-addr.arpa"));
  EXPECT_THAT(names("198.51.0.0/16"), ElementsAre("51.198.in-addr.arpa"));
  EXPECT_THAT(names("198.51.100.0/23"),
              ElementsAre("100.51.198.in-addr.arpa", "101.51.198.in-addr.arpa"));
  EXPECT_EQ(128U, names("198.51.0.0/17").size());
  EXPECT_THAT(names("198.51.100.64/26"), ElementsAre("64/26.100.51.198.in-addr.arpa"));
  EXPECT_THAT(names("198.51.100.7"), ElementsAre("100.51.198.in-addr.arpa"))
      << "one address is no delegation";
  EXPECT_THAT(names("2001:db8:1:2::/112"), ElementsAre("2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"));
}

TEST(ZonePlan, WhatIsDelegatedSaysTheZone) {
  const auto zones = plan_zones(all("198.51.100.64/30"), {prefix("198.51.100.0/24")});
  ASSERT_EQ(1U, zones.size());
  EXPECT_EQ("100.51.198.in-addr.arpa", zones[0].name);
  EXPECT_EQ("64", owner_in(zones[0], addr("198.51.100.64")));
  EXPECT_EQ("8.b.d.0.1.0.0.2.ip6.arpa",
            plan_zones({addr("2001:db8::1")}, {prefix("2001:db8::/32")})[0].name);
  EXPECT_EQ("8.b.d.0.1.0.0.2.ip6.arpa",
            plan_zones({addr("2001:db8::1")}, {prefix("2001:db8::/29")})[0].name)
      << "zones are cut at nibbles: a /29 has eight";
  EXPECT_EQ("64.100", owner_in(plan_zones(all("198.51.100.64"), {prefix("198.48.0.0/12")})[0],
                               addr("198.51.100.64")));
}

TEST(ZonePlan, LessThanATwentyFourIsClassless) {
  const auto zones = plan_zones(all("198.51.100.64/26"), {prefix("198.51.100.64/26")});
  ASSERT_EQ(1U, zones.size());
  EXPECT_TRUE(zones[0].classless());
  EXPECT_EQ("100.51.198.in-addr.arpa", zones[0].parent);
  EXPECT_EQ("70", owner_in(zones[0], addr("198.51.100.70")));
  EXPECT_EQ("64-26.100.51.198.in-addr.arpa.zone", zones[0].file_name());
}

TEST(Names, AreMadeByThePattern) {
  const Naming naming{"nat-{c}-{d}.{domain}", "v6-{hex}.{domain}", "Example.net."};
  EXPECT_THAT(
      *names_of({addr("198.51.100.7"), addr("2001:db8::1")}, naming),
      ElementsAre("nat-100-7.example.net", "v6-20010db8000000000000000000000001.example.net"));
  EXPECT_THAT(*names_of({addr("198.51.100.7")}, {"{hex}.{domain}", "", "example.net"}),
              ElementsAre("c6336407.example.net"));
}

TEST(Names, ThatCollideAreAnErrorWithTheWayOut) {
  const auto names = names_of(all("10.0.0.0/16"), {.domain = "example.net"});
  ASSERT_FALSE(names);
  EXPECT_EQ(
      "pattern \"nat-{d}.{domain}\": 10.0.0.0 and 10.0.1.0 would both be nat-0.example.net\n"
      "add {c}, as in \"nat-{c}-{d}.{domain}\"",
      names.error().message);
  EXPECT_TRUE(names_of(all("10.0.0.0/16"), {"nat-{c}-{d}.{domain}", "", "example.net"}));
  EXPECT_TRUE(names_of(all("10.0.0.0/24"), {.domain = "example.net"}));
}

TEST(Names, ThatNobodyCanHaveAreAnError) {
  const std::pair<Naming, std::string_view> wrong[] = {
      {{"nat-{d}.{domain}", "", ""}, "[pool] domain is not set"},
      {{"-{d}.{domain}", "", "example.net"}, "no host can be called"},
      {{"nat-{d}", "", "example.net"}, "no host can be called"},
      {{"nat-{d", "", "example.net"}, "not closed"},
      {{"nat-{e}.{domain}", "", "example.net"}, "{e} says nothing"},
  };
  for (const auto& [naming, why] : wrong)
    EXPECT_THAT(names_of({addr("198.51.100.7")}, naming).error().message, HasSubstr(why));
  EXPECT_THAT(
      names_of({addr("2001:db8::1")}, {"", "nat-{d}.{domain}", "example.net"}).error().message,
      HasSubstr("{d} says nothing of 2001:db8::1"));
}

TEST(Serial, OnlyGrowsAsSecondariesCount) {
  EXPECT_TRUE(is_newer_serial(2, 1));
  EXPECT_FALSE(is_newer_serial(1, 2));
  EXPECT_FALSE(is_newer_serial(1, 1));
  EXPECT_TRUE(is_newer_serial(1, 0xffffffffU)) << "it goes round";
  EXPECT_FALSE(is_newer_serial(0x80000000U, 0)) << "half way round nobody knows";

  const WallTime day{1795478400s};  // 2026-11-24
  EXPECT_EQ(2026112401U, next_serial(std::nullopt, day));
  EXPECT_EQ(2026112401U, next_serial(2020112511, day));
  EXPECT_EQ(2026112402U, next_serial(2026112401, day));
  EXPECT_EQ(2026112500U, next_serial(2026112499, day)) << "the hundredth of a day";
  EXPECT_EQ(2999999999U, next_serial(2999999998, day)) << "from the future it still grows";
  EXPECT_EQ(2026112401U, next_serial(0xffffffffU, day)) << "past the end it goes round";
  for (const std::uint32_t last : {0U, 1U, 2026112401U, 2026112499U, 3000000000U, 0xfffffffeU}) {
    const std::uint32_t next = next_serial(last, day);
    EXPECT_TRUE(is_newer_serial(next, last)) << last;
  }
}

TEST(GenericName, HasAWordOfDynamicCustomersOrTheWholeAddress) {
  const mw_addr where = addr("198.51.100.7");
  for (const auto name :
       {"dynamic.pool.example.net", "dsl-7.example.net", "7.dhcp.example.net",
        "198-51-100-7.example.net", "7.100.51.198.example.net", "host198051100007.example.net",
        "c6336407.example.net", "adsl198.example.net", "a.cust.b.example.net"})
    EXPECT_TRUE(why_generic(name, where)) << name;
  for (const auto name : {"nat-7.example.net", "nat-100-7.example.net", "mail.example.net",
                          "poolside.example.net", "gw.cable.net", "client.example", "mx.dsl.net"})
    EXPECT_FALSE(why_generic(name, where)) << name;
  EXPECT_EQ("has the word 'dynamic'", why_generic("dynamic.pool.example.net", where));
  EXPECT_FALSE(why_generic("nat-20010db8000000000000000000000001.example.net", addr("2001:db8::1")))
      << "the default pattern";
}

TEST(EndpointText, IsAnAddressWithOrWithoutAPort) {
  EXPECT_EQ("192.0.2.53:53", to_string(*parse_endpoint("192.0.2.53")));
  EXPECT_EQ("127.0.0.1:5353", to_string(*parse_endpoint("127.0.0.1:5353")));
  EXPECT_EQ("[2001:db8::1]:53", to_string(*parse_endpoint("2001:db8::1")));
  EXPECT_EQ("[2001:db8::1]:53", to_string(*parse_endpoint("[2001:db8::1]")));
  EXPECT_EQ("[2001:db8::1]:5353", to_string(*parse_endpoint("[2001:db8::1]:5353")));
  for (const auto wrong : {"", "ns1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
                           "127.0.0.1:53x", "[127.0.0.1]:53", "[2001:db8::1", "2001:db8::1]:53"})
    EXPECT_FALSE(parse_endpoint(wrong)) << wrong;
}

}  // namespace
}  // namespace mailweir
