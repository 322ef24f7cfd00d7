// SPDX-License-Identifier: GPL-2.0-or-later
// SYNs out of the lines that iptables LOG, ip6tables LOG and nftables log make the kernel write.
#pragma once

#include "replay/frames.h"
#include "replay/input_file.h"

namespace mailweir {

/// Reads it all, now; keeps 80 bytes for each SYN. A log without one is an error. `SEQ=` is used
/// where --log-tcp-sequence wrote it; else a SYN that repeats addresses and ports is taken for a
/// retransmission.
[[nodiscard]] Result<std::unique_ptr<FrameReader>> open_kernel_log(InputFile file);

}  // namespace mailweir
