// SPDX-License-Identifier: GPL-2.0-or-later
// Random numbers that are the same everywhere: the engine is the standard's, the distributions are
// not left to the library.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>

namespace mailweir::evaluate {

/// Of the day, since its midnight.
using Time = std::chrono::microseconds;

[[nodiscard]] inline Time seconds_of(double seconds) {
  return Time(static_cast<Time::rep>(std::llround(seconds * 1e6)));
}
[[nodiscard]] inline double in_seconds(Time time) {
  return static_cast<double>(time.count()) / 1e6;
}

/// One seed out of several numbers: the last step of splitmix64 over each.
template <typename... Words>
[[nodiscard]] std::uint64_t seed_of(Words... words) {
  std::uint64_t state = 0x9e3779b97f4a7c15;
  const auto mix = [&state](std::uint64_t word) {
    state = (state ^ word) + 0x9e3779b97f4a7c15;
    state = (state ^ state >> 30) * 0xbf58476d1ce4e5b9;
    state = (state ^ state >> 27) * 0x94d049bb133111eb;
    state ^= state >> 31;
  };
  (mix(static_cast<std::uint64_t>(words)), ...);
  return state;
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  [[nodiscard]] std::uint64_t word() { return engine_(); }
  /// In [0, 1).
  [[nodiscard]] double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  [[nodiscard]] double between(double low, double high) { return low + uniform() * (high - low); }
  [[nodiscard]] std::uint32_t below(std::uint32_t end) {
    return static_cast<std::uint32_t>(uniform() * end);
  }
  /// Both ends included.
  [[nodiscard]] std::uint32_t count(std::uint32_t least, std::uint32_t most) {
    return least + below(most - least + 1);
  }
  [[nodiscard]] bool chance(double share) { return uniform() < share; }
  [[nodiscard]] double exponential(double mean) { return -mean * std::log1p(-uniform()); }
  [[nodiscard]] double lognormal(double median, double sigma) {
    // Box and Muller; the second number is thrown away, so that a draw has no memory.
    const double radius = std::sqrt(-2 * std::log1p(-uniform()));
    return median * std::exp(sigma * radius * std::cos(2 * std::numbers::pi * uniform()));
  }
  [[nodiscard]] Time time_between(Time low, Time high) {
    return low + seconds_of(uniform() * in_seconds(high - low));
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace mailweir::evaluate
