// SPDX-License-Identifier: GPL-2.0-or-later
// Server and client over a real Unix socket: limits, rights, parking, hostile bytes.
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <fstream>
#include <memory>
#include <random>
#include <thread>

#include "control/client.h"
#include "control/json_body.h"
#include "control/server.h"
#include "server_thread.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// Says what it was asked.
HttpAnswer echo(const HttpRequest& request) {
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

UniqueFd connect_to(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  EXPECT_EQ(0, ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)))
      << std::strerror(errno);
  return fd;
}

void send_all(const UniqueFd& fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the server closed: what it said is still to be read
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string read_to_end(const UniqueFd& fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::recv(fd.get(), buffer, sizeof(buffer), 0)) > 0;)
    text.append(buffer, static_cast<std::size_t>(got));
  return text;
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

TEST_F(HttpTest, CarriesPathQueryBodyAndPeer) {
  serve(echo);
  const auto got = client_.get("/v1/sources/" + url_encoded("2001:db8::/64") +
                               "?by=" + url_encoded("a+b c%&=é") + "&waited=1");
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(200, got->status);
  EXPECT_EQ("/v1/sources/2001:db8::/64", got->body["path"]);
  EXPECT_EQ(nlohmann::json({{"by", "a+b c%&=é"}}), got->body["query"])
      << "`waited` is the server's to say";
  EXPECT_EQ(nullptr, got->body["body"]);
  EXPECT_EQ(::getuid(), got->body["uid"]);

  const auto posted = client_.post("/v1/block", {{"sources", {"172.16.0.1"}}});
  ASSERT_TRUE(posted) << posted.error().message;
  EXPECT_EQ("POST", posted->body["method"]);
  EXPECT_EQ("172.16.0.1", posted->body["body"]["sources"][0]);
}

TEST_F(HttpTest, AnErrorOfTheHandlerIsAnAnswer) {
  serve([](const HttpRequest&) { return http_error(404, "nothing here", "look there"); });
  const auto got = client_.get("/v1/nothing");
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(404, got->status);
  EXPECT_EQ(nlohmann::json({{"error", "nothing here"}, {"hint", "look there"}}), got->body);
}

TEST_F(HttpTest, AnExceptionInTheHandlerIs500AndTheNextRequestWorks) {
  serve([](const HttpRequest& request) -> HttpAnswer {
    if (request.path == "/bad") return {200, request.body.at("missing"), std::nullopt};
    return echo(request);
  });
  EXPECT_EQ(500, client_.get("/bad")->status);
  EXPECT_EQ(200, client_.get("/good")->status);
}

TEST_F(HttpTest, TextThatIsNotUtf8IsReplaced) {
  serve([](const HttpRequest&) { return http_error(400, "bad byte \xff!"); });
  EXPECT_EQ("bad byte \uFFFD!", client_.get("/")->body["error"]);
}

struct BodyCase {
  std::string body;
  int status;
  std::string says;
};

TEST_F(HttpTest, ABodyIsJsonOrRefusedWithItsPlace) {
  serve(echo);
  const std::string deep(kMostJsonDepth, '[');
  const std::string deep_end(kMostJsonDepth, ']');
  const BodyCase cases[] = {
      {"", 200, "\"body\":null"},
      {"{\"a\": 1}", 200, "\"a\":1"},
      {"\"[[[[\\\"[[[\"", 200, "[[[["},
      {deep + deep_end, 200, "[[[["},
      {"{\"a\":\n 1,, }", 400, "line 2, column 4: not JSON"},
      {"{", 400, "line 1, column 2: not JSON"},
      {"{} x", 400, "line 1, column 4"},
      {"\"\xff\"", 400, "not JSON"},
      {"1e999", 400, "a number is out of range"},
      {"[" + deep + deep_end + "]", 400, "nested deeper than 32 levels"},
      {std::string(100000, '['), 400, "line 1, column 33: nested deeper"},
  };
  for (const BodyCase& c : cases) {
    const UniqueFd fd = connect_to(socket_);
    send_all(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(c.body.size()) +
                     "\r\n\r\n" + c.body);
    const std::string answer = read_to_end(fd);
    EXPECT_THAT(answer, HasSubstr("HTTP/1.1 " + std::to_string(c.status))) << c.body.substr(0, 99);
    EXPECT_THAT(answer, HasSubstr(c.says)) << c.body.substr(0, 99);
  }
}

TEST_F(HttpTest, ABodyOverTheLimitIs413HoweverItIsSent) {
  serve(echo, {.socket = socket_, .most_body_bytes = 1000});
  const auto body = [](std::size_t size) { return "\"" + std::string(size - 2, 'x') + "\""; };
  const auto announced = [&](std::size_t size) {
    return "Content-Length: " + std::to_string(size) + "\r\n\r\n" + body(size);
  };
  const auto chunked = [&](std::size_t size) {
    std::ostringstream text;
    text << "Transfer-Encoding: chunked\r\n\r\n"
         << std::hex << size << "\r\n"
         << body(size) << "\r\n0\r\n\r\n";
    return text.str();
  };
  const std::pair<std::string, int> cases[] = {{announced(1000), 200},
                                               {chunked(1000), 200},
                                               {announced(1001), 413},
                                               {chunked(1001), 413},
                                               {chunked(300000), 413}};
  for (const auto& [text, status] : cases) {
    const UniqueFd fd = connect_to(socket_);
    send_all(fd, "POST / HTTP/1.1\r\nHost: x\r\n" + text);
    EXPECT_THAT(read_to_end(fd), HasSubstr("HTTP/1.1 " + std::to_string(status)))
        << text.substr(0, 60);
  }
  const auto posted = client_.post("/", std::string(2 << 20, 'x'));
  ASSERT_TRUE(posted) << posted.error().message;
  EXPECT_EQ(413, posted->status) << "also for a client that has sent only half of it";
}

TEST_F(HttpTest, AParkedRequestIsAskedAgainAtAWake) {
  std::atomic<bool> ready = false;
  std::atomic<int> asked = 0;
  serve([&](const HttpRequest&) -> HttpAnswer {
    ++asked;
    if (ready) return {200, "ready", std::nullopt};
    return {200, "never", 60s};
  });
  std::thread releases([&] {
    while (asked < 1) std::this_thread::yield();
    server_->wake();  // not ready: parks again
    while (asked < 2) std::this_thread::yield();
    ready = true;
    server_->wake();
  });
  const auto got = client_.get("/");
  releases.join();
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ("ready", got->body);
  EXPECT_EQ(3, asked);
}

TEST_F(HttpTest, AParkedRequestIsAnsweredWhenItsTimeHasPassedWithoutSpinning) {
  serve([](const HttpRequest& request) -> HttpAnswer {
    return {200, request.query.contains("waited") ? "nothing came" : "parked", 200ms};
  });
  const long before = server_->rounds();
  const auto start = std::chrono::steady_clock::now();
  const auto got = client_.get("/");
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ("nothing came", got->body);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 190ms);
  EXPECT_LT(server_->rounds() - before, 20);
}

TEST_F(HttpTest, ParkedRequestsLeavePlacesForOthersAndThoseOfTheDepartedAreReused) {
  std::atomic<int> waiting = 0;
  serve(
      [&](const HttpRequest& request) -> HttpAnswer {
        if (request.path != "/wait") return echo(request);
        ++waiting;
        return {200, nullptr, 60s};
      },
      {.socket = socket_, .most_connections = 8});
  std::vector<UniqueFd> parked;
  const auto wait_for = [&](int count) {
    while (waiting < count) std::this_thread::yield();
  };
  for (int i = 0; i < 4; ++i) {
    parked.push_back(connect_to(socket_));
    send_all(parked.back(), "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(i + 1);
  }
  EXPECT_EQ(503, client_.get("/wait")->status);
  EXPECT_EQ(200, client_.get("/other")->status);

  parked.clear();
  const UniqueFd again = connect_to(socket_);
  send_all(again, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  wait_for(6);
  EXPECT_EQ(200, client_.get("/other")->status);
  char byte = 0;
  EXPECT_EQ(-1, ::recv(again.get(), &byte, 1, MSG_DONTWAIT)) << "parked, not refused";
}

TEST_F(HttpTest, StopsWithRequestsParked) {
  std::atomic<int> waiting = 0;
  serve([&](const HttpRequest&) -> HttpAnswer {
    ++waiting;
    return {200, nullptr, 60s};
  });
  const UniqueFd fd = connect_to(socket_);
  send_all(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  while (waiting < 1) std::this_thread::yield();
  server_.reset();
  EXPECT_EQ("", read_to_end(fd));
  EXPECT_FALSE(std::filesystem::exists(socket_));
  EXPECT_FALSE(std::filesystem::exists(socket_ + ".lock"));
}

TEST_F(HttpTest, AHalfClosedClientGetsItsAnswerIfItsRequestWasWhole) {
  serve(echo);
  const std::string body = "\"" + std::string(500000, 'x') + "\"";
  const std::pair<std::string, std::string> cases[] = {
      {"GET /half HTTP/1.1\r\nHost: x\r\n\r\n", "/half"},
      {"POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 500002\r\n\r\n" + body, "/big"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500003\r\n\r\n" + body, ""},
      {"GET /half HTTP/1.1\r\nHos", ""},
      {"", ""},
  };
  for (const auto& [text, says] : cases) {
    const UniqueFd fd = connect_to(socket_);
    send_all(fd, text);
    ::shutdown(fd.get(), SHUT_WR);
    if (says.empty())
      EXPECT_EQ("", read_to_end(fd)) << text.substr(0, 20);
    else
      EXPECT_THAT(read_to_end(fd), HasSubstr(says));
  }
}

TEST_F(HttpTest, SilentAndSlowClientsAreCutAtTheirTime) {
  serve(echo, {.socket = socket_, .idle_seconds = 1});
  const UniqueFd silent = connect_to(socket_);
  const UniqueFd slow = connect_to(socket_);
  const auto start = std::chrono::steady_clock::now();
  // A byte now and then must not earn more time.
  for (const char c : std::string("GET / HTTP/1.1\r\nHost: xxxxxxxxxxxxxxxxxxxxxxxxxxxxx")) {
    send_all(slow, {&c, 1});
    pollfd closed{slow.get(), POLLIN, 0};
    if (::poll(&closed, 1, 50) == 1) break;
  }
  EXPECT_EQ("", read_to_end(slow));
  EXPECT_EQ("", read_to_end(silent));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
  EXPECT_EQ(200, client_.get("/")->status);
}

TEST_F(HttpTest, AThousandSilentClientsDoNotShutOutAnHonestOne) {
  serve(echo, {.socket = socket_, .most_connections = 256});
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 1000; ++i) silent.push_back(connect_to(socket_));
  const auto got = client_.get("/honest");
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(200, got->status);
  EXPECT_LT(server_->rounds(), 100000) << "busy loop";
}

TEST_F(HttpTest, RandomBytesDoNotStopIt) {
  serve(echo);
  std::mt19937 random(20261124);
  const std::string parts[] = {"GET ",
                               "POST ",
                               "/v1/",
                               "%00",
                               "%zz",
                               " HTTP/1.1\r\n",
                               "Host: ",
                               "\r\n",
                               "\r\n\r\n",
                               "a=b&",
                               "Content-Length: 5\r\n",
                               "Transfer-Encoding: chunked\r\n",
                               "ffffffffffffffff\r\n",
                               "{\"",
                               std::string("\0", 1),
                               "\xff\xfe"};
  const auto below = [&](std::size_t end) { return random() % end; };
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (std::size_t n = below(40); n > 0; --n) {
      if (below(4) == 0)
        text += static_cast<char>(random());
      else
        text += parts[below(std::size(parts))];
    }
    const UniqueFd fd = connect_to(socket_);
    send_all(fd, text);
    ::shutdown(fd.get(), SHUT_WR);
    if (i % 2 == 0) read_to_end(fd);
  }
  const auto got = client_.get("/alive");
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(200, got->status);
}

TEST_F(HttpTest, TheSocketIsForItsOwnerAndGroupOnlyWhateverTheUmask) {
  for (const mode_t mask : {0000, 0077, 0022}) {
    const mode_t before = ::umask(mask);
    serve(echo);
    ::umask(before);
    struct stat made {};
    ASSERT_EQ(0, ::stat(socket_.c_str(), &made));
    EXPECT_EQ(0660U, made.st_mode & 07777);
    server_.reset();
  }
}

TEST_F(HttpTest, MakesTheDirectoryOfTheSocket) {
  socket_ = dir_.file("run/api.sock");
  serve(echo);
  EXPECT_TRUE(Client(socket_).get("/"));
}

TEST_F(HttpTest, ReplacesAStaleSocketButNothingElse) {
  {
    const UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(0, ::bind(stale.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)));
  }
  serve(echo);
  EXPECT_TRUE(client_.get("/"));

  const std::string file = dir_.file("precious");
  std::ofstream(file) << "data";
  const auto refused = Server::listen({.socket = file}, echo);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("is not a socket: move it away"));
  EXPECT_EQ(4U, std::filesystem::file_size(file));
}

TEST_F(HttpTest, ASecondDaemonIsToldThePidOfTheFirst) {
  serve(echo);
  const std::string pid = "(pid " + std::to_string(::getpid()) + ")";
  const auto by_lock = Server::listen({.socket = socket_}, echo);
  ASSERT_FALSE(by_lock);
  EXPECT_EQ(EADDRINUSE, by_lock.error().code);
  EXPECT_THAT(by_lock.error().message, HasSubstr(pid));

  std::filesystem::remove(socket_ + ".lock");
  const auto by_socket = Server::listen({.socket = socket_}, echo);
  ASSERT_FALSE(by_socket) << "somebody removed the lock file, but the socket answers";
  EXPECT_THAT(by_socket.error().message, HasSubstr(pid));
  EXPECT_TRUE(client_.get("/")) << "the first keeps its socket";
}

TEST_F(HttpTest, OfManyDaemonsStartedAtOnceExactlyOneWinsAndTheOthersNameIt) {
  int start[2];
  int results[2];
  int finish[2];
  ASSERT_EQ(0, ::pipe(start) | ::pipe(results) | ::pipe(finish));
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(start[1]);
      ::close(finish[1]);
      char byte = 0;
      [[maybe_unused]] auto got = ::read(start[0], &byte, 1);
      auto server = Server::listen({.socket = socket_}, echo);
      const std::string line =
          server ? "won " + std::to_string(::getpid()) + "\n" : server.error().message + "\n";
      [[maybe_unused]] auto put = ::write(results[1], line.data(), line.size());
      got = ::read(finish[0], &byte, 1);  // keep it until all have tried
      ::_exit(0);
    }
    children.push_back(child);
  }
  ::close(results[1]);
  ::close(start[1]);
  const auto lines_of = [](int fd, int count) {
    std::string text;
    char byte = 0;
    while (count > 0 && ::read(fd, &byte, 1) == 1) {
      text += byte;
      if (byte == '\n') --count;
    }
    return text;
  };
  std::istringstream lines(lines_of(results[0], 8));
  ::close(finish[1]);
  std::string winner;
  std::vector<std::string> losers;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("won ")) {
      EXPECT_EQ("", winner);
      winner = line.substr(4);
    } else {
      losers.push_back(line);
    }
  }
  EXPECT_THAT(losers, testing::SizeIs(7));
  EXPECT_THAT(losers, testing::Each(HasSubstr("(pid " + winner + ")")));
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);
  for (const int fd : {start[0], results[0], finish[0]}) ::close(fd);
}

TEST_F(HttpTest, APathThatIsTooLongIsNamedWithItsLimit) {
  const auto refused = Server::listen({.socket = dir_.file(std::string(120, 'x'))}, echo);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("a Unix socket's has 1 to 107"));
}

TEST_F(HttpTest, TheClientSaysWhyThereIsNoAnswer) {
  const auto missing = client_.get("/");
  ASSERT_FALSE(missing);
  EXPECT_EQ(ENOENT, missing.error().code);
  EXPECT_EQ("no daemon listens on " + socket_ +
                " (start it with: systemctl start mailweir, or mailweir run)",
            missing.error().message);

  serve([](const HttpRequest&) { return HttpAnswer{200, nullptr, 60s}; });
  const auto late = client_.get("/", 1s);
  ASSERT_FALSE(late);
  EXPECT_EQ(ETIMEDOUT, late.error().code);
}

TEST_F(HttpTest, TheClientDoesNotFollowAProxyOfTheEnvironment) {
  ::setenv("http_proxy", "http://192.0.2.1:3128", 1);
  serve(echo);
  EXPECT_TRUE(client_.get("/"));
  ::unsetenv("http_proxy");
}

/// Asks as another user in a child; the status of the answer, or minus the error's code.
int status_as(uid_t uid, gid_t gid, std::vector<gid_t> more, const std::string& socket, bool post) {
  int answer[2];
  if (::pipe(answer) != 0) return 0;
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 0;
    if (::setgroups(more.size(), more.data()) == 0 && ::setgid(gid) == 0 && ::setuid(uid) == 0) {
      const Client client(socket);
      const auto got = post ? client.post("/", nullptr) : client.get("/");
      status = got ? got->status : -got.error().code;
    }
    [[maybe_unused]] const auto put = ::write(answer[1], &status, sizeof(status));
    ::_exit(0);
  }
  int status = 0;
  [[maybe_unused]] const auto got = ::read(answer[0], &status, sizeof(status));
  ::waitpid(child, nullptr, 0);
  ::close(answer[0]);
  ::close(answer[1]);
  return status;
}

TEST_F(HttpTest, OnlyRootAndMembersOfTheGroupMayChangeAnything) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to ask as somebody else";
  const group* entry = ::getgrnam("daemon");
  ASSERT_NE(nullptr, entry);
  const gid_t members = entry->gr_gid;
  serve(echo, {.socket = socket_, .group = "daemon"});
  std::filesystem::permissions(
      dir_.file(""), std::filesystem::perms::others_exec | std::filesystem::perms::owner_all);
  EXPECT_EQ(200, status_as(0, 0, {}, socket_, true));
  EXPECT_EQ(200, status_as(65534, members, {}, socket_, true)) << "as the first group";
  EXPECT_EQ(200, status_as(65534, 65534, {65533, members}, socket_, true)) << "as another group";
  EXPECT_EQ(-EACCES, status_as(65534, 65534, {65533}, socket_, true));
  EXPECT_EQ(-EACCES, status_as(65534, 65534, {65533}, socket_, false));

  // Where an admin has opened the socket to all, everybody reads and still nobody changes.
  ASSERT_EQ(0, ::chmod(socket_.c_str(), 0666));
  EXPECT_EQ(200, status_as(65534, 65534, {}, socket_, false));
  EXPECT_EQ(403, status_as(65534, 65534, {}, socket_, true));
}

}  // namespace
}  // namespace mailweir
