// SPDX-License-Identifier: GPL-2.0-or-later
// The list files of [allow] files: one address or prefix a line.
#pragma once

#include "config/draft.h"

namespace mailweir {

/// Appends the entries of all list files to config.allow.networks. A file that matches two patterns
/// is read once; an entry that was allowed already is left out, with a warning.
void read_allow_files(Draft& draft);

}  // namespace mailweir
