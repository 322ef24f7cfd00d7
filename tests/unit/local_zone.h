// SPDX-License-Identifier: GPL-2.0-or-later
// Local time of another place, for tests of what people read and write.
#pragma once

#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>

namespace mailweir {

/// Another time zone until the end of the test.
class LocalZone {
 public:
  explicit LocalZone(const char* name) {
    if (const char* old = std::getenv("TZ")) old_ = old;
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  LocalZone(const LocalZone&) = delete;
  LocalZone& operator=(const LocalZone&) = delete;
  ~LocalZone() {
    if (old_)
      ::setenv("TZ", old_->c_str(), 1);
    else
      ::unsetenv("TZ");
    ::tzset();
  }

 private:
  std::optional<std::string> old_;
};

}  // namespace mailweir
