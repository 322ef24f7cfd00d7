// SPDX-License-Identifier: GPL-2.0-or-later
// A text file that only grows. It is moved aside at midnight and by size; what was moved aside goes
// when it is too old, or too much.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace mailweir {

struct LogFileLimits {
  std::chrono::seconds keep{0};  ///< kForever: no end
  std::uint64_t max_bytes = 1;   ///< of all its files together
};

class LogFile {
 public:
  LogFile(std::string path, LogFileLimits limits) : path_(std::move(path)), limits_(limits) {}

  /// Opens it for appending; makes its folder, if only that is missing.
  [[nodiscard]] Result<> open(WallTime now);
  /// One or more whole lines. A line that does not fit on the disk is not written in part.
  [[nodiscard]] Result<> write(std::string_view lines, WallTime now);
  /// Somebody else moved the file (logrotate): goes on in a new one.
  [[nodiscard]] Result<> reopen(WallTime now);
  /// Now and then: has it been moved or removed without a word? And what is too old goes.
  [[nodiscard]] Result<> look(WallTime now);

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  [[nodiscard]] bool is_due(std::size_t more, WallTime now) const;
  [[nodiscard]] Result<> rotate(WallTime now);
  void prune(WallTime now) const;

  std::string path_;
  LogFileLimits limits_;
  UniqueFd fd_;
  std::uint64_t bytes_ = 0;
  std::string day_;  ///< of its first line, local: "20261124"
};

}  // namespace mailweir
