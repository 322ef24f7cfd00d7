// SPDX-License-Identifier: GPL-2.0-or-later
#include "frame.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <initializer_list>
#include <span>

namespace mailweir {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint8_t kTtl = 64;
constexpr std::uint16_t kWindow = 64240;
// MSS 1460, SACK permitted, timestamps, window scale 7.
constexpr std::uint8_t kSynOptions[] = {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0,
                                        0, 1, 0,    0,    0, 0, 1, 3,  3, 7};
constexpr std::uint16_t kPppIpv4 = 0x0021, kPppIpv6 = 0x0057;

class Writer {
 public:
  explicit Writer(std::vector<std::uint8_t>& out) : out_(out) { out_.clear(); }

  void u8(std::uint8_t value) { out_.push_back(value); }
  void be16(std::size_t value) {
    u8(static_cast<std::uint8_t>(value >> 8));
    u8(static_cast<std::uint8_t>(value));
  }
  void be32(std::uint32_t value) {
    be16(value >> 16);
    be16(value & 0xffff);
  }
  void bytes(Bytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

  [[nodiscard]] std::size_t size() const { return out_.size(); }
  [[nodiscard]] Bytes from(std::size_t begin) const { return Bytes(out_).subspan(begin); }
  void patch_be16(std::size_t at, std::uint16_t value) {
    out_[at] = static_cast<std::uint8_t>(value >> 8);
    out_[at + 1] = static_cast<std::uint8_t>(value);
  }

 private:
  std::vector<std::uint8_t>& out_;
};

/// The Internet checksum (RFC 1071) of parts of even length.
std::uint16_t checksum(std::initializer_list<Bytes> parts) {
  std::uint32_t sum = 0;
  for (const Bytes part : parts)
    for (std::size_t i = 0; i + 1 < part.size(); i += 2) sum += part[i] << 8 | part[i + 1];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// As it stands on the wire: 4 or 16 bytes.
Bytes wire_address(const mw_addr& addr) {
  return is_ipv4(addr) ? Bytes(addr.bytes).subspan(12) : Bytes(addr.bytes);
}

void write_link(Writer& out, const FrameShape& shape, bool ipv4, std::size_t ip_bytes) {
  out.bytes(shape.destination);
  out.bytes(shape.source);
  for (std::size_t i = 0; i < shape.vlans.size(); ++i) {
    out.be16(i + 1 < shape.vlans.size() ? ETH_P_8021AD : ETH_P_8021Q);
    out.be16(shape.vlans[i]);
  }
  if (!shape.pppoe_session) {
    out.be16(ipv4 ? ETH_P_IP : ETH_P_IPV6);
    return;
  }
  out.be16(ETH_P_PPP_SES);
  out.be16(0x1100);  // version 1, type 1, code 0: session data
  out.be16(*shape.pppoe_session);
  out.be16(ip_bytes + 2);
  out.be16(ipv4 ? kPppIpv4 : kPppIpv6);
}

void write_ip(Writer& out, const Segment& segment, bool ipv4, std::size_t tcp_bytes) {
  const std::size_t begin = out.size();
  if (ipv4) {
    out.be16(0x4500);
    out.be16(20 + tcp_bytes);
    out.be16(segment.sequence & 0xffff);
    out.be16(0x4000);  // don't fragment
    out.u8(kTtl);
    out.u8(IPPROTO_TCP);
    out.be16(0);
  } else {
    out.be32(0x60000000);
    out.be16(tcp_bytes);
    out.u8(IPPROTO_TCP);
    out.u8(kTtl);
  }
  out.bytes(wire_address(segment.source));
  out.bytes(wire_address(segment.destination));
  if (ipv4) out.patch_be16(begin + 10, checksum({out.from(begin)}));
}

void write_tcp(Writer& out, const Segment& segment, std::uint8_t flags, Bytes options) {
  const std::size_t begin = out.size();
  out.be16(segment.source_port);
  out.be16(segment.destination_port);
  out.be32(segment.sequence);
  out.be32((flags & TH_ACK) != 0 ? 1 : 0);
  out.u8(static_cast<std::uint8_t>((20 + options.size()) / 4 << 4));
  out.u8(flags);
  out.be16(kWindow);
  out.be16(0);  // checksum
  out.be16(0);
  out.bytes(options);

  const auto length = static_cast<std::uint8_t>(20 + options.size());
  const std::uint8_t pseudo_header_end[] = {0, IPPROTO_TCP, 0, length};
  out.patch_be16(begin + 16,
                 checksum({wire_address(segment.source), wire_address(segment.destination),
                           pseudo_header_end, out.from(begin)}));
}

}  // namespace

void build_frame(const FrameShape& shape, const Segment& segment,
                 std::vector<std::uint8_t>& frame) {
  const bool ipv4 = is_ipv4(segment.source);
  const Bytes options = (shape.tcp_flags & TH_SYN) != 0 ? Bytes(kSynOptions) : Bytes();
  const std::size_t tcp_bytes = 20 + options.size();

  Writer out(frame);
  write_link(out, shape, ipv4, tcp_bytes + (ipv4 ? 20 : 40));
  write_ip(out, segment, ipv4, tcp_bytes);
  write_tcp(out, segment, shape.tcp_flags, options);
}

}  // namespace mailweir
