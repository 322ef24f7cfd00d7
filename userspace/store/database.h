// SPDX-License-Identifier: GPL-2.0-or-later
// Opening mailweir.db: what may stand in its way, its schema, and a damaged file. No rows here.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/store.h"

namespace mailweir {

/// What SQLite says, in the operator's words. `what` was attempted.
[[nodiscard]] Error database_error(const SQLite::Exception& cause, std::string_view what,
                                   const std::string& path);
[[nodiscard]] Error damage_error(std::string why, std::string_view what, const std::string& path);

/// Makes the state directory if only its last part is missing, and sees to it that the effective
/// user can write there.
[[nodiscard]] Result<> check_state_dir(const std::string& state_dir);

/// Makes or opens the file and brings its schema up to date. Until it is found whole, and if its
/// schema is newer, nothing of it or of its WAL is changed.
[[nodiscard]] Result<std::unique_ptr<SQLite::Database>> open_database(const std::string& path);

/// Renames the file, its WAL and its index to PATH.corrupt-<UTC>; returns that name.
[[nodiscard]] Result<std::string> move_aside(const std::string& path);

}  // namespace mailweir
