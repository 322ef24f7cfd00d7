// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/link_layer.h"

#include <linux/if_ether.h>
#include <pcap/dlt.h>

#include <algorithm>

namespace mailweir {
namespace {

using Bytes = std::span<const std::uint8_t>;

/// All headers that the kernel program follows lie far before.
constexpr std::size_t kMostBytes = 2048;
constexpr unsigned kPppIpv4 = 0x0021;
constexpr unsigned kPppIpv6 = 0x0057;
/// OpenBSD's numbers of raw IP, as found in files; DLT_RAW is 12 on Linux.
constexpr int kRawOfOpenBsd = 14;

void append(std::vector<std::uint8_t>& to, Bytes bytes) {
  bytes = bytes.first(std::min(bytes.size(), kMostBytes));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

bool from_ethernet(Bytes captured, ReplayFrame& frame) {
  frame.link = ReplayFrame::Link::ethernet;
  frame.bytes.clear();
  append(frame.bytes, captured);
  return true;
}

bool from_ip(Bytes captured, ReplayFrame& frame) {
  if (captured.empty() || (captured[0] >> 4 != 4 && captured[0] >> 4 != 6)) return false;
  frame.link = ReplayFrame::Link::ip;
  frame.bytes.clear();
  append(frame.bytes, captured);
  return true;
}

/// `type` and `source` are where they stand in the captured header. The destination is not in it.
bool to_ethernet(Bytes type, Bytes source, Bytes payload, ReplayFrame& frame) {
  frame.link = ReplayFrame::Link::ethernet;
  frame.bytes.assign(ETH_ALEN, 0);
  append(frame.bytes, source);
  frame.bytes.resize(std::size_t{2} * ETH_ALEN);
  append(frame.bytes, type);
  append(frame.bytes, payload);
  return true;
}

/// A tag of 802.1Q stands in the payload, as it does in Ethernet.
bool from_cooked(Bytes captured, ReplayFrame& frame) {
  if (captured.size() < 16) return false;
  return to_ethernet(captured.subspan(14, 2), captured.subspan(6, ETH_ALEN), captured.subspan(16),
                     frame);
}

bool from_cooked_2(Bytes captured, ReplayFrame& frame) {
  if (captured.size() < 20) return false;
  return to_ethernet(captured.first(2), captured.subspan(12, ETH_ALEN), captured.subspan(20),
                     frame);
}

/// Four bytes of address family, in the byte order and by the numbers of whoever captured it: what
/// follows says the same.
bool from_loopback(Bytes captured, ReplayFrame& frame) {
  return captured.size() > 4 && from_ip(captured.subspan(4), frame);
}

/// RFC 1661 and 1662: address and control may be left out, and the protocol's zero byte.
bool from_ppp(Bytes captured, ReplayFrame& frame) {
  if (captured.size() >= 2 && captured[0] == 0xff && captured[1] == 0x03)
    captured = captured.subspan(2);
  if (captured.empty()) return false;
  const bool is_short = (captured[0] & 1) != 0;
  if (captured.size() < 2 && !is_short) return false;
  const unsigned protocol = is_short ? captured[0] : unsigned{captured[0]} << 8 | captured[1];
  if (protocol != kPppIpv4 && protocol != kPppIpv6) return false;
  return from_ip(captured.subspan(is_short ? 1 : 2), frame);
}

bool from_pppoe(Bytes captured, ReplayFrame& frame) {
  constexpr std::uint8_t kSession[] = {ETH_P_PPP_SES >> 8, ETH_P_PPP_SES & 0xff};
  return to_ethernet(kSession, {}, captured, frame);
}

struct LinkType {
  int datalink;
  Unwrap unwrap;
};
constexpr LinkType kLinkTypes[] = {
    {DLT_EN10MB, from_ethernet},
    {DLT_RAW, from_ip},
    {kRawOfOpenBsd, from_ip},
    {DLT_IPV4, from_ip},
    {DLT_IPV6, from_ip},
    {DLT_LINUX_SLL, from_cooked},
    {DLT_LINUX_SLL2, from_cooked_2},
    {DLT_NULL, from_loopback},
    {DLT_LOOP, from_loopback},
    {DLT_PPP, from_ppp},
    {DLT_PPP_SERIAL, from_ppp},
    {DLT_PPP_ETHER, from_pppoe},
};

}  // namespace

Unwrap unwrap_of(int datalink) {
  const auto* found = std::ranges::find(kLinkTypes, datalink, &LinkType::datalink);
  return found == std::end(kLinkTypes) ? nullptr : found->unwrap;
}

std::string supported_links() {
  return "Ethernet, raw IP, Linux cooked (any), BSD loopback, PPP and PPPoE";
}

}  // namespace mailweir
