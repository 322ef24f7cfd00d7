// SPDX-License-Identifier: GPL-2.0-or-later
// HTTP+JSON over a Unix socket: what a request and an answer are. docs/api.md has the paths.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace mailweir {

/// Who asks, by SO_PEERCRED.
struct Peer {
  pid_t pid = 0;
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
  bool may_change = false;  ///< root, or a member of the socket's group

  [[nodiscard]] std::string name() const;  ///< "root", or "uid 1000" without a passwd entry
};

struct HttpRequest {
  std::string method;
  std::string path;  ///< decoded, without the query
  std::map<std::string, std::string> query;
  nlohmann::json body;  ///< null if there is none; text that is no JSON never gets here
  Peer peer;
};

struct HttpAnswer {
  int status = 200;
  nlohmann::json body;
  /// Park the request and ask again at the next Server::wake() or when this has passed; the
  /// handler then sees query["waited"] = "1" at the last time of asking.
  std::optional<std::chrono::milliseconds> wait;
};

/// {"error": what, "hint": what to do next}.
[[nodiscard]] HttpAnswer http_error(int status, std::string what, std::string hint = "");

}  // namespace mailweir
