// SPDX-License-Identifier: GPL-2.0-or-later
// The files themselves: missing, unreadable, too large, not TOML; and the list files of [allow].
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "config_files.h"

namespace mailweir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Root reads everything, so a test of what cannot be read steps down meanwhile.
class AsNobody {
 public:
  AsNobody() {
    if (::geteuid() == 0) stepped_down_ = ::seteuid(65534) == 0;
  }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;
  ~AsNobody() {
    if (stepped_down_ && ::seteuid(0) != 0) ADD_FAILURE() << "cannot become root again";
  }

 private:
  bool stepped_down_ = false;
};

class ConfigSources : public ::testing::Test {
 protected:
  ConfigSources() { ::chmod(files_.path("").c_str(), 0755); }

  [[nodiscard]] std::vector<std::string> lines() const { return files_.lines(files_.load()); }

  /// A usable file that names these list files, each in quotes.
  void name_lists(std::string_view patterns) const {
    files_.write("mailweir.toml",
                 "interfaces.inside = [\"eth1\"]\n"
                 "networks.inside = [\"172.16.0.0/12\"]\n"
                 "allow.files = [" +
                     std::string(patterns) + "]\n");
  }
  [[nodiscard]] std::string in_quotes(std::string_view name) const {
    return "\"" + files_.path(name) + "\"";
  }

  ConfigFiles files_;
};

TEST_F(ConfigSources, AMissingFileIsNamedWithWhatToDo) {
  EXPECT_THAT(lines(), ElementsAre("mailweir.toml: error: does not exist: create it (it needs "
                                   "[interfaces] inside and [networks] inside at least), or name "
                                   "another one with --config FILE"));
}

TEST_F(ConfigSources, AFileOfOneMebibyteIsReadAndALargerOneRefused) {
  std::string text(kRequired);
  text += "#" + std::string((1 << 20) - text.size() - 1, 'x');
  files_.write("mailweir.toml", text);
  EXPECT_THAT(lines(), IsEmpty());

  files_.write("mailweir.toml", text + "x");
  EXPECT_THAT(lines(), ElementsAre("mailweir.toml: error: is larger than 1 MiB (1048577 bytes): is "
                                   "it the right file?"));
  files_.write("mailweir.toml", std::string(10'000'000, 'x'));
  EXPECT_THAT(lines(), ElementsAre("mailweir.toml: error: is larger than 1 MiB (10000000 bytes): "
                                   "is it the right file?"));
}

TEST_F(ConfigSources, WhatIsNoTextIsRefusedInOneLine) {
  files_.write("mailweir.toml", std::string("\x7f"
                                            "ELF\0\0\0",
                                            7));
  EXPECT_THAT(lines(), ElementsAre("mailweir.toml: error: is a binary file (it has NUL bytes), not "
                                   "UTF-8 text"));
  files_.write("mailweir.toml", std::string(kRequired) + "node = \"\xff\"");
  EXPECT_THAT(lines(), ElementsAre(HasSubstr("mailweir.toml:4:8: error: syntax error: Encountered "
                                             "invalid utf-8")));
  files_.write("mailweir.toml", "\xef\xbb\xbf" + std::string(kRequired));
  EXPECT_THAT(lines(), IsEmpty()) << "a byte order mark is no harm";
}

TEST_F(ConfigSources, WhatIsNoFileIsRefusedWithoutWaiting) {
  std::filesystem::create_directory(files_.main_file());
  EXPECT_THAT(lines(), ElementsAre("mailweir.toml: error: is not a regular file"));
  std::filesystem::remove(files_.main_file());
  ASSERT_EQ(::mkfifo(files_.main_file().c_str(), 0600), 0);
  EXPECT_THAT(lines(), ElementsAre("mailweir.toml: error: is not a regular file"));
}

TEST_F(ConfigSources, AFileThatMayNotBeReadSaysWhy) {
  files_.write("mailweir.toml", kRequired);
  ::chmod(files_.main_file().c_str(), 0);
  {
    const AsNobody nobody;
    EXPECT_THAT(lines(), ElementsAre("mailweir.toml: error: cannot be read: Permission denied"));
  }
  ::chmod(files_.main_file().c_str(), 0444);
  const AsNobody nobody;
  EXPECT_THAT(lines(), IsEmpty());
}

TEST_F(ConfigSources, ADirectoryThatMayNotBeReadCouldHideOverrides) {
  files_.write("mailweir.toml", kRequired);
  files_.write("conf.d/a.toml", "mode = \"block\"");
  ::chmod(files_.path("conf.d").c_str(), 0);
  {
    const AsNobody nobody;
    EXPECT_THAT(lines(), ElementsAre("conf.d: error: cannot be read: Permission denied"));
  }
  ::chmod(files_.path("conf.d").c_str(), 0755);
}

TEST_F(ConfigSources, ASyntaxErrorIsOneLineWithItsPlace) {
  const std::pair<std::string_view, std::string_view> wrong[] = {
      {"mode = \n", "4:8: error: syntax error in key-value pair: expected value, saw '\\n'"},
      {"mode = \"observe\n", "4:16: error: syntax error in string: "},
      {"[limit\n", "4:7: error: syntax error in table header: "},
      {"mode = \"block\"\nmode = \"block\"\n",
       "5:8: error: syntax error in key-value pair: cannot "
       "redefine existing string 'mode'"},
      {"limit.burst = 99999999999999999999\n",
       "error: syntax error in decimal integer: "
       "'99999999999999999999' is not representable"},
  };
  for (const auto& [text, problem] : wrong)
    EXPECT_THAT(files_.lines(files_.load(std::string(kRequired) + std::string(text))),
                ElementsAre(HasSubstr(problem)));
}

TEST_F(ConfigSources, AKeyNestedSoDeeplyThatTheParserWouldCrashIsRefused) {
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "a.";
  const std::string text(kRequired);
  for (const std::string& hidden :
       {deep + "a = 1\n", "[" + deep + "a]\n", "x = \"\"\"\n\"\"\"\n" + deep + "a = 1\n",
        "x = ['''\n'''\n, {" + deep + "a = 1}]\n", "x = \"\\\"\"\n" + deep + "a = 1\n"})
    EXPECT_THAT(files_.lines(files_.load(text + hidden)),
                ElementsAre(HasSubstr("more than 16 dots outside quotes")));

  const std::string networks =
      "allow.networks = [ # 1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20\n"
      "'172.16.0.1', '172.16.0.2', '172.16.0.3', '172.16.0.4', '172.16.0.5', '172.16.0.6']\n";
  EXPECT_THAT(files_.lines(files_.load(text + networks)), IsEmpty());
}

TEST_F(ConfigSources, ListFilesSayWhereEachEntryWasWritten) {
  files_.write("allow.d/b.list", "172.16.0.25\n");
  files_.write("allow.d/a.list",
               "# our own\n\n  172.16.1.0/24\t# office\r\n2001:db8:1:2::5\n172.16.2.2");
  files_.write("allow.d/a.list~", "nonsense\n");
  name_lists(in_quotes("allow.d/*.list"));

  const Loaded loaded = files_.load();
  EXPECT_THAT(files_.lines(loaded), IsEmpty());
  std::vector<std::string> entries;
  for (const AllowEntry& entry : loaded.config.allow.networks) {
    EXPECT_TRUE(entry.from_list);
    entries.push_back(to_string(entry.prefix) + " " +
                      std::filesystem::path(entry.origin).filename().string());
  }
  EXPECT_THAT(entries, ElementsAre("172.16.1.0/24 a.list:3", "2001:db8:1:2::5 a.list:4",
                                   "172.16.2.2 a.list:5", "172.16.0.25 b.list:1"));

  const Loaded again = files_.load(to_toml(loaded.config));
  EXPECT_THAT(files_.lines(again), IsEmpty());
  EXPECT_THAT(again.config.allow.networks, SizeIs(4)) << "read from the lists again, not doubled";
}

TEST_F(ConfigSources, ABadLineInAListFileIsAnErrorWithItsPlace) {
  files_.write("a.list",
               "172.16.0.25\n172.16.0.0/33\n 172.16.0.26 mail\n172.16.0.27 # mail\n::/0\n");
  name_lists(in_quotes("a.list"));
  EXPECT_THAT(lines(),
              ElementsAre("a.list:2:1: error: '172.16.0.0/33': the prefix length must be 0 to 32",
                          "a.list:3:2: error: '172.16.0.26 mail': one address or prefix a line; a "
                          "comment starts with #",
                          HasSubstr("a.list:5:1: error: '::/0' also covers all of IPv4")));
}

TEST_F(ConfigSources, AListFullOfNonsenseDoesNotBuryTheRest) {
  std::string nonsense;
  for (int i = 0; i < 1000; ++i) nonsense += "nonsense\n";
  files_.write("a.list", nonsense);
  name_lists(in_quotes("a.list"));
  const auto all = lines();
  ASSERT_THAT(all, SizeIs(101));
  EXPECT_EQ(all.back(), "a.list: error: and 900 more");
}

TEST_F(ConfigSources, AnEntryInTwoListsIsPointedOutAndAllowedOnce) {
  files_.write("a.list", "172.16.0.25\n");
  files_.write("b.list", "\n172.16.0.25\n");
  name_lists(in_quotes("a.list") + ", " + in_quotes("b.list") + ", " + in_quotes("*.list"));
  const Loaded loaded = files_.load();
  EXPECT_THAT(files_.lines(loaded),
              ElementsAre("b.list:2:1: warning: 172.16.0.25 is allowed already by a.list:1"));
  EXPECT_TRUE(loaded.usable());
  EXPECT_THAT(loaded.config.allow.networks, SizeIs(1));
}

TEST_F(ConfigSources, OnlyAListThatIsNamedInFullMustExist) {
  name_lists(in_quotes("nosuch/*.list"));
  EXPECT_THAT(lines(), IsEmpty());
  name_lists(in_quotes("nosuch.list"));
  EXPECT_THAT(lines(), ElementsAre("mailweir.toml:3:16: error: [allow] files: 'nosuch.list' does "
                                   "not exist"));
  name_lists("\"allow.d/*.list\"");
  EXPECT_THAT(lines(), ElementsAre("mailweir.toml:3:16: error: [allow] files: 'allow.d/*.list' "
                                   "must be an absolute path (starting with /)"));
}

TEST_F(ConfigSources, AListDirectoryThatMayNotBeReadCouldHideAllowedSources) {
  files_.write("allow.d/a.list", "172.16.0.25\n");
  name_lists(in_quotes("allow.d/*.list"));
  ::chmod(files_.path("allow.d").c_str(), 0);
  {
    const AsNobody nobody;
    EXPECT_THAT(lines(), ElementsAre("mailweir.toml:3:16: error: [allow] files: look for "
                                     "'allow.d/*.list': Permission denied"));
  }
  ::chmod(files_.path("allow.d").c_str(), 0755);
  EXPECT_THAT(lines(), IsEmpty());
}

}  // namespace
}  // namespace mailweir
