// SPDX-License-Identifier: GPL-2.0-or-later
// `ptr` where nobody is asked: usage, and what `ptr zone` prints and writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "fake_api.h"

namespace mailweir {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

namespace fs = std::filesystem;

class PtrCliTest : public CliTest {
 protected:
  PtrCliTest() {
    std::ofstream(config_) << "interfaces.inside = [\"eth1\"]\nnetworks.inside = "
                              "[\"172.16.0.0/12\"]\nallow.files = []\n[pool]\nnetworks = "
                              "[\"198.51.100.0/29\"]\ndomain = \"example.net\"\nname_servers = "
                              "[\"ns1.example.net=192.0.2.53\", \"ns2.example.net=192.0.2.54\"]\n"
                              "delegated = [\"198.51.100.0/24\"]\n";
    fs::remove_all(out_);
  }
  Ran zone(std::vector<std::string> more) {
    more.insert(more.begin(), {"ptr", "zone"});
    return run(more);
  }
  static std::string content(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  /// As if it had been written then.
  void set_serial(const std::string& serial) {
    const std::string text = content(file_);
    const auto at = text.find("\t; serial");
    const auto start = text.rfind('\t', at - 1) + 1;
    std::ofstream(file_) << text.substr(0, start) << serial << text.substr(at);
  }

  std::string out_ = dir_.file("zones");
  std::string file_ = out_ + "/100.51.198.in-addr.arpa.zone";
};

TEST_F(PtrCliTest, AddressesThatCannotBeMeantAreUsageErrors) {
  for (const auto range : {"198.51.100.0/33", "2001:db8::/64", "10.0.0.0/15", "nonsense", "7-9"}) {
    const Ran ran = run({"ptr", "check", range});
    EXPECT_EQ(2, ran.exit_code) << range;
    EXPECT_EQ("", ran.out);
    EXPECT_THAT(ran.err, StartsWith("mailweir: "));
  }
  EXPECT_EQ(2, run({"ptr", "check", "-"}, "").exit_code);
  EXPECT_EQ(2, run({"ptr", "check", "--servers", "1.2.3.4:0"}).exit_code);
  EXPECT_EQ(2, zone({"--name-servers", "ns1.example.net,NS1.example.net."}).exit_code);
  EXPECT_EQ(2, zone({"--dry-run"}).exit_code) << "of what?";
}

TEST_F(PtrCliTest, WhatTheConfigurationLacksIsExitCode6) {
  EXPECT_EQ(6, zone({"198.51.100.0/23"}).exit_code) << "nat-{d} collides";
  EXPECT_EQ(6, zone({"--name-servers", "ns1.example.net=192.0.2.53"}).exit_code);
  EXPECT_EQ(0, zone({"198.51.100.0/24"}).exit_code);
}

TEST_F(PtrCliTest, AllPiecesArePrintedWithTheirNames) {
  const Ran ran = zone({});
  EXPECT_EQ(0, ran.exit_code) << ran.err;
  EXPECT_THAT(ran.out, StartsWith("; file 100.51.198.in-addr.arpa.zone\n"));
  EXPECT_THAT(ran.out, HasSubstr("\n7\tIN PTR\tnat-7.example.net.\n"));
  EXPECT_THAT(ran.out, HasSubstr("\n; file example.net.forward\n"));
  EXPECT_THAT(ran.out, HasSubstr("nat-7\tIN A\t198.51.100.7\n"));
  EXPECT_THAT(ran.out, HasSubstr("file \"/etc/bind/100.51.198.in-addr.arpa.zone\";"));
  EXPECT_THAT(ran.out, Not(HasSubstr("FILL-IN")));
  EXPECT_THAT(zone({"--ripe"}).out, HasSubstr("mnt-by:         FILL-IN"));
  const json body = json::parse(zone({"-o", "json"}).out);
  EXPECT_EQ(4U, body["files"].size());
}

TEST_F(PtrCliTest, AZoneThatDoesNotChangeKeepsItsSerial) {
  ASSERT_EQ(0, zone({"--out", out_}).exit_code);
  for (const std::string serial : {"2020010101", "3999999999"}) {
    set_serial(serial);
    const std::string before = content(file_);
    EXPECT_THAT(zone({"--out", out_}).out, HasSubstr("zone: unchanged, serial " + serial));
    EXPECT_EQ(before, content(file_));
  }
  EXPECT_THAT(zone({"--out", out_, "198.51.100.0/28"}).out,
              HasSubstr("zone: written, serial 4000000000"))
      << "from the future it still grows";
}

TEST_F(PtrCliTest, ItGoesOnFromAZoneWrittenByHand) {
  const std::string old = dir_.file("old");
  std::ofstream(old) << "@ IN SOA ns1.example.net. hostmaster.example.net. ( 3000000007 21600 3600 "
                        "3600000 3600 )\n IN NS ns1.example.net.\n IN NS ns2.example.net.\n"
                        "0 IN PTR nat-0.example.net.\n9 IN PTR gone.example.net.\n";
  const Ran shown = zone({"--diff", old});
  EXPECT_EQ(1, shown.exit_code) << shown.err;
  EXPECT_THAT(shown.out, StartsWith("+ 1.100.51.198.in-addr.arpa. PTR nat-1.example.net.\n"));
  EXPECT_THAT(shown.out, HasSubstr("- 9.100.51.198.in-addr.arpa. PTR gone.example.net.\n"));
  EXPECT_FALSE(fs::exists(out_));
  for (int turn = 0; turn < 2; ++turn) {
    EXPECT_EQ(0, zone({"--diff", old, "--out", out_}).exit_code);
    EXPECT_THAT(content(file_), HasSubstr("\t3000000008\t; serial")) << turn;
  }
  const Ran same = zone({"--diff", file_});
  EXPECT_EQ(0, same.exit_code);
  EXPECT_EQ("", same.out);
}

TEST_F(PtrCliTest, WhatSomebodyElseWroteStaysAndNothingElseIsWritten) {
  fs::create_directory(out_);
  std::ofstream(out_ + "/named.conf.primary") << "// mine\n";
  const Ran ran = zone({"--out", out_});
  EXPECT_EQ(1, ran.exit_code);
  EXPECT_THAT(ran.err, HasSubstr("named.conf.primary was not written by mailweir"));
  EXPECT_EQ("// mine\n", content(out_ + "/named.conf.primary"));
  EXPECT_EQ(1, std::distance(fs::directory_iterator(out_), fs::directory_iterator{}));
}

}  // namespace
}  // namespace mailweir
