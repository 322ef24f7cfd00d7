// SPDX-License-Identifier: GPL-2.0-or-later
// The socket file and who may use it: stale files, second daemons, rights, a client without server.
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <fstream>
#include <sstream>

#include "control/listener.h"
#include "http_fixture.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

using SocketTest = HttpTest;

/// A socket file that nobody listens on, as after kill -9.
void leave_stale(const std::string& path) {
  const UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(0, ::bind(stale.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)));
}

TEST_F(SocketTest, TheSocketIsForItsOwnerAndGroupOnlyWhateverTheUmask) {
  for (const mode_t mask : {0000, 0077, 0022}) {
    const mode_t before = ::umask(mask);
    serve(echo);
    ::umask(before);
    struct stat made {};
    ASSERT_EQ(0, ::stat(socket_.c_str(), &made));
    EXPECT_EQ(0660U, made.st_mode & 07777);
    server_.reset();
  }
}

TEST_F(SocketTest, MakesTheDirectoryOfTheSocket) {
  socket_ = dir_.file("run/api.sock");
  serve(echo);
  EXPECT_TRUE(Client(socket_).get("/"));
}

TEST_F(SocketTest, ReplacesAStaleSocketButNothingElse) {
  leave_stale(socket_);
  serve(echo);
  EXPECT_TRUE(client_.get("/"));

  const std::string file = dir_.file("precious");
  std::ofstream(file) << "data";
  const auto refused = Server::listen({.socket = file}, echo);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("is not a socket: move it away"));
  EXPECT_EQ(4U, std::filesystem::file_size(file));
}

TEST_F(SocketTest, WhatAKilledDaemonLeftIsRemovedButNotFromUnderALivingOne) {
  auto removed = remove_stale_socket(socket_);
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_FALSE(*removed) << "there was nothing";

  leave_stale(socket_);
  std::ofstream(socket_ + ".lock") << "1\n";
  removed = remove_stale_socket(socket_);
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_TRUE(*removed);
  EXPECT_FALSE(std::filesystem::exists(socket_));
  EXPECT_FALSE(std::filesystem::exists(socket_ + ".lock"));

  serve(echo);
  removed = remove_stale_socket(socket_);
  ASSERT_FALSE(removed);
  EXPECT_EQ(EADDRINUSE, removed.error().code);
  EXPECT_TRUE(client_.get("/"));
}

TEST_F(SocketTest, ASecondDaemonIsToldThePidOfTheFirst) {
  serve(echo);
  const std::string pid = "(pid " + std::to_string(::getpid()) + ")";
  const auto by_lock = Server::listen({.socket = socket_}, echo);
  ASSERT_FALSE(by_lock);
  EXPECT_EQ(EADDRINUSE, by_lock.error().code);
  EXPECT_THAT(by_lock.error().message, HasSubstr(pid));

  std::filesystem::remove(socket_ + ".lock");
  const auto by_socket = Server::listen({.socket = socket_}, echo);
  ASSERT_FALSE(by_socket) << "somebody removed the lock file, but the socket answers";
  EXPECT_THAT(by_socket.error().message, HasSubstr(pid));
  EXPECT_TRUE(client_.get("/")) << "the first keeps its socket";
}

TEST_F(SocketTest, OfManyDaemonsStartedAtOnceExactlyOneWinsAndTheOthersNameIt) {
  int start[2];
  int results[2];
  int finish[2];
  ASSERT_EQ(0, ::pipe(start) | ::pipe(results) | ::pipe(finish));
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(start[1]);
      ::close(finish[1]);
      char byte = 0;
      [[maybe_unused]] auto got = ::read(start[0], &byte, 1);
      auto server = Server::listen({.socket = socket_}, echo);
      const std::string line =
          server ? "won " + std::to_string(::getpid()) + "\n" : server.error().message + "\n";
      [[maybe_unused]] auto put = ::write(results[1], line.data(), line.size());
      got = ::read(finish[0], &byte, 1);  // keep it until all have tried
      ::_exit(0);
    }
    children.push_back(child);
  }
  ::close(results[1]);
  ::close(start[1]);
  const auto lines_of = [](int fd, int count) {
    std::string text;
    char byte = 0;
    while (count > 0 && ::read(fd, &byte, 1) == 1) {
      text += byte;
      if (byte == '\n') --count;
    }
    return text;
  };
  std::istringstream lines(lines_of(results[0], 8));
  ::close(finish[1]);
  std::string winner;
  std::vector<std::string> losers;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("won ")) {
      EXPECT_EQ("", winner);
      winner = line.substr(4);
    } else {
      losers.push_back(line);
    }
  }
  EXPECT_THAT(losers, testing::SizeIs(7));
  EXPECT_THAT(losers, testing::Each(HasSubstr("(pid " + winner + ")")));
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);
  for (const int fd : {start[0], results[0], finish[0]}) ::close(fd);
}

TEST_F(SocketTest, APathThatIsTooLongIsNamedWithItsLimit) {
  const auto refused = Server::listen({.socket = dir_.file(std::string(120, 'x'))}, echo);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("a Unix socket's has 1 to 107"));
}

TEST_F(SocketTest, TheClientSaysWhyThereIsNoAnswer) {
  const auto missing = client_.get("/");
  ASSERT_FALSE(missing);
  EXPECT_EQ(ENOENT, missing.error().code);
  EXPECT_EQ("no daemon listens on " + socket_ +
                " (start it with: systemctl start mailweir, or mailweir run)",
            missing.error().message);

  serve([](const HttpRequest&) { return HttpAnswer{200, nullptr, 60s}; });
  const auto late = client_.get("/", 1s);
  ASSERT_FALSE(late);
  EXPECT_EQ(ETIMEDOUT, late.error().code);
}

TEST_F(SocketTest, TheClientDoesNotFollowAProxyOfTheEnvironment) {
  ::setenv("http_proxy", "http://192.0.2.1:3128", 1);
  serve(echo);
  EXPECT_TRUE(client_.get("/"));
  ::unsetenv("http_proxy");
}

/// Asks as another user in a child; the status of the answer, or minus the error's code.
int status_as(uid_t uid, gid_t gid, std::vector<gid_t> more, const std::string& socket, bool post) {
  int answer[2];
  if (::pipe(answer) != 0) return 0;
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 0;
    if (::setgroups(more.size(), more.data()) == 0 && ::setgid(gid) == 0 && ::setuid(uid) == 0) {
      const Client client(socket);
      const auto got = post ? client.post("/", nullptr) : client.get("/");
      status = got ? got->status : -got.error().code;
    }
    [[maybe_unused]] const auto put = ::write(answer[1], &status, sizeof(status));
    ::_exit(0);
  }
  int status = 0;
  [[maybe_unused]] const auto got = ::read(answer[0], &status, sizeof(status));
  ::waitpid(child, nullptr, 0);
  ::close(answer[0]);
  ::close(answer[1]);
  return status;
}

TEST_F(SocketTest, OnlyRootAndMembersOfTheGroupMayChangeAnything) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to ask as somebody else";
  const group* entry = ::getgrnam("daemon");
  ASSERT_NE(nullptr, entry);
  const gid_t members = entry->gr_gid;
  serve(echo, {.socket = socket_, .group = "daemon"});
  std::filesystem::permissions(
      dir_.file(""), std::filesystem::perms::others_exec | std::filesystem::perms::owner_all);
  EXPECT_EQ(200, status_as(0, 0, {}, socket_, true));
  EXPECT_EQ(200, status_as(65534, members, {}, socket_, true)) << "as the first group";
  EXPECT_EQ(200, status_as(65534, 65534, {65533, members}, socket_, true)) << "as another group";
  EXPECT_EQ(-EACCES, status_as(65534, 65534, {65533}, socket_, true));
  EXPECT_EQ(-EACCES, status_as(65534, 65534, {65533}, socket_, false));

  // Where an admin has opened the socket to all, everybody reads and still nobody changes.
  ASSERT_EQ(0, ::chmod(socket_.c_str(), 0666));
  EXPECT_EQ(200, status_as(65534, 65534, {}, socket_, false));
  EXPECT_EQ(403, status_as(65534, 65534, {}, socket_, true));
}

}  // namespace
}  // namespace mailweir
