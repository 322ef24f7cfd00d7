// SPDX-License-Identifier: GPL-2.0-or-later
// The last events, for `mailweir events` and /v1/events. In memory only; the record is the store's.
#pragma once

#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/clock.h"

namespace mailweir {

class Journal {
 public:
  /// `source` may be empty (an event of the daemon itself).
  void add(WallTime time, std::string kind, std::string source, std::string text);
  /// {"events", "next"}: those after `after`; without it the last 100.
  [[nodiscard]] nlohmann::json read(std::optional<std::uint64_t> after) const;
  [[nodiscard]] std::uint64_t last() const { return next_ - 1; }

 private:
  struct Entry {
    std::uint64_t seq;
    WallTime time;
    std::string kind;
    std::string source;
    std::string text;
  };
  std::deque<Entry> entries_;
  std::uint64_t next_ = 1;
};

}  // namespace mailweir
