// SPDX-License-Identifier: GPL-2.0-or-later
// `mailweir run`: start-up in order, the event loop, the end.
#pragma once

#include <string>

namespace mailweir {

struct RunOptions {
  std::string config_file;
  bool verbose = false;
  bool quiet = false;
};

/// Runs until SIGTERM or SIGINT. Returns the exit code: 0 stopped as asked, 1 failed, 4 not
/// permitted, 6 configuration invalid. Each failure is one line on stderr.
int run_daemon(const RunOptions& options);

}  // namespace mailweir
