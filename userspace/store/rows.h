// SPDX-License-Identifier: GPL-2.0-or-later
// Decisions, allowlist edits and the mode order, to and from their rows. No transaction is begun
// here; all of it throws SQLite::Exception, and the reading Unreadable too.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <string>
#include <vector>

#include "store/store.h"

namespace mailweir::rows {

/// A row that mailweir cannot have written: damage.
struct Unreadable {
  std::string why;
};

[[nodiscard]] std::uint32_t last_number(SQLite::Database& database);

/// Raises last_number too.
void insert(SQLite::Database& database, const std::vector<Decision>& decisions);
/// False: there is no decision of that number.
[[nodiscard]] bool update(SQLite::Database& database, const Decision& decision);
[[nodiscard]] std::vector<Decision> open_decisions(SQLite::Database& database);
[[nodiscard]] std::vector<Decision> history(SQLite::Database& database, const mw_addr& source,
                                            WallTime since);
[[nodiscard]] std::optional<Decision> decision(SQLite::Database& database, std::uint32_t number);
[[nodiscard]] std::vector<Decision> decisions_since(SQLite::Database& database, WallTime since);
[[nodiscard]] std::size_t prune(SQLite::Database& database, WallTime ended_before,
                                std::size_t most);

void put_allow_edit(SQLite::Database& database, const AllowEdit& edit);
[[nodiscard]] bool remove_allow_edit(SQLite::Database& database, const Prefix& prefix);
[[nodiscard]] std::vector<AllowEdit> allow_edits(SQLite::Database& database);

void put_mode_order(SQLite::Database& database, const ModeOrder& order);
[[nodiscard]] std::optional<ModeOrder> mode_order(SQLite::Database& database);

void put_days(SQLite::Database& database, const std::vector<SourceDay>& days);
[[nodiscard]] std::vector<SourceDay> days_since(SQLite::Database& database,
                                                std::chrono::sys_days day);
/// A month before the youngest, and of the rest the youngest.
void prune_days(SQLite::Database& database, std::size_t most);

void put_proven(SQLite::Database& database, const mw_addr& source,
                const std::optional<WallTime>& until);
[[nodiscard]] std::vector<std::pair<mw_addr, WallTime>> proven(SQLite::Database& database,
                                                               WallTime now);

}  // namespace mailweir::rows
