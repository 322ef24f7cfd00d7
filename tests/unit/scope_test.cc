// SPDX-License-Identifier: GPL-2.0-or-later
// flatten() and scope_of(): tables of the cases that went wrong elsewhere, then random prefix sets
// against an oracle that asks every prefix.
#include "policy/scope.h"

#include <gtest/gtest.h>

#include <random>

namespace mailweir {
namespace {

mw_addr addr(const char* text) {
  return *parse_address(text);
}
Prefix net(const char* text) {
  return *parse_prefix(text);
}

constexpr int kInside = MW_SCOPE_INSIDE;
constexpr int kAllowed = MW_SCOPE_ALLOWED;
constexpr int kServer = MW_SCOPE_SERVER;

void expect_scope(const ScopeEntries& entries, const char* key, int flags, int group) {
  const mw_scope scope = scope_of(entries, addr(key));
  EXPECT_EQ(flags, scope.flags) << key;
  EXPECT_EQ(group, scope.group) << key;
}

TEST(Scope, AGroupsSmallNetworkDoesNotHideALargerAllowedOne) {
  const ScopeEntries entries = flatten({.inside = {net("172.16.0.0/12")},
                                        .allowed = {net("172.16.0.0/16")},
                                        .servers = {},
                                        .groups = {{net("172.16.0.0/28")}}});
  expect_scope(entries, "172.16.0.5", kInside | kAllowed, 1);
  expect_scope(entries, "172.16.0.16", kInside | kAllowed, 0);
  expect_scope(entries, "172.17.0.5", kInside, 0);
  expect_scope(entries, "198.51.100.5", 0, 0);
}

TEST(Scope, TheMostSpecificGroupWinsAndOfTwoEqualOnesTheFirst) {
  const ScopeEntries entries =
      flatten({.inside = {net("172.16.0.0/12")},
               .allowed = {},
               .servers = {},
               .groups = {{net("172.16.0.0/16")}, {net("172.16.7.0/24")}, {net("172.16.7.0/24")}}});
  expect_scope(entries, "172.16.7.70", kInside, 2);
  expect_scope(entries, "172.16.8.70", kInside, 1);
  expect_scope(entries, "172.17.8.70", kInside, 0);
}

TEST(Scope, AGroupAloneMakesNobodyInside) {
  const ScopeEntries entries = flatten({.inside = {net("172.16.0.0/16")},
                                        .allowed = {},
                                        .servers = {},
                                        .groups = {{net("198.18.0.0/24"), net("172.16.1.0/24")}}});
  expect_scope(entries, "198.18.0.9", 0, 1);
  expect_scope(entries, "172.16.1.9", kInside, 1);
}

TEST(Scope, AnAllowedAddressInAGroupKeepsTheGroupAndItsNeighbourStaysJudged) {
  const ScopeEntries entries = flatten({.inside = {net("172.16.0.0/12")},
                                        .allowed = {net("172.16.7.70")},
                                        .servers = {},
                                        .groups = {{net("172.16.7.0/24")}}});
  EXPECT_TRUE(entries.hosts.contains(addr("172.16.7.70")));
  expect_scope(entries, "172.16.7.70", kInside | kAllowed, 1);
  expect_scope(entries, "172.16.7.71", kInside, 1);
}

TEST(Scope, AllOfIpv6IsNotAllOfIpv4) {
  const ScopeEntries entries = flatten({.inside = {net("::/0"), net("172.16.0.0/12")},
                                        .allowed = {net("::/0")},
                                        .servers = {},
                                        .groups = {}});
  expect_scope(entries, "2001:db8::", kInside | kAllowed, 0);
  expect_scope(entries, "172.16.0.1", kInside, 0);
  expect_scope(entries, "203.0.113.1", 0, 0);

  const ScopeEntries both = flatten(
      {.inside = {net("0.0.0.0/0")}, .allowed = {net("::/0")}, .servers = {}, .groups = {}});
  expect_scope(both, "203.0.113.1", kInside, 0);
}

TEST(Scope, AnAllowedIpv6AddressIsWidenedToItsClientsPrefix) {
  const ScopeEntries entries = flatten({.inside = {net("2001:db8::/32")},
                                        .allowed = {net("2001:db8:1:2::5")},
                                        .servers = {},
                                        .groups = {{net("2001:db8:1:3:4::/80")}}});
  expect_scope(entries, "2001:db8:1:2::", kInside | kAllowed, 0);
  expect_scope(entries, "2001:db8:1:3::", kInside, 1);
  expect_scope(entries, "2001:db8:1:4::", kInside, 0);
}

TEST(Scope, AServersNetworkIsFoundByEachOfItsAddresses) {
  const ScopeEntries entries =
      flatten({.inside = {net("2001:db8::/32")},
               .allowed = {net("2001:db8:1:2::/64")},
               .servers = {net("2001:db8:1:2::/64"), net("198.51.100.25"), net("2001:db8:1:3::25")},
               .groups = {}});
  EXPECT_TRUE(scope_of(entries, addr("2001:db8:1:2::25")).flags & kServer);
  EXPECT_TRUE(scope_of(entries, addr("2001:db8:1:3::25")).flags & kServer);
  EXPECT_FALSE(scope_of(entries, addr("2001:db8:1:3::26")).flags & kServer);
  expect_scope(entries, "198.51.100.25", kServer, 0);
  expect_scope(entries, "198.51.100.26", 0, 0);
}

TEST(Scope, AServerOnTheAddressThatStandsForAClientsPrefixHidesNothing) {
  const ScopeEntries entries = flatten({.inside = {net("2001:db8::/32")},
                                        .allowed = {net("2001:db8:1:2::/64")},
                                        .servers = {net("2001:db8:1:2::/80")},
                                        .groups = {{net("2001:db8:1:2::/64")}}});
  expect_scope(entries, "2001:db8:1:2::", kInside | kAllowed | kServer, 1);
  EXPECT_TRUE(scope_of(entries, addr("2001:db8:1:2::25")).flags & kServer);
  EXPECT_FALSE(scope_of(entries, addr("2001:db8:1:2:1::25")).flags & kServer);
}

TEST(Scope, NothingConfiguredMeansNobodyInside) {
  expect_scope(flatten({}), "172.16.0.1", 0, 0);
  EXPECT_TRUE(flatten({}).networks.empty());
}

/// Prefix sets that overlap much: few distinct addresses, many lengths.
class RandomScopes {
 public:
  explicit RandomScopes(std::uint64_t seed) : random_(seed) {
    input_.ipv6_prefix = std::array{48, 56, 64, 128}[below(4)];
    fill(input_.inside, 1 + below(6));
    fill(input_.allowed, below(12));
    fill(input_.servers, below(12));
    input_.groups.resize(below(6));
    for (auto& group : input_.groups) fill(group, 1 + below(4));
  }

  [[nodiscard]] const ScopeInput& input() const { return input_; }

  /// Mostly at or beside the edge of some prefix.
  mw_addr address() {
    mw_addr result = below(2) ? addr("172.16.0.0") : addr("2001:db8::");
    if (!used_.empty() && below(8)) result = used_[below(used_.size())].addr;
    for (std::size_t i = below(5); i > 0; --i) flip_bit(result);
    return result;
  }

 private:
  std::size_t below(std::size_t end) { return random_() % end; }

  void flip_bit(mw_addr& value) {
    const std::size_t first = is_ipv4(value) ? 96 : 0;
    const std::size_t bit = first + below(128 - first);
    value.bytes[bit / 8] ^= static_cast<__u8>(0x80 >> (bit % 8));
  }

  void fill(std::vector<Prefix>& prefixes, std::size_t count) {
    for (; count > 0; --count) {
      const mw_addr base = address();
      const auto bits = static_cast<std::uint8_t>(is_ipv4(base) ? 96 + below(33) : below(129));
      const Prefix prefix{masked(base, bits), bits};
      // A person cannot write an IPv6 prefix that begins with the v4-mapped one.
      if (prefix.is_ipv4() != is_ipv4(base)) continue;
      prefixes.push_back(prefix);
      used_.push_back(prefix);
    }
  }

  std::mt19937_64 random_;
  ScopeInput input_;
  std::vector<Prefix> used_;
};

bool same_family_covers(Prefix prefix, const mw_addr& address, int widest) {
  if (!prefix.is_ipv4() && prefix.bits > widest)
    prefix = {masked(prefix.addr, static_cast<std::uint8_t>(widest)),
              static_cast<std::uint8_t>(widest)};
  return prefix.is_ipv4() == is_ipv4(address) && prefix.contains(address);
}

mw_scope oracle(const ScopeInput& input, const mw_addr& address) {
  mw_scope scope{};
  const auto any = [&](const std::vector<Prefix>& prefixes, int widest) {
    return std::any_of(prefixes.begin(), prefixes.end(), [&](const Prefix& prefix) {
      return same_family_covers(prefix, address, widest);
    });
  };
  if (any(input.inside, input.ipv6_prefix)) scope.flags |= MW_SCOPE_INSIDE;
  if (any(input.allowed, input.ipv6_prefix)) scope.flags |= MW_SCOPE_ALLOWED;
  if (any(input.servers, 128)) scope.flags |= MW_SCOPE_SERVER;

  int longest = -1;
  for (std::size_t i = 0; i < input.groups.size(); ++i)
    for (const Prefix& prefix : input.groups[i]) {
      const int bits =
          prefix.is_ipv4() ? prefix.bits : std::min<int>(prefix.bits, input.ipv6_prefix);
      if (same_family_covers(prefix, address, input.ipv6_prefix) && bits > longest) {
        longest = bits;
        scope.group = static_cast<__u16>(i + 1);
      }
    }
  return scope;
}

TEST(Scope, EqualsAnOracleThatAsksEveryPrefix) {
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    RandomScopes random(seed);
    const ScopeEntries entries = flatten(random.input());
    for (int i = 0; i < 100; ++i) {
      const mw_addr address = random.address();
      const mw_addr key = source_key(address, random.input().ipv6_prefix);
      const mw_scope expected = oracle(random.input(), key);
      const mw_scope source = scope_of(entries, key);
      ASSERT_EQ(expected.flags, source.flags) << "seed " << seed << " source " << to_string(key);
      ASSERT_EQ(expected.group, source.group) << "seed " << seed << " source " << to_string(key);

      // The kernel asks a destination for this flag only.
      ASSERT_EQ(oracle(random.input(), address).flags & kServer,
                scope_of(entries, address).flags & kServer)
          << "seed " << seed << " destination " << to_string(address);
      found += source.flags != 0;
    }
  }
  EXPECT_GT(found, 50'000) << "the addresses miss the prefixes: nothing was proved";
}

TEST(Scope, AnAllowlistOfAHundredThousandAddressesIsFlattenedInReasonableTime) {
  ScopeInput input{.inside = {net("172.16.0.0/12")}, .allowed = {}, .servers = {}, .groups = {}};
  mw_addr address = addr("172.16.0.0");
  for (int i = 0; i < 100'000; ++i) {
    address.bytes[13] = static_cast<__u8>(16 + (i >> 16));
    address.bytes[14] = static_cast<__u8>(i >> 8);
    address.bytes[15] = static_cast<__u8>(i);
    input.allowed.push_back({address, 128});
  }
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(100'000U, flatten(input).hosts.size());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace mailweir
