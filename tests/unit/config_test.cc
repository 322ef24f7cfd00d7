// SPDX-License-Identifier: GPL-2.0-or-later
// From files to Config and back: values, defaults, overrides, lists, and files that are none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>
#include <set>
#include <sstream>

#include "config_files.h"

namespace mailweir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::string default_file() {
  std::ifstream file(MAILWEIR_SOURCE_DIR "/packaging/mailweir.toml");
  return {std::istreambuf_iterator<char>(file), {}};
}

Prefix prefix(std::string_view text) {
  return *parse_prefix(text);
}

/// "limit.burst", in the order of the file.
std::vector<std::string> keys_of(const std::string& toml) {
  std::istringstream lines(toml);
  std::vector<std::string> keys;
  std::string section;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('['))
      section = line.substr(1, line.find(']') - 1) + ".";
    else if (const auto equals = line.find(" = "); equals != std::string::npos && line[0] != '#')
      keys.push_back(section + line.substr(0, equals));
  }
  return keys;
}

class ConfigTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::vector<std::string> lines_of(std::string_view text) const {
    return files_.lines(files_.load(text));
  }

  ConfigFiles files_;
};

/// No key has its default, so that a key in another's field, or in none, is seen.
constexpr std::string_view kEveryKey = R"(
mode = "block"
node = "nat7"
bpffs_dir = "/a"
socket = "/b"
state_dir = "/c"
[interfaces]
inside = ["ppp*", "eth9"]
attach = "xdp-generic"
on_stop = "pass"
dead_man = "90m"
[networks]
inside = ["172.20.0.0/14", "2001:db8::/32"]
ipv6_prefix = 56
[smtp]
judge = [26, 2525]
watch = [588]
[limit]
rate = "7/90s"
burst = 8
[[group]]
name = "one"
networks = ["172.20.0.0/28", "172.20.1.7"]
rate = "9/h"
burst = 10
mode = "throttle"
[[group]]
name = "two"
networks = ["172.20.2.0/24"]
burst = 11
[block]
servers = 12
score = 13.5
score_proven = 14
message_bytes = 15
message_bytes_tls = 1500
confirm = "none"
for = ["16m", "1h1s", "forever"]
breaker = "17/d"
manual_grace = "18s"
[brake]
rate = "19/10min"
burst = 20
[maps]
sources = 2100
blocks = 2200
[shield]
ports = [23, 445]
allow = ["198.51.100.0/24"]
[allow]
networks = ["172.20.0.25", "2001:db8:0:1::5"]
files = []
servers = ["203.0.113.5"]
[mirror]
backend = "none"
max_rules = 24
refresh = "25s"
[log]
enabled = true
file = "/d"
limit = "26/min"
total = "27/s"
keep = "28d"
max_size = "1025KiB"
[pool]
networks = ["192.0.2.0/24"]
domain = "example.net"
ptr_pattern = "n{d}.{domain}"
ptr_pattern_ipv6 = "n{hex}.{domain}"
name_servers = ["ns1.example.net", "ns2.example.net=192.0.2.54:5353"]
delegated = ["192.0.0.0/16"]
resolver = "[2001:db8::53]:5353"
)";

void expect_places(const Config& c) {
  EXPECT_EQ(c.mode, Mode::block);
  EXPECT_EQ(c.node, "nat7");
  EXPECT_EQ(c.bpffs_dir, "/a");
  EXPECT_EQ(c.socket, "/b");
  EXPECT_EQ(c.state_dir, "/c");
  EXPECT_THAT(c.interfaces.inside, ElementsAre("ppp*", "eth9"));
  EXPECT_EQ(c.interfaces.attach, Attach::xdp_generic);
  EXPECT_EQ(c.interfaces.on_stop, OnStop::pass);
  EXPECT_EQ(c.interfaces.dead_man, 90min);
  EXPECT_THAT(c.networks.inside, ElementsAre(prefix("172.20.0.0/14"), prefix("2001:db8::/32")));
  EXPECT_EQ(c.networks.ipv6_prefix, 56);
  EXPECT_THAT(c.smtp.judge, ElementsAre(26, 2525));
  EXPECT_THAT(c.smtp.watch, ElementsAre(588));
  EXPECT_EQ(c.maps.sources, 2100U);
  EXPECT_EQ(c.maps.blocks, 2200U);
}

void expect_rules(const Config& c) {
  EXPECT_EQ(c.limit, (Limit{{7, 90s}, 8}));
  ASSERT_THAT(c.groups, SizeIs(2));
  EXPECT_EQ(c.groups[0].name, "one");
  EXPECT_THAT(c.groups[0].networks, ElementsAre(prefix("172.20.0.0/28"), prefix("172.20.1.7/32")));
  EXPECT_EQ(c.groups[0].limit, (Limit{{9, 3600s}, 10}));
  EXPECT_EQ(c.groups[0].mode, Mode::throttle);
  EXPECT_EQ(c.groups[1].limit, (Limit{{7, 90s}, 11})) << "the rate is that of [limit]";
  EXPECT_EQ(c.groups[1].mode, std::nullopt);
  EXPECT_EQ(c.block.servers, 12U);
  EXPECT_EQ(c.block.score, 13.5);
  EXPECT_EQ(c.block.score_proven, 14.0);
  EXPECT_EQ(c.block.message_bytes, 15U);
  EXPECT_EQ(c.block.message_bytes_tls, 1500U);
  EXPECT_EQ(c.block.confirm, Confirm::none);
  EXPECT_THAT(c.block.durations, ElementsAre(16min, 3601s, std::chrono::seconds::max()));
  EXPECT_EQ(c.block.breaker, (Rate{17, 86400s}));
  EXPECT_EQ(c.block.manual_grace, 18s);
  EXPECT_EQ(c.brake, (Limit{{19, 600s}, 20}));
  EXPECT_THAT(c.shield.ports, ElementsAre(23, 445));
  EXPECT_THAT(c.shield.allow, ElementsAre(prefix("198.51.100.0/24")));
}

void expect_outputs(const Config& c) {
  ASSERT_THAT(c.allow.networks, SizeIs(2));
  EXPECT_EQ(c.allow.networks[0].prefix, prefix("172.20.0.25/32"));
  EXPECT_EQ(c.allow.networks[1].prefix, prefix("2001:db8:0:1::5/128"));
  EXPECT_FALSE(c.allow.networks[0].from_list);
  EXPECT_THAT(c.allow.files, IsEmpty());
  EXPECT_THAT(c.allow.servers, ElementsAre(prefix("203.0.113.5")));
  EXPECT_EQ(c.mirror.backend, MirrorBackend::none);
  EXPECT_EQ(c.mirror.max_rules, 24U);
  EXPECT_EQ(c.mirror.refresh, 25s);
  EXPECT_TRUE(c.log.enabled);
  EXPECT_EQ(c.log.file, "/d");
  EXPECT_EQ(c.log.limit, (Rate{26, 60s}));
  EXPECT_EQ(c.log.total, (Rate{27, 1s}));
  EXPECT_EQ(c.log.keep, 24h * 28);
  EXPECT_EQ(c.log.max_size_bytes, 1025ULL << 10);
  EXPECT_THAT(c.pool.networks, ElementsAre(prefix("192.0.2.0/24")));
  EXPECT_EQ(c.pool.domain, "example.net");
  EXPECT_EQ(c.pool.ptr_pattern, "n{d}.{domain}");
  EXPECT_EQ(c.pool.ptr_pattern_ipv6, "n{hex}.{domain}");
  EXPECT_THAT(c.pool.name_servers,
              ElementsAre("ns1.example.net", "ns2.example.net=192.0.2.54:5353"));
  EXPECT_THAT(c.pool.delegated, ElementsAre(prefix("192.0.0.0/16")));
  EXPECT_EQ(c.pool.resolver, "[2001:db8::53]:5353");
}

TEST_F(ConfigTest, EveryKeyArrivesInItsFieldAndIsWrittenBackEqual) {
  const Loaded first = files_.load(kEveryKey);
  EXPECT_TRUE(first.usable()) << first.problems.front().to_string();
  EXPECT_EQ(first.config.allow.networks[0].origin, files_.main_file() + ":51");
  const Loaded again = files_.load(to_toml(first.config));
  EXPECT_TRUE(again.usable());
  for (const Config* config : {&first.config, &again.config}) {
    expect_places(*config);
    expect_rules(*config);
    expect_outputs(*config);
  }
  EXPECT_EQ(to_toml(again.config), to_toml(first.config));
}

TEST_F(ConfigTest, TheDefaultFileSaysEveryDefaultAndOnlyObserves) {
  const Loaded loaded = files_.load(default_file());
  EXPECT_THAT(files_.lines(loaded), IsEmpty());
  EXPECT_EQ(loaded.config.mode, Mode::observe);
  EXPECT_FALSE(loaded.config.node.empty()) << "the hostname";

  Config defaults;
  defaults.node = loaded.config.node;
  defaults.interfaces.inside = {"eth1"};
  defaults.networks.inside = {prefix("172.16.0.0/12")};
  EXPECT_EQ(to_toml(loaded.config), to_toml(defaults));
  EXPECT_EQ(keys_of(default_file()), keys_of(to_toml(defaults)));
}

TEST_F(ConfigTest, TheGroupInTheDefaultFileIsReadyToBeUncommented) {
  std::string text = default_file();
  for (const std::string_view line :
       {"[[group]]", "name =", "networks =", "rate =", "burst =", "mode ="})
    if (const auto at = text.find("\n#" + std::string(line)); at != std::string::npos)
      text.erase(at + 1, 1);
  const Loaded loaded = files_.load(text);
  EXPECT_THAT(files_.lines(loaded), IsEmpty());
  ASSERT_THAT(loaded.config.groups, SizeIs(1));
  EXPECT_EQ(loaded.config.groups[0].limit, (Limit{{6000, 60s}, 12000}));
}

TEST_F(ConfigTest, TextInQuotesSurvivesTheWayBack) {
  const Loaded loaded = files_.load(std::string(kRequired) + "state_dir = '/a \"b\" \\c é'\n");
  EXPECT_EQ(loaded.config.state_dir, "/a \"b\" \\c é");
  EXPECT_EQ(files_.load(to_toml(loaded.config)).config.state_dir, loaded.config.state_dir);
}

TEST_F(ConfigTest, AllProblemsAreReportedAtOnceInTheOrderOfTheFile) {
  files_.write("conf.d/10-more.toml", "[limit]\nrate = \"0/s\"\n");
  EXPECT_THAT(lines_of("mode = \"blok\"\n[smtp]\njudge = [0, 25, 70000]\n[limit]\nbrust = 1\n"),
              ElementsAre(StartsWith("mailweir.toml: error: [interfaces] inside is required"),
                          StartsWith("mailweir.toml: error: [networks] inside is required"),
                          StartsWith("mailweir.toml:1:8: error: mode: 'blok'"),
                          StartsWith("mailweir.toml:3:10: error: [smtp] judge: "),
                          StartsWith("mailweir.toml:3:17: error: [smtp] judge: "),
                          StartsWith("mailweir.toml:5:1: error: unknown key 'brust' in [limit]"),
                          StartsWith("conf.d/10-more.toml:2:8: error: [limit] rate: '0/s'")));
}

TEST_F(ConfigTest, LaterFilesOverrideKeysAndAddGroups) {
  files_.write("mailweir.toml", std::string(kRequired) +
                                    "mode = \"observe\"\nnode = \"nat1\"\n[limit]\nburst = 5\n"
                                    "[[group]]\nname = \"a\"\nnetworks = [\"172.16.0.0/28\"]\n");
  files_.write("conf.d/20-second.toml", "mode = \"block\"\nsmtp.watch = [587]\n");
  files_.write("conf.d/10-first.toml",
               "mode = \"throttle\"\nlimit.burst = 6\n"
               "[[group]]\nname = \"b\"\nnetworks = [\"172.16.0.16/28\"]\n");
  files_.write("conf.d/.hidden.toml", "nonsense");
  files_.write("conf.d/30-old.toml.bak", "nonsense");

  const Loaded loaded = files_.load();
  EXPECT_THAT(files_.lines(loaded), IsEmpty());
  EXPECT_EQ(loaded.config.mode, Mode::block);
  EXPECT_EQ(loaded.config.node, "nat1") << "said only in the first";
  EXPECT_THAT(loaded.config.smtp.watch, ElementsAre(587));
  ASSERT_THAT(loaded.config.groups, SizeIs(2));
  EXPECT_EQ(loaded.config.groups[0].name, "a");
  EXPECT_EQ(loaded.config.groups[0].limit.burst, 6U) << "of [limit] as it is in the end";
  EXPECT_EQ(loaded.config.groups[1].name, "b");
}

TEST_F(ConfigTest, AProblemInALaterFileHasThatFilesPlace) {
  files_.write("mailweir.toml", std::string(kRequired) + "smtp.judge = [25]\n");
  files_.write("conf.d/a.toml", "\nsmtp.watch = [25]\n");
  files_.write("conf.d/b.toml", "mode = \n");
  EXPECT_THAT(files_.lines(files_.load()),
              ElementsAre(HasSubstr("conf.d/b.toml:1:8: error: syntax error in ")))
      << "with a file missing, the rest is not judged";
  files_.write("conf.d/b.toml", "mode = \"observe\"\n");
  EXPECT_THAT(files_.lines(files_.load()),
              ElementsAre(HasSubstr("conf.d/a.toml:2:15: error: [smtp] watch: port 25 is judged")));
}

TEST_F(ConfigTest, AnAllowlistThatCoversAllClientsIsPointedOut) {
  const std::string all = std::string(kRequired) + "allow.networks = [\"172.0.0.0/8\"]\n";
  EXPECT_THAT(
      lines_of(all),
      ElementsAre("mailweir.toml:2:20: warning: [networks] inside: the allowlist covers all "
                  "of 172.16.0.0/12, so nothing from it is ever held back"));
  EXPECT_THAT(lines_of(std::string(kRequired) + "allow.networks = [\"172.16.0.0/13\"]\n"),
              IsEmpty());
}

/// Anything may become of the text, but it is judged: usable, and then it survives the way back;
/// or at least one error says why not.
TEST_F(ConfigTest, MutationsOfTheDefaultFileAreJudgedAndNeverCrash) {
  const std::string original = default_file();
  constexpr std::string_view kPieces[] = {"[",         "]",
                                          "[[",        "=",
                                          "\"",        "\n",
                                          "#",         "'''",
                                          "{a=",       "-1",
                                          "0",         ".",
                                          "a.a.",      "1e999",
                                          "\xff",      "\\u0000",
                                          "nan",       "true",
                                          ",",         "::/0",
                                          "/33",       "\r\n",
                                          "\"\"\"",    "[limit]",
                                          "[[group]]", "1979-05-27",
                                          "forever",   "m",
                                          "0/min",     "/min",
                                          "65536",     "rate =",
                                          "\t",        "99999999999999999999"};
  std::mt19937 random(20261124);
  const auto below = [&random](std::size_t bound) { return random() % bound; };
  std::size_t usable = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string text = original;
    for (std::size_t edits = 1 + below(4); edits > 0; --edits) {
      const std::size_t at = below(text.size());
      const std::size_t length = 1 + below(below(8) == 0 ? 400 : 8);
      switch (below(5)) {
        case 0:
          text[at] = static_cast<char>(below(256));
          break;
        case 1:
          text.erase(at, length);
          break;
        case 2:
          text.insert(at, text.substr(below(text.size()), length));
          break;
        case 3:
          text.insert(at, kPieces[below(std::size(kPieces))]);
          break;
        default:
          text.replace(at, length, kPieces[below(std::size(kPieces))]);
      }
    }
    const Loaded loaded = files_.load(text);
    for (const Problem& problem : loaded.problems)
      ASSERT_EQ(problem.to_string().find('\n'), std::string::npos) << problem.to_string();
    if (!loaded.usable()) continue;
    ++usable;
    const std::string written = to_toml(loaded.config);
    const Loaded again = files_.load(written);
    ASSERT_TRUE(again.usable()) << "round " << round << "\n" << written;
    ASSERT_EQ(to_toml(again.config), written) << "round " << round;
  }
  EXPECT_GT(usable, 200U) << "most edits hit comments";
  EXPECT_LT(usable, 1800U) << "some hit values";
}

}  // namespace
}  // namespace mailweir
