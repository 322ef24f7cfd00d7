// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/http.h"

#include <pwd.h>

#include <utility>
#include <vector>

namespace mailweir {

std::string Peer::name() const {
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    return found->pw_name;
  return "uid " + std::to_string(uid);
}

HttpAnswer http_error(int status, std::string what, std::string hint) {
  nlohmann::json body{{"error", std::move(what)}};
  if (!hint.empty()) body["hint"] = std::move(hint);
  return {status, std::move(body), std::nullopt};
}

}  // namespace mailweir
