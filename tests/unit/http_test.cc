// SPDX-License-Identifier: GPL-2.0-or-later
// Requests over a real Unix socket: limits, parking, slow clients, hostile bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <memory>
#include <random>
#include <thread>

#include "control/client.h"
#include "control/json_body.h"
#include "control/server.h"
#include "http_fixture.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

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
  serve(echo);
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

}  // namespace
}  // namespace mailweir
