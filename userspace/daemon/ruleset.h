// SPDX-License-Identifier: GPL-2.0-or-later
// Config, allowlist edits and mode -> what the kernel is told.
#pragma once

#include <vector>

#include "config/config.h"
#include "datapath/datapath.h"
#include "policy/rule.h"
#include "policy/scope.h"

namespace mailweir {

[[nodiscard]] mw_rate to_abi(const Limit& limit);
[[nodiscard]] mw_quota to_quota(const Rate& rate);

/// `allow_edits`: the prefixes that were allowed by command, beside those of the configuration;
/// `own_addresses`: the gateway's, which are not shielded.
[[nodiscard]] Ruleset make_ruleset(const Config& config, const std::vector<Prefix>& allow_edits,
                                   Mode mode, const std::vector<mw_addr>& own_addresses);

[[nodiscard]] Rule make_rule(const Config& config);

[[nodiscard]] AttachChoice to_choice(Attach attach);

}  // namespace mailweir
