// SPDX-License-Identifier: GPL-2.0-or-later
// Interfaces, client networks and groups that cannot be, each with neighbours that can.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config_files.h"

namespace mailweir {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ConfigNetworks : public ConfigRefusalTest {};

TEST_F(ConfigNetworks, InterfacesThatCannotBe) {
  const std::pair<std::string_view, std::string_view> wrong[] = {
      {"\"eth1\", \"eth1\"",
       "28: error: [interfaces] inside: \"eth1\" is listed twice (first in line 1)"},
      {"\"a234567890123456\"",
       "20: error: [interfaces] inside: 'a234567890123456' is no interface "
       "name: it must have 1 to 15 characters"},
      {"\"\"",
       "20: error: [interfaces] inside: '' is no interface name: it must have 1 to 15 "
       "characters"},
      {"\"eth 1\"",
       "20: error: [interfaces] inside: 'eth 1' is no interface name: it must not have "
       "'/' or spaces"},
      {"\"net/eth1\"",
       "20: error: [interfaces] inside: 'net/eth1' is no interface name: it must "
       "not have '/' or spaces"},
      {"\"eth0:1\"",
       "20: error: [interfaces] inside: 'eth0:1' is an address label, not an "
       "interface (did you mean 'eth0'?)"},
      {"",
       "19: error: [interfaces] inside is required: the interfaces that clients come in by, "
       "such as inside = [\"eth1\"]"},
  };
  const auto with = [this](std::string_view inside) {
    return files_.lines(files_.load("interfaces.inside=[" + std::string(inside) +
                                    "]\nnetworks.inside = [\"172.16.0.0/12\"]\nallow.files = []"));
  };
  for (const auto& [inside, problem] : wrong)
    EXPECT_THAT(with(inside), ElementsAre("mailweir.toml:1:" + std::string(problem)));
  for (const auto inside :
       {"\"a23456789012345\"", "\"eth1\", \"ppp*\"", "\"eth[[:digit:]]\"", "\"br-lan.7\""})
    EXPECT_THAT(with(inside), IsEmpty()) << inside;
}

TEST_F(ConfigNetworks, ClientNetworksThatCannotBe) {
  const std::pair<std::string_view, std::string_view> wrong[] = {
      {"\"172.16.0.0/33\"", "'172.16.0.0/33': the prefix length must be 0 to 32"},
      {"\"2001:db8::/129\"", "'2001:db8::/129': the prefix length must be 0 to 128"},
      {"\"172.16.5.0/12\"", "'172.16.5.0/12' has host bits set (did you mean '172.16.0.0/12'?)"},
      {"\"172.16.0/12\"", "'172.16.0/12' is not an address or a prefix such as 172.16.0.0/12"},
      {"\"::/0\"",
       "'::/0' also covers all of IPv4: write 2000::/3 for the IPv6 internet, 0.0.0.0/0 "
       "for IPv4"},
      {"\"2001:db8::/65\"",
       "2001:db8::/65 is longer than ipv6_prefix = 64, by which clients are "
       "told apart"},
  };
  const auto with = [this](std::string_view inside) {
    return files_.lines(files_.load("networks.inside = [" + std::string(inside) +
                                    "]\ninterfaces.inside = [\"eth1\"]\nallow.files = []"));
  };
  for (const auto& [inside, problem] : wrong)
    EXPECT_THAT(with(inside), ElementsAre("mailweir.toml:1:20: error: [networks] inside: " +
                                          std::string(problem)));
  EXPECT_THAT(
      with("\"198.18.0.0/15\", \"172.16.0.0/12\", \"198.18.0.0/15\""),
      ElementsAre("mailweir.toml:1:54: error: [networks] inside: \"198.18.0.0/15\" is listed "
                  "twice (first in line 1)"));
  for (const auto inside : {"\"172.16.0.0/12\", \"172.16.0.0/16\"", "\"172.16.0.25\"",
                            "\"2001:db8::/64\"", "\"2000::/3\"", "\"0.0.0.0/0\""})
    EXPECT_THAT(with(inside), IsEmpty()) << inside;
}

TEST_F(ConfigNetworks, GroupsThatContradictEachOther) {
  const auto group = [](std::string_view name, std::string_view networks) {
    return "[[group]]\nname = \"" + std::string(name) + "\"\nnetworks = [" + std::string(networks) +
           "]\n";
  };
  const std::string a = group("a", "\"172.16.0.0/28\"");
  const std::string same_name = a + group("a", "\"172.16.0.16/28\"");
  const std::string same_network = a + group("b", "\"172.16.0.0/28\"");
  const std::string other = a + group("b", "\"172.16.0.0/29\"");
  expect({
      {same_name, "8:8: error: [[group]] 'a' is defined twice (first in mailweir.toml:5)", other},
      {same_network, "9:13: error: [[group]] b: 172.16.0.0/28 is in group 'a' already", other},
      {"[[group]]\nnetworks = [\"172.16.0.0/28\"]",
       "4:1: error: [[group]] has no name: add name = \"...\"", a},
      {"[[group]]\nname = \"a\"", "4:1: error: [[group]] 'a' has no networks", a},
      {"[[group]]\nname = \"a b\"\nnetworks = [\"172.16.0.0/28\"]",
       "5:8: error: [[group]] name: 'a b' is no group name: 1 to 32 letters, digits, '.', '-' and "
       "'_'",
       a},
      {"[[group]]\nname = \"a\"\nnetworks = [\"172.32.0.0/28\"]",
       "6:13: warning: [[group]] a: 172.32.0.0/28 is outside [networks] inside, so it has no "
       "effect "
       "there",
       a},
  });

  std::string many;
  for (int i = 0; i < 255; ++i)
    many += group("g" + std::to_string(i), "\"172.16." + std::to_string(i) + ".0/24\"");
  EXPECT_THAT(lines_of(many), IsEmpty());
  many += group("last", "\"172.17.0.0/24\"");
  EXPECT_THAT(lines_of(many), ElementsAre("mailweir.toml:769:1: error: 256 groups: at most 255"));
}

TEST_F(ConfigNetworks, TwoGroupsWithinOneIpv6Client) {
  const std::string_view text =
      "networks.inside = [\"2001:db8::/32\"]\ninterfaces.inside = [\"eth1\"]\nallow.files = []\n"
      "[[group]]\nname = \"a\"\nnetworks = [\"2001:db8::1\"]\n"
      "[[group]]\nname = \"b\"\nnetworks = [\"2001:db8::2\"]\n";
  EXPECT_THAT(files_.lines(files_.load(text)),
              ElementsAre("mailweir.toml:9:13: error: [[group]] b: 2001:db8::/64 is in group 'a' "
                          "already"));
  EXPECT_THAT(files_.lines(files_.load("networks.ipv6_prefix = 128\n" + std::string(text))),
              IsEmpty());
}

}  // namespace
}  // namespace mailweir
