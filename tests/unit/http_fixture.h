// SPDX-License-Identifier: GPL-2.0-or-later
// For tests: a server in a temporary directory that says what it was asked, and a client.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "control/client.h"
#include "control/server.h"
#include "server_thread.h"

namespace mailweir {

/// Says what it was asked.
inline HttpAnswer echo(const HttpRequest& request) {
  nlohmann::json query = nlohmann::json::object();
  for (const auto& [key, value] : request.query) query[key] = value;
  return {200,
          {{"method", request.method},
           {"path", request.path},
           {"query", query},
           {"body", request.body},
           {"uid", request.peer.uid},
           {"name", request.peer.name()}},
          std::nullopt};
}

class HttpTest : public testing::Test {
 protected:
  void serve(Server::Handler handler, ServerOptions options = {}) {
    options.socket = socket_;
    auto server = Server::listen(options, std::move(handler));
    ASSERT_TRUE(server) << server.error().message;
    server_.emplace(std::move(*server));
  }

  TempDir dir_;
  std::string socket_ = dir_.file("api.sock");
  Client client_{socket_};
  std::optional<ServerThread> server_;
};

}  // namespace mailweir
