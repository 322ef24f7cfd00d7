// SPDX-License-Identifier: GPL-2.0-or-later
// A second parser, written from the RFCs and docs/packet.md and not from bpf/parse.h: what a frame
// is, by plain C++ with every access checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"

namespace mailweir {

struct Segment {
  mw_addr source{};  ///< as on the wire; IPv4 v4-mapped
  bool is_ipv6 = false;
  std::uint16_t port = 0;
  std::uint8_t flags = 0;
};

/// Either a TCP segment, or the verdict that the frame gets without one; an empty verdict: it is
/// nobody's business and not counted.
struct Reading {
  std::optional<Segment> segment;
  std::string verdict;
};

[[nodiscard]] Reading read_ethernet(const std::vector<std::uint8_t>& frame);
/// Without Ethernet header; `ethertype` is what the interface says.
[[nodiscard]] Reading read_packet(const std::vector<std::uint8_t>& packet, std::uint16_t ethertype);

}  // namespace mailweir
