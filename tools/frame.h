// SPDX-License-Identifier: GPL-2.0-or-later
// A TCP segment without payload, as a whole Ethernet frame with right checksums.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/address.h"

namespace mailweir {

using Mac = std::array<std::uint8_t, 6>;
inline constexpr Mac kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/// What all frames of a run have in common.
struct FrameShape {
  Mac source{};
  Mac destination = kBroadcast;
  std::vector<std::uint16_t> vlans;  ///< the outer one first; two: 802.1ad around 802.1Q
  std::optional<std::uint16_t> pppoe_session;
  std::uint8_t tcp_flags = 0;  ///< TH_SYN and so on
};

struct Segment {
  mw_addr source{}, destination{};  ///< of one family
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint32_t sequence = 0;
};

/// Replaces what `frame` held. A SYN carries the options that Linux sends: 60 bytes of IPv4.
void build_frame(const FrameShape& shape, const Segment& segment, std::vector<std::uint8_t>& frame);

}  // namespace mailweir
