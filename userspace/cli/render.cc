// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <ostream>

namespace mailweir {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kLabelColumns = 13;

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 0;  ///< 0: the text does not start with one
};

CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {};
  std::uint32_t value = lead & (0x7fU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3fU);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kSmallest[bytes] || value > 0x10ffff || surrogate) return {};
  return {value, bytes};
}

bool commands_a_terminal(std::uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/// Columns on a terminal, for text that is printable(): wide scripts are not looked up.
std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string cut_to(std::string_view text, std::size_t columns) {
  if (columns_of(text) <= columns) return std::string(text);
  constexpr std::string_view kMark = "..";
  std::size_t kept = 0;
  std::size_t end = 0;
  while (end < text.size() && kept + kMark.size() < columns) {
    ++kept;
    while (++end < text.size() && (text[end] & 0xc0) == 0x80) {
    }
  }
  return std::string(text.substr(0, end)) + std::string(kMark);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string safe;
  while (!text.empty()) {
    const CodePoint next = first_code_point(text);
    const std::size_t bytes = std::max<std::size_t>(next.bytes, 1);
    if (next.bytes == 0 || commands_a_terminal(next.value))
      for (const char c : text.substr(0, bytes))
        safe += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      safe += text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return safe;
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ' ');
  return text;
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::string_view kUnits = "KMGTP";
  if (bytes < 100000) return std::to_string(bytes);
  std::size_t unit = 0;
  for (bytes = (bytes + 500) / 1000; bytes >= 10000 && unit + 1 < kUnits.size(); ++unit)
    bytes = (bytes + 500) / 1000;
  return std::to_string(bytes) + kUnits[unit];
}

std::string volume_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  std::size_t unit = 0;
  double size = static_cast<double>(bytes) / 1024;
  for (; size >= 1023.5 && unit + 1 < kUnits.size(); ++unit) size /= 1024;
  return fmt::format("{:.{}f} {}", size, size < 9.95 ? 1 : 0, kUnits[unit]);
}

std::string counted(std::uint64_t number, std::string_view noun) {
  return fmt::format("{} {}{}", grouped(number), noun, number == 1 ? "" : "s");
}

std::string shell_word(std::string_view word) {
  if (!word.empty() && word.find_first_of(" \t\n\"'\\$`&|;<>()*?[]#~!{}") == std::string_view::npos)
    return std::string(word);
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + '\'';
}

std::string Style::paint(std::string_view word, Tone tone) const {
  if (!colour_ || tone == Tone::plain) return std::string(word);
  const char* code = tone == Tone::good ? "32" : tone == Tone::warn ? "33" : "1;31";
  return fmt::format("\x1b[{}m{}\x1b[0m", code, word);
}

void Table::print(std::ostream& out, const Style& style, std::optional<unsigned> width) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    widths.push_back(columns_of(columns_[i].title));
    for (const auto& row : rows_) widths[i] = std::max(widths[i], columns_of(row[i].text));
  }
  const auto print_row = [&](const std::vector<Cell>& row) {
    std::string line;
    std::size_t used = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool last = i + 1 == row.size();
      std::string text = row[i].text;
      if (last && width && *width > used + kGap) text = cut_to(text, *width - used);
      const std::string pad(widths[i] - std::min(widths[i], columns_of(text)), ' ');
      if (columns_[i].right) line += pad;
      line += style.paint(text, row[i].tone);
      if (last) break;
      if (!columns_[i].right) line += pad;
      line += std::string(kGap, ' ');
      used += widths[i] + kGap;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  };
  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.emplace_back(column.title);
  print_row(titles);
  for (const auto& row : rows_) print_row(row);
}

void print_labelled(std::ostream& out, std::string_view label, std::string_view text,
                    std::optional<unsigned> width) {
  std::string line = fmt::format("  {:<10} ", label);
  bool has_word = false;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (has_word && width && columns_of(line) + 1 + columns_of(word) > *width) {
      out << line << '\n';
      line.assign(kLabelColumns, ' ');
      has_word = false;
    }
    if (has_word) line += ' ';
    line += word;
    has_word = true;
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  out << line << '\n';
}

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (const std::string& field : fields) {
    if (&field != &fields.front()) line += ',';
    const std::string safe = printable(field);
    if (safe.find_first_of(",\"") == std::string::npos) {
      line += safe;
      continue;
    }
    line += '"';
    for (const char c : safe) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    line += '"';
  }
  return line;
}

}  // namespace mailweir
