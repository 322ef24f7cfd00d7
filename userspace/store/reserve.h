// SPDX-License-Identifier: GPL-2.0-or-later
// Space kept back for a full disk: SQLite cannot even delete a row without some.
#pragma once

#include <string>
#include <utility>

namespace mailweir {

class Reserve {
 public:
  explicit Reserve(std::string path) : path_(std::move(path)) {}

  /// Makes the file unless it is there. False: there is no room, or too little would be left.
  [[nodiscard]] bool hold();
  /// Gives the space back to the disk. False: it was given back already.
  [[nodiscard]] bool spend();
  [[nodiscard]] bool held() const { return held_; }

 private:
  std::string path_;
  bool held_ = false;
};

}  // namespace mailweir
