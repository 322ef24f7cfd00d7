// SPDX-License-Identifier: GPL-2.0-or-later
// Joins the command line to the daemon, which it must not know.
#include <cstdio>
#include <exception>

#include "cli/cli.h"
#include "daemon/daemon.h"

int main(int argc, char** argv) {
  try {
    return mailweir::cli_main(argc, argv, [](const mailweir::Globals& globals) {
      return mailweir::run_daemon(
          {.config_file = globals.config_file, .verbose = globals.verbose, .quiet = globals.quiet});
    });
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "mailweir: %s\n", failed.what());
    return 1;
  }
}
