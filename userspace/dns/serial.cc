// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/serial.h"

#include <chrono>

namespace mailweir {

bool is_newer_serial(std::uint32_t a, std::uint32_t b) {
  const std::uint32_t ahead = a - b;
  return ahead != 0 && ahead < (1U << 31);
}

std::uint32_t next_serial(std::optional<std::uint32_t> last, WallTime now) {
  const std::chrono::year_month_day day{std::chrono::floor<std::chrono::days>(now)};
  const std::uint32_t today = static_cast<std::uint32_t>(static_cast<int>(day.year())) * 1'000'000 +
                              static_cast<unsigned>(day.month()) * 10'000 +
                              static_cast<unsigned>(day.day()) * 100 + 1;
  if (!last || is_newer_serial(today, *last)) return today;
  const std::uint32_t following = *last + 1;
  return following == 0 ? 1 : following;
}

}  // namespace mailweir
