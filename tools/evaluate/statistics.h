// SPDX-License-Identifier: GPL-2.0-or-later
// What may be concluded from counts.
#pragma once

#include <cstdint>
#include <vector>

namespace mailweir::evaluate {

/// I_x(a, b) for a, b > 0 and 0 <= x <= 1.
[[nodiscard]] double incomplete_beta(double a, double b, double x);

struct Interval {
  double low = 0, high = 1;
};

/// The exact interval of Clopper and Pearson (Biometrika 1934) for `hits` of `trials`: it covers
/// the true share in at least `confidence` of all cases. Nothing tried: 0 to 1.
[[nodiscard]] Interval exact_interval(std::uint64_t hits, std::uint64_t trials,
                                      double confidence = 0.95);

/// The smallest value that at least the share `part` does not exceed; no value: 0.
[[nodiscard]] double quantile(std::vector<double> values, double part);

}  // namespace mailweir::evaluate
