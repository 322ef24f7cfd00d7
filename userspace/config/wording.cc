// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/wording.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace mailweir {
namespace {

constexpr std::size_t kLongestLine = 300;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < ' ' || c == 0x7f;
}

/// Edits between the words; two neighbours that changed places are one edit (optimal string
/// alignment), since that is how fingers err.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(above);
    above.swap(row);
  }
  return above[b.size()];
}

}  // namespace

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    // A byte that continues a UTF-8 character is never the place to cut.
    if (line.size() >= kLongestLine && (static_cast<unsigned char>(c) & 0xc0) != 0x80)
      return line + "...";
    line +=
        is_control(c) ? fmt::format("\\x{:02x}", static_cast<unsigned char>(c)) : std::string(1, c);
  }
  return line;
}

std::string closest(std::string_view word, const std::vector<std::string_view>& candidates) {
  std::size_t least = word.size() <= 4 ? 2 : 3;
  std::string_view best;
  for (const std::string_view candidate : candidates) {
    if (std::max(word.size(), candidate.size()) - std::min(word.size(), candidate.size()) >= least)
      continue;
    if (const std::size_t edits = distance(word, candidate); edits < least) {
      least = edits;
      best = candidate;
    }
  }
  return std::string(best);
}

std::string listed(const std::vector<std::string_view>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace mailweir
