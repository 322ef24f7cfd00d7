// SPDX-License-Identifier: GPL-2.0-or-later
// Who is behind the gateway on a day, in what numbers, and when.
#pragma once

#include "evaluate/day.h"

namespace mailweir::evaluate {

/// All classes but what lives under the flood. `clients`: 9 of 10 do not mail, and need no
/// packets; of those that do the most are plain. Returns how many mail.
std::size_t populate(Day& day, std::uint32_t clients);

/// The last hour and a half of a day, in which one forges a SYN each of `forged` sources: mail
/// servers and plain clients that mail meanwhile, and fast bots.
void populate_flood(Day& day, std::uint32_t forged);

/// Only mailings and bots, of which the productive share is swept, `trials` of each kind.
void populate_margins(Day& day, std::uint32_t trials);

inline const std::vector<double> kMailingShares = {.95, .9, .85, .8, .75, .7, .6, .5};
inline const std::vector<std::uint32_t> kMailingServers = {200, 1000};
inline const std::vector<double> kBotShares = {.114, .3, .4, .45, .5, .55, .6, .7};

}  // namespace mailweir::evaluate
