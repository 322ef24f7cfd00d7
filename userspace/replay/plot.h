// SPDX-License-Identifier: GPL-2.0-or-later
// A picture of what a replay did to its sources, as SVG.
#pragma once

#include <string>
#include <vector>

#include "replay/replay.h"

namespace mailweir {

/// Of each source, over time: SYNs per second (passed, held), score, and where it was blocked.
[[nodiscard]] std::string timeline_svg(const std::vector<const SourceReplay*>& sources,
                                       const ReplayResult& result, double threshold);

}  // namespace mailweir
