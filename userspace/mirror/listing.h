// SPDX-License-Identifier: GPL-2.0-or-later
// What `iptables -S` prints, taken apart into lines and words.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mailweir {

[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);
/// Takes the next line off. A quoted comment may hold newlines, and what follows one is no rule.
[[nodiscard]] std::string_view take_line(std::string_view& listing);
/// Words as iptables quotes them: "..." with backslashes.
[[nodiscard]] std::vector<std::string> words_of(std::string_view line);

/// The whole text as a decimal number; none if it is anything else.
template <typename T>
[[nodiscard]] std::optional<T> parse_number(std::string_view text) {
  T number{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace mailweir
