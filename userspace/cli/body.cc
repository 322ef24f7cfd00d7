// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/body.h"

#include <algorithm>

#include "base/address.h"
#include "base/time_text.h"
#include "cli/render.h"
#include "control/json_body.h"

namespace mailweir {

using nlohmann::json;

const json& field(const json& body, const char* key) {
  static const json nothing;
  if (!body.is_object()) return nothing;
  const auto found = body.find(key);
  return found == body.end() ? nothing : *found;
}

std::string text(const json& value) {
  if (value.is_null()) return "";
  return printable(value.is_string() ? value.get_ref<const std::string&>() : json_text(value));
}

std::uint64_t number(const json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (!value.is_number()) return 0;
  return static_cast<std::uint64_t>(std::max(value.get<double>(), 0.0));
}

bool flag(const json& value) {
  return value.is_boolean() && value.get<bool>();
}

std::optional<WallTime> time_at(const json& value) {
  return value.is_string() ? parse_rfc3339(value.get_ref<const std::string&>()) : std::nullopt;
}

std::string local(const json& value) {
  const auto time = time_at(value);
  return time ? local_text(*time) : "-";
}

std::string local_short(const json& value) {
  const std::string full = local(value);
  return full.substr(0, full.rfind(' '));
}

std::string ago(const json& value, WallTime now) {
  const auto time = time_at(value);
  if (!time) return "-";
  const auto passed = std::chrono::floor<std::chrono::seconds>(now - *time);
  return passed.count() < 2 ? "now" : duration_text(passed) + " ago";
}

json sorted_by_address(const json& list, const char* key) {
  struct Keyed {
    std::optional<Prefix> prefix;
    const json* entry;
  };
  std::vector<Keyed> keyed;
  for (const json& entry : list) {
    auto prefix = parse_prefix(text(field(entry, key)));
    keyed.push_back({prefix ? std::optional(*prefix) : std::nullopt, &entry});
  }
  std::ranges::stable_sort(keyed,
                           [](const Keyed& a, const Keyed& b) { return a.prefix < b.prefix; });
  json sorted = json::array();
  for (const Keyed& each : keyed) sorted.push_back(*each.entry);
  return sorted;
}

}  // namespace mailweir
