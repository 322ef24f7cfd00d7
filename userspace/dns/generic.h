// SPDX-License-Identifier: GPL-2.0-or-later
// Names that receiving servers take for those of dynamic customers. docs/reverse-dns.md has the
// words and where they come from.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"

namespace mailweir {

/// Why `name` (canonical) looks generic: "has the word 'dynamic'", "has the whole address in it".
[[nodiscard]] std::optional<std::string> why_generic(std::string_view name, const mw_addr& addr);

}  // namespace mailweir
