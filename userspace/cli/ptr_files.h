// SPDX-License-Identifier: GPL-2.0-or-later
// Writes what `ptr zone` made into a folder: all of it or nothing, and never over a file that
// somebody else wrote.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace mailweir {

struct PtrFile {
  std::string name;
  std::string text;
  std::optional<std::uint32_t> serial;  ///< of a zone
  std::string state = "new";            ///< "written", "unchanged", "would be written"
};

/// Nothing if there is none. An error: it cannot be read, or is not of `ptr zone`.
[[nodiscard]] Result<std::optional<std::string>> existing_file(const std::string& folder,
                                                               const std::string& name);

/// Makes the folder, writes what differs beside its place, and then puts all in place. Fills
/// `state`.
[[nodiscard]] Result<> write_ptr_files(const std::string& folder, std::vector<PtrFile>& files,
                                       bool dry_run);

}  // namespace mailweir
