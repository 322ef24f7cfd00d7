// SPDX-License-Identifier: GPL-2.0-or-later
// The mirror when iptables is missing, hangs or talks nonsense: stand-ins first in PATH, no root.
#include <gmock/gmock.h>

#include <fstream>

#include "iptables_fixture.h"

namespace mailweir {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr IptablesOptions kShort{std::chrono::seconds(1), std::chrono::seconds(1)};

class IptablesStubTest : public testing::Test {
 protected:
  IptablesStubTest() : path_("PATH", bin_.path().string() + ":/usr/bin:/bin") {
    for (const char* tool : {"iptables", "iptables-restore", "ip6tables", "ip6tables-restore"})
      stub(tool, "exit 0");
  }
  /// A command that names its version, and for all else does this.
  void stub(const std::string& tool, const std::string& script) {
    const std::filesystem::path file = bin_.path() / tool;
    std::ofstream(file)
        << "#!/bin/sh\n"
           "[ \"$1\" = --version ] && echo \"iptables v1.8.9 (nf_tables)\" && exit\n"
        << script << "\n";
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  }
  void uninstall(const std::string& tool) { std::filesystem::remove(bin_.path() / tool); }
  [[nodiscard]] static Iptables open(IptablesOptions options = {}) {
    return *Iptables::open(options);
  }
  [[nodiscard]] static std::string error_of(const Result<>& result) {
    return result ? "" : result.error().message;
  }
  /// Processes of a group; one that is dead but not reaped by init yet is not living.
  [[nodiscard]] static std::string living_in(pid_t group) {
    return shell("cat /proc/[0-9]*/stat 2>/dev/null | awk '$5 == " + std::to_string(group) +
                 " && $3 != \"Z\" {print $2}'");
  }
  [[nodiscard]] const std::filesystem::path& dir() const { return bin_.path(); }

  const MirrorTable table_{{25}, {}, {rule_for("172.16.7.70")}};

 private:
  TempDir bin_;
  ScopedVariable path_;
};

TEST_F(IptablesStubTest, MissingCommandNamesThePackage) {
  for (const char* tool : {"iptables-restore", "iptables"}) {
    EXPECT_TRUE(Iptables::open());
    uninstall(tool);
    const auto iptables = Iptables::open();
    ASSERT_FALSE(iptables);
    EXPECT_EQ(iptables.error().code, ENOENT);
    EXPECT_EQ(iptables.error().message,
              std::string("find ") + tool +
                  " in PATH: install the package iptables, or set [mirror] backend = \"none\"");
    stub(tool, "exit 0");
  }
}

TEST_F(IptablesStubTest, NonsenseInsteadOfAVersionIsRefused) {
  std::ofstream(dir() / "iptables") << "#!/bin/sh\nprintf 'gar\\033[31mbage\\377\\n'\n";
  const auto iptables = Iptables::open();
  ASSERT_FALSE(iptables);
  EXPECT_EQ(iptables.error().message,
            "iptables --version printed gar?[31mbage?: no iptables that mailweir knows");
}

TEST_F(IptablesStubTest, HungCommandIsKilledAtTheTimeOutAndLeavesNoProcess) {
  const Iptables iptables = open(kShort);
  EXPECT_NE(living_in(::getpgrp()), "") << "we are";
  for (const char* tool : {"iptables", "iptables-restore"}) {
    stub(tool, "echo $$ >" + (dir() / "pid").string() + "; sleep 3600");
    const auto start = std::chrono::steady_clock::now();
    const auto done = iptables.write(table_);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ETIMEDOUT);
    EXPECT_THAT(done.error().message,
                AllOf(HasSubstr(std::string(tool) + " "), HasSubstr("no end after 1 s; killed")));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));

    pid_t group = 0;
    std::ifstream(dir() / "pid") >> group;
    ASSERT_GT(group, 0);
    EXPECT_EQ(living_in(group), "");
    stub(tool, "exit 0");
  }
  EXPECT_EQ(error_of(iptables.write(table_)), "") << "and works when the command does";
}

TEST_F(IptablesStubTest, ErrorCarriesTheLastLineThatSaysSomethingMadePrintable) {
  const struct {
    const char* script;
    const char* said;
  } cases[] = {
      {"printf 'first\\ncause\\n' >&2; exit 1", "exited with 1: cause"},
      {"printf 'cause\\nTry `iptables -h'\"'\"' for more.\\n' >&2; exit 2", "exited with 2: cause"},
      {"printf 'cause\\nPerhaps iptables needs to be upgraded.\\n' >&2; exit 3", "with 3: cause"},
      {"printf '\\033[2J\\377\\001\\t|\\n\\n' >&2; exit 1", "exited with 1: ?[2J???|"},
      {"printf 'to stdout\\n'; exit 1", "exited with 1: (nothing)"},
      {"exit 1", "exited with 1: (nothing)"},
      {"kill -9 $$", "ended by signal 9"},
  };
  for (const auto& c : cases) {
    stub("iptables-restore", c.script);
    const std::string message = error_of(open().write(table_));
    EXPECT_THAT(message, HasSubstr("iptables-restore --noflush --counters -w 3")) << c.script;
    EXPECT_THAT(message, HasSubstr(c.said)) << c.script;
    EXPECT_THAT(message, Not(HasSubstr("\n"))) << c.script;
  }
  stub("iptables-restore", "head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1");
  EXPECT_LT(error_of(open().write(table_)).size(), 400U) << "and shortened";
}

TEST_F(IptablesStubTest, HeldLockIsKnownByItsExitCodeAndWords) {
  const std::string words = "Another app is currently holding the xtables lock. Stopped waiting.";
  for (const char* tool : {"iptables", "iptables-restore"}) {
    stub(tool, "echo '" + words + "' >&2; exit 4");
    const auto done = open().write(table_);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, EAGAIN);
    EXPECT_EQ(done.error().message,
              "xtables lock held by somebody else for 3s; trying again at the next refresh");
    stub(tool, "echo 'Permission denied (you must be root)' >&2; exit 4");
    EXPECT_THAT(error_of(open().write(table_)),
                HasSubstr("4: Permission denied (you must be root)"));
    stub(tool, "exit 0");
  }
}

TEST_F(IptablesStubTest, KernelWithoutIpv6FailsOnlyATableThatNeedsIt) {
  for (const char* words :
       {"can't initialize ip6tables table `filter': Table does not exist (do you need to insmod?)",
        "can't initialize ip6tables table `filter': Address family not supported by protocol",
        "can't initialize ip6tables table `filter': iptables who? (do you need to insmod?)"}) {
    stub("ip6tables", std::string("cat >&2 <<'END'\n") + words + "\nEND\nexit 3");
    const Iptables iptables = open();
    EXPECT_EQ(error_of(iptables.write(table_)), "") << words;
    EXPECT_EQ(error_of(iptables.remove()), "") << words;
    const auto found = iptables.read(true);
    ASSERT_TRUE(found) << words;
    EXPECT_FALSE(found->available) << words;
    EXPECT_TRUE(iptables.read(false)->available);

    MirrorTable both = table_;
    both.rules.push_back(rule_for("2001:db8::/64"));
    EXPECT_THAT(
        error_of(iptables.write(both)),
        HasSubstr("IPv6 rules are not mirrored: ip6tables: not on this kernel: can't init"));
  }
  stub("ip6tables", "echo 'something else' >&2; exit 3");
  EXPECT_THAT(error_of(open().write(table_)), HasSubstr("exited with 3: something else"))
      << "any other failure counts";
  stub("iptables", "echo 'Table does not exist' >&2; exit 3");
  EXPECT_THAT(error_of(open().write(table_)), HasSubstr("iptables: not on this kernel"))
      << "and IPv4 is never optional";
}

TEST_F(IptablesStubTest, NonsenseFromListingsIsNoRule) {
  stub("iptables", "head -c 100000 /dev/urandom; printf '\\n-A MAILWEIR \"\\n-A FORWARD\\n'");
  const auto found = open().read(false);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->rules.empty());
  EXPECT_EQ(found->jumps, 0U);
}

}  // namespace
}  // namespace mailweir
