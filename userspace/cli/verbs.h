// SPDX-License-Identifier: GPL-2.0-or-later
// One function a verb. Each prints its data to out, the rest to err, and returns the exit code.
#pragma once

#include <string>
#include <vector>

#include "cli/console.h"

namespace mailweir {

int show_status(const Console& console);
/// What `top` is asked for; `over`: "1m", "10m" or "60m".
struct TopChoice {
  std::string by = "syn";
  std::string over = "10m";
};
int show_top(const Console& console, const TopChoice& choice, unsigned rows);
int show_why(const Console& console, const std::string& address);
int show_blocks(const Console& console);
/// The last `rows`, then, with `follow`, what comes.
int show_events(const Console& console, bool follow, unsigned rows);

/// Of what changes a list of addresses or networks; "-" among them: read more from stdin.
struct Change {
  std::vector<std::string> addresses;
  std::string lasts = "24h";
  std::string reason;
  bool all = false;
  bool dry_run = false;
};
int order_block(const Console& console, const Change& change);
int order_unblock(const Console& console, const Change& change);
int order_allow_add(const Console& console, const Change& change);
int order_allow_remove(const Console& console, const Change& change);
int show_allow(const Console& console);
int check_allow(const Console& console, const std::string& address);

/// Rules that a person wrote into FORWARD.
struct ImportOrder {
  bool dry_run = false;
  bool take_over = false;  ///< removes each rule once its block is in force
};
int order_import(const Console& console, const ImportOrder& order);

/// Empty: prints the mode.
int order_mode(const Console& console, const std::string& mode);
int order_reload(const Console& console);
int order_detach(const Console& console);
int order_migrate(const Console& console, bool dry_run);

/// Recordings, in time order; nothing is changed.
struct LogOrder {
  std::string lasts;   ///< empty: the default
  std::string source;  ///< empty: all
};
int show_log(const Console& console);
int order_log_on(const Console& console, const LogOrder& order);
int order_log_off(const Console& console);

struct ReplayOrder {
  std::vector<std::string> files;
  std::string as;    ///< a prefix; empty: addresses as recorded
  std::string plot;  ///< a file; empty: no picture
  std::string seed;  ///< a number; empty: drawn
  bool all = false;  ///< all rows
};
int run_replay(const Console& console, const ReplayOrder& order);

/// What is 0 is as the daemon has it.
struct SimulateOrder {
  unsigned days = 7;
  unsigned servers = 0;
  double score = 0;
  double score_proven = 0;
};
int show_simulation(const Console& console, const SimulateOrder& order);

/// Reverse DNS of the pool. No ranges: [pool] networks.
struct PtrCheck {
  std::vector<std::string> ranges;
  std::vector<std::string>
      servers;       ///< asked directly; none: the resolver, and who is delegated to
  bool bad = false;  ///< only these rows
  bool all = false;  ///< every row, of a large pool as well
};
int check_ptr(const Console& console, const PtrCheck& order);

struct PtrZone {
  std::vector<std::string> ranges;
  std::string domain;                     ///< empty: as configured
  std::vector<std::string> name_servers;  ///< none: as configured
  std::string out;                        ///< a folder; empty: printed
  std::string diff;                       ///< a zone file to compare with
  bool ripe = false;
  bool dry_run = false;
};
int make_ptr_zone(const Console& console, const PtrZone& order);

int check_config(const Console& console);
int show_config(const Console& console);
int show_version(const Console& console);

}  // namespace mailweir
