// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/zeek_row.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace mailweir {
namespace {

constexpr std::array<std::string_view, kZeekFields> kNames = {
    "ts",         "id.orig_h", "id.orig_p",  "id.resp_h",  "id.resp_p",     "proto",
    "service",    "duration",  "orig_bytes", "resp_bytes", "orig_ip_bytes", "resp_ip_bytes",
    "conn_state", "history",   "_path"};
/// Without these a row tells nothing; and one of conn_state and history must tell how it ended.
constexpr std::size_t kRequired = 6;

/// Calls `each(index, text)` for the parts of a line.
template <typename Each>
void split(std::string_view line, std::string_view separator, Each each) {
  for (std::size_t index = 0;; ++index) {
    const auto end = line.find(separator);
    each(index, line.substr(0, end));
    if (end == std::string_view::npos) return;
    line.remove_prefix(end + separator.size());
  }
}

/// "\x09" as Zeek writes it into the header, or the character itself.
std::string unescaped(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    unsigned code = 0;
    if (text.size() >= 4 && text.starts_with("\\x") &&
        std::from_chars(text.data() + 2, text.data() + 4, code, 16).ptr == text.data() + 4) {
      plain += static_cast<char>(code);
      text.remove_prefix(4);
    } else {
      plain += text[0];
      text.remove_prefix(1);
    }
  }
  return plain;
}

std::string missing_fields(const std::array<bool, kZeekFields>& has) {
  std::string missing;
  for (std::size_t i = 0; i < kRequired; ++i)
    if (!has[i]) missing += (missing.empty() ? "" : ", ") + std::string(kNames[i]);
  if (!has[static_cast<std::size_t>(ZeekField::conn_state)] &&
      !has[static_cast<std::size_t>(ZeekField::history)])
    missing += std::string(missing.empty() ? "" : ", ") + "conn_state or history";
  return missing;
}

}  // namespace

bool ZeekParser::recognises(std::string_view beginning) {
  if (beginning.starts_with("#separator") || beginning.starts_with("#fields")) return true;
  const auto first = beginning.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || beginning[first] != '{') return false;
  // journalctl -o json is no log of Zeek's.
  const std::string_view line = beginning.substr(first, beginning.find('\n', first) - first);
  return line.find("\"__REALTIME_TIMESTAMP\"") == std::string_view::npos;
}

Error ZeekParser::fatal(std::string message) {
  is_fatal_ = true;
  return {0, std::move(message)};
}

Result<bool> ZeekParser::parse(std::string_view line, ZeekRow& row) {
  if (line.empty()) return false;
  if (line[0] == '#') return parse_header(line);
  if (line[line.find_first_not_of(" \t") % line.size()] == '{') return parse_json(line, row);
  return parse_table_row(line, row);
}

Result<bool> ZeekParser::parse_header(std::string_view line) {
  constexpr std::string_view kSeparator = "#separator ";
  if (line.starts_with(kSeparator)) {
    separator_ = unescaped(line.substr(kSeparator.size()));
    if (separator_.empty()) return fatal("#separator is empty");
    return false;
  }
  const auto end = line.find(separator_);
  if (end == std::string_view::npos) return false;
  const std::string_view name = line.substr(0, end);
  const std::string_view value = line.substr(end + separator_.size());
  if (name == "#unset_field") unset_ = value;
  if (name == "#empty_field") empty_ = value;
  if (name == "#path" && value != "conn")
    return fatal("this is Zeek's " + std::string(value) +
                 ".log; what became of connections stands in conn.log");
  if (name == "#fields")
    if (auto taken = take_names(value); !taken) return std::move(taken).error();
  return false;
}

Result<> ZeekParser::take_names(std::string_view names) {
  columns_ = {};
  std::array<bool, kZeekFields> has{};
  split(names, separator_, [&](std::size_t column, std::string_view text) {
    column_count_ = column + 1;
    const auto* name = std::ranges::find(kNames, text);
    if (name == kNames.end()) return;
    const auto field = static_cast<std::size_t>(name - kNames.begin());
    columns_[field] = column;
    has[field] = true;
  });
  if (const auto missing = missing_fields(has); !missing.empty())
    return fatal("#fields lacks " + missing);
  return Ok{};
}

Result<bool> ZeekParser::parse_table_row(std::string_view line, ZeekRow& row) {
  if (column_count_ == 0) return Error{0, "stands before #fields"};
  constexpr std::size_t kMostColumns = 64;
  std::array<std::string_view, kMostColumns> texts;
  std::size_t count = 0;
  split(line, separator_, [&](std::size_t column, std::string_view text) {
    if (column < kMostColumns) texts[column] = text;
    count = column + 1;
  });
  if (count != column_count_)
    return Error{0,
                 "has " + std::to_string(count) + " fields, not " + std::to_string(column_count_)};
  for (std::size_t field = 0; field < kZeekFields; ++field) {
    const auto column = columns_[field];
    const std::string_view text =
        column && *column < kMostColumns ? texts[*column] : std::string_view();
    row.fields[field] = text == unset_ || text == empty_ ? std::string_view() : text;
  }
  return true;
}

Result<bool> ZeekParser::parse_json(std::string_view line, ZeekRow& row) {
  const auto object = nlohmann::json::parse(line, nullptr, false);
  if (!object.is_object()) return Error{0, "is not a JSON object"};
  std::array<bool, kZeekFields> has{};
  for (std::size_t field = 0; field < kZeekFields; ++field) {
    json_texts_[field].clear();
    const auto found = object.find(kNames[field]);
    has[field] = found != object.end();
    if (!has[field] || found->is_null()) continue;
    json_texts_[field] = found->is_string() ? found->get_ref<const std::string&>() : found->dump();
    row.fields[field] = json_texts_[field];
  }
  for (std::size_t field = 0; field < kZeekFields; ++field) row.fields[field] = json_texts_[field];
  const std::string_view path = row[ZeekField::path];
  if (!path.empty() && path != "conn")
    return Error{0, "is of Zeek's " + std::string(path) + ".log"};
  if (const auto missing = missing_fields(has); !missing.empty())
    return Error{0, "lacks " + missing};
  return true;
}

}  // namespace mailweir
