// SPDX-License-Identifier: GPL-2.0-or-later
// Reading the API's bodies. A key that is missing or null reads as nothing, never as an exception;
// every text comes out printable.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/clock.h"

namespace mailweir {

/// The value at a path of keys; null if there is none.
[[nodiscard]] const nlohmann::json& field(const nlohmann::json& body, const char* key);
template <typename... Keys>
[[nodiscard]] const nlohmann::json& field(const nlohmann::json& body, const char* key,
                                          Keys... more) {
  return field(field(body, key), more...);
}

/// A string printable, any other value as JSON, null as "".
[[nodiscard]] std::string text(const nlohmann::json& value);
[[nodiscard]] std::uint64_t number(const nlohmann::json& value);  ///< 0 if it is none
[[nodiscard]] bool flag(const nlohmann::json& value);
[[nodiscard]] std::optional<WallTime> time_at(const nlohmann::json& value);

/// "2026-11-24 15:03:11 +0100"; "-" if there is none.
[[nodiscard]] std::string local(const nlohmann::json& value);
/// Without the zone.
[[nodiscard]] std::string local_short(const nlohmann::json& value);
/// "now", "41s ago"; "-" if there is none.
[[nodiscard]] std::string ago(const nlohmann::json& value, WallTime now);

/// The list, in the order of the addresses that stand under `key`.
[[nodiscard]] nlohmann::json sorted_by_address(const nlohmann::json& list, const char* key);

}  // namespace mailweir
