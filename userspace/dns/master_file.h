// SPDX-License-Identifier: GPL-2.0-or-later
// Reads zone files (RFC 1035, 5; $GENERATE as BIND has it), to tell what another one changes.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mailweir {

/// Names absolute and canonical, without TTL and class; a SOA's value without its serial.
struct ZoneRecord {
  std::string owner;
  std::string type;
  std::string value;
  auto operator<=>(const ZoneRecord&) const = default;
};

struct ZoneFile {
  std::string zone;  ///< the owner of the SOA; empty without one
  std::optional<std::uint32_t> serial;
  std::vector<ZoneRecord> records;  ///< sorted, each once
};

/// `origin`: what '@' is until an $ORIGIN says otherwise. An error has the line's number in front.
[[nodiscard]] Result<ZoneFile> parse_zone(std::string_view text, const std::string& origin);

/// "- 7.100.51.198.in-addr.arpa. PTR old.example.net." and "+ ...", in the order of the addresses;
/// none: the same records.
[[nodiscard]] std::vector<std::string> zone_diff(const ZoneFile& before, const ZoneFile& after);

}  // namespace mailweir
