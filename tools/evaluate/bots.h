// SPDX-License-Identifier: GPL-2.0-or-later
// Those who do not mail honestly: bots, scanners, forgers.
#pragma once

#include "evaluate/mailer.h"

namespace mailweir::evaluate {

struct BotHabits {
  double rate = 4.46;       ///< a second; the shape of the gaps stays
  double most = 13;         ///< in any second
  std::uint32_t burst = 0;  ///< SYNs in the first 90 ms
  Time every{0};            ///< instead of rate: one new server, evenly
  /// Its list, of which it draws with equal chances: 1,850 give 840 different ones of 1,108, and
  /// the capture's growth up to there. 0: a new one each time.
  std::uint32_t servers = 1850;
  double answered = 0.949, reset = 0.014;
  double productive = 0.114;
  double port_25 = 1, port_465 = 0;  ///< the rest: 587
  bool aligned = false;              ///< to networks X.Y.0 only
  std::vector<std::pair<Time, Time>> active;
  std::uint64_t draws = 0;
};

class Bot final : public Client {
 public:
  Bot(const mw_addr& address, BotHabits habits);
  void begin(Day& day, std::uint32_t source);
  void wake(Day& day, std::uint32_t what) override;
  void over(Day&, const Connection&, End) override {}

 private:
  [[nodiscard]] Time gap();
  [[nodiscard]] Server draw_server(bool early_repeats);
  [[nodiscard]] Fate draw_fate(Random& random) const;

  mw_addr address_;
  BotHabits habits_;
  std::uint32_t source_ = 0, count_ = 0, of_period_ = 0;
  Random random_;
  Ports ports_;
  std::deque<Time> last_second_;
};

/// 10 SYNs a second to networks that it has not met.
class Scanner final : public Client {
 public:
  Scanner(const mw_addr& address, bool connects, Time from, Time until, std::uint64_t draws);
  void begin(Day& day, std::uint32_t source);
  void wake(Day& day, std::uint32_t what) override;
  void over(Day&, const Connection&, End) override {}

 private:
  struct Probe {
    Endpoints ends;
    std::uint32_t isn;
    bool answers;
  };
  void probe(Day& day, const Probe& probe);
  void come_back(Day& day, const Probe& probe);

  mw_addr address_;
  bool connects_;
  Time from_, until_;
  std::uint64_t draws_;
  std::uint32_t source_ = 0, count_ = 0;
  Random random_;
  Ports ports_;
  std::vector<Probe> probes_;
};

/// Forges connections in the victim's name, one a second. What the server says reaches the victim,
/// whose stack answers with a RST.
class Framer final : public Client {
 public:
  Framer(std::uint32_t victim_source, const mw_addr& victim, bool servers_answer, Time from,
         std::uint64_t draws);
  void begin(Day& day, std::uint32_t source);
  void wake(Day& day, std::uint32_t what) override;
  void over(Day&, const Connection&, End) override {}

 private:
  void witness(Day& day, const Endpoints& ends, std::uint32_t step) const;

  std::uint32_t victim_source_;
  mw_addr victim_;
  bool servers_answer_;
  Time from_;
  std::uint32_t source_ = 0;
  Random random_;
  std::vector<Endpoints> forged_;
};

/// One SYN each in the names of `sources` addresses of 172.16.0.0/12, from `first` on.
class Flood final : public Client {
 public:
  Flood(std::uint32_t sources, std::uint32_t first, Time from, Time until, std::uint64_t draws);
  void begin(Day& day, std::uint32_t source);
  void wake(Day& day, std::uint32_t what) override;
  void over(Day&, const Connection&, End) override {}

 private:
  std::uint32_t sources_, first_, sent_ = 0, source_ = 0;
  Time from_, until_;
  Random random_;
};

}  // namespace mailweir::evaluate
