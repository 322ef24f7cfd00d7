// SPDX-License-Identifier: GPL-2.0-or-later
// Runs one command: no shell, its input given, its output captured, a time-out of our own.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mailweir {

struct CommandResult {
  int exit_code = 0;
  std::string out;
  std::string err;
};

/// More output than this is not an answer; the command is killed.
inline constexpr std::size_t kCommandOutputBytes = 64 << 20;

/// Finds argv[0] in PATH and waits for its end; its locale is C, its own process group is killed
/// at the end or at the time-out. A non-zero exit is a result, not an error. ENOENT: no such
/// command; ETIMEDOUT: killed. Thread-safe; blocks for `timeout` and 2 s to bury the dead.
[[nodiscard]] Result<CommandResult> run_command(const std::vector<std::string>& argv,
                                                std::string_view input,
                                                std::chrono::milliseconds timeout);

}  // namespace mailweir
