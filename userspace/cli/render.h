// SPDX-License-Identifier: GPL-2.0-or-later
// Text for a terminal or a pipe: numbers, colour, tables, CSV. Knows nothing of the API.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mailweir {

/// Text that cannot command a terminal: controls, bytes that are no UTF-8 and the marks that turn
/// the direction of writing become \xNN.
[[nodiscard]] std::string printable(std::string_view text);

[[nodiscard]] std::string grouped(std::uint64_t number);  ///< "1 284"
/// As iptables prints it: "912", "114K", "3M".
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);
/// "912 B", "1.2 KiB", "123 MiB".
[[nodiscard]] std::string volume_text(std::uint64_t bytes);
/// "1 rule", "7 rules".
[[nodiscard]] std::string counted(std::uint64_t number, std::string_view noun);

/// A word as a shell takes it again: quoted, if it needs to be.
[[nodiscard]] std::string shell_word(std::string_view word);

/// What a state word means to the reader.
enum class Tone : std::uint8_t { plain, good, warn, bad };

class Style {
 public:
  explicit Style(bool colour = false) : colour_(colour) {}
  [[nodiscard]] std::string paint(std::string_view word, Tone tone) const;

 private:
  bool colour_;
};

struct Cell {
  Cell(std::string content, Tone meaning = Tone::plain)  // NOLINT: implicit, a row is mostly text
      : text(std::move(content)), tone(meaning) {}
  std::string text;
  Tone tone;
};

struct Column {
  std::string title;
  bool right = false;  ///< numbers
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  /// `width`: of the terminal; the last column is cut to it. None: nothing is cut.
  void print(std::ostream& out, const Style& style, std::optional<unsigned> width) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

/// "  decided    TEXT". Words go to further lines at `width`; without one they never do.
void print_labelled(std::ostream& out, std::string_view label, std::string_view text,
                    std::optional<unsigned> width);

/// One line of RFC 4180, without controls in its fields.
[[nodiscard]] std::string csv_line(const std::vector<std::string>& fields);

}  // namespace mailweir
