// SPDX-License-Identifier: GPL-2.0-or-later
#include "mirror/listing.h"

#include <algorithm>

namespace mailweir {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string_view take_line(std::string_view& listing) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < listing.size(); ++end) {
    const char c = listing[end];
    if (c == '\\' && quoted)
      ++end;
    else if (c == '"')
      quoted = !quoted;
    else if (c == '\n' && !quoted)
      break;
  }
  const std::string_view line = listing.substr(0, end);
  listing.remove_prefix(std::min(end + 1, listing.size()));
  return line;
}

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  bool quoted = false;
  bool inside = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == ' ' && !quoted) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    if (c == '"')
      quoted = !quoted;
    else if (c == '\\' && quoted && i + 1 < line.size())
      words.back() += line[++i];
    else
      words.back() += c;
  }
  return words;
}

}  // namespace mailweir
