// SPDX-License-Identifier: GPL-2.0-or-later
// Usage and the verbs that look: what is printed where, and with which exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "fake_api.h"

namespace mailweir {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

TEST_F(CliTest, StatusIsOneScreen) {
  serve({{"GET /v1/status", ok(status_body())}});
  const Ran ran = run({"status"});
  EXPECT_EQ(0, ran.exit_code);
  EXPECT_EQ(
      "mailweir 1.0.0 on nat1   BLOCK mode (by command; the file says observe)   up 12d 4h\n"
      "  attached   eth1   xdp          prog 214 tag 5fb1c0d2a9e4013c   since 4h (adopted, no "
      "gap)\n"
      "             eth3   MISSING\n"
      "             the interface is gone\n"
      "  mail       1 284 SYN/min   passed 1 190   limited 61   braked 0   blocked 33\n"
      "  sources    3 412 of 65 536 tracked (5 %)   7 blocked (5 auto, 2 manual)   3 would be   "
      "18 allowed\n"
      "  iptables   chain MAILWEIR matches, 7 rules, nft backend, checked 4s ago\n"
      "  problem    interface eth3 is not guarded: the interface is gone\n",
      ran.out);
  EXPECT_EQ("", ran.err);
}

TEST_F(CliTest, StatusWithoutDaemonSaysSoWithExitCode3) {
  const Ran ran = run({"status"});
  EXPECT_EQ(3, ran.exit_code);
  EXPECT_EQ("", ran.out);
  EXPECT_THAT(ran.err, HasSubstr("not running: no daemon listens on " + socket_));
  EXPECT_THAT(ran.err, HasSubstr("nothing of mailweir is attached"));
  const Ran json_ran = run({"-o", "json", "status"});
  EXPECT_EQ(3, json_ran.exit_code);
  EXPECT_EQ(json({{"running", false}}), json::parse(json_ran.out));
}

TEST_F(CliTest, EveryOtherVerbWithoutDaemonHasExitCode7) {
  for (const std::vector<std::string>& verb : {std::vector<std::string>{"top"},
                                               {"why", "172.16.7.70"},
                                               {"blocks"},
                                               {"events"},
                                               {"events", "-f"},
                                               {"block", "172.16.7.70"},
                                               {"unblock", "--all"},
                                               {"allow", "list"},
                                               {"allow", "check", "172.16.0.1"},
                                               {"allow", "add", "172.16.0.1"},
                                               {"mode"},
                                               {"mode", "block"},
                                               {"reload"}}) {
    const Ran ran = run(verb);
    EXPECT_EQ(7, ran.exit_code) << verb[0];
    EXPECT_EQ("", ran.out) << verb[0];
    EXPECT_EQ("mailweir: no daemon listens on " + socket_ +
                  " (start it with: systemctl start mailweir, or mailweir run)\n",
              ran.err);
  }
}

TEST_F(CliTest, UsageErrorsHaveExitCode2WhateverTheParserCallsThem) {
  serve({{"GET /v1/status", ok(status_body())}});
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{},
                                                {"nosuchverb"},
                                                {"allow", "nosuchverb"},
                                                {"status", "surplus"},
                                                {"--nosuchoption", "status"},
                                                {"-o", "xml", "status"},
                                                {"top", "--by", "colour"},
                                                {"top", "--over", "5m"},
                                                {"top", "-n", "-3"},
                                                {"top", "-n", "x"},
                                                {"why"},
                                                {"why", "172.16.0.300"},
                                                {"why", "172.16.0.0/16"},
                                                {"mode", "blok"},
                                                {"block"},
                                                {"block", "172.16.7.70", "--for", "10"},
                                                {"block", "-"},
                                                {"unblock"},
                                                {"unblock", "--all", "172.16.7.70"},
                                                {"allow"},
                                                {"allow", "check", "x"},
                                                {"-q", "-v", "status"},
                                                {"events", "-f", "-o", "json"},
                                                {"--socket", "/tmp/x", "run"}}) {
    const Ran ran = run(wrong);
    EXPECT_EQ(2, ran.exit_code) << testing::PrintToString(wrong) << ran.out << ran.err;
    EXPECT_EQ("", ran.out) << testing::PrintToString(wrong);
    EXPECT_NE("", ran.err) << testing::PrintToString(wrong);
  }
}

TEST_F(CliTest, HelpOfEveryVerbHasAnExample) {
  for (const std::vector<std::string>& verb : {std::vector<std::string>{},
                                               {"run"},
                                               {"status"},
                                               {"top"},
                                               {"why"},
                                               {"blocks"},
                                               {"events"},
                                               {"block"},
                                               {"unblock"},
                                               {"allow"},
                                               {"allow", "add"},
                                               {"mode"},
                                               {"config", "check"},
                                               {"config", "show"},
                                               {"reload"},
                                               {"detach"},
                                               {"migrate"},
                                               {"replay"},
                                               {"simulate"},
                                               {"ptr"},
                                               {"ptr", "check"},
                                               {"ptr", "zone"},
                                               {"version"}}) {
    std::vector<std::string> arguments = verb;
    arguments.emplace_back("--help");
    const Ran ran = run(arguments);
    EXPECT_EQ(0, ran.exit_code);
    EXPECT_THAT(ran.out, HasSubstr("Example: mailweir "));
    for (std::istringstream lines(ran.out); lines;) {
      std::string line;
      std::getline(lines, line);
      EXPECT_LE(line.size(), 80U) << line;
    }
  }
}

TEST_F(CliTest, GlobalOptionsStandBeforeOrAfterTheVerb) {
  serve({{"GET /v1/status", ok(status_body())}});
  const std::string before = run({"-o", "json", "status"}).out;
  EXPECT_EQ(status_body()["pid"], json::parse(before)["pid"]);
  EXPECT_EQ(before, run({"status", "-o", "json"}).out);
  EXPECT_EQ(before, run_bare({"mailweir", "status", "--socket", socket_, "-o", "json"}).out);
  EXPECT_THAT(run({"status", "--color", "always"}).out, HasSubstr("\x1b[32mBLOCK\x1b[0m mode"));
  EXPECT_THAT(run({"status"}).out, Not(HasSubstr("\x1b"))) << "not a terminal";
}

TEST_F(CliTest, AConfigurationThatWasNamedMustBeReadable) {
  EXPECT_EQ(6, run_bare({"mailweir", "status", "--config", dir_.file("none.toml")}).exit_code);
  EXPECT_EQ(7, run_bare({"mailweir", "blocks", "--socket", dir_.file("none.sock")}).exit_code)
      << "the default one need not be there";
}

TEST_F(CliTest, RunIsHandedToTheDaemon) {
  EXPECT_EQ(99, run({"run"}).exit_code);
}

json source_body() {
  return {{"source", "172.16.7.70"},
          {"state", "blocked"},
          {"mode", "block"},
          {"first_seen", "2026-11-24T13:03:08Z"},
          {"last_seen", "2026-11-24T13:03:11Z"},
          {"evidence",
           {{"text", "40 connections to 32 mail servers in 2.3 s"},
            {"syns", 40},
            {"networks", 32},
            {"finished", 8},
            {"no_message", 7},
            {"score", 10.03},
            {"braked", 12},
            {"limited", 0}}},
          {"total", {{"syns", 40}, {"dropped", 12}, {"bytes", 5200}}},
          {"window",
           {{"minutes", 10}, {"syns", 42}, {"bytes", 4000}, {"servers", 31}, {"dropped", 1915}}},
          {"dropped_packets", 1904},
          {"dropped_bytes", 114240},
          {"decision", decision("172.16.7.70", 4821)},
          {"mirror_rule", 3},
          {"kernel_command", "bpftool map lookup pinned /sys/fs/bpf/mailweir/blocklist key 0 0"},
          {"history", {decision("172.16.7.70", 4821)}},
          {"next_block_seconds", 14400},
          {"grace_until", nullptr},
          {"allowed_by", json::array()}};
}

TEST_F(CliTest, WhyTellsAllOfABlockedSourceAndHowToUndoIt) {
  serve({{"GET /v1/sources/172.16.7.70", ok(source_body())}});
  const Ran ran = run({"why", "172.16.7.70"});
  EXPECT_EQ(0, ran.exit_code);
  for (const char* line :
       {"172.16.7.70 is BLOCKED until 2026-11-24 15:03:11 +0100 (41m left)\n",
        "  decided    2026-11-24 14:03:11, decision nat1-4821, auto\n",
        "  because    16 connections to 16 mail servers in 2.3 s; score 10.0 >= 9.2; for example "
        "198.51.100.21, 203.0.113.186\n",
        "  since then 1 904 packets dropped (114K bytes)\n",
        "  mirrored   iptables -L MAILWEIR -v -n, rule 3\n",
        "  kernel     bpftool map lookup pinned /sys/fs/bpf/mailweir/blocklist key 0 0\n",
        "  history    first block in 30 d; next would last 4h\n",
        "  undo       mailweir unblock 172.16.7.70\n",
        "  keep       mailweir allow add 172.16.7.70 --reason \"...\"\n"})
    EXPECT_THAT(ran.out, HasSubstr(line));
}

TEST_F(CliTest, WhyOfASourceThatIsNotBlockedIsItsEvidenceAndOfAnUnknownOneExitCode1) {
  json source = source_body();
  source["state"] = "limited";
  source["decision"] = nullptr;
  source["grace_until"] = "2026-11-24T14:00:00Z";
  serve({{"GET /v1/sources/172.16.9.41", ok(source)},
         {"GET /v1/sources/172.16.9.42", http_error(404, "172.16.9.42 was never seen", "top")}});
  const Ran ran = run({"why", "172.16.9.41"});
  EXPECT_EQ(0, ran.exit_code);
  EXPECT_THAT(ran.out, HasSubstr("172.16.9.41 is not blocked, but limited\n"));
  EXPECT_THAT(ran.out, HasSubstr("  counted    40 connections to 32 mail servers in 2.3 s\n"));
  EXPECT_THAT(ran.out, HasSubstr("not blocked automatically until 2026-11-24 15:00:00 +0100"));
  EXPECT_THAT(ran.out, HasSubstr("  hold back  mailweir block 172.16.9.41"));
  EXPECT_THAT(ran.out, Not(HasSubstr("unblock")));

  const Ran unknown = run({"why", "172.16.9.42"});
  EXPECT_EQ(1, unknown.exit_code);
  EXPECT_EQ("", unknown.out);
  EXPECT_EQ("mailweir: 172.16.9.42 was never seen\n  next: top\n", unknown.err);
}

TEST_F(CliTest, WhyOfAnIPv6AddressSpeaksOfItsPrefix) {
  json source = source_body();
  source["source"] = "2001:db8:1:2::/64";
  serve({{"GET /v1/sources/2001:db8:1:2::5", ok(source)}});
  const Ran ran = run({"why", "2001:db8:1:2::5"});
  EXPECT_EQ(0, ran.exit_code);
  EXPECT_THAT(ran.out, HasSubstr("the whole /64: 2001:db8:1:2::/64"));
  EXPECT_THAT(ran.out, HasSubstr("ip6tables -L MAILWEIR"));
}

json sources_body(const json& rows) {
  return {
      {"window_seconds", 600}, {"over_minutes", 10}, {"counted_seconds", 900}, {"sources", rows}};
}

TEST_F(CliTest, TopIsATableAndEveryMachineFormatHasTheSameRows) {
  json other = source_body();
  other["source"] = "172.16.0.25";
  other["state"] = "would_block";
  other["window"] = {{"minutes", 10},
                     {"syns", 1'234'567},
                     {"bytes", 5'000'000'000},
                     {"servers", 1420},
                     {"dropped", 0}};
  serve({{"GET /v1/sources", ok(sources_body({source_body(), other}))}});
  const Ran ran = run({"top", "--by", "servers", "-n", "2"});
  EXPECT_THAT(
      ran.out,
      HasSubstr("SOURCE       SYN/10m    BYTES  SERVERS  DROPPED  NO MAIL  STATE        LAST SEEN\n"
                "172.16.7.70       42  3.9 KiB      ~31    1 915     87 %  blocked      "));
  EXPECT_THAT(ran.out, HasSubstr("172.16.0.25   1 234k  4.7 GiB   ~1 420        0     87 %  "));
  EXPECT_EQ("", ran.err);
  EXPECT_EQ("servers", requests().back().query.at("by"));
  EXPECT_EQ("10", requests().back().query.at("over"));
  EXPECT_EQ("2", requests().back().query.at("limit"));

  const Ran lines = run({"top", "-o", "jsonl"});
  std::istringstream each(lines.out);
  std::string line;
  std::getline(each, line);
  EXPECT_EQ("172.16.7.70", json::parse(line)["source"]);
  EXPECT_EQ(42, json::parse(line)["window"]["syns"]);
  const Ran csv = run({"top", "-o", "csv"});
  EXPECT_EQ(
      "source,state,mode,first_seen,last_seen,evidence_syns,evidence_networks,evidence_finished,"
      "evidence_no_message,evidence_score,evidence_braked,evidence_limited,total_syns,"
      "total_dropped,dropped_packets,dropped_bytes,total_bytes,window_minutes,window_syns,"
      "window_bytes,window_servers,window_dropped\n"
      "172.16.7.70,blocked,block,2026-11-24T13:03:08Z,2026-11-24T13:03:11Z,40,32,8,7,10.03,12,0,40,"
      "12,1904,114240,5200,10,42,4000,31,1915\n",
      csv.out.substr(0, csv.out.find("172.16.0.25")));
}

TEST_F(CliTest, TopSaysItsWindowAndHowLongTheDaemonHasCounted) {
  json body = sources_body({source_body()});
  body["over_minutes"] = 60;
  serve({{"GET /v1/sources", ok(body)}});
  const Ran ran = run({"top", "--by", "bytes", "--over", "60m"});
  EXPECT_EQ(0, ran.exit_code);
  EXPECT_THAT(ran.out, HasSubstr("SYN/60m"));
  EXPECT_EQ("the daemon counts since 15m ago\n", ran.err);
  EXPECT_EQ("bytes", requests().back().query.at("by"));
  EXPECT_EQ("60", requests().back().query.at("over"));
  EXPECT_EQ(body["sources"], json::parse(run({"top", "-o", "json"}).out)["sources"]);
}

TEST_F(CliTest, TopNamesTheWindowsAndOrdersThatItHas) {
  const Ran window = run({"top", "--over", "5m"});
  EXPECT_EQ(2, window.exit_code);
  EXPECT_THAT(window.err, HasSubstr("1m,10m,60m"));
  const Ran order = run({"top", "--by", "colour"});
  EXPECT_EQ(2, order.exit_code);
  EXPECT_THAT(order.err, HasSubstr("syn,bytes,servers,dropped"));
}

TEST_F(CliTest, BlocksAreSortedByAddressAndForeignTextIsHarmless) {
  json hostile = decision("172.16.10.1", 2);
  hostile["reason"] = "x\x1b[2J\nroot#";
  hostile["until"] = hostile["remaining_seconds"] = nullptr;
  serve({{"GET /v1/blocks", ok({{"blocks", {hostile, decision("172.16.9.1", 1)}}})}});
  const Ran ran = run({"blocks"});
  EXPECT_EQ(
      "SOURCE       STATE    LEFT      DROPPED  DECISION  BY    REASON\n"
      "172.16.9.1   blocked  41m         1 904  nat1-1    auto  evidence\n"
      "172.16.10.1  blocked  for ever    1 904  nat1-2    auto  x\\x1b[2J\\x0aroot#\n",
      ran.out);
  for (const char* format : {"json", "jsonl", "csv"}) {
    const std::string out = run({"blocks", "-o", format}).out;
    EXPECT_EQ(std::string::npos, out.find('\x1b')) << format;
  }
  EXPECT_EQ(hostile["reason"],
            json::parse(run({"blocks", "-o", "json"}).out)["blocks"][0]["reason"]);

  serve({{"GET /v1/blocks", ok({{"blocks", json::array()}})}});
  const Ran none = run({"blocks"});
  EXPECT_EQ(0, none.exit_code);
  EXPECT_EQ("", none.out);
  EXPECT_THAT(none.err, HasSubstr("nothing is blocked"));
}

json event(int seq, const char* kind, const char* source) {
  return {{"seq", seq},
          {"time", "2026-11-24T13:03:11Z"},
          {"kind", kind},
          {"source", source},
          {"text", "some text"}};
}

TEST_F(CliTest, EventsAreALineEach) {
  serve(
      {{"GET /v1/events",
        ok({{"events", {event(1, "mode", ""), event(2, "block", "172.16.7.70")}}, {"next", 2}})}});
  EXPECT_EQ(
      "2026-11-24 14:03:11  mode         -                  some text\n"
      "2026-11-24 14:03:11  block        172.16.7.70        some text\n",
      run({"events"}).out);
  EXPECT_EQ(2, json::parse(run({"events", "-n", "1", "-o", "jsonl"}).out)["seq"]);
  EXPECT_EQ("seq,time,kind,source,text\n2,2026-11-24T13:03:11Z,block,172.16.7.70,some text\n",
            run({"events", "-n", "1", "-o", "csv"}).out);
}

TEST_F(CliTest, EventsAreFollowedUntilTheDaemonGoesAway) {
  std::atomic<int> asked = 0;
  serve_by([&](const HttpRequest& request) -> HttpAnswer {
    const std::string after = request.query.contains("after") ? request.query.at("after") : "none";
    ++asked;
    if (after == "none") return ok({{"events", {event(7, "mode", "")}}, {"next", 7}});
    if (after == "7") return ok({{"events", {event(8, "block", "172.16.7.70")}}, {"next", 8}});
    return {200, {{"events", json::array()}, {"next", 8}}, std::chrono::seconds(60)};
  });
  Ran ran;
  std::thread follower([&] { ran = run({"events", "-f", "-o", "jsonl"}); });
  while (asked < 3) std::this_thread::yield();
  server_.reset();
  follower.join();
  EXPECT_EQ(7, ran.exit_code);
  EXPECT_EQ(2, std::count(ran.out.begin(), ran.out.end(), '\n'));
  EXPECT_THAT(ran.err, HasSubstr("closed the connection"));
  EXPECT_EQ(1, std::count(ran.err.begin(), ran.err.end(), '\n'));
}

TEST_F(CliTest, ConfigCheckPrintsWhatIsWrongAndWhere) {
  std::ofstream(config_) << "[interfaces]\ninside = [\"eth1\"]\n[networks]\ninside = "
                            "[\"172.16.0.0/12\"]\n";
  const Ran good = run({"config", "check"});
  EXPECT_EQ(0, good.exit_code) << good.out;
  EXPECT_THAT(good.out, HasSubstr(config_ + ": ok"));
  EXPECT_EQ("172.16.0.0/12",
            json::parse(run({"config", "show", "-o", "json"}).out)["networks"]["inside"][0]);
  EXPECT_THAT(run({"config", "show"}).out, HasSubstr("\n[networks]\n"));

  std::ofstream(config_, std::ios::app) << "[limit]\nbrust = 5\n";
  const Ran bad = run({"config", "check"});
  EXPECT_EQ(6, bad.exit_code);
  EXPECT_THAT(bad.out, HasSubstr(config_ + ":6:1: error: "));
  EXPECT_THAT(bad.out, HasSubstr("1 error. The running configuration is unchanged.\n"));
  EXPECT_EQ(1, json::parse(run({"config", "check", "-o", "json"}).out)["errors"]);
  EXPECT_EQ(6, run({"config", "show"}).exit_code);
}

TEST_F(CliTest, VersionIsPrintedByVerbAndByOption) {
  EXPECT_EQ("mailweir " MAILWEIR_VERSION "\n", run({"version"}).out);
  EXPECT_EQ("mailweir " MAILWEIR_VERSION "\n", run({"--version"}).out);
  EXPECT_EQ(MAILWEIR_VERSION, json::parse(run({"version", "-o", "json"}).out)["version"]);
}

}  // namespace
}  // namespace mailweir
