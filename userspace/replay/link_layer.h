// SPDX-License-Identifier: GPL-2.0-or-later
// What a capture's link type puts before the IP header: made into Ethernet, or taken off.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "replay/frames.h"

namespace mailweir {

/// Fills link and bytes of the frame from one captured packet. False: it is not IP. (Of a frame
/// that is Ethernet, or becomes it, that is left to who parses it.)
using Unwrap = bool (*)(std::span<const std::uint8_t> captured, ReplayFrame& frame);

/// How packets of this DLT_ value of libpcap are unwrapped; nullptr: not supported.
[[nodiscard]] Unwrap unwrap_of(int datalink);
/// "Ethernet, raw IP, ...", for the error about another one.
[[nodiscard]] std::string supported_links();

}  // namespace mailweir
