// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/rewrite.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace mailweir {
namespace {

constexpr int kMostExtensions = 6;      // as the kernel program follows
constexpr std::size_t kPppoeBytes = 8;  // RFC 2516, section 4, and the protocol field of PPP

/// Where in the frame the source address and the TCP header stand.
struct Places {
  std::size_t source = 0;
  std::size_t tcp = 0;
  bool is_ipv4 = true;
};

unsigned get16(const std::vector<std::uint8_t>& bytes, std::size_t at) {
  return at + 2 <= bytes.size() ? static_cast<unsigned>(bytes[at]) << 8 | bytes[at + 1] : 0;
}

/// Behind Ethernet and its VLAN tags; none: not IP.
std::optional<std::size_t> network_header(const ReplayFrame& frame) {
  if (frame.link == ReplayFrame::Link::ip) return 0;
  std::size_t at = 12;
  unsigned type = get16(frame.bytes, at);
  for (int tags = 0; tags < 2 && (type == ETH_P_8021Q || type == ETH_P_8021AD); ++tags)
    type = get16(frame.bytes, at += 4);
  at += 2;
  if (type == ETH_P_PPP_SES) {
    const unsigned proto = get16(frame.bytes, at + kPppoeBytes - 2);
    type = proto == 0x0021 ? ETH_P_IP : proto == 0x0057 ? ETH_P_IPV6 : 0;
    at += kPppoeBytes;
  }
  if (type != ETH_P_IP && type != ETH_P_IPV6) return std::nullopt;
  return at;
}

std::optional<Places> find_tcp(const ReplayFrame& frame) {
  const auto& bytes = frame.bytes;
  const auto start = network_header(frame);
  if (!start || *start >= bytes.size()) return std::nullopt;
  const std::size_t at = *start;
  if (bytes[at] >> 4 == 4) {
    const Places places{at + 12, at + std::size_t{4} * (bytes[at] & 0xf), true};
    if (places.tcp + 4 > bytes.size() || bytes[at + 9] != IPPROTO_TCP ||
        (get16(bytes, at + 6) & 0x1fff) != 0)
      return std::nullopt;
    return places;
  }
  if (at + 40 > bytes.size()) return std::nullopt;
  Places places{at + 8, at + 40, false};
  std::uint8_t next = bytes[at + 6];
  for (int i = 0; i < kMostExtensions && next != IPPROTO_TCP; ++i) {
    if (places.tcp + 4 > bytes.size()) return std::nullopt;
    const std::size_t length = bytes[places.tcp + 1];
    std::size_t step = 0;
    if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS)
      step = 8 * (length + 1);
    else if (next == IPPROTO_AH)
      step = 4 * (length + 2);
    else if (next == IPPROTO_FRAGMENT && (get16(bytes, places.tcp + 2) & 0xfff8) == 0)
      step = 8;
    if (step == 0) return std::nullopt;
    next = bytes[places.tcp];
    places.tcp += step;
  }
  if (next != IPPROTO_TCP || places.tcp + 4 > bytes.size()) return std::nullopt;
  return places;
}

__extension__ using Wide = unsigned __int128;

Wide wide(const mw_addr& addr) {
  Wide number = 0;
  for (const __u8 byte : addr.bytes) number = number << 8 | byte;
  return number;
}

mw_addr narrow(Wide number) {
  mw_addr addr{};
  for (int byte = 15; byte >= 0; --byte, number >>= 8) addr.bytes[byte] = static_cast<__u8>(number);
  return addr;
}

}  // namespace

bool Rewriter::rewrite(ReplayFrame& frame) {
  const auto places = find_tcp(frame);
  if (!places || !ports_.contains(static_cast<std::uint16_t>(get16(frame.bytes, places->tcp + 2))))
    return true;
  if (places->is_ipv4 != into_.is_ipv4()) {
    ++other_family_;
    return true;
  }
  mw_addr source = into_.addr;
  std::uint8_t* const field = frame.bytes.data() + places->source;
  const std::size_t bytes = places->is_ipv4 ? 4 : 16;
  std::copy_n(field, bytes, source.bytes + 16 - bytes);
  const auto place = place_of(source);
  if (!place) return false;
  std::copy_n(place->bytes + 16 - bytes, bytes, field);
  return true;
}

/// An IPv6 client keeps what lies below its prefix, such as the interface identifier.
std::optional<mw_addr> Rewriter::place_of(const mw_addr& recorded) {
  const mw_addr client = masked(recorded, client_bits_);
  auto found = places_.find(client);
  if (found == places_.end()) {
    const int free_bits = client_bits_ - into_.bits;
    // The first address is the network's own.
    const Wide number = places_.size() + 1;
    if (free_bits < 63 && number >= (Wide{1} << free_bits)) return std::nullopt;
    const mw_addr place = narrow(wide(into_.addr) | number << (128 - client_bits_));
    found = places_.emplace(client, place).first;
    origins_[place] = client;
  }
  const Wide below = client_bits_ == 128 ? 0 : wide(recorded) & (~Wide{0} >> client_bits_);
  return narrow(wide(found->second) | below);
}

mw_addr Rewriter::recorded(const mw_addr& rewritten) const {
  const auto found = origins_.find(rewritten);
  return found == origins_.end() ? rewritten : found->second;
}

}  // namespace mailweir
