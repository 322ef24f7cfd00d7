// SPDX-License-Identifier: GPL-2.0-or-later
// The server (libmicrohttpd), single-threaded inside the owner's event loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "control/http.h"

namespace mailweir {

struct ServerOptions {
  std::string socket;
  std::string group = "mailweir";  ///< owns the socket if the group exists, else root's
  std::size_t most_body_bytes = 1 << 20;
  unsigned most_connections = 64;
  unsigned idle_seconds = 30;
};

class Server {
 public:
  using Handler = std::function<HttpAnswer(const HttpRequest&)>;

  /// Listens with mode 0660. A stale socket file is replaced; one that answers is another daemon:
  /// the error names its pid. Requests other than GET are refused with 403 for peers that may not
  /// change anything, before the handler sees them.
  [[nodiscard]] static Result<Server> listen(ServerOptions options, Handler handler);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();  ///< removes the socket file, if it is still ours

  [[nodiscard]] int poll_fd() const;  ///< readable: call run()
  void run();
  /// When run() is due though poll_fd() is silent (connection time-outs, parked requests).
  [[nodiscard]] std::optional<std::chrono::milliseconds> due() const;
  void wake();  ///< asks the handler again for every parked request

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mailweir
