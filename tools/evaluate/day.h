// SPDX-License-Identifier: GPL-2.0-or-later
// A day behind a gateway: clients that speak TCP, a world of servers that answer, a line that
// loses packets. Only what the clients send meets the gate; they react to what it drops as TCP and
// mail queues do. Knows no rule and no outcome but its own.
#pragma once

#include <deque>
#include <memory>
#include <queue>
#include <vector>

#include "evaluate/classes.h"
#include "evaluate/session.h"
#include "evaluate/world.h"
#include "replay/client_packet.h"

namespace mailweir::evaluate {

inline constexpr std::uint16_t kSmtp = 25;
inline constexpr Time kMidnight = std::chrono::hours(24);

/// Its midnight.
[[nodiscard]] WallTime day_begins();

/// What the frames meet.
class Gate {
 public:
  virtual ~Gate() = default;
  /// False: dropped.
  virtual bool meet(ReplayFrame& frame) = 0;
  /// Is it a block that drops the source's frames?
  [[nodiscard]] virtual bool is_blocked(const mw_addr& source) const = 0;
};

/// How a connection ended, as its client sees it.
enum class End : std::uint8_t {
  accepted,
  rejected,
  put_off,
  no_answer,
  reset,
  mute,
  cut_off,  ///< by the gate
};

struct Connection {
  std::uint32_t source = 0;  ///< index into sources
  std::uint32_t tag = 0;     ///< its client's own
  Endpoints ends;
  Session session;
  std::uint64_t draws = 0;  ///< seed of what its packets meet
  std::uint32_t drawn = 0;  ///< so many of them
  std::uint32_t isn = 0, server_isn = 0, sent = 0, heard = 0;
  std::uint16_t tries = 0;    ///< SYNs
  std::uint16_t resends = 0;  ///< of the step at hand
  std::uint16_t step = 0;
  bool in_use = false, is_bot = false;
  bool syn_passed = false, syn_dropped = false;  ///< ever; the last one
  bool was_told_unanswered = false;
  bool hit_by_block = false, was_dropped = false, accepted = false;
  Time began{0};
  Time held{0};  ///< lost by SYNs that the gate dropped
};

/// Sees what truly happens, at the time it does: for detectors that get the truth for nothing.
class Witness {
 public:
  virtual ~Witness() = default;
  virtual void opened(Time now, const Connection& connection) = 0;
  virtual void answered(Time now, const Connection& connection) = 0;
  /// A RST, or no answer to the SYNs of the first 7 s.
  virtual void unanswered(Time now, const Connection& connection) = 0;
  virtual void closed(Time now, const Connection& connection, bool message_taken) = 0;
};

class Day;

/// What one of the clients does of itself.
class Client {
 public:
  virtual ~Client() = default;
  virtual void wake(Day& day, std::uint32_t what) = 0;
  virtual void over(Day& day, const Connection& connection, End end) = 0;
  /// At the day's end.
  virtual void settle(Day& day) { (void)day; }
};

struct DayOptions {
  std::uint64_t seed = 1;
  double loss = 0.01;  ///< of packets beyond the gate, each way
  Time outage_from = std::chrono::hours(12);
  Time outage_to = std::chrono::hours(12) + std::chrono::minutes(5);
  bool one_network_each = false;  ///< World
  /// Bots come back to a server with the capture's chance over all from their second connection on,
  /// and not, as it did, more and more.
  bool early_repeats = false;
};

class Day {
 public:
  /// `witness` may be null. Both must outlive the day.
  Day(const DayOptions& options, Gate& gate, Witness* witness);

  /// Returns the source's index.
  std::uint32_t add(SourceDay source, std::unique_ptr<Client> client);
  void run();

  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] World& world() { return world_; }
  [[nodiscard]] std::uint64_t seed() const { return options_.seed; }
  [[nodiscard]] const DayOptions& options() const { return options_; }
  [[nodiscard]] SourceDay& source(std::uint32_t index) { return sources_[index]; }
  [[nodiscard]] std::vector<SourceDay>& sources() { return sources_; }
  [[nodiscard]] std::uint64_t frames() const { return frames_; }
  [[nodiscard]] bool is_out(Time time) const {
    return time >= options_.outage_from && time < options_.outage_to;
  }

  void wake(std::uint32_t source, Time at, std::uint32_t what = 0);
  /// Now. `draws` seeds all that is drawn for this connection alone.
  void connect(std::uint32_t source, const Endpoints& ends, Session session, std::uint32_t tag,
               std::uint64_t draws, bool is_bot);
  /// A frame that no connection here sends.
  bool send(const Endpoints& ends, const ClientPacket& packet);
  [[nodiscard]] Witness* witness() { return witness_; }

 private:
  enum class What : std::uint8_t { wake, syn, open, reset, step, close, last_ack };
  struct Event {
    Time at;
    std::uint64_t order;
    std::uint32_t subject, argument;
    What what;
    bool operator<(const Event& other) const {  // the queue gives its greatest first
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  void at(Time time, What what, std::uint32_t subject, std::uint32_t argument = 0);
  void send_syn(std::uint32_t index);
  void retry_syn(std::uint32_t index);
  void open(std::uint32_t index);
  void step(std::uint32_t index);
  void close(std::uint32_t index);
  void over(std::uint32_t index, End end);
  bool send(Connection& connection, std::uint8_t flags, std::uint32_t bytes);
  /// True: the packet passed the gate and reached its server. Else it is sent again.
  bool deliver(std::uint32_t index, std::uint8_t flags, std::uint32_t bytes, What again);
  bool loses(Connection& connection);

  DayOptions options_;
  Gate& gate_;
  Witness* witness_;
  World world_;
  std::vector<SourceDay> sources_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::deque<Connection> connections_;
  std::vector<std::uint32_t> free_;
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0, frames_ = 0;
  Time now_{0};
  ReplayFrame frame_;
};

}  // namespace mailweir::evaluate
