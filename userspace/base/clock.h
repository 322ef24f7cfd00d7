// SPDX-License-Identifier: GPL-2.0-or-later
// The Clock seam: boot time, which the kernel program lives by, and wall time, which people do.
#pragma once

#include <chrono>
#include <cstdint>

namespace mailweir {

/// CLOCK_BOOTTIME, as bpf_ktime_get_boot_ns().
struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
};
using BootTime = BootClock::time_point;
using WallTime = std::chrono::system_clock::time_point;

[[nodiscard]] inline BootTime boot_time(std::uint64_t ns) {
  return BootTime(std::chrono::nanoseconds(static_cast<std::int64_t>(ns)));
}
[[nodiscard]] inline std::uint64_t to_ns(BootTime time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

struct Now {
  BootTime boot;
  WallTime wall;

  /// The wall time of a moment in boot time, as both clocks stand now.
  [[nodiscard]] WallTime wall_of(BootTime time) const {
    return wall + std::chrono::duration_cast<WallTime::duration>(time - boot);
  }
  [[nodiscard]] BootTime boot_of(WallTime time) const {
    return boot + std::chrono::duration_cast<BootClock::duration>(time - wall);
  }
};

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Now now() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Now now() const override;
};

}  // namespace mailweir
