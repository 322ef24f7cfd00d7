// SPDX-License-Identifier: GPL-2.0-or-later
// For tests: a Server in a temporary directory, run by a thread as the daemon's loop would run it.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>

#include "base/unique_fd.h"
#include "control/server.h"

namespace mailweir {

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/mailweir-test-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

class ServerThread {
 public:
  explicit ServerThread(Server server) : server_(std::move(server)), thread_([this] { loop(); }) {}
  ServerThread(const ServerThread&) = delete;
  ServerThread& operator=(const ServerThread&) = delete;
  ~ServerThread() {
    stop_ = true;
    nudge();
    thread_.join();
  }
  /// The thread calls Server::wake().
  void wake() {
    wake_ = true;
    nudge();
  }
  /// How often the loop went round: a loop that spins shows here.
  [[nodiscard]] long rounds() const { return rounds_; }

 private:
  void nudge() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(nudge_.get(), &one, sizeof(one));
  }
  void loop() {
    while (!stop_) {
      pollfd fds[] = {{server_.poll_fd(), POLLIN, 0}, {nudge_.get(), POLLIN, 0}};
      const auto due = server_.due();
      ::poll(fds, 2, due ? static_cast<int>(due->count()) : -1);
      std::uint64_t count = 0;
      [[maybe_unused]] const auto read = ::read(nudge_.get(), &count, sizeof(count));
      if (wake_.exchange(false)) server_.wake();
      server_.run();
      ++rounds_;
    }
  }

  Server server_;
  UniqueFd nudge_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::atomic<bool> stop_ = false;
  std::atomic<bool> wake_ = false;
  std::atomic<long> rounds_ = 0;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace mailweir
