// SPDX-License-Identifier: GPL-2.0-or-later
// Questions to a resolver, or to one name server directly, many at a time. Over c-ares: retries,
// time-outs, and TCP where an answer was cut off. What an answer means is not its business.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "dns/endpoint.h"
#include "dns/message.h"

struct ares_channeldata;

namespace mailweir {

/// A message, or why there is none: a time-out, a closed port. Such silence is never a verdict.
struct Reply {
  std::optional<Message> message;
  std::string silence;
};

class Asker {
 public:
  struct Options {
    std::optional<Endpoint> server;  ///< none: as /etc/resolv.conf says
    bool recurse = true;             ///< false: a name server, about what it serves itself
    std::chrono::milliseconds timeout{2000};
    int tries = 2;
    std::size_t at_a_time = 64;
  };
  using Done = std::function<void(const Reply&)>;

  static Result<std::unique_ptr<Asker>> open(const Options& options);
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;
  ~Asker();

  /// `done` is called by run(), once. `ahead`: before what is waiting, for questions that follow
  /// from an answer.
  void ask(std::string name, RecordType type, Done done, bool ahead = false);

  /// Until every question of all of them is answered, those that answers led to as well.
  static void run(std::span<Asker* const> askers);

 private:
  struct Question;
  explicit Asker(const Options& options);
  static void on_answer(void* question, int status, int timeouts, unsigned char* bytes, int length);
  static void on_socket(void* asker, int fd, int readable, int writable);
  void start_waiting();
  void deliver();
  void process(const std::map<int, short>& ready);
  [[nodiscard]] bool idle() const { return waiting_.empty() && asked_ == 0 && done_.empty(); }
  /// Nobody is there: what is waiting is not asked any more.
  [[nodiscard]] bool given_up() const;
  static int wait(std::span<Asker* const> askers, std::map<int, short>& ready);

  Options options_;
  ares_channeldata* channel_ = nullptr;
  std::deque<std::unique_ptr<Question>> waiting_;
  std::deque<std::unique_ptr<Question>> done_;
  std::map<int, short> sockets_;  // and the events that they wait for
  std::size_t asked_ = 0;
  std::size_t silent_ = 0;  // in a row
  bool heard_ = false;
};

}  // namespace mailweir
