// SPDX-License-Identifier: GPL-2.0-or-later
// What can be judged only when all files are read: required keys, and values against each other.
#pragma once

#include "config/draft.h"

namespace mailweir {

/// Makes config.groups of draft.groups, gaps filled from [limit].
void resolve_groups(Draft& draft);

/// Reports to draft.findings. Of a draft without errors it leaves the rest of the program nothing
/// to check.
void check(Draft& draft);

}  // namespace mailweir
