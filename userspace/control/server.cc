// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/server.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <list>

#include "control/json_body.h"
#include "control/listener.h"

namespace mailweir {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// What a request that is not complete may take while others wait for a place.
constexpr milliseconds kCrowdedAllowance{250};
constexpr std::chrono::hours kLongestWait{1};

enum class Stage : std::uint8_t { reading, parked, answering };

/// From accept to close. Each connection carries one request: answers say Connection: close.
struct Connection {
  int fd = -1;
  MHD_Connection* mhd = nullptr;
  Stage stage = Stage::reading;
  SteadyClock::time_point since;       ///< of the stage
  SteadyClock::time_point wait_until;  ///< parked: when the handler is asked for the last time
  bool resumed = false;                ///< parked, but asked again at the next run
  bool begun = false;                  ///< its headers are known
  bool too_big = false;
  bool cut = false;
  std::string text;
  HttpRequest request;
};

struct DaemonStop {
  void operator()(MHD_Daemon* daemon) const { MHD_stop_daemon(daemon); }
};

void enter(Connection& connection, Stage stage) {
  connection.stage = stage;
  connection.since = SteadyClock::now();
}

MHD_Result add_query(void* context, MHD_ValueKind, const char* key, const char* value) {
  try {
    static_cast<HttpRequest*>(context)->query[key] = value == nullptr ? "" : value;
  } catch (const std::bad_alloc&) {
    return MHD_NO;
  }
  return MHD_YES;
}

/// 0 if there is none (chunked), or none that is a number.
std::uint64_t content_length(MHD_Connection* mhd) {
  const char* text =
      MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  std::uint64_t length = 0;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), length);
  return length;
}

HttpAnswer too_big(std::size_t most) {
  return http_error(413, "the request is larger than " + std::to_string(most) + " bytes",
                    "send fewer addresses at once");
}

MHD_Result queue(Connection& connection, const HttpAnswer& answer) {
  const std::string text = json_text(answer.body) + "\n";
  MHD_Response* response = MHD_create_response_from_buffer(
      text.size(), const_cast<char*>(text.data()), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
  enter(connection, Stage::answering);
  const MHD_Result queued =
      MHD_queue_response(connection.mhd, static_cast<unsigned>(answer.status), response);
  MHD_destroy_response(response);
  return queued;
}

}  // namespace

struct Server::Impl {
  Impl(ServerOptions given, Handler asked, Listener listening)
      : options(std::move(given)), handler(std::move(asked)), listener(std::move(listening)) {}
  ~Impl();

  Result<> start();
  void notify(MHD_Connection* mhd, void** socket_context, MHD_ConnectionNotificationCode code);
  MHD_Result receive(Connection& connection, const char* url, const char* method,
                     const char* upload, size_t* upload_size);
  MHD_Result answer(Connection& connection);
  HttpAnswer ask(Connection& connection, bool last_time);
  bool park(Connection& connection, milliseconds wait);
  void resume(Connection& connection);
  void resume_departed();
  void cut(Connection& connection);
  void cut_half_sent();
  void meet_deadlines(SteadyClock::time_point now);
  [[nodiscard]] std::optional<SteadyClock::time_point> deadline(const Connection& connection) const;
  [[nodiscard]] bool full() const { return connections.size() >= options.most_connections; }

  ServerOptions options;
  Handler handler;
  Listener listener;
  std::list<Connection> connections;
  bool was_full = false;
  std::unique_ptr<MHD_Daemon, DaemonStop> daemon;  // last: it calls back into the others
};

Result<> Server::Impl::start() {
  // libmicrohttpd closes the descriptor it is given; the listener's own lives as long as its lock.
  const int own_fd = ::fcntl(listener.fd(), F_DUPFD_CLOEXEC, 0);
  if (own_fd < 0) return sys_error(errno, "duplicate the descriptor of " + options.socket);

  const auto on_request = [](void* impl, MHD_Connection* mhd, const char* url, const char* method,
                             const char*, const char* upload, size_t* upload_size,
                             void**) noexcept -> MHD_Result {
    const auto* info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info == nullptr || info->socket_context == nullptr) return MHD_NO;
    auto& connection = *static_cast<Connection*>(info->socket_context);
    try {
      return static_cast<Impl*>(impl)->receive(connection, url, method, upload, upload_size);
    } catch (const std::bad_alloc&) {
      return MHD_NO;  // closes the connection
    }
  };
  const auto on_connection = [](void* impl, MHD_Connection* mhd, void** socket_context,
                                MHD_ConnectionNotificationCode code) noexcept {
    static_cast<Impl*>(impl)->notify(mhd, socket_context, code);
  };
  daemon.reset(MHD_start_daemon(
      MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr,
      static_cast<MHD_AccessHandlerCallback>(on_request), this, MHD_OPTION_LISTEN_SOCKET, own_fd,
      MHD_OPTION_CONNECTION_LIMIT, options.most_connections, MHD_OPTION_NOTIFY_CONNECTION,
      static_cast<MHD_NotifyConnectionCallback>(on_connection), this, MHD_OPTION_END));
  if (!daemon) return Error{0, "start the HTTP server on " + options.socket};
  return Ok{};
}

Server::Impl::~Impl() {
  // What the owner's handler uses may be gone already.
  handler = [](const HttpRequest&) { return http_error(503, "stopping", "mailweir status"); };
  // A suspended connection makes MHD_stop_daemon() abort.
  for (Connection& connection : connections)
    if (connection.stage == Stage::parked) resume(connection);
}

void Server::Impl::notify(MHD_Connection* mhd, void** socket_context,
                          MHD_ConnectionNotificationCode code) {
  auto* known = static_cast<Connection*>(*socket_context);
  if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
    std::erase_if(connections, [known](const Connection& one) { return &one == known; });
    return;
  }
  const auto* info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
  if (info == nullptr) return;
  try {
    Connection& fresh = connections.emplace_back();
    fresh.fd = info->connect_fd;
    fresh.mhd = mhd;
    fresh.since = SteadyClock::now();
    *socket_context = &fresh;
  } catch (const std::bad_alloc&) {
    // Without a context the request is refused.
  }
}

/// Called with the headers, with each part of the body, at the end, and again after a resume.
MHD_Result Server::Impl::receive(Connection& connection, const char* url, const char* method,
                                 const char* upload, size_t* upload_size) {
  if (!connection.begun) {
    connection.begun = true;
    connection.request.method = method;
    connection.request.path = url;
    MHD_get_connection_values(connection.mhd, MHD_GET_ARGUMENT_KIND, add_query,
                              &connection.request);
    connection.request.query.erase("waited");  // ours to say
    if (content_length(connection.mhd) > options.most_body_bytes)
      return queue(connection, too_big(options.most_body_bytes));
    return MHD_YES;
  }
  if (*upload_size > 0) {
    // libmicrohttpd takes an answer only before or after the body, so read on, but keep nothing.
    connection.too_big |= connection.text.size() + *upload_size > options.most_body_bytes;
    if (connection.too_big)
      connection.text.clear();
    else
      connection.text.append(upload, *upload_size);
    *upload_size = 0;
    return MHD_YES;
  }
  if (connection.too_big) return queue(connection, too_big(options.most_body_bytes));
  return answer(connection);
}

MHD_Result Server::Impl::answer(Connection& connection) {
  HttpRequest& request = connection.request;
  if (connection.stage == Stage::reading) {
    auto peer = peer_of(connection.fd, listener.group());
    if (!peer) return queue(connection, http_error(500, peer.error().message));
    request.peer = *peer;
    if (request.method != MHD_HTTP_METHOD_GET && !request.peer.may_change)
      return queue(connection, http_error(403, request.peer.name() + " may not change anything",
                                          "only root and the group " + options.group + " may"));
    auto body = parse_json(connection.text);
    if (!body)
      return queue(connection, http_error(400, "the request's body, " + body.error().message,
                                          "docs/api.md shows the bodies"));
    request.body = std::move(*body);
  }
  const bool last_time =
      connection.stage == Stage::parked && SteadyClock::now() >= connection.wait_until;
  const HttpAnswer said = ask(connection, last_time);
  if (!said.wait || last_time) return queue(connection, said);

  if (park(connection, *said.wait)) return MHD_YES;
  return queue(connection, http_error(503, "too many requests wait for events already",
                                      "end another `mailweir events -f`"));
}

HttpAnswer Server::Impl::ask(Connection& connection, bool last_time) {
  if (last_time) connection.request.query["waited"] = "1";
  // libmicrohttpd is C: an exception must not pass through it.
  try {
    return handler(connection.request);
  } catch (const std::exception& failed) {
    return http_error(500, std::string("internal error: ") + failed.what(),
                      "please report it, with the daemon's log");
  }
}

/// False: half of all places are parked already; the rest is kept for requests that end.
bool Server::Impl::park(Connection& connection, milliseconds wait) {
  const auto crowded = [this] {
    const auto waits = [](const Connection& one) {
      return one.stage == Stage::parked && !one.resumed;
    };
    return std::count_if(connections.begin(), connections.end(), waits) >=
           static_cast<std::ptrdiff_t>(options.most_connections / 2);
  };
  if (connection.stage != Stage::parked) {
    if (crowded()) resume_departed();
    if (crowded()) return false;
    // Only now: asking again does not prolong the wait.
    connection.wait_until = SteadyClock::now() + std::min<milliseconds>(wait, kLongestWait);
  }
  enter(connection, Stage::parked);
  connection.resumed = false;
  MHD_suspend_connection(connection.mhd);
  return true;
}

void Server::Impl::resume(Connection& connection) {
  if (connection.resumed) return;
  connection.resumed = true;
  MHD_resume_connection(connection.mhd);
}

/// libmicrohttpd does not watch a suspended connection, so its client may be gone for long.
void Server::Impl::resume_departed() {
  for (Connection& connection : connections) {
    if (connection.stage != Stage::parked) continue;
    pollfd waiting{connection.fd, 0, 0};
    if (::poll(&waiting, 1, 0) != 1 || (waiting.revents & POLLHUP) == 0) continue;
    connection.wait_until = SteadyClock::now();
    resume(connection);
  }
}

std::optional<SteadyClock::time_point> Server::Impl::deadline(const Connection& connection) const {
  if (connection.stage == Stage::parked) {
    if (connection.resumed) return std::nullopt;
    return connection.wait_until;
  }
  if (connection.cut) return std::nullopt;
  if (connection.stage == Stage::reading && full()) return connection.since + kCrowdedAllowance;
  return connection.since + std::chrono::seconds(options.idle_seconds);
}

/// libmicrohttpd sees the end, and closes.
void Server::Impl::cut(Connection& connection) {
  connection.cut = true;
  ::shutdown(connection.fd, SHUT_RDWR);
}

/// libmicrohttpd 0.9.75 misses an end that arrives together with the last bytes: its epoll events
/// are edges.
void Server::Impl::cut_half_sent() {
  for (Connection& connection : connections) {
    if (connection.stage != Stage::reading || connection.cut) continue;
    pollfd reading{connection.fd, POLLRDHUP, 0};
    int unread = 0;
    if (::poll(&reading, 1, 0) == 1 && (reading.revents & (POLLRDHUP | POLLHUP)) != 0 &&
        ::ioctl(connection.fd, FIONREAD, &unread) == 0 && unread == 0)
      cut(connection);
  }
}

void Server::Impl::meet_deadlines(SteadyClock::time_point now) {
  for (Connection& connection : connections) {
    const auto until = deadline(connection);
    if (!until || *until > now) continue;
    if (connection.stage == Stage::parked)
      resume(connection);
    else
      cut(connection);
  }
}

Result<Server> Server::listen(ServerOptions options, Handler handler) {
  auto listener = Listener::open(options.socket, options.group);
  if (!listener) return std::move(listener).error();
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handler), std::move(*listener));
  if (auto started = impl->start(); !started) return std::move(started).error();
  return Server(std::move(impl));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

int Server::poll_fd() const {
  return MHD_get_daemon_info(impl_->daemon.get(), MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

void Server::run() {
  impl_->meet_deadlines(SteadyClock::now());
  impl_->was_full = impl_->full();
  MHD_run(impl_->daemon.get());
  impl_->cut_half_sent();
}

std::optional<milliseconds> Server::due() const {
  // At the limit libmicrohttpd stops watching the listening socket, until its next run.
  if (impl_->was_full && !impl_->full()) return milliseconds(0);

  std::optional<milliseconds> soonest;
  MHD_UNSIGNED_LONG_LONG library = 0;
  if (MHD_get_timeout(impl_->daemon.get(), &library) == MHD_YES) soonest = milliseconds(library);
  const auto now = SteadyClock::now();
  for (const Connection& connection : impl_->connections) {
    const auto until = impl_->deadline(connection);
    if (!until) continue;
    const auto left = std::max(std::chrono::ceil<milliseconds>(*until - now), milliseconds(0));
    soonest = std::min(soonest.value_or(left), left);
  }
  return soonest;
}

void Server::wake() {
  for (Connection& connection : impl_->connections)
    if (connection.stage == Stage::parked) impl_->resume(connection);
}

}  // namespace mailweir
