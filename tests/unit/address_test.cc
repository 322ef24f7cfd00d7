// SPDX-License-Identifier: GPL-2.0-or-later
// Addresses and prefixes: what is read, what is refused, and how the kernel's keys are made.
#include "base/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <unordered_set>
#include <vector>

namespace mailweir {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

mw_addr addr(std::string_view text) {
  return *parse_address(text);
}
Prefix prefix(std::string_view text) {
  return *parse_prefix(text);
}

TEST(Address, Ipv4IsKeptAsV4Mapped) {
  constexpr __u8 kBytes[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 172, 16, 7, 70};
  EXPECT_THAT(addr("172.16.7.70").bytes, ElementsAreArray(kBytes));
  EXPECT_EQ(addr("::ffff:172.16.7.70"), addr("172.16.7.70")) << "the same key, however written";
  EXPECT_TRUE(is_ipv4(addr("172.16.7.70")));
  EXPECT_FALSE(is_ipv4(addr("2001:db8::1")));
  EXPECT_FALSE(is_ipv4(addr("::172.16.7.70"))) << "compatible, not mapped";
}

TEST(Address, IsWrittenAsPeopleWriteIt) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"172.16.7.70", "172.16.7.70"},
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"2001:0DB8:0:0:0:0:0:5", "2001:db8::5"},
      {"::", "::"},
      {"::ffff:198.51.100.7", "198.51.100.7"},
  };
  for (const auto& [text, written] : cases) EXPECT_EQ(to_string(addr(text)), written);
}

TEST(Address, WhatIsNoneIsNamedInTheError) {
  for (const std::string_view text :
       {"", " ", "172.16.7", "172.16.7.256", "172.16.7.070", "172.16.7.70 ", " 172.16.7.70",
        "172.16.7.70/32", "172.16.7.70.1", "-1.2.3.4", "mail.example.net", "2001:db8::1::2",
        "2001:db8::12345", "fe80::1%eth1", "[2001:db8::1]"}) {
    const auto parsed = parse_address(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().message, "'" + std::string(text) + "' is not an IP address");
  }
}

TEST(Address, TextAfterANulByteIsNotOverlooked) {
  using namespace std::string_view_literals;
  EXPECT_FALSE(parse_address("172.16.7.70\0junk"sv));
  EXPECT_FALSE(parse_address("2001:db8::1\0"sv));
  EXPECT_FALSE(parse_prefix("172.16.0.0\0/12"sv));
  EXPECT_TRUE(parse_address("172.16.7.70"sv));
}

TEST(Address, SortsByNumberAndIpv4First) {
  std::vector<mw_addr> addrs = {addr("2001:db8::1"), addr("172.16.10.1"), addr("172.16.9.1"),
                                addr("198.51.100.1")};
  std::sort(addrs.begin(), addrs.end(), [](const auto& a, const auto& b) { return a < b; });
  EXPECT_THAT(addrs, ElementsAre(addr("172.16.9.1"), addr("172.16.10.1"), addr("198.51.100.1"),
                                 addr("2001:db8::1")));
}

TEST(Address, IsAKeyOfHashContainers) {
  std::unordered_set<mw_addr, AddressHash> seen;
  EXPECT_TRUE(seen.insert(addr("172.16.7.70")).second);
  EXPECT_FALSE(seen.insert(addr("172.16.7.70")).second);
  EXPECT_TRUE(seen.insert(addr("172.16.7.71")).second);
}

TEST(Prefix, IsReadAndWrittenWithTheNumberThatPeopleUse) {
  struct Case {
    std::string_view text, written;
    int bits, length;
  };
  const Case cases[] = {
      {"172.16.0.0/12", "172.16.0.0/12", 108, 12}, {"172.16.7.70", "172.16.7.70", 128, 32},
      {"172.16.7.70/32", "172.16.7.70", 128, 32},  {"0.0.0.0/0", "0.0.0.0/0", 96, 0},
      {"2001:db8::/32", "2001:db8::/32", 32, 32},  {"2001:db8::5", "2001:db8::5", 128, 128},
      {"2001:DB8::/64", "2001:db8::/64", 64, 64},  {"::/0", "::/0", 0, 0},
  };
  for (const Case& c : cases) {
    const Prefix read = prefix(c.text);
    EXPECT_EQ(read.bits, c.bits) << c.text;
    EXPECT_EQ(read.length(), c.length) << c.text;
    EXPECT_EQ(to_string(read), c.written);
  }
}

TEST(Prefix, WhatIsNoneSaysWhy) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"172.16.0.0/33", "'172.16.0.0/33': the prefix length must be 0 to 32"},
      {"172.16.0.0/-1", "'172.16.0.0/-1': the prefix length must be 0 to 32"},
      {"172.16.0.0/", "'172.16.0.0/': the prefix length must be 0 to 32"},
      {"172.16.0.0/12x", "'172.16.0.0/12x': the prefix length must be 0 to 32"},
      {"172.16.0.0/99999999999", "'172.16.0.0/99999999999': the prefix length must be 0 to 32"},
      {"172.16.0.0/255.240.0.0", "'172.16.0.0/255.240.0.0': the prefix length must be 0 to 32"},
      {"2001:db8::/129", "'2001:db8::/129': the prefix length must be 0 to 128"},
      {"172.16.7.70/12", "'172.16.7.70/12' has host bits set (did you mean '172.16.0.0/12'?)"},
      {"172.16.0.1/31", "'172.16.0.1/31' has host bits set (did you mean '172.16.0.0/31'?)"},
      {"2001:db8::5/64", "'2001:db8::5/64' has host bits set (did you mean '2001:db8::/64'?)"},
      {"/12", "'/12' is not an address or a prefix such as 172.16.0.0/12"},
      {"", "'' is not an address or a prefix such as 172.16.0.0/12"},
  };
  for (const auto& [text, why] : cases) {
    const auto parsed = parse_prefix(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().message, why);
  }
}

TEST(Prefix, ContainsWhatItCoversAndNotItsNeighbours) {
  struct Case {
    std::string_view outer, inner;
    bool contains;
  };
  const Case cases[] = {
      {"172.16.0.0/12", "172.31.255.255", true},   {"172.16.0.0/12", "172.32.0.0", false},
      {"172.16.0.0/12", "172.15.255.255", false},  {"172.16.0.0/12", "172.16.0.0/12", true},
      {"172.16.0.0/12", "172.16.0.0/11", false},   {"172.16.0.0/12", "172.20.0.0/16", true},
      {"172.16.0.25", "172.16.0.25", true},        {"172.16.0.25", "172.16.0.24", false},
      {"0.0.0.0/0", "203.0.113.1", true},          {"0.0.0.0/0", "2001:db8::1", false},
      {"2001:db8::/33", "2001:db8:7fff::1", true}, {"2001:db8::/33", "2001:db8:8000::1", false},
      {"2000::/3", "172.16.0.1", false},
  };
  for (const Case& c : cases) {
    // 172.16.0.0/11 has host bits; made by hand it is still a wider prefix.
    const Prefix inner =
        c.inner == "172.16.0.0/11" ? Prefix{masked(addr("172.16.0.0"), 107), 107} : prefix(c.inner);
    EXPECT_EQ(prefix(c.outer).contains(inner), c.contains) << c.outer << " " << c.inner;
    if (inner.bits == 128) {
      EXPECT_EQ(prefix(c.outer).contains(inner.addr), c.contains) << c.outer << " " << c.inner;
    }
  }
}

TEST(Prefix, KnowsItsSize) {
  EXPECT_EQ(prefix("172.16.7.70").size(), 1U);
  EXPECT_EQ(prefix("172.16.0.0/12").size(), 1U << 20);
  EXPECT_EQ(prefix("0.0.0.0/0").size(), 1ULL << 32);
  EXPECT_EQ(prefix("2001:db8::/66").size(), 1ULL << 62);
  EXPECT_EQ(prefix("2001:db8::/64").size(), 1ULL << 63) << "saturated";
  EXPECT_EQ(prefix("::/0").size(), 1ULL << 63);
}

TEST(Prefix, SortsByAddressThenTheWiderFirst) {
  EXPECT_LT(prefix("172.16.0.0/12"), prefix("172.16.0.0/16"));
  EXPECT_LT(prefix("172.16.0.0/16"), prefix("172.17.0.0/16"));
  EXPECT_LT(prefix("172.16.9.0/24"), prefix("172.16.10.0/24"));
  EXPECT_EQ(prefix("172.16.7.70"), prefix("172.16.7.70/32"));
}

TEST(Mask, HasThatManyOnes) {
  for (int bits = 0; bits <= 128; ++bits) {
    const mw_addr mask = mask_of(static_cast<std::uint8_t>(bits));
    for (int i = 0; i < 128; ++i)
      ASSERT_EQ((mask.bytes[i / 8] >> (7 - i % 8)) & 1, i < bits ? 1 : 0) << bits << " " << i;
  }
}

TEST(SourceKey, Ipv6IsOneClientPerPrefixAndIpv4PerAddress) {
  EXPECT_EQ(source_key(addr("172.16.7.70"), 64), addr("172.16.7.70"));
  EXPECT_EQ(source_key(addr("2001:db8:1:2::5"), 64), addr("2001:db8:1:2::"));
  EXPECT_EQ(source_key(addr("2001:db8:1:2::5"), 128), addr("2001:db8:1:2::5"));
  EXPECT_EQ(source_key(addr("2001:db8:1:ff::5"), 56), addr("2001:db8:1::"));

  EXPECT_EQ(to_string(source_prefix(addr("172.16.7.70"), 64)), "172.16.7.70");
  EXPECT_EQ(to_string(source_prefix(addr("2001:db8:1:2::"), 64)), "2001:db8:1:2::/64");
}

}  // namespace
}  // namespace mailweir
