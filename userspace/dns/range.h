// SPDX-License-Identifier: GPL-2.0-or-later
// Which addresses are meant: prefixes, addresses, FIRST-LAST. Overlaps count once.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace mailweir {

/// As many as a /16 has: what is walked at once.
inline constexpr std::uint64_t kMostAddresses = 65536;

struct Range {
  mw_addr first{};
  mw_addr last{};
  std::optional<Prefix> prefix;  ///< it was written as one, shorter than a whole address
};

/// "198.51.100.0/24", "198.51.100.7", "198.51.100.7-198.51.100.9".
[[nodiscard]] Result<Range> parse_range(std::string_view text);
[[nodiscard]] Range range_of(const Prefix& prefix);

/// Every address of them in numeric order, once. An error if they are more than kMostAddresses.
/// A NAT pool uses all addresses of its networks, the first and the last as well.
[[nodiscard]] Result<std::vector<mw_addr>> addresses_of(std::vector<Range> ranges);

}  // namespace mailweir
