// SPDX-License-Identifier: GPL-2.0-or-later
// docs/evaluation.md. Nothing in it depends on when or how fast it was made.
#pragma once

#include "evaluate/bounds.h"

namespace mailweir::evaluate {

[[nodiscard]] std::string report(const Findings& findings, const std::string& command);

}  // namespace mailweir::evaluate
