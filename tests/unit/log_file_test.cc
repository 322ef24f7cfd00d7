// SPDX-License-Identifier: GPL-2.0-or-later
// The file of the SYN log: appended to, moved aside, bounded; and others who move it.
#include "daemon/log_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "base/time_text.h"
#include "recorded_files.h"

namespace mailweir {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

class LogFileTest : public testing::Test {
 protected:
  std::string path() const { return files_.path("log/smtp.log"); }
  static std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::vector<std::string> aside() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(files_.path("log")))
      if (entry.path() != path()) found.push_back(entry.path().filename().string());
    std::ranges::sort(found);
    return found;
  }
  /// As if it had been written to last then.
  static void age(const std::string& path, WallTime time) {
    const timespec stamp{std::chrono::system_clock::to_time_t(time), 0};
    const timespec both[] = {stamp, stamp};
    ::utimensat(AT_FDCWD, path.c_str(), both, 0);
  }

  RecordedFiles files_;
  const LocalZone zone_{"UTC0"};
  const WallTime now_ = kRecorded;
};

TEST_F(LogFileTest, AppendsAndMakesItsFolder) {
  LogFile file(path(), {7 * 24h, 1 << 20});
  ASSERT_TRUE(file.write("one\n", now_));
  ASSERT_TRUE(LogFile(path(), {7 * 24h, 1 << 20}).write("two\n", now_));
  EXPECT_EQ(text_of(path()), "one\ntwo\n");
  struct stat status {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777 & ~0640U, 0U) << "nobody else may read who mailed whom";
}

TEST_F(LogFileTest, AFolderThatIsMissingAltogetherIsAClearError) {
  LogFile file(files_.path("no/such/smtp.log"), {7 * 24h, 1 << 20});
  const auto opened = file.open(now_);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("no/such/smtp.log"));
  EXPECT_FALSE(LogFile(files_.path(""), {7 * 24h, 1 << 20}).open(now_)) << "a folder";
}

TEST_F(LogFileTest, APipeOrALinkIsRefusedAtOnce) {
  ASSERT_EQ(::mkfifo(files_.path("pipe").c_str(), 0600), 0);
  const auto pipe = LogFile(files_.path("pipe"), {7 * 24h, 1 << 20}).open(now_);
  ASSERT_FALSE(pipe);
  EXPECT_THAT(pipe.error().message, HasSubstr("no regular file"));
  fs::create_symlink("elsewhere", files_.path("link"));
  const auto link = LogFile(files_.path("link"), {7 * 24h, 1 << 20}).open(now_);
  ASSERT_FALSE(link);
  EXPECT_THAT(link.error().message, HasSubstr("symbolic link"));
}

TEST_F(LogFileTest, IsMovedAsideInTheNight) {
  LogFile file(path(), {7 * 24h, 1 << 20});
  ASSERT_TRUE(file.write("one\n", now_));
  ASSERT_TRUE(file.write("two\n", now_ + 11h));
  EXPECT_TRUE(aside().empty());
  ASSERT_TRUE(file.write("three\n", now_ + 12h));
  ASSERT_EQ(aside().size(), 1U);
  EXPECT_EQ(aside()[0], "smtp.log-20261125-020308");
  EXPECT_EQ(text_of(files_.path("log/" + aside()[0])), "one\ntwo\n");
  EXPECT_EQ(text_of(path()), "three\n");
}

TEST_F(LogFileTest, YesterdaysIsMovedAsideAlsoAfterAStart) {
  ASSERT_TRUE(LogFile(path(), {7 * 24h, 1 << 20}).write("one\n", now_));
  age(path(), now_ - 24h);
  ASSERT_TRUE(LogFile(path(), {7 * 24h, 1 << 20}).write("two\n", now_));
  EXPECT_EQ(text_of(path()), "two\n");
  EXPECT_EQ(aside().size(), 1U);
}

TEST_F(LogFileTest, NeverTakesMoreThanItMay) {
  LogFile file(path(), {7 * 24h, 80'000});
  const std::string line(999, 'x');
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(file.write(line + "\n", now_ + i * 1s));
  std::uint64_t sum = fs::file_size(path());
  for (const std::string& name : aside()) sum += fs::file_size(files_.path("log/" + name));
  EXPECT_LE(sum, 80'000U);
  EXPECT_GE(sum, 60'000U);
}

TEST_F(LogFileTest, WhatIsTooOldGoesAndWhatIsNotOursStays) {
  LogFile file(path(), {7 * 24h, 1 << 20});
  ASSERT_TRUE(file.write("one\n", now_));
  const std::string old = files_.write("log/smtp.log-20261116-000000", "old\n");
  const std::string young = files_.write("log/smtp.log-20261119-000000", "young\n");
  const std::string theirs = files_.write("log/smtp.log.1", "logrotate's\n");
  const std::string other = files_.write("log/smtp.log-notes", "a person's\n");
  const std::string by_date = files_.write("log/smtp.log-20240101-1704067200", "logrotate's\n");
  for (const std::string& each : {old, theirs, other, by_date}) age(each, now_ - 8 * 24h);
  age(young, now_ - 6 * 24h);
  ASSERT_TRUE(file.look(now_));
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(young));
  EXPECT_TRUE(fs::exists(theirs));
  EXPECT_TRUE(fs::exists(other));
  EXPECT_TRUE(fs::exists(by_date));
}

TEST_F(LogFileTest, GoesOnInANewFileWhenSomebodyMovedIt) {
  LogFile file(path(), {7 * 24h, 1 << 20});
  ASSERT_TRUE(file.write("one\n", now_));
  fs::rename(path(), path() + ".1");
  ASSERT_TRUE(file.write("two\n", now_));
  EXPECT_EQ(text_of(path() + ".1"), "one\ntwo\n") << "nobody has told it yet";
  ASSERT_TRUE(file.reopen(now_));
  ASSERT_TRUE(file.write("three\n", now_));
  EXPECT_EQ(text_of(path()), "three\n");
  fs::remove(path());
  ASSERT_TRUE(file.look(now_));
  ASSERT_TRUE(file.write("four\n", now_));
  EXPECT_EQ(text_of(path()), "four\n") << "it was seen by looking";
}

}  // namespace
}  // namespace mailweir
