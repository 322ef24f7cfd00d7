// SPDX-License-Identifier: GPL-2.0-or-later
// Connections of Zeek's conn.log as the packets that their clients sent.
#pragma once

#include "replay/frames.h"
#include "replay/input_file.h"

namespace mailweir {

/// Reads it all, now, since rows are in the order in which connections ended; keeps 80 bytes for
/// each connection to one of the ports.
///
/// A row tells how many bytes went each way, and when it began and ended, but not in which order.
/// Assumed is: the server greets, the client says hello, the server says the rest, the client sends
/// the rest; all in the first seconds, and the end when the row says. Example: `orig_bytes 5000
/// resp_bytes 400 SF` becomes SYN, ACK, ACK of 100 B, 150 B, ACK of 400 B, 4,850 B, FIN. With TLS
/// the hello is taken as 550 B, since what precedes the server's certificate is no message.
[[nodiscard]] Result<std::unique_ptr<FrameReader>> open_zeek_log(
    InputFile file, const std::vector<std::uint16_t>& mail_ports);

}  // namespace mailweir
