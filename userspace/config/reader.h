// SPDX-License-Identifier: GPL-2.0-or-later
// One TOML file into the draft: known keys, types and ranges. What only the whole shows is in
// checks.h.
#pragma once

#include <string>

#include "config/draft.h"

namespace mailweir {

/// Adds what `file` says to the draft; a key that is written again overrides. False: the file could
/// not be read or parsed, and the draft lacks all of it.
[[nodiscard]] bool read_file(const std::string& file, Draft& draft);

}  // namespace mailweir
