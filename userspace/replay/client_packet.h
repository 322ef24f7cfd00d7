// SPDX-License-Identifier: GPL-2.0-or-later
// TCP packets of a client made up from what a log tells of them: headers alone.
#pragma once

#include "base/address.h"
#include "replay/frames.h"

namespace mailweir {

struct Endpoints {
  mw_addr client{}, server{};  ///< of the same address family
  std::uint16_t client_port = 0, server_port = 0;
  bool operator==(const Endpoints&) const = default;
};

struct ClientPacket {
  enum Flag : std::uint8_t { fin = 0x01, syn = 0x02, rst = 0x04, ack = 0x10 };

  std::uint8_t flags = 0;
  std::uint32_t seq = 0, ack_seq = 0;
  std::uint32_t payload_bytes = 0;  ///< at most kMostPayload
};

/// 65,000 bytes in all, by the longer of the two headers.
inline constexpr std::uint32_t kMostPayload = 65000 - 40 - 20;

/// Raw IPv4 or IPv6. The length in the IP header counts the payload, which is not there; checksums
/// are zero.
void write_packet(const Endpoints& ends, const ClientPacket& packet, ReplayFrame& frame);

/// A number that is the same for the same words: where a log does not tell the initial sequence
/// number.
[[nodiscard]] std::uint32_t sequence_of(const Endpoints& ends, std::uint64_t salt);

}  // namespace mailweir
