// SPDX-License-Identifier: GPL-2.0-or-later
// Honest clients: letters that are tried until they are delivered, refused for good, or the day is
// over.
#pragma once

#include <functional>
#include <vector>

#include "evaluate/day.h"

namespace mailweir::evaluate {

/// Of one client, each after the other, as a stack gives them out.
class Ports {
 public:
  Ports(std::uint16_t first, std::uint16_t end, std::uint32_t begin)
      : first_(first), count_(static_cast<std::uint16_t>(end - first)), next_(begin % count_) {}
  std::uint16_t next() { return static_cast<std::uint16_t>(first_ + next_++ % count_); }

 private:
  std::uint16_t first_, count_;
  std::uint32_t next_;
};
/// Linux's range.
[[nodiscard]] inline Ports linux_ports(Random& random) {
  return {32768, 61000, random.below(28000)};
}

struct Server {
  std::uint32_t network = 0;
  std::uint8_t host = 1;
  bool greylists = false;
  Time accepts_after{0};          ///< of a server that greylists
  std::optional<Time> first_met;  ///< by this client
};

struct Delivery {
  Time due{0};
  std::uint32_t server = 0;  ///< index
  std::uint32_t attempts = 0;
  Time held{0};  ///< lost by what the gate dropped
  bool was_dropped = false, hit_by_block = false, delivered = false, open = true;
};

/// What becomes of one attempt, unless the server greylists it.
struct Chances {
  double silent = 0, reset = 0, mute = 0;
  double rejected = 0;  ///< of those that are answered
};

class Mailer final : public Client {
 public:
  struct Habits {
    Chances chances;
    /// Waits between attempts; the last one again and again.
    std::vector<Time> retries{std::chrono::minutes(5), std::chrono::minutes(10),
                              std::chrono::minutes(20), std::chrono::minutes(40),
                              std::chrono::hours(1)};
    Time gives_up = kMidnight;
    std::uint64_t draws = 0;
  };

  /// `deliveries` must be in the order of their times.
  Mailer(const mw_addr& address, Habits habits, std::vector<Server> servers,
         std::vector<Delivery> deliveries);

  void wake(Day& day, std::uint32_t what) override;
  void over(Day& day, const Connection& connection, End end) override;
  void settle(Day& day) override;

  /// Its first wake, and with each the next one.
  void begin(Day& day, std::uint32_t source);

 private:
  void attempt(Day& day, std::uint32_t index);
  [[nodiscard]] Session session_for(const Delivery& delivery, Server& server, Random& random,
                                    Time now) const;

  mw_addr address_;
  Habits habits_;
  std::vector<Server> servers_;
  std::vector<Delivery> deliveries_;
  std::uint32_t source_ = 0;
  Random random_;
  Ports ports_;
};

}  // namespace mailweir::evaluate
