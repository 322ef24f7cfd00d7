// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/database.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iterator>

#include "base/unique_fd.h"

namespace mailweir {
namespace {

constexpr int kBusyTimeoutMs = 2000;
constexpr int kNoSuchColumn = -1;  // SQLiteCpp's own

// [n] leads from schema n to n + 1, in one transaction. Never edit one that was released; a new
// word in a column that holds words is a new schema too, since an older mailweir cannot read it.
// Times are integer milliseconds since 1970, UTC; NULL in until_ms: for ever.
constexpr const char* kMigrations[] = {
    R"(
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('last_number', 0);

CREATE TABLE decisions (
  number          INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 4294967295),
  node            TEXT NOT NULL,
  source          TEXT NOT NULL,
  ipv6_prefix     INTEGER NOT NULL CHECK (ipv6_prefix BETWEEN 1 AND 128),
  origin          TEXT NOT NULL,
  would           INTEGER NOT NULL CHECK (would IN (0, 1)),
  since_ms        INTEGER NOT NULL,
  until_ms        INTEGER,
  decided_by      TEXT NOT NULL,
  reason          TEXT NOT NULL,
  syns            INTEGER,
  networks        INTEGER,
  answered        INTEGER,
  unanswered      INTEGER,
  finished        INTEGER,
  no_message      INTEGER,
  message_bytes   INTEGER,
  braked          INTEGER,
  limited         INTEGER,
  score_256ths    INTEGER,
  threshold_256ths INTEGER,
  unconfirmed     INTEGER,
  lost            INTEGER,
  examples        TEXT,
  first_seen_ms   INTEGER,
  last_seen_ms    INTEGER,
  ended_ms        INTEGER,
  end_cause       TEXT,
  dropped_packets INTEGER NOT NULL,
  dropped_bytes   INTEGER NOT NULL
) STRICT;
CREATE INDEX decisions_by_source ON decisions (source, since_ms);
CREATE INDEX open_decisions ON decisions (number) WHERE ended_ms IS NULL;

CREATE TABLE allow_edits (
  network  TEXT PRIMARY KEY,
  added_by TEXT NOT NULL,
  reason   TEXT NOT NULL,
  since_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE mode_order (
  only_one   INTEGER PRIMARY KEY CHECK (only_one = 1),
  mode       TEXT NOT NULL,
  file_mode  TEXT NOT NULL,
  ordered_by TEXT NOT NULL,
  since_ms   INTEGER NOT NULL
) STRICT;

CREATE TABLE proven (
  source   TEXT PRIMARY KEY,
  until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)",
    // Old decisions are found, and removed, by when they ended.
    // And what simulate looks back on: lists of scores are of policy/day.h, in 1/256.
    R"(
CREATE INDEX ended_decisions ON decisions (ended_ms) WHERE ended_ms IS NOT NULL;

CREATE TABLE source_days (
  day               INTEGER NOT NULL,
  source            TEXT NOT NULL,
  contacts          INTEGER NOT NULL,
  unanswered        INTEGER NOT NULL,
  no_message        INTEGER NOT NULL,
  messages          INTEGER NOT NULL,
  networks_most     INTEGER NOT NULL,
  score_most        TEXT NOT NULL,
  proven_score_most TEXT NOT NULL,
  PRIMARY KEY (day, source)
) STRICT, WITHOUT ROWID;
)",
};
constexpr int kSchema = std::size(kMigrations);

void migrate(SQLite::Database& database, int from) {
  for (int schema = from; schema < kSchema; ++schema) {
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    database.exec(kMigrations[schema]);
    database.exec("PRAGMA user_version = " + std::to_string(schema + 1));
    transaction.commit();
  }
  // A lost WAL must cost rows, not the schema.
  if (from < kSchema) database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
}

/// While set, closing the last connection leaves main file and WAL as they are.
void keep_files_on_close(SQLite::Database& database, bool keep) {
  sqlite3_db_config(database.getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep ? 1 : 0, nullptr);
}

Error not_writable(const std::string& path, int code) {
  return sys_error(code, fmt::format("{} is not writable for uid {}", path, ::geteuid()));
}

/// Zero bytes are no database that we left behind: SQLite would take them for a new one, and throw
/// away the WAL.
Result<> check_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    const int code = errno;
    if (code == ENOENT) return Ok{};
    return sys_error(code, "open " + path);
  }
  if (::euidaccess(path.c_str(), R_OK | W_OK) != 0) {
    const int code = errno;
    return not_writable(path, code);
  }
  if (status.st_size == 0) return damage_error("it is empty", "open", path);
  return Ok{};
}

Result<> prepare(SQLite::Database& database, const std::string& path) {
  keep_files_on_close(database, true);
  const int schema = database.execAndGet("PRAGMA user_version").getInt();
  if (schema > kSchema || schema < 0)
    return Error{EINVAL, fmt::format("open {}: its schema is {}, this mailweir knows up to {}: "
                                     "install the newer mailweir again, or move the file away",
                                     path, schema, kSchema)};

  database.exec("PRAGMA temp_store = MEMORY");
  const std::string verdict = database.execAndGet("PRAGMA integrity_check(1)").getString();
  if (verdict != "ok") return damage_error(verdict, "open", path);
  keep_files_on_close(database, false);

  database.exec("PRAGMA journal_mode = WAL");
  database.exec("PRAGMA synchronous = FULL");
  migrate(database, schema);
  return Ok{};
}

}  // namespace

Error database_error(const SQLite::Exception& cause, std::string_view what,
                     const std::string& path) {
  switch (cause.getErrorCode()) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {EBUSY, fmt::format("{} {}: locked by another process for {} s (see fuser -v {})",
                                 what, path, kBusyTimeoutMs / 1000, path)};
    case SQLITE_FULL:
      return {ENOSPC, fmt::format("{} {}: the disk is full", what, path)};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:  // our statements are right, so the schema is not ours
    case kNoSuchColumn:
      return damage_error(cause.what(), what, path);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return {EACCES, fmt::format("{} {} as uid {}: {}", what, path, ::geteuid(), cause.what())};
    default:
      // The index of the WAL is the first thing for which a full disk has no room.
      if (cause.getExtendedErrorCode() == SQLITE_IOERR_SHMSIZE)
        return {ENOSPC, fmt::format("{} {}: the disk is full", what, path)};
      return {EIO, fmt::format("{} {}: {}", what, path, cause.what())};
  }
}

Error damage_error(std::string why, std::string_view what, const std::string& path) {
  std::replace(why.begin(), why.end(), '\n', ' ');  // of integrity_check
  return {kDamaged, fmt::format("{} {}: the file is damaged: {}", what, path, why)};
}

Result<> check_state_dir(const std::string& state_dir) {
  if (::mkdir(state_dir.c_str(), 0750) != 0 && errno != EEXIST) {
    const int code = errno;
    return sys_error(
        code, fmt::format("make state directory {} (state_dir) as uid {}", state_dir, ::geteuid()));
  }
  if (::euidaccess(state_dir.c_str(), R_OK | W_OK | X_OK) != 0) {
    const int code = errno;
    return not_writable("state directory " + state_dir, code);
  }
  return Ok{};
}

Result<std::unique_ptr<SQLite::Database>> open_database(const std::string& path) {
  if (auto ok = check_file(path); !ok) return std::move(ok).error();
  try {
    auto database = std::make_unique<SQLite::Database>(
        path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeoutMs);
    if (auto ok = prepare(*database, path); !ok) return std::move(ok).error();
    return database;
  } catch (const SQLite::Exception& cause) {
    return database_error(cause, "open", path);
  }
}

Result<std::string> move_aside(const std::string& path) {
  const std::time_t now = ::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char stamp[32];
  const std::string aside =
      path + ".corrupt-" +
      std::string(stamp, std::strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc));

  // The main file last: a crash in between must leave it to be found damaged again.
  for (const char* suffix : {"-wal", "-shm", ""}) {
    const std::string from = path + suffix, to = aside + suffix;
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) continue;
    const int code = errno;
    if (code != ENOENT) return sys_error(code, "move damaged " + from + " to " + to);
  }
  const UniqueFd directory(
      ::open(path.substr(0, path.rfind('/') + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ::fsync(directory.get());
  return aside;
}

}  // namespace mailweir
