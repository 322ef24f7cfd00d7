// SPDX-License-Identifier: GPL-2.0-or-later
// The verbs that change something: what they send, say, refuse, and how each is undone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "fake_api.h"

namespace mailweir {
namespace {

using nlohmann::json;
using testing::HasSubstr;

using CliActTest = CliTest;

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

TEST_F(CliActTest, BlockPrintsWhatItDidAndItsUndoAndRefusalsGoToStderr) {
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

TEST_F(CliActTest, ADryRunSaysWouldAndPrintsNoUndo) {
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

TEST_F(CliActTest, UnblockPrintsTheRestOfTheBlockAsItsUndoAndANoteOnce) {
  json first = result_of("172.16.7.70", 4821);
  first["note"] = "not blocked again automatically for 30m";
  json second = result_of("172.16.7.71", 4823);
  second["note"] = first["note"];
  second["decision"]["remaining_seconds"] = 5405;
  second["decision"]["origin"] = "manual";
  second["decision"]["reason"] = "ticket 4711";
  serve({{"POST /v1/unblock", ok({{"results", {first, second}}})}});
  const Ran ran = run({"unblock", "172.16.7.70", "172.16.7.71"});
  EXPECT_EQ(0, ran.exit_code);
  EXPECT_EQ(
      "unblocked 172.16.7.70 (decision nat1-4821, was auto, 41m left)\n"
      "unblocked 172.16.7.71 (decision nat1-4823, was manual, 1h 30m left)\n"
      "not blocked again automatically for 30m\n"
      "undo: mailweir block 172.16.7.71 --for 1h30m --reason 'ticket 4711'\n"
      "undo: mailweir block 172.16.7.70 --for 41m\n",
      ran.out);
  EXPECT_EQ(
      "unblocked 172.16.7.70 (decision nat1-4821, was auto, 41m left)\n"
      "unblocked 172.16.7.71 (decision nat1-4823, was manual, 1h 30m left)\n",
      run({"-q", "unblock", "--all"}).out);
  EXPECT_EQ(true, requests().back().body["all"]);
}

TEST_F(CliActTest, AddressesComeFromStdinWithCommentsAndInPartsThatFitARequest) {
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

TEST_F(CliActTest, TheAllowlistIsShownAskedAndChanged) {
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

TEST_F(CliActTest, ModeIsPrintedAloneAndChangedWithItsUndo) {
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

TEST_F(CliActTest, ReloadTellsTheProblemsOfABadFile) {
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

TEST_F(CliActTest, ARefusalForLackOfRightsHasExitCode4AndNamesTheCommand) {
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

TEST_F(CliActTest, DetachRefusesWhileADaemonRuns) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: others are refused before";
  serve({{"GET /v1/status", ok(status_body())}});
  const Ran ran = run({"detach"});
  EXPECT_EQ(1, ran.exit_code);
  EXPECT_EQ(
      "the daemon (pid 4711) is running: systemctl stop mailweir (or kill 4711), then this again\n",
      ran.err);
}

}  // namespace
}  // namespace mailweir
