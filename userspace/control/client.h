// SPDX-License-Identifier: GPL-2.0-or-later
// The client (libcurl) that the CLI speaks to the daemon with.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace mailweir {

struct ClientAnswer {
  int status = 0;
  nlohmann::json body;
};

class Client {
 public:
  explicit Client(std::string socket) : socket_(std::move(socket)) {}

  /// Fails with errno ENOENT or ECONNREFUSED if no daemon listens, EACCES if the socket may not be
  /// opened; an HTTP error is an answer, not a failure.
  [[nodiscard]] Result<ClientAnswer> get(
      const std::string& path_and_query,
      std::chrono::seconds timeout = std::chrono::seconds(10)) const;
  [[nodiscard]] Result<ClientAnswer> post(const std::string& path,
                                          const nlohmann::json& body) const;

 private:
  std::string socket_;
};

/// For a part of a path or a query value.
[[nodiscard]] std::string url_encoded(const std::string& text);

}  // namespace mailweir
