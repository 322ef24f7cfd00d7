// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/client_packet.h"

#include <netinet/in.h>

namespace mailweir {
namespace {

constexpr std::size_t kIpv4Bytes = 20;
constexpr std::size_t kIpv6Bytes = 40;
constexpr std::size_t kTcpBytes = 20;
constexpr std::uint8_t kTtl = 64;
constexpr std::size_t kMappedBytes = 12;  ///< what precedes an IPv4 address in a key

void put16(std::uint8_t* to, std::uint32_t value) {
  to[0] = static_cast<std::uint8_t>(value >> 8);
  to[1] = static_cast<std::uint8_t>(value);
}

void put32(std::uint8_t* to, std::uint32_t value) {
  put16(to, value >> 16);
  put16(to + 2, value);
}

/// The last step of splitmix64: every bit of the input reaches every bit of the output.
std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

}  // namespace

void write_packet(const Endpoints& ends, const ClientPacket& packet, ReplayFrame& frame) {
  const bool is_v4 = is_ipv4(ends.client);
  const std::size_t ip_bytes = is_v4 ? kIpv4Bytes : kIpv6Bytes;
  frame.link = ReplayFrame::Link::ip;
  frame.bytes.assign(ip_bytes + kTcpBytes, 0);
  std::uint8_t* const ip = frame.bytes.data();
  const auto tcp_and_payload = static_cast<std::uint32_t>(kTcpBytes) + packet.payload_bytes;
  if (is_v4) {
    ip[0] = 4 << 4 | kIpv4Bytes / 4;
    put16(ip + 2, static_cast<std::uint32_t>(kIpv4Bytes) + tcp_and_payload);
    ip[6] = 0x40;  // don't fragment
    ip[8] = kTtl;
    ip[9] = IPPROTO_TCP;
    std::memcpy(ip + 12, ends.client.bytes + kMappedBytes, 4);
    std::memcpy(ip + 16, ends.server.bytes + kMappedBytes, 4);
  } else {
    ip[0] = 6 << 4;
    put16(ip + 4, tcp_and_payload);
    ip[6] = IPPROTO_TCP;
    ip[7] = kTtl;
    std::memcpy(ip + 8, ends.client.bytes, 16);
    std::memcpy(ip + 24, ends.server.bytes, 16);
  }

  std::uint8_t* const tcp = ip + ip_bytes;
  put16(tcp, ends.client_port);
  put16(tcp + 2, ends.server_port);
  put32(tcp + 4, packet.seq);
  put32(tcp + 8, packet.ack_seq);
  tcp[12] = kTcpBytes / 4 << 4;
  tcp[13] = packet.flags;
  put16(tcp + 14, 0xffff);
}

std::uint32_t sequence_of(const Endpoints& ends, std::uint64_t salt) {
  std::uint64_t state = mixed(salt + 0x9e3779b97f4a7c15);
  std::uint64_t words[5];
  std::memcpy(words, ends.client.bytes, 16);
  std::memcpy(words + 2, ends.server.bytes, 16);
  words[4] = std::uint64_t{ends.client_port} << 16 | ends.server_port;
  for (const std::uint64_t word : words) state = mixed(state ^ word);
  return static_cast<std::uint32_t>(state);
}

}  // namespace mailweir
