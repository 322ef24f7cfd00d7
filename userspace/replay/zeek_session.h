// SPDX-License-Identifier: GPL-2.0-or-later
// One connection of a log, and the packets that its client must have sent.
#pragma once

#include <optional>
#include <vector>

#include "replay/client_packet.h"
#include "replay/zeek_row.h"

namespace mailweir {

struct Connection {
  enum class End : std::uint8_t { open, fin, rst };  ///< by the client

  WallTime start;
  std::chrono::nanoseconds duration{0};
  Endpoints ends;
  std::uint64_t sent_bytes = 0;
  std::uint64_t heard_bytes = 0;
  std::uint32_t number = 0;   ///< of the row: whence the sequence numbers
  bool is_answered = false;   ///< the handshake was completed
  bool is_encrypted = false;  ///< or it cannot be told that it was not
  End end = End::open;
};

/// A row to a mail port as a connection; or why it is not one.
struct ReadRow {
  enum class Kind : std::uint8_t {
    connection,
    other,     ///< not TCP, or another port
    midstream  ///< its beginning was not seen
  };
  Kind kind = Kind::other;
  Connection connection;
  bool is_mended = false;  ///< its packets cannot have carried what it counts
};

/// An error is about the row: "id.orig_h: '172.16.7' is not an IP address".
[[nodiscard]] Result<ReadRow> read_row(const ZeekRow& row,
                                       const std::vector<std::uint16_t>& mail_ports);

struct PlannedPacket {
  WallTime time;
  ClientPacket packet;
};

/// In time order; the first is the SYN.
[[nodiscard]] std::vector<PlannedPacket> plan_packets(const Connection& connection);

}  // namespace mailweir
