// SPDX-License-Identifier: GPL-2.0-or-later
// Log set-up: an event word, then key=value. Use spdlog's own calls; log once, where it is handled.
#pragma once

#include <string>
#include <string_view>

namespace mailweir {

/// To stderr. Under systemd (JOURNAL_STREAM) with the journal's priorities and without a time.
void start_log(bool verbose, bool quiet);

/// A value that cannot break its line: quoted, with controls escaped, if it needs to be.
[[nodiscard]] std::string log_value(std::string_view text);

}  // namespace mailweir
