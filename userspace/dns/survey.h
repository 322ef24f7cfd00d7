// SPDX-License-Identifier: GPL-2.0-or-later
// Asks for the PTR of every address and for the addresses of its name, and judges each.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dns/asker.h"
#include "dns/verdict.h"
#include "dns/zone_plan.h"

namespace mailweir {

/// Whom to ask.
struct Party {
  Asker* asker = nullptr;
  Asker* resolver = nullptr;  ///< for names that a server which is asked directly does not serve
  std::string server;         ///< that is asked directly, as it was given; empty: the resolver
  [[nodiscard]] bool direct() const { return !server.empty(); }
};

/// Part done, 0 to 1.
using Progress = std::function<void(double)>;

/// In the order of the zones' addresses.
[[nodiscard]] std::vector<AddressVerdict> survey_addresses(const std::vector<ReverseZone>& zones,
                                                           const Party& party,
                                                           const Progress& progress);

}  // namespace mailweir
