// SPDX-License-Identifier: GPL-2.0-or-later
// What both `ptr` verbs begin with: which addresses, in which zones, by whose configuration.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/console.h"
#include "config/config.h"
#include "dns/asker.h"
#include "dns/zone_plan.h"

namespace mailweir {

struct PtrPlan {
  Config config;  ///< of --config, of the file where the daemon's is, or the defaults
  std::vector<ReverseZone> zones;
  std::size_t addresses = 0;
};

/// `ranges`: as given, "-" among them: more on stdin; none: [pool] networks.
[[nodiscard]] Result<PtrPlan> plan_ptr(const Console& console,
                                       const std::vector<std::string>& ranges);

/// By [pool] resolver.
[[nodiscard]] Result<std::unique_ptr<Asker>> open_resolver(const Config& config);

/// The first IPv4 address of a name, or else the first IPv6 one. An error says why there is none.
[[nodiscard]] Result<mw_addr> look_up(const std::string& name, Asker& resolver);

/// Whatever the errno of an error, it says nothing about a daemon.
int fail_ptr(const Console& console, Error error);

}  // namespace mailweir
