// SPDX-License-Identifier: GPL-2.0-or-later
// The command line: arguments -> one verb -> an exit code. Knows nothing of the daemon's inside.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

namespace mailweir {

/// What stands before or after any verb.
struct Globals {
  std::string config_file = "/etc/mailweir/mailweir.toml";
  bool config_given = false;  ///< then a file that cannot be read is an error
  std::string socket;         ///< empty: the configuration says
  std::string output = "table";
  std::string color = "auto";
  bool verbose = false;
  bool quiet = false;
};

struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
};

/// The `run` verb: main.cc joins it to the daemon. Returns the exit code.
using RunVerb = std::function<int(const Globals&)>;

/// Exit codes: 0 done or yes, 1 no or part failed, 2 usage, 3 not running (status), 4 no
/// permission, 6 configuration invalid, 7 daemon not reachable.
int cli_main(int argc, const char* const* argv, const RunVerb& run, const Streams& streams);

/// On the standard streams; a broken pipe ends the process silently.
int cli_main(int argc, char** argv, const RunVerb& run);

}  // namespace mailweir
