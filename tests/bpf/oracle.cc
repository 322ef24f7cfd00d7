// SPDX-License-Identifier: GPL-2.0-or-later
#include "oracle.h"

#include <algorithm>

namespace mailweir {
namespace {

/// Reads big-endian numbers; one that lies beyond the end throws TooShort.
class Bytes {
 public:
  struct TooShort {};

  explicit Bytes(const std::vector<std::uint8_t>& frame) : frame_(frame) {}

  [[nodiscard]] unsigned byte(std::size_t at) const {
    need(at, 1);
    return frame_[at];
  }
  [[nodiscard]] unsigned word(std::size_t at) const { return byte(at) << 8 | byte(at + 1); }
  void need(std::size_t at, std::size_t count) const {
    if (at + count > frame_.size()) throw TooShort{};
  }
  [[nodiscard]] mw_addr address(std::size_t at, std::size_t size) const {
    need(at, size);
    mw_addr found{};
    if (size == 4) found.bytes[10] = found.bytes[11] = 0xff;
    std::copy_n(frame_.begin() + static_cast<std::ptrdiff_t>(at), size, found.bytes + 16 - size);
    return found;
  }

 private:
  const std::vector<std::uint8_t>& frame_;
};

constexpr unsigned kVlan = 0x8100, kServiceVlan = 0x88a8, kPppoeSession = 0x8864;
constexpr unsigned kIpv4 = 0x0800, kIpv6 = 0x86dd;

Reading refused(const std::string& verdict) {
  return {std::nullopt, verdict};
}

Reading read_tcp(const Bytes& bytes, std::size_t at, Segment segment) {
  bytes.need(at, 20);
  if (bytes.byte(at + 12) >> 4 < 5) return refused("malformed");
  segment.port = static_cast<std::uint16_t>(bytes.word(at + 2));
  segment.flags = static_cast<std::uint8_t>(bytes.byte(at + 13));
  return {segment, ""};
}

Reading read_ipv4(const Bytes& bytes, std::size_t at) {
  bytes.need(at, 20);
  if (bytes.byte(at + 9) != 6) return refused("");
  const unsigned header_words = bytes.byte(at) & 0xf;
  if (bytes.byte(at) >> 4 != 4 || header_words < 5) return refused("malformed");
  if ((bytes.word(at + 6) & 0x1fff) != 0) return refused("fragment");
  return read_tcp(bytes, at + header_words * 4,
                  {.source = bytes.address(at + 12, 4), .is_ipv6 = false});
}

Reading read_ipv6(const Bytes& bytes, std::size_t at) {
  bytes.need(at, 40);
  if (bytes.byte(at) >> 4 != 6) return refused("malformed");
  const Segment segment{.source = bytes.address(at + 8, 16), .is_ipv6 = true};
  unsigned next = bytes.byte(at + 6);
  at += 40;
  for (int followed = 0; next != 6; ++followed) {
    const bool is_options = next == 0 || next == 43 || next == 60;
    const bool is_fragment = next == 44;
    const bool is_authentication = next == 51;
    // The seventh is not looked at, whatever it may be.
    if (followed == 6) return refused("encapsulation");
    if (!is_options && !is_fragment && !is_authentication) return refused("");
    bytes.need(at, 8);
    const unsigned after = bytes.byte(at);
    const unsigned length = bytes.byte(at + 1);
    if (is_fragment && bytes.word(at + 2) >> 3 != 0) return refused(after == 6 ? "fragment" : "");
    at += is_fragment ? 8 : is_authentication ? (length + 2) * 4 : (length + 1) * 8;
    next = after;
  }
  return read_tcp(bytes, at, segment);
}

Reading read_network(const Bytes& bytes, std::size_t at, unsigned ethertype) {
  if (ethertype == kIpv4) return read_ipv4(bytes, at);
  if (ethertype == kIpv6) return read_ipv6(bytes, at);
  return refused("");
}

Reading read_frame(const Bytes& bytes) {
  unsigned ethertype = bytes.word(12);
  std::size_t at = 14;
  for (int tags = 0; ethertype == kVlan || ethertype == kServiceVlan; ++tags) {
    if (tags == 2) return refused("encapsulation");
    ethertype = bytes.word(at + 2);
    at += 4;
  }
  if (ethertype != kPppoeSession) return read_network(bytes, at, ethertype);
  bytes.need(at, 8);
  const unsigned protocol = bytes.word(at + 6);
  return read_network(bytes, at + 8, protocol == 0x0021 ? kIpv4 : protocol == 0x0057 ? kIpv6 : 0);
}

}  // namespace

Reading read_ethernet(const std::vector<std::uint8_t>& frame) {
  try {
    return read_frame(Bytes(frame));
  } catch (const Bytes::TooShort&) {
    return refused("truncated");
  }
}

Reading read_packet(const std::vector<std::uint8_t>& packet, std::uint16_t ethertype) {
  try {
    return read_network(Bytes(packet), 0, ethertype);
  } catch (const Bytes::TooShort&) {
    return refused("truncated");
  }
}

}  // namespace mailweir
