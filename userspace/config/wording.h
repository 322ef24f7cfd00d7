// SPDX-License-Identifier: GPL-2.0-or-later
// How problems are worded: one line whatever the file contains, and a guess at what was meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mailweir {

/// `text` as one printable line: controls escaped, cut at 300 bytes.
[[nodiscard]] std::string one_line(std::string_view text);

/// The candidate that `word` is probably a misspelling of; empty if none is near.
[[nodiscard]] std::string closest(std::string_view word,
                                  const std::vector<std::string_view>& candidates);

/// "observe, throttle, block"
[[nodiscard]] std::string listed(const std::vector<std::string_view>& words);

}  // namespace mailweir
