// SPDX-License-Identifier: GPL-2.0-or-later
// Frames for the tests, layer by layer: Packet{}.eth().vlan(7).ipv4(SRC, DST).tcp(25).syn().
// Lengths and next-protocol fields are right, checksums are zero: nobody here looks at them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mailweir {

namespace tcp_flag {
inline constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16, kUrg = 32;
inline constexpr std::uint8_t kEce = 64, kCwr = 128;
}  // namespace tcp_flag

class Packet {
 public:
  Packet& eth();
  Packet& vlan(std::uint16_t id);          ///< 802.1Q
  Packet& service_vlan(std::uint16_t id);  ///< 802.1ad
  Packet& pppoe();                         ///< a session, and the protocol field of PPP

  Packet& ipv4(const std::string& source, const std::string& destination);
  Packet& ipv6(const std::string& source, const std::string& destination);
  /// Whichever of the two the text is.
  Packet& ip(const std::string& source, const std::string& destination);
  Packet& ip_options(std::size_t bytes);  ///< right after ipv4(): 4 to 40, in fours
  Packet& hop_by_hop();
  Packet& routing();
  Packet& destination_options();
  Packet& authentication();
  /// In units of 8 bytes. IPv4: the field of its header; IPv6: a header of its own.
  Packet& fragment(std::uint16_t offset, bool more);
  Packet& protocol(std::uint8_t number);  ///< what follows is not TCP

  Packet& tcp(std::uint16_t port, std::uint16_t source_port = 51422);
  Packet& flags(std::uint8_t bits);  ///< in place of those before
  Packet& syn() { return flags(tcp_flag::kSyn); }
  Packet& ack() { return flags(tcp_flag::kAck); }
  Packet& fin() { return flags(tcp_flag::kFin | tcp_flag::kAck); }
  Packet& rst() { return flags(tcp_flag::kRst); }
  Packet& isn(std::uint32_t number);  ///< the sequence number
  Packet& ack_number(std::uint32_t number);
  Packet& payload(std::size_t bytes);

  /// Overwrites one byte, to make a header that contradicts itself.
  Packet& network_byte(std::size_t offset, std::uint8_t value);
  Packet& tcp_byte(std::size_t offset, std::uint8_t value);
  /// Cuts the finished frame; its headers go on to tell the old length.
  Packet& truncate(std::size_t bytes);

  [[nodiscard]] std::vector<std::uint8_t> bytes() const;
  /// The shortest frame that holds the whole TCP header.
  [[nodiscard]] std::size_t headers_end() const { return tcp_at_ + 20; }
  /// From the network header on.
  [[nodiscard]] std::size_t network_bytes() const { return frame_.size() - network_at_; }

 private:
  enum class Field : std::uint8_t { none, ethertype, ppp, ip };

  void add(const std::vector<std::uint8_t>& layer);
  void put16(std::size_t at, std::size_t value);
  void announce(std::uint16_t ethertype, std::uint16_t ppp);
  void announce(std::uint8_t ip_protocol);
  void extension(std::uint8_t number, std::vector<std::uint8_t> layer);
  void set_lengths();

  std::vector<std::uint8_t> frame_;
  std::size_t next_at_ = 0;  ///< where the next layer's number goes
  Field next_field_ = Field::none;
  std::size_t pppoe_at_ = 0;  ///< 0: none; an Ethernet header is always before it
  std::size_t network_at_ = 0;
  std::size_t tcp_at_ = 0;
  std::size_t cut_ = SIZE_MAX;
};

}  // namespace mailweir
