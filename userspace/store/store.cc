// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/store.h"

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include <utility>

#include "store/database.h"
#include "store/reserve.h"
#include "store/rows.h"

namespace mailweir {

struct Store::Impl {
  explicit Impl(const std::string& state_dir)
      : path(state_dir + "/mailweir.db"), reserve(state_dir + "/mailweir.reserve") {}

  std::string path;
  Reserve reserve;
  std::unique_ptr<SQLite::Database> database;
  struct stat opened {};  ///< the file that the database has open
  int seen_version = 0;   ///< SQLite's count of other connections' changes
  std::string moved;      ///< tells of the damaged file, for as long as we run
  std::string shortage;   ///< tells of the full disk, until there is a reserve again
  std::string note;

  void tell() { note = moved + (moved.empty() || shortage.empty() ? "" : "; ") + shortage; }

  void hold_reserve() {
    if (reserve.hold())
      shortage.clear();
    else if (shortage.empty())
      shortage = fmt::format("the disk of {} is nearly full: no room for a reserve", path);
    tell();
  }

  [[nodiscard]] bool spend_reserve() {
    if (!reserve.spend()) return false;
    shortage = fmt::format("the disk of {} is full: the reserve is spent, free some space", path);
    tell();
    return true;
  }

  template <typename Work>
  auto guarded(std::string_view what, Work work) -> Result<decltype(work())> {
    if (!database) return Error{EIO, fmt::format("{} {}: it could not be opened", what, path)};
    try {
      return work();
    } catch (const SQLite::Exception& cause) {
      return database_error(cause, what, path);
    } catch (const rows::Unreadable& cause) {
      return damage_error(cause.why, what, path);
    }
  }

  /// All or nothing, and on the disk when it returns. `change` runs again if the disk was full.
  template <typename Change>
  auto write(std::string_view what, Change change) -> Result<decltype(change())> {
    const auto transact = [&] {
      // A deferred one that turns from reading to writing fails without waiting for the lock.
      SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
      auto result = change();
      transaction.commit();
      return result;
    };
    auto result = guarded(what, transact);
    if (!result && result.error().code == ENOSPC && spend_reserve())
      result = guarded(what, transact);
    if (result && !reserve.held()) hold_reserve();
    return result;
  }

  [[nodiscard]] int data_version() const {
    return database->execAndGet("PRAGMA data_version").getInt();
  }

  [[nodiscard]] Result<> open_file() {
    auto opened = open_database(path);
    if (!opened && opened.error().code == ENOSPC && spend_reserve()) opened = open_database(path);
    if (!opened) return std::move(opened).error();
    database = *std::move(opened);
    (void)::stat(path.c_str(), &this->opened);
    // A damaged row is found now or never: all that the start depends on is read once.
    return guarded("open", [&] {
      (void)rows::last_number(*database);
      (void)rows::open_decisions(*database);
      (void)rows::allow_edits(*database);
      (void)rows::mode_order(*database);
      seen_version = data_version();
      return Ok{};
    });
  }

  /// Takes over what can still be read, table by table; says what, and what to look after.
  [[nodiscard]] std::string salvage(const std::string& aside) {
    std::string taken;
    std::string lost;
    const auto each = [&](const std::string& what, auto work) {
      try {
        SQLite::Database old(aside, SQLite::OPEN_READONLY);
        SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
        work(old);
        transaction.commit();
        taken += (taken.empty() ? "" : ", ") + what;
      } catch (const SQLite::Exception&) {
        lost += (lost.empty() ? "" : ", ") + what;
      } catch (const rows::Unreadable&) {
        lost += (lost.empty() ? "" : ", ") + what;
      }
    };
    each("decisions in force",
         [&](SQLite::Database& old) { rows::insert(*database, rows::open_decisions(old)); });
    each("allowlist by command", [&](SQLite::Database& old) {
      for (const AllowEdit& edit : rows::allow_edits(old)) rows::put_allow_edit(*database, edit);
    });
    each("mode by command", [&](SQLite::Database& old) {
      if (const auto order = rows::mode_order(old)) rows::put_mode_order(*database, *order);
    });
    return "taken over: " + (taken.empty() ? "nothing" : taken) +
           (lost.empty() ? "" : "; LOST: " + lost + " (see mailweir allow list, mailweir mode)") +
           "; its history is in that file";
  }

  /// Once: if the new file is no better, that is an error.
  [[nodiscard]] Result<> start_anew(const Error& damage) {
    database.reset();
    auto aside = move_aside(path);
    if (!aside) return std::move(aside).error().in(damage.message);
    if (auto ok = open_file(); !ok) return ok;
    moved = fmt::format("{}; moved to {}, begun anew; {}", damage.message, *aside, salvage(*aside));
    return Ok{};
  }
};

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Result<Store> Store::open(const std::string& state_dir) {
  if (auto ok = check_state_dir(state_dir); !ok) return std::move(ok).error();
  auto impl = std::make_unique<Impl>(state_dir);
  auto opened = impl->open_file();
  if (!opened && opened.error().code == kDamaged) opened = impl->start_anew(opened.error());
  if (!opened) return std::move(opened).error();
  impl->hold_reserve();
  return Store(std::move(impl));
}

Result<> Store::begin_anew(const Error& damage) {
  if (auto begun = impl_->start_anew(damage); !begun) return begun;
  impl_->hold_reserve();
  return Ok{};
}

const std::string& Store::note() const {
  return impl_->note;
}

Result<std::uint32_t> Store::last_number() const {
  return impl_->guarded("read", [&] { return rows::last_number(*impl_->database); });
}

Result<bool> Store::changed_by_others() {
  struct stat now {};
  if (::stat(impl_->path.c_str(), &now) != 0 || now.st_ino != impl_->opened.st_ino ||
      now.st_dev != impl_->opened.st_dev)
    return Error{kDamaged, impl_->path + ": the file was removed or replaced while in use"};
  return impl_->guarded("look at", [&] {
    return std::exchange(impl_->seen_version, impl_->data_version()) != impl_->seen_version;
  });
}

Result<> Store::add(const std::vector<Decision>& decisions) {
  if (decisions.empty()) return Ok{};
  return impl_->write("add decision " + decisions.front().id() + " to", [&] {
    rows::insert(*impl_->database, decisions);
    return Ok{};
  });
}

Result<> Store::update(const Decision& decision) {
  auto found = impl_->write("update decision " + decision.id() + " in",
                            [&] { return rows::update(*impl_->database, decision); });
  if (!found) return std::move(found).error();
  if (!*found)
    return Error{ENOENT,
                 fmt::format("update decision {}: it is not in {}", decision.id(), impl_->path)};
  return Ok{};
}

Result<std::vector<Decision>> Store::open_decisions() const {
  return impl_->guarded("read decisions of",
                        [&] { return rows::open_decisions(*impl_->database); });
}

Result<std::vector<Decision>> Store::history(const mw_addr& source, WallTime since) const {
  return impl_->guarded("read history from",
                        [&] { return rows::history(*impl_->database, source, since); });
}

Result<std::optional<Decision>> Store::decision(std::uint32_t number) const {
  return impl_->guarded("read decisions of",
                        [&] { return rows::decision(*impl_->database, number); });
}

Result<std::size_t> Store::prune(WallTime ended_before, std::size_t most) {
  return impl_->write("prune", [&] {
    rows::prune_days(*impl_->database, most);
    return rows::prune(*impl_->database, ended_before, most);
  });
}

Result<std::vector<Decision>> Store::decisions_since(WallTime since) const {
  return impl_->guarded("read decisions of",
                        [&] { return rows::decisions_since(*impl_->database, since); });
}

Result<> Store::allow_add(const AllowEdit& edit) {
  return impl_->write("allow " + to_string(edit.prefix) + " in", [&] {
    rows::put_allow_edit(*impl_->database, edit);
    return Ok{};
  });
}

Result<bool> Store::allow_remove(const Prefix& prefix) {
  return impl_->write("remove " + to_string(prefix) + " from",
                      [&] { return rows::remove_allow_edit(*impl_->database, prefix); });
}

Result<std::vector<AllowEdit>> Store::allow_edits() const {
  return impl_->guarded("read allowlist of", [&] { return rows::allow_edits(*impl_->database); });
}

Result<> Store::set_mode_order(const ModeOrder& order) {
  return impl_->write("set mode in", [&] {
    rows::put_mode_order(*impl_->database, order);
    return Ok{};
  });
}

Result<std::optional<ModeOrder>> Store::mode_order() const {
  return impl_->guarded("read mode of", [&] { return rows::mode_order(*impl_->database); });
}

Result<> Store::put_days(const std::vector<SourceDay>& days) {
  return impl_->write("note what sources did in", [&] {
    rows::put_days(*impl_->database, days);
    return Ok{};
  });
}

Result<std::vector<SourceDay>> Store::days_since(std::chrono::sys_days day) const {
  return impl_->guarded("read the days of",
                        [&] { return rows::days_since(*impl_->database, day); });
}

Result<> Store::set_proven(const mw_addr& source, const std::optional<WallTime>& until) {
  return impl_->write("note a proven mailer in", [&] {
    rows::put_proven(*impl_->database, source, until);
    return Ok{};
  });
}

Result<std::vector<std::pair<mw_addr, WallTime>>> Store::proven(WallTime now) const {
  return impl_->guarded("read proven mailers of",
                        [&] { return rows::proven(*impl_->database, now); });
}

}  // namespace mailweir
