// SPDX-License-Identifier: GPL-2.0-or-later
#include "mirror/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

namespace mailweir {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr auto kEnough = 30s;

Result<CommandResult> shell(const std::string& script, std::string_view input = "",
                            std::chrono::milliseconds timeout = kEnough) {
  return run_command({"sh", "-c", script}, input, timeout);
}

/// Dead, though init may not have reaped it yet.
bool is_dead(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string number;
  std::string command;
  char state = 'X';
  stat >> number >> command >> state;
  return state == 'X' || state == 'Z';
}

/// A kill is asynchronous.
bool dies(pid_t pid) {
  const auto deadline = std::chrono::steady_clock::now() + kEnough;
  while (!is_dead(pid) && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  return is_dead(pid);
}

TEST(CommandTest, CapturesBothOutputsAndTheExitCode) {
  const auto result = shell("echo to stdout; echo to stderr >&2; exit 4");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->exit_code, 4);
  EXPECT_EQ(result->out, "to stdout\n");
  EXPECT_EQ(result->err, "to stderr\n");
}

TEST(CommandTest, PassesArgumentsWithoutAShell) {
  const auto result = run_command({"printf", "%s|", "$(id)", "a b", "\"", "*"}, "", kEnough);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->out, "$(id)|a b|\"|*|");
}

TEST(CommandTest, InputLargerThanAnyPipeArrivesWhole) {
  const std::string input(8 << 20, 'x');
  const auto result = run_command({"cat"}, input, kEnough);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->out, input);
  const auto unread = run_command({"true"}, input, kEnough);
  ASSERT_TRUE(unread) << "a command that does not read its input is no failure";
  EXPECT_EQ(unread->exit_code, 0);
}

TEST(CommandTest, LargeOutputOnBothStreamsDoesNotDeadlock) {
  const auto result = shell("head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->out.size(), 3000000U);
  EXPECT_EQ(result->err.size(), 3000000U);
}

TEST(CommandTest, SaysWhichCommandIsMissing) {
  const auto result = run_command({"mailweir-no-such-command"}, "", kEnough);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ENOENT);
  EXPECT_THAT(result.error().message, HasSubstr("mailweir-no-such-command: No such file"));
}

TEST(CommandTest, HungCommandIsKilledWithItsWholeGroup) {
  EXPECT_FALSE(is_dead(::getpid()));
  const auto before = std::chrono::steady_clock::now();
  // The command names its own child before it hangs: stdout is lost with the time-out, so by file.
  char name[] = "/tmp/mailweir-command-XXXXXX";
  const int file = ::mkstemp(name);
  ASSERT_GE(file, 0);
  const auto result = shell("sleep 3600 & echo $! >" + std::string(name) + "; wait", "", 300ms);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ETIMEDOUT);
  EXPECT_THAT(result.error().message, HasSubstr("no end after 0.3 s; killed"));
  EXPECT_LT(std::chrono::steady_clock::now() - before, kEnough);

  char text[32] = {};
  EXPECT_GT(::pread(file, text, sizeof(text) - 1, 0), 0);
  EXPECT_TRUE(dies(std::atoi(text))) << "its child was in the group";
  ::close(file);
  ::unlink(name);
}

TEST(CommandTest, ChildLeftBehindNeitherDelaysTheAnswerNorSurvives) {
  const auto result = shell("sleep 3600 & echo $!");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->exit_code, 0);
  EXPECT_TRUE(dies(std::atoi(result->out.c_str())));
}

TEST(CommandTest, EndlessOutputIsCutOff) {
  const auto result = run_command({"yes"}, "", kEnough);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, EOVERFLOW);
  EXPECT_THAT(result.error().message, HasSubstr("yes: printed more than 64 MiB"));
}

TEST(CommandTest, EndBySignalIsAnError) {
  const auto result = shell("kill -SEGV $$");
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("ended by signal 11"));
}

TEST(CommandTest, ChildSpeaksTheCLocaleOnceAndKeepsTheRest) {
  ::setenv("LC_ALL", "de_DE.UTF-8", 1);
  ::setenv("MAILWEIR_TEST", "kept", 1);
  const auto result = run_command({"env"}, "", kEnough);
  ::unsetenv("LC_ALL");
  ::unsetenv("MAILWEIR_TEST");
  ASSERT_TRUE(result);
  EXPECT_THAT(result->out, HasSubstr("LC_ALL=C\n"));
  EXPECT_EQ(result->out.find("de_DE"), std::string::npos);
  EXPECT_THAT(result->out, HasSubstr("MAILWEIR_TEST=kept\n"));
}

TEST(CommandTest, ChildInheritsNeitherSignalMaskNorIgnoredSignalsNorDescriptors) {
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  auto* const ignored = ::signal(SIGPIPE, SIG_IGN);
  const int inherited = ::dup(1);  // not close-on-exec
  const auto result = shell("awk '/^Sig(Blk|Ign)/ {print $2}' /proc/self/status; ls /proc/$$/fd");
  ::close(inherited);
  ::signal(SIGPIPE, ignored);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(result);
  std::istringstream lines(result->out);
  std::uint64_t mask = 0;
  std::uint64_t ignore = 0;
  lines >> std::hex >> mask >> ignore;
  EXPECT_EQ(mask, 0U);
  // Not all zero: glibc lets a child ignore two signals of its own.
  EXPECT_EQ(ignore & (1U << (SIGPIPE - 1)), 0U);
  std::string descriptors;
  for (std::string fd; lines >> fd;) descriptors += fd + " ";
  EXPECT_EQ(descriptors, "0 1 2 ");
}

}  // namespace
}  // namespace mailweir
