// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/clock.h"

#include <ctime>

namespace mailweir {

Now SystemClock::now() const {
  timespec boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &boot);
  return {BootTime(std::chrono::seconds(boot.tv_sec) + std::chrono::nanoseconds(boot.tv_nsec)),
          std::chrono::system_clock::now()};
}

}  // namespace mailweir
