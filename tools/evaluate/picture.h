// SPDX-License-Identifier: GPL-2.0-or-later
// The pictures of docs/evaluation.md, as SVG.
#pragma once

#include "evaluate/bounds.h"

namespace mailweir::evaluate {

/// Each detector: false blocks to the right, leak upward, both logarithmic.
[[nodiscard]] std::string leak_picture(const Findings& findings);

/// The share of sources that is blocked, by the share of first contacts that take a message.
[[nodiscard]] std::string margin_picture(const Findings& findings);

}  // namespace mailweir::evaluate
