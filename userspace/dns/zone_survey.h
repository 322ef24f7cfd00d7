// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the reverse zones that the addresses are really in, asks each name server of theirs
// directly, and judges.
#pragma once

#include <vector>

#include "dns/survey.h"
#include "dns/verdict.h"
#include "dns/zone_plan.h"

namespace mailweir {

/// As the world sees them: by the resolver, then each name server on port 53.
[[nodiscard]] std::vector<ZoneVerdict> survey_zones(const std::vector<ReverseZone>& zones,
                                                    Asker& resolver);

/// As these servers have them, delegated or not.
[[nodiscard]] std::vector<ZoneVerdict> survey_zones(const std::vector<ReverseZone>& zones,
                                                    const std::vector<Party>& servers);

}  // namespace mailweir
