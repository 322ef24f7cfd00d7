// SPDX-License-Identifier: GPL-2.0-or-later
// A state directory of the test's own, and decisions to put into it.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "store/store.h"

namespace mailweir {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

inline const WallTime kWall = std::chrono::sys_days{std::chrono::year{2026} / 11 / 24} + 14h + 3min;

inline Decision decision(std::uint32_t number, const char* source = "172.16.7.70") {
  Decision made;
  made.node = "nat1";
  made.number = number;
  made.source = *parse_address(source);
  made.since = kWall + std::chrono::seconds(number);
  made.until = made.since + 1h;
  made.by = "auto";
  made.reason = "fan-out";
  made.evidence =
      Evidence{.syns = 60,
               .networks = 24,
               .answered = 23,
               .unanswered = 1,
               .finished = 12,
               .no_message = 11,
               .message_bytes = 300,
               .braked = 31,
               .limited = 2,
               .score_256ths = 2568,
               .threshold_256ths = 2358,
               .unconfirmed = 3,
               .lost = 4,
               .first_seen = kWall - 3s,
               .last_seen = kWall - 120ms,
               .examples = {*parse_address("198.51.100.21"), *parse_address("2001:db8::25")}};
  return made;
}

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    std::string pattern = testing::TempDir() + "mailweir-store-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    ::chmod(dir_.c_str(), 0755);
  }
  ~StoreTest() override { fs::remove_all(dir_); }

  [[nodiscard]] std::string file() const { return dir_ + "/mailweir.db"; }

  [[nodiscard]] Store open() const {
    auto store = Store::open(dir_);
    if (!store) throw std::runtime_error(store.error().message);
    return *std::move(store);
  }

  /// What an admin does with sqlite3.
  void sql(const std::string& statements) const {
    SQLite::Database(file(), SQLite::OPEN_READWRITE).exec(statements);
  }

  [[nodiscard]] std::vector<std::string> moved_aside() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir_))
      if (entry.path().filename().string().starts_with("mailweir.db.corrupt-"))
        names.push_back(entry.path().filename());
    return names;
  }

  std::string dir_;
};

}  // namespace mailweir
