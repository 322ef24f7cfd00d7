// SPDX-License-Identifier: GPL-2.0-or-later
// The verbs as people and scripts meet them: what is printed where, and with which exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "fake_api.h"

namespace mailweir {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class CliTest : public FakeApi {
 protected:
  CliTest() {
    ::setenv("TZ", "Europe/Berlin", 1);
    ::tzset();
  }
};

json status_body() {
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
          {"window", {{"syns", 40}, {"networks", 32}, {"braked", 12}, {"limited", 0}}},
          {"total", {{"syns", 40}, {"dropped", 12}}},
          {"dropped_packets", 1904},
          {"dropped_bytes", 114240},
          {"evidence", "40 connections to 32 new networks in 2.3 s"},
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
        "  because    40 connections to 32 new networks in 2.3 s; 12 held by the brake, 0 over the "
        "limit (rule: fanout)\n",
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
  EXPECT_THAT(ran.out, HasSubstr("  counted    40 connections to 32 new networks in 2.3 s\n"));
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

TEST_F(CliTest, TopIsATableAndEveryMachineFormatHasTheSameRows) {
  json other = source_body();
  other["source"] = "172.16.0.25";
  other["state"] = "would_block";
  serve({{"GET /v1/sources", ok({{"window_seconds", 600}, {"sources", {source_body(), other}}})}});
  const Ran ran = run({"top", "--by", "servers", "-n", "2"});
  EXPECT_THAT(ran.out, HasSubstr("SOURCE       SYN/10m  DROPPED  SERVERS  BRAKED  STATE        "
                                 "LAST SEEN\n"
                                 "172.16.7.70       40    1 916      ~32      12  blocked      "));
  EXPECT_EQ("servers", requests().back().query.at("by"));
  EXPECT_EQ("2", requests().back().query.at("limit"));

  const Ran lines = run({"top", "-o", "jsonl"});
  std::istringstream each(lines.out);
  std::string line;
  std::getline(each, line);
  EXPECT_EQ("172.16.7.70", json::parse(line)["source"]);
  const Ran csv = run({"top", "-o", "csv"});
  EXPECT_EQ(
      "source,state,mode,first_seen,last_seen,window_syns,window_networks,window_braked,"
      "window_limited,total_syns,total_dropped,dropped_packets,dropped_bytes\n"
      "172.16.7.70,blocked,block,2026-11-24T13:03:08Z,2026-11-24T13:03:11Z,40,32,12,0,40,12,1904,"
      "114240\n",
      csv.out.substr(0, csv.out.find("172.16.0.25")));
}

TEST_F(CliTest, BlocksAreSortedByAddressAndForeignTextIsHarmless) {
  json hostile = decision("172.16.10.1", 2);
  hostile["reason"] = "x\x1b[2J\nroot#";
  hostile["until"] = hostile["remaining_seconds"] = nullptr;
  serve({{"GET /v1/blocks", ok({{"blocks", {hostile, decision("172.16.9.1", 1)}}})}});
  const Ran ran = run({"blocks"});
  EXPECT_EQ(
      "SOURCE       STATE    LEFT      DROPPED  DECISION  BY    REASON\n"
      "172.16.9.1   blocked  41m         1 904  nat1-1    auto  fanout\n"
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

json result_of(const std::string& source, int number) {
  return {{"source", source}, {"ok", true}, {"decision", decision(source, number)},
          {"error", ""},      {"hint", ""}, {"note", ""}};
}
json refused(const std::string& source) {
  return {{"source", source},
          {"ok", false},
          {"decision", nullptr},
          {"error", source + " is allowed by 172.16.0.0/28"},
          {"hint", "mailweir allow remove 172.16.0.0/28"},
          {"note", ""}};
}

TEST_F(CliTest, BlockPrintsWhatItDidAndItsUndoAndRefusalsGoToStderr) {
  serve({{"POST /v1/block",
          ok({{"results", {result_of("172.16.7.70", 4822), refused("172.16.0.5")}}})}});
  const Ran ran =
      run({"block", "172.16.7.70", "172.16.0.5", "--for", "1h", "--reason", "ticket 7"});
  EXPECT_EQ(1, ran.exit_code) << "a part failed";
  EXPECT_EQ(
      "blocked 172.16.7.70 until 2026-11-24 15:03:11 +0100 (1h), decision nat1-4822\n"
      "undo: mailweir unblock 172.16.7.70\n",
      ran.out);
  EXPECT_EQ(
      "not blocked: 172.16.0.5: 172.16.0.5 is allowed by 172.16.0.0/28\n"
      "  next: mailweir allow remove 172.16.0.0/28\n",
      ran.err);
  EXPECT_EQ(json({{"sources", {"172.16.7.70", "172.16.0.5"}},
                  {"for", "1h"},
                  {"reason", "ticket 7"},
                  {"dry_run", false}}),
            requests().back().body);
}

TEST_F(CliTest, ADryRunSaysWouldAndPrintsNoUndo) {
  serve({{"POST /v1/block", ok({{"results", {result_of("172.16.7.70", 4822)}}})},
         {"POST /v1/unblock", ok({{"results", {result_of("172.16.7.70", 4822)}}})}});
  const Ran ran = run({"block", "172.16.7.70", "--dry-run"});
  EXPECT_EQ(0, ran.exit_code);
  EXPECT_EQ("would block 172.16.7.70 until 2026-11-24 15:03:11 +0100 (1h)\n", ran.out);
  EXPECT_EQ("dry run: nothing was changed\n", ran.err);
  EXPECT_EQ(true, requests().back().body["dry_run"]);
  EXPECT_EQ("24h", requests().back().body["for"]);
  EXPECT_EQ("would unblock 172.16.7.70 (decision nat1-4822, was auto, 41m left)\n",
            run({"unblock", "172.16.7.70", "--dry-run"}).out);
}

TEST_F(CliTest, UnblockPrintsTheRestOfTheBlockAsItsUndoAndANoteOnce) {
  json first = result_of("172.16.7.70", 4821);
  first["note"] = "not blocked again automatically for 30m";
  json second = result_of("172.16.7.71", 4823);
  second["note"] = first["note"];
  second["decision"]["remaining_seconds"] = 5405;
  serve({{"POST /v1/unblock", ok({{"results", {first, second}}})}});
  const Ran ran = run({"unblock", "172.16.7.70", "172.16.7.71"});
  EXPECT_EQ(0, ran.exit_code);
  EXPECT_EQ(
      "unblocked 172.16.7.70 (decision nat1-4821, was auto, 41m left)\n"
      "unblocked 172.16.7.71 (decision nat1-4823, was auto, 1h 30m left)\n"
      "not blocked again automatically for 30m\n"
      "undo: mailweir block 172.16.7.71 --for 1h30m\n"
      "undo: mailweir block 172.16.7.70 --for 41m\n",
      ran.out);
  EXPECT_EQ(
      "unblocked 172.16.7.70 (decision nat1-4821, was auto, 41m left)\n"
      "unblocked 172.16.7.71 (decision nat1-4823, was auto, 1h 30m left)\n",
      run({"-q", "unblock", "--all"}).out);
  EXPECT_EQ(true, requests().back().body["all"]);
}

TEST_F(CliTest, AddressesComeFromStdinWithCommentsAndInPartsThatFitARequest) {
  serve_by([](const HttpRequest& request) {
    json results = json::array();
    for (const json& source : request.body["sources"]) results.push_back(result_of(source, 1));
    return ok({{"results", results}});
  });
  std::string input = "# bots of today\n172.16.0.1 172.16.0.2 # two\n\n";
  for (int i = 0; i < 5000; ++i)
    input += "172.17." + std::to_string(i / 250) + "." + std::to_string(i % 250) + "\n";
  const Ran ran = run({"block", "-", "172.16.0.3", "-o", "jsonl"}, input);
  EXPECT_EQ(0, ran.exit_code) << ran.err;
  EXPECT_EQ(5003, std::count(ran.out.begin(), ran.out.end(), '\n'));
  EXPECT_EQ(2U, requests().size());

  const Ran people = run({"block", "-"}, input);
  EXPECT_THAT(people.out, HasSubstr("undo: mailweir unblock -   (with these 5002 on its standard "
                                    "input)\n"));
}

TEST_F(CliTest, TheAllowlistIsShownAskedAndChanged) {
  const json entry = {{"network", "172.16.0.0/28"},
                      {"origin", "command"},
                      {"by", "root"},
                      {"reason", "mail servers"},
                      {"since", "2026-11-24T13:00:00Z"}};
  const json file = {{"network", "172.16.0.0/30"},
                     {"origin", "/etc/mailweir/mailweir.toml:31"},
                     {"reason", ""},
                     {"since", nullptr}};
  json added = {{"source", "172.16.0.25"}, {"ok", true}, {"note", "lifted nat1-5 of 172.16.0.25"}};
  serve({{"GET /v1/allow", ok({{"allow", {entry, file}}})},
         {"GET /v1/allow/172.16.0.5",
          ok({{"source", "172.16.0.5"}, {"allowed", true}, {"entries", {entry}}})},
         {"GET /v1/allow/172.16.7.70",
          ok({{"source", "172.16.7.70"}, {"allowed", false}, {"entries", json::array()}})},
         {"POST /v1/allow/add", ok({{"results", {added}}})},
         {"POST /v1/allow/remove", ok({{"results", {added}}})}});
  EXPECT_EQ(
      "NETWORK        SINCE                ORIGIN                          BY    REASON\n"
      "172.16.0.0/28  2026-11-24 14:00:00  command                         root  mail servers\n"
      "172.16.0.0/30  -                    /etc/mailweir/mailweir.toml:31  -     -\n",
      run({"allow", "list"}).out);
  const Ran yes = run({"allow", "check", "172.16.0.5"});
  EXPECT_EQ(0, yes.exit_code);
  EXPECT_EQ("172.16.0.5 is allowed\n  172.16.0.0/28 by command of root: mail servers\n", yes.out);
  const Ran no = run({"allow", "check", "172.16.7.70"});
  EXPECT_EQ(1, no.exit_code);
  EXPECT_EQ("172.16.7.70 is not allowed\n", no.out);
  EXPECT_EQ(
      "allowed 172.16.0.25\nlifted nat1-5 of 172.16.0.25\n"
      "undo: mailweir allow remove 172.16.0.25\n",
      run({"allow", "add", "172.16.0.25", "--reason", "x"}).out);
  EXPECT_THAT(run({"allow", "remove", "172.16.0.25"}).out,
              HasSubstr("172.16.0.25 taken from the allowlist\n"));
}

TEST_F(CliTest, ModeIsPrintedAloneAndChangedWithItsUndo) {
  serve({{"GET /v1/status", ok(status_body())},
         {"POST /v1/mode", ok({{"mode", "throttle"},
                               {"was", "block"},
                               {"lifted", {decision("172.16.7.70", 4821)}}})}});
  EXPECT_EQ("block (by command; the file says observe)\n", run({"mode"}).out);
  EXPECT_EQ("block", json::parse(run({"mode", "-o", "json"}).out)["mode"]);
  EXPECT_EQ(
      "mode throttle (was block)\n"
      "lifted 172.16.7.70 (decision nat1-4821)\n"
      "until the file's own mode is changed\n"
      "undo: mailweir mode block\n",
      run({"mode", "throttle"}).out);
}

TEST_F(CliTest, ReloadTellsTheProblemsOfABadFile) {
  serve(
      {{"POST /v1/reload", ok({{"reloaded", true}, {"warnings", {"socket takes effect later"}}})}});
  const Ran good = run({"reload"});
  EXPECT_EQ(0, good.exit_code);
  EXPECT_EQ("reloaded\n", good.out);
  EXPECT_EQ("socket takes effect later\n", good.err);

  HttpAnswer unusable = http_error(422, "the configuration is not usable");
  unusable.body["problems"] = {"mailweir.toml:14:1: error: unknown key 'brust'"};
  serve({{"POST /v1/reload", unusable}});
  const Ran bad = run({"reload"});
  EXPECT_EQ(6, bad.exit_code);
  EXPECT_EQ("", bad.out);
  EXPECT_EQ(
      "mailweir.toml:14:1: error: unknown key 'brust'\n"
      "not reloaded. The running configuration is unchanged.\n",
      bad.err);
}

TEST_F(CliTest, ARefusalForLackOfRightsHasExitCode4AndNamesTheCommand) {
  serve({{"POST /v1/block", http_error(403, "uid 65534 may not change anything", "be root")}});
  const Ran ran =
      run_bare({"mailweir", "--socket", socket_, "block", "172.16.7.70", "--reason", "it's spam"});
  EXPECT_EQ(4, ran.exit_code);
  EXPECT_EQ(
      "mailweir: uid 65534 may not change anything\n"
      "  only root and the group mailweir may: sudo mailweir --socket " +
          socket_ + " block 172.16.7.70 --reason 'it'\\''s spam'\n",
      ran.err);
}

TEST_F(CliTest, DetachRefusesWhileADaemonRuns) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: others are refused before";
  serve({{"GET /v1/status", ok(status_body())}});
  const Ran ran = run({"detach"});
  EXPECT_EQ(1, ran.exit_code);
  EXPECT_EQ(
      "the daemon (pid 4711) is running and would attach again: systemctl stop mailweir (or kill "
      "4711), then mailweir detach\n",
      ran.err);
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
      "2026-11-24 14:03:11  mode         -                some text\n"
      "2026-11-24 14:03:11  block        172.16.7.70      some text\n",
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
