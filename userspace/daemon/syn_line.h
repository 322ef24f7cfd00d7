// SPDX-License-Identifier: GPL-2.0-or-later
// One SYN as the kernel's LOG target writes it (net/netfilter/nf_log_syslog.c), byte for byte, the
// blank at the end with it: what reads the one reads the other.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "bpf/abi.h"

namespace mailweir {

/// "MAILWEIR IN=eth1 OUT= MAC=... SRC=... SYN URGP=0 ". As LOG with the prefix "MAILWEIR " would,
/// of a packet that comes in by `interface`, before it is routed.
[[nodiscard]] std::string syn_line(const mw_logged_syn& syn, std::string_view interface);

/// "Nov 24 14:03:08", local.
[[nodiscard]] std::string syslog_time(WallTime time);

/// What syslog puts before a line of the kernel, in local time:
/// "Nov 24 14:03:08 nat1 kernel: [12345.678901] ".
[[nodiscard]] std::string line_head(const Now& time, std::string_view node);

}  // namespace mailweir
