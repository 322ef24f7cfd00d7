// SPDX-License-Identifier: GPL-2.0-or-later
// What the pins tell without a daemon: a status, and taking everything away.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "datapath/datapath.h"

namespace mailweir {

/// The parts of Status (docs/api.md) that both the daemon and the pins can tell.
[[nodiscard]] nlohmann::json interfaces_json(const std::vector<Attachment>& attachments);
[[nodiscard]] nlohmann::json packets_json(const std::map<unsigned, mw_counters>& counters);
/// Each verdict's word with its tally, in enum order.
[[nodiscard]] std::vector<std::pair<std::string_view, mw_tally>> tallies(
    const mw_counters& counters);

/// A Status body with "running": false. ENOENT: nothing of mailweir is pinned there.
[[nodiscard]] Result<nlohmann::json> status_from_pins(const std::string& bpffs_dir);

/// Of this version's maps, as they are pinned.
[[nodiscard]] std::vector<std::string> map_names();

/// One daemon of a network namespace at a time has the pins, whatever its socket, as long as this
/// lives. EADDRINUSE:
/// another one has, and the error names its pid. Makes the directory.
[[nodiscard]] Result<UniqueFd> lock_pins(const std::string& bpffs_dir);

/// Unpins this version's maps there; leaves whatever else is pinned under their names.
void remove_own_maps(const std::string& directory);

/// Removes programs, filters, pins and the directory. Returns a line for each; none: there was
/// nothing.
[[nodiscard]] Result<std::vector<std::string>> detach_all(const std::string& bpffs_dir);

}  // namespace mailweir
