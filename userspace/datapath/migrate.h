// SPDX-License-Identifier: GPL-2.0-or-later
// To maps of another layout or size, while the old program goes on enforcing: new maps beside the
// old ones, filled member by member, the program swapped in its links, the pins renamed.
#pragma once

#include <string>
#include <vector>

#include "datapath/kernel_datapath.h"

namespace mailweir {

/// Only while no daemon runs. Can be repeated after a crash at any point. Returns what was done, or
/// with `dry_run` what would be; a block list that would lose an entry is an error, and then all is
/// as before. ENODATA: nothing is pinned there, a start makes it.
[[nodiscard]] Result<std::vector<std::string>> migrate(const LoadOptions& options, bool dry_run);

}  // namespace mailweir
