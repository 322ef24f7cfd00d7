// SPDX-License-Identifier: GPL-2.0-or-later
// For tests of the command line: a server of canned bodies in the shapes of docs/api.md, and the
// verbs run in this process against it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/time_text.h"
#include "cli/cli.h"
#include "control/server.h"
#include "server_thread.h"

namespace mailweir {

struct Ran {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class CliTest : public testing::Test {
 protected:
  using Bodies = std::map<std::string, HttpAnswer>;

  CliTest() {
    std::ofstream(config_) << "socket = \"" << socket_ << "\"\nbpffs_dir = \""
                           << dir_.file("no-pins") << "\"\n";
    ::setenv("TZ", "Europe/Berlin", 1);
    ::tzset();
  }

  /// "GET /v1/status" -> its answer; all else is 404.
  void serve(Bodies bodies) {
    serve_by([bodies = std::move(bodies)](const HttpRequest& request) {
      const auto found = bodies.find(request.method + " " + request.path);
      return found == bodies.end() ? http_error(404, "no such path: " + request.path)
                                   : found->second;
    });
  }
  void serve_by(Server::Handler handler) {
    server_.reset();
    auto server = Server::listen({.socket = socket_}, [this, handler](const HttpRequest& request) {
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      return handler(request);
    });
    ASSERT_TRUE(server) << server.error().message;
    server_.emplace(std::move(*server));
  }

  Ran run(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.begin(), {"mailweir", "--config", config_});
    return run_bare(std::move(arguments), input);
  }
  static Ran run_bare(const std::vector<std::string>& arguments, const std::string& input = "") {
    std::vector<const char*> argv;
    for (const std::string& each : arguments) argv.push_back(each.c_str());
    std::istringstream in(input);
    std::ostringstream out;
    std::ostringstream err;
    const auto no_daemon = [](const Globals&) { return 99; };
    const int exit_code =
        cli_main(static_cast<int>(argv.size()), argv.data(), no_daemon, {in, out, err});
    return {exit_code, out.str(), err.str()};
  }

  std::vector<HttpRequest> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  TempDir dir_;
  std::string socket_ = dir_.file("api.sock");
  std::string config_ = dir_.file("mailweir.toml");
  std::optional<ServerThread> server_;

 private:
  std::mutex mutex_;
  std::vector<HttpRequest> requests_;
};

inline HttpAnswer ok(nlohmann::json body) {
  return {200, std::move(body), std::nullopt};
}

inline nlohmann::json decision(const std::string& source, int number) {
  return {{"id", "nat1-" + std::to_string(number)},
          {"source", source},
          {"origin", "auto"},
          {"would", false},
          {"since", "2026-11-24T13:03:11Z"},
          {"until", "2026-11-24T14:03:11Z"},
          {"remaining_seconds", 2460},
          {"by", "auto"},
          {"reason", "evidence"},
          {"evidence",
           {{"text", "16 connections to 16 mail servers in 2.3 s; score 10.0 >= 9.2"},
            {"examples", {"198.51.100.21", "203.0.113.186"}}}},
          {"dropped_packets", 1904},
          {"dropped_bytes", 114240},
          {"ended", nullptr},
          {"end_cause", nullptr}};
}

inline nlohmann::json status_body() {
  return {{"version", "1.0.0"},
          {"node", "nat1"},
          {"running", true},
          {"mode", "block"},
          {"mode_origin", "command"},
          {"file_mode", "observe"},
          {"pid", 4711},
          {"uptime_seconds", 12 * 86400 + 4 * 3600},
          {"dead_man_seconds", 86400},
          {"heartbeat_seconds_ago", 0},
          {"interfaces",
           {{{"name", "eth1"},
             {"hook", "xdp"},
             {"program_id", 214},
             {"tag", "5fb1c0d2a9e4013c"},
             {"attached_since", rfc3339(std::chrono::system_clock::now() - std::chrono::hours(4))},
             {"adopted", true},
             {"state", "attached"},
             {"note", ""}},
            {{"name", "eth3"}, {"state", "missing"}, {"note", "the interface is gone"}}}},
          {"packets", {{"eth1", {{"passed", {{"enforced", 9}, {"would", 0}}}}}}},
          {"rates", {{"passed", 1190}, {"limited", 61}, {"braked", 0}, {"blocked", 33}}},
          {"sources", {{"tracked", 3412}, {"capacity", 65536}}},
          {"blocks", {{"auto", 5}, {"manual", 2}, {"bpftool", 0}, {"would", 3}}},
          {"allowed", 18},
          {"mirror",
           {{"backend", "nft"},
            {"state", "matches"},
            {"rules", 7},
            {"checked_seconds_ago", 4},
            {"note", ""}}},
          {"store", {{"state", "ok"}, {"note", ""}}},
          {"events", {{"received", 12}, {"lost", 0}}},
          {"problems", {"interface eth3 is not guarded: the interface is gone"}}};
}

}  // namespace mailweir
