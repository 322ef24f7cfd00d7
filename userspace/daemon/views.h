// SPDX-License-Identifier: GPL-2.0-or-later
// The controller's state as the JSON of docs/api.md, and as the table that the mirror writes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "daemon/controller.h"
#include "mirror/iptables.h"
#include "policy/traffic.h"

namespace mailweir {

[[nodiscard]] nlohmann::json evidence_json(const Evidence& evidence);
[[nodiscard]] nlohmann::json decision_json(const Decision& decision, const Now& now);
[[nodiscard]] nlohmann::json allow_json(const AllowView& entry);
[[nodiscard]] nlohmann::json outcomes_json(const std::vector<Outcome>& outcomes, const Now& now);

[[nodiscard]] nlohmann::json traffic_json(const Traffic& traffic, std::uint32_t minutes);

/// What is known of one source; `state` and counts as `top` shows them.
[[nodiscard]] nlohmann::json source_json(const Controller& controller, Datapath& datapath,
                                         const mw_addr& key, const mw_source& source,
                                         const Now& now);
/// The same with decision, history and the commands that go on from there: `why`.
[[nodiscard]] nlohmann::json why_json(const Controller& controller, Datapath& datapath,
                                      const mw_addr& key, const mw_source& source, const Now& now);

/// What the chain should hold now, with the kernel's counts: enforced decisions, at most max_rules.
[[nodiscard]] MirrorTable mirror_table(const Controller& controller, Datapath& datapath,
                                       const Now& now);
/// What MAILWEIR_SHIELD should hold: the exemptions are those of the program.
[[nodiscard]] ShieldTable shield_table(const Controller& controller);
/// How many enforced decisions do not fit.
[[nodiscard]] std::size_t unmirrored(const Controller& controller);

}  // namespace mailweir
