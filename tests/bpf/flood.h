// SPDX-License-Identifier: GPL-2.0-or-later
// SYNs of two clients into one end of a cable, without a pause, and what comes out behind the
// program at the other end: for tests of what happens to the program meanwhile.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace mailweir {

class Flood {
 public:
  static constexpr const char* kGuarded = "mwflood";

  /// Makes the cable (kGuarded and its other end) in this network namespace.
  [[nodiscard]] static Result<std::unique_ptr<Flood>> make();
  ~Flood();
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;

  /// A SYN of `blocked` and one of `neighbour`, in turns, until stop(). IPv4 addresses.
  void start(const std::string& blocked, const std::string& neighbour);
  /// Also waits until what was sent has come through.
  void stop();

  struct Count {
    std::uint64_t blocked = 0;
    std::uint64_t neighbour = 0;
  };
  [[nodiscard]] Count sent() const { return {sent_[0], sent_[1]}; }
  /// Behind the program: where an skb exists.
  [[nodiscard]] Count arrived() const { return {arrived_[0], arrived_[1]}; }

 private:
  Flood() = default;
  void send();
  void receive();

  UniqueFd sender_;
  UniqueFd receiver_;
  std::array<std::vector<std::uint8_t>, 2> frames_;
  std::array<std::atomic<std::uint64_t>, 2> sent_{};
  std::array<std::atomic<std::uint64_t>, 2> arrived_{};
  std::atomic<bool> sending_ = false;
  std::atomic<bool> receiving_ = false;
  std::thread send_thread_;
  std::thread receive_thread_;
};

}  // namespace mailweir
