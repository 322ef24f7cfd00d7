// SPDX-License-Identifier: GPL-2.0-or-later
// Frames of a capture file (pcap, pcapng), by libpcap. Constant memory, whatever its length.
#pragma once

#include "replay/frames.h"
#include "replay/input_file.h"

namespace mailweir {

/// Does it begin as a capture does?
[[nodiscard]] bool is_capture(std::string_view beginning);
/// A capture without a frame, or of a link type that is not supported, is an error.
[[nodiscard]] Result<std::unique_ptr<FrameReader>> open_capture(InputFile file);

}  // namespace mailweir
