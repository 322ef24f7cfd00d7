// SPDX-License-Identifier: GPL-2.0-or-later
// The text of one file, and TOML out of it. Knows no key.
#pragma once

#include <toml++/toml.h>

#include <optional>
#include <string>

#include "base/result.h"
#include "config/draft.h"

namespace mailweir {

/// The text of a regular file of at most 1 MiB without NUL bytes. An error has the errno of the
/// system call that failed, and does not repeat the file's name.
[[nodiscard]] Result<std::string> read_text(const std::string& file);

/// None if the text is not TOML; then exactly one error has been reported.
[[nodiscard]] std::optional<toml::table> parse_toml(const std::string& file,
                                                    const std::string& text, Findings& findings);

}  // namespace mailweir
