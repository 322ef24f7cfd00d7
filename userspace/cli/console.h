// SPDX-License-Identifier: GPL-2.0-or-later
// What every verb is given: streams, format, the way to the daemon; and how it ends.
#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cli/cli.h"
#include "cli/render.h"
#include "control/client.h"

namespace mailweir {

inline constexpr int kDone = 0;
inline constexpr int kNo = 1;
inline constexpr int kUsage = 2;
inline constexpr int kNotRunning = 3;
inline constexpr int kNotPermitted = 4;
inline constexpr int kConfigInvalid = 6;
inline constexpr int kNotReachable = 7;

enum class Format : std::uint8_t { table, json, jsonl, csv };

struct Console {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  Globals globals;
  Format format = Format::table;
  Style style;
  std::optional<unsigned> width;  ///< of the terminal; none: not a terminal
  WallTime now;
  std::string command;  ///< the arguments as a shell takes them: "block 172.16.7.70 --for 1h"
};

/// Where the daemon and its pins are, by --socket and the configuration.
struct Target {
  std::string socket;
  std::string bpffs_dir;
};
/// ENOEXEC: --config was given and that file cannot be used.
[[nodiscard]] Result<Target> target_of(const Console& console);

/// Asks, and takes the body of a success. An answer that is none becomes an error with the hint in
/// a second line.
[[nodiscard]] Result<nlohmann::json> body_of(Result<ClientAnswer> answer);

/// "mailweir: ERROR" on stderr; returns the exit code for it.
int fail(const Console& console, const Error& error);

/// A column of CSV: its header is the last key, or both joined by _ ("window_syns").
struct CsvColumn {
  const char* key;
  const char* inner = nullptr;
};

/// Prints the body if the format is for machines; false: it is for people, print it yourself.
/// `list`: the key of the body's list, whose entries jsonl and csv print a line each; "": none.
bool print_for_machines(const Console& console, const nlohmann::json& body, const char* list,
                        const std::vector<CsvColumn>& columns);
/// The entries of a list in csv (without header) or jsonl.
void print_entries(const Console& console, const nlohmann::json& list,
                   const std::vector<CsvColumn>& columns);
void print_csv_header(const Console& console, const std::vector<CsvColumn>& columns);

}  // namespace mailweir
