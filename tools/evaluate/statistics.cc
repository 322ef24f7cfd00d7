// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/statistics.h"

#include <algorithm>
#include <cmath>

namespace mailweir::evaluate {
namespace {

/// The continued fraction of DLMF 8.17.22, summed by Lentz's method as Thompson and Barnett
/// changed it (J. Comput. Phys. 64, 1986). Converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  constexpr double kEnough = 1e-15;
  constexpr int kMostTerms = 10'000;
  const auto not_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1;
  double d = 1 / not_zero(1 - (a + b) * x / (a + 1));
  double sum = d;
  for (int m = 1; m <= kMostTerms; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / not_zero(1 + even * d);
    c = not_zero(1 + even / c);
    sum *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / not_zero(1 + odd * d);
    c = not_zero(1 + odd / c);
    sum *= d * c;
    if (std::abs(d * c - 1) < kEnough) break;
  }
  return sum;
}

/// The x with I_x(a, b) = part.
double beta_quantile(double a, double b, double part) {
  double low = 0;
  double high = 1;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (incomplete_beta(a, b, middle) < part ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  // DLMF 8.17.4: the other end converges where this one does not.
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

Interval exact_interval(std::uint64_t hits, std::uint64_t trials, double confidence) {
  if (trials == 0) return {};
  const double tail = (1 - confidence) / 2;
  const auto k = static_cast<double>(hits);
  const auto n = static_cast<double>(trials);
  return {hits == 0 ? 0 : beta_quantile(k, n - k + 1, tail),
          hits == trials ? 1 : beta_quantile(k + 1, n - k, 1 - tail)};
}

double quantile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  const auto rank = static_cast<std::size_t>(
      std::max(0.0, std::ceil(part * static_cast<double>(values.size())) - 1));
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(std::min(rank, values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace mailweir::evaluate
