// SPDX-License-Identifier: GPL-2.0-or-later
// What stands beside the zones: the stanzas of named.conf (BIND 9.18), and RIPE's domain objects.
#pragma once

#include <string>
#include <vector>

#include "dns/zone_text.h"

namespace mailweir {

/// `folder`: where the zone files are. Every name server's address must be known.
[[nodiscard]] std::string primary_conf(const std::vector<NamedZone>& zones,
                                       const Authority& authority, const std::string& folder);
[[nodiscard]] std::string secondary_conf(const std::vector<NamedZone>& zones,
                                         const Authority& authority);

/// With FILL-IN where only the holder knows. A classless zone has none: its parent's has.
[[nodiscard]] std::string ripe_objects(const std::vector<NamedZone>& zones,
                                       const Authority& authority);

}  // namespace mailweir
