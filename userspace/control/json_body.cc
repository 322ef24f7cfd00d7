// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/json_body.h"

#include <algorithm>

namespace mailweir {
namespace {

std::string place(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto column = before.size() - (before.rfind('\n') + 1);  // npos + 1 is 0
  return "line " + std::to_string(line) + ", column " + std::to_string(column + 1);
}

/// The byte at which brackets stand too deep; the size of the text if they never do.
std::size_t too_deep_at(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if ((c == '[' || c == '{') && ++depth > kMostJsonDepth) {
      return i;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return text.size();
}

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text) {
  if (text.empty()) return nlohmann::json();
  if (const std::size_t deep = too_deep_at(text); deep < text.size())
    return Error{EINVAL, place(text, deep) + ": nested deeper than " +
                             std::to_string(kMostJsonDepth) + " levels"};
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& failed) {
    // `byte` counts from 1, and stands on the last byte read.
    return Error{EINVAL, place(text, failed.byte == 0 ? 0 : failed.byte - 1) + ": not JSON"};
  } catch (const nlohmann::json::exception&) {
    return Error{EINVAL, "a number is out of range"};
  }
}

std::string json_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace mailweir
