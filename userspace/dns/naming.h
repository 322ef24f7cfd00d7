// SPDX-License-Identifier: GPL-2.0-or-later
// A name for each address of the pool, by the configured pattern.
#pragma once

#include <string>
#include <vector>

#include "base/address.h"

namespace mailweir {

struct Naming {
  std::string ipv4 = "nat-{d}.{domain}";
  std::string ipv6 = "nat-{hex}.{domain}";
  std::string domain;
};

/// One name an address, in their order, canonical. An error names the pattern, and the two
/// addresses that would have one name, or the name that no host can have.
[[nodiscard]] Result<std::vector<std::string>> names_of(const std::vector<mw_addr>& addresses,
                                                        const Naming& naming);

}  // namespace mailweir
