// SPDX-License-Identifier: GPL-2.0-or-later
// JSON from an untrusted peer: text -> value, and value -> text that always succeeds.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mailweir {

/// Deeper text is refused: copying and printing a value recurse once a level.
inline constexpr int kMostJsonDepth = 32;

/// Null for text that is empty. An error names line and column.
[[nodiscard]] Result<nlohmann::json> parse_json(std::string_view text);

/// Bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string json_text(const nlohmann::json& value);

}  // namespace mailweir
