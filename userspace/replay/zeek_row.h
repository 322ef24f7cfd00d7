// SPDX-License-Identifier: GPL-2.0-or-later
// The rows of Zeek's conn.log, as a table or as JSON, down to what was said in them. What a
// connection's packets were is not here.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mailweir {

enum class ZeekField : std::uint8_t {
  ts,
  orig_h,
  orig_p,
  resp_h,
  resp_p,
  proto,
  service,
  duration,
  orig_bytes,
  resp_bytes,
  orig_ip_bytes,
  resp_ip_bytes,
  conn_state,
  history,
  path,  ///< JSON alone: "_path", which log it is
};
inline constexpr std::size_t kZeekFields = 15;

/// As written; empty where it is unset, empty or not logged at all.
struct ZeekRow {
  std::array<std::string_view, kZeekFields> fields;

  [[nodiscard]] std::string_view operator[](ZeekField field) const {
    return fields[static_cast<std::size_t>(field)];
  }
};

class ZeekParser {
 public:
  /// Does a Zeek log begin so?
  [[nodiscard]] static bool recognises(std::string_view beginning);

  /// False: a header or an empty line. `row` is valid until the next call, and as long as the line.
  /// An error is about the line ("has 3 fields, not 20") unless is_fatal().
  [[nodiscard]] Result<bool> parse(std::string_view line, ZeekRow& row);
  /// The last error is about all lines: another kind of log, or fields that are missing.
  [[nodiscard]] bool is_fatal() const { return is_fatal_; }

 private:
  [[nodiscard]] Result<bool> parse_header(std::string_view line);
  [[nodiscard]] Result<> take_names(std::string_view names);
  [[nodiscard]] Result<bool> parse_table_row(std::string_view line, ZeekRow& row);
  [[nodiscard]] Result<bool> parse_json(std::string_view line, ZeekRow& row);
  [[nodiscard]] Error fatal(std::string message);

  std::string separator_ = "\t";
  std::string unset_ = "-";
  std::string empty_ = "(empty)";
  std::array<std::optional<std::size_t>, kZeekFields> columns_;
  std::size_t column_count_ = 0;  ///< 0: no #fields yet
  std::array<std::string, kZeekFields> json_texts_;
  bool is_fatal_ = false;
};

}  // namespace mailweir
