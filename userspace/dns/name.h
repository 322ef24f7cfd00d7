// SPDX-License-Identifier: GPL-2.0-or-later
// Domain names as text: how they compare, what a host may be called, where an address's PTR stands.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace mailweir {

/// As names compare: lower case, without the final dot.
[[nodiscard]] std::string canonical_name(std::string_view name);

/// "7.100.51.198.in-addr.arpa"; 32 nibbles under ip6.arpa.
[[nodiscard]] std::string reverse_name(const mw_addr& addr);

/// Letters, digits and inner hyphens in labels of 1 to 63, two labels or more, at most 253 in all
/// (RFC 1123, 2.1).
[[nodiscard]] bool is_host_name(std::string_view name);

/// `name` is `domain`, or below it. Both canonical.
[[nodiscard]] bool is_within(std::string_view name, std::string_view domain);

[[nodiscard]] std::vector<std::string_view> labels_of(std::string_view name);

/// "198", "51", "100", "7".
[[nodiscard]] std::string octet(const mw_addr& ipv4, int index);
/// "c6336407"; 32 digits of an IPv6 address.
[[nodiscard]] std::string hex_of(const mw_addr& addr);

}  // namespace mailweir
