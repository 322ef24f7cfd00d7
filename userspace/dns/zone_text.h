// SPDX-License-Identifier: GPL-2.0-or-later
// The text of zone files: the reverse zones, and the forward records that confirm them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dns/endpoint.h"
#include "dns/zone_plan.h"

namespace mailweir {

/// In the first line of every file written: the next run may write over it.
inline constexpr std::string_view kWrittenBy = "Written by mailweir ptr zone";

struct NamedZone {
  ReverseZone zone;
  std::vector<std::string> names;  ///< one an address, in the zone's order
};

/// Who answers for the zones.
struct Authority {
  std::vector<NameServer> name_servers;  ///< the first is the primary
  std::string domain;                    ///< of the hostmaster (RFC 2142)
};

[[nodiscard]] std::string zone_text(const NamedZone& zone, const Authority& authority,
                                    std::uint32_t serial);

/// A/AAAA of every name, to be included in the zone of `domain`. Names outside of it are absolute.
[[nodiscard]] std::string forward_text(const std::vector<NamedZone>& zones,
                                       const std::string& domain);

}  // namespace mailweir
