// SPDX-License-Identifier: GPL-2.0-or-later
// The durable record (SQLite, WAL, synchronous=FULL): decisions, allowlist edits, the mode that a
// person set. What a call has acknowledged survives a crash and a power cut. Times are kept as
// milliseconds, UTC; what is finer is cut off.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/decision.h"
#include "base/result.h"
#include "policy/day.h"

namespace mailweir {

/// The errno of errors that mean: the file itself is damaged. Nothing else leads to moving it.
inline constexpr int kDamaged = EBADMSG;

/// An allowlist entry that was added by command (not by a file).
struct AllowEdit {
  Prefix prefix;
  std::string by;
  std::string reason;
  WallTime since;
};

/// A mode set by command, and what the file said then: if the file changes, the file wins.
struct ModeOrder {
  Mode mode = Mode::observe;
  Mode file_mode = Mode::observe;
  std::string by;
  WallTime since;
};

/// One owner, one thread. A call waits at most 2 s for another process's lock, then fails (EBUSY).
class Store {
 public:
  /// Makes or opens STATE_DIR/mailweir.db. A damaged file is moved to mailweir.db.corrupt-<UTC>
  /// and a new one begun; note() tells. A newer schema than ours is an error that says so.
  [[nodiscard]] static Result<Store> open(const std::string& state_dir);
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

  /// The file was found damaged (kDamaged) while in use: moves it aside and begins an empty one.
  [[nodiscard]] Result<> begin_anew(const Error& damage);

  /// One line for the operator: a damaged file was moved aside, or the disk is full and the reserve
  /// (STATE_DIR/mailweir.reserve) is spent or missing. Empty if all is well; a write may change it.
  [[nodiscard]] const std::string& note() const;

  /// The highest decision number ever given out by this record; 0 if none.
  [[nodiscard]] Result<std::uint32_t> last_number() const;
  /// Has another process written since the last call (or since the start)? kDamaged: the file was
  /// removed or replaced under us, and what we write is lost.
  [[nodiscard]] Result<bool> changed_by_others();
  /// Adds the decisions, all or none.
  [[nodiscard]] Result<> add(const std::vector<Decision>& decisions);
  /// Writes until, ended, end_cause and the drop counts of a decision that was added before.
  [[nodiscard]] Result<> update(const Decision& decision);
  /// Not ended. Those past their time are among them: who expires them says so by update().
  [[nodiscard]] Result<std::vector<Decision>> open_decisions() const;
  [[nodiscard]] Result<std::optional<Decision>> decision(std::uint32_t number) const;
  /// All decisions since then, by number, ended or not.
  [[nodiscard]] Result<std::vector<Decision>> decisions_since(WallTime since) const;
  /// All decisions about the source since then, newest first, ended or not.
  [[nodiscard]] Result<std::vector<Decision>> history(const mw_addr& source, WallTime since) const;

  /// Removes decisions that ended before then, and of the oldest ended ones as many as there are
  /// more than `most` in all. Returns how many. Of source days a month stays, and no more than
  /// `most`.
  [[nodiscard]] Result<std::size_t> prune(WallTime ended_before, std::size_t most);

  [[nodiscard]] Result<> allow_add(const AllowEdit& edit);  ///< replaces one of the same prefix
  [[nodiscard]] Result<bool> allow_remove(const Prefix& prefix);  ///< false: it was not there
  [[nodiscard]] Result<std::vector<AllowEdit>> allow_edits() const;

  [[nodiscard]] Result<> set_mode_order(const ModeOrder& order);
  [[nodiscard]] Result<std::optional<ModeOrder>> mode_order() const;

  /// Puts them in the place of what was known of the same days.
  [[nodiscard]] Result<> put_days(const std::vector<SourceDay>& days);
  /// Of this day and later ones.
  [[nodiscard]] Result<std::vector<SourceDay>> days_since(std::chrono::sys_days day) const;

  /// Until when a source counts as a proven mailer; none: not any more.
  [[nodiscard]] Result<> set_proven(const mw_addr& source, const std::optional<WallTime>& until);
  [[nodiscard]] Result<std::vector<std::pair<mw_addr, WallTime>>> proven(WallTime now) const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mailweir
