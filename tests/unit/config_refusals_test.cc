// SPDX-License-Identifier: GPL-2.0-or-later
// What a configuration file may not say, each with its place and a neighbour that may be said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config_files.h"

namespace mailweir {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ConfigRefusals : public ConfigRefusalTest {};

TEST_F(ConfigRefusals, NameAnUnknownKeyAndWhatWasProbablyMeant) {
  expect({
      {"[limit]\nbrust = 3", "5:1: error: unknown key 'brust' in [limit] (did you mean 'burst'?)",
       "[limit]\nburst = 3"},
      {"moed = \"block\"", "4:1: error: unknown key 'moed' (did you mean 'mode'?)",
       "mode = \"block\""},
      {"[limit]\nmode = \"block\"",
       "5:1: error: unknown key 'mode' in [limit] (it belongs at the top, before any [section])",
       "mode = \"block\"\n[limit]"},
      {"sources = 2048", "4:1: error: unknown key 'sources' (it belongs in [maps])",
       "maps.sources = 2048"},
      {"[limit]\nzzz = 1", "5:1: error: unknown key 'zzz' in [limit]", "[limit]"},
      {"[limt]\nburst = 3", "4:2: error: unknown section [limt] (did you mean [limit]?)",
       "[limit]\nburst = 3"},
      {"[weather]\nrain = 1", "4:2: error: unknown section [weather]", "[pool]\ndomain = \"\""},
      {"[[grup]]\nname = \"a\"", "4:3: error: unknown section [grup] (did you mean [[group]]?)",
       "[[group]]\nname = \"a\"\nnetworks = [\"172.16.0.0/28\"]"},
      {"[[limit]]\nburst = 3", "4:1: error: [[limit]]: write [limit], in single brackets",
       "[limit]\nburst = 3"},
      {"[group]\nname = \"a\"",
       "4:1: error: [group]: write [[group]], in double brackets: each starts a group",
       "[[group]]\nname = \"a\"\nnetworks = [\"172.16.0.0/28\"]"},
      {"limit = 5", "4:9: error: [limit] must be a section of keys, not an integer",
       "limit = {burst = 5}"},
      {"[[group]]\nname = \"a\"\nnetworks = [\"172.16.0.0/28\"]\nbrust = 1",
       "7:1: error: unknown key 'brust' in [[group]] (did you mean 'burst'?)",
       "[[group]]\nname = \"a\"\nnetworks = [\"172.16.0.0/28\"]\nburst = 1"},
  });
}

TEST_F(ConfigRefusals, NameTheTypeThatIsWantedAndTheOneThatIsThere) {
  expect({
      {"mode = 1",
       "4:8: error: mode: must be one of observe, throttle, block in quotes, not an integer",
       "mode = \"throttle\""},
      {"limit.burst = \"3\"",
       "4:15: error: [limit] burst: must be a whole number from 1 to 4294967295, not a string",
       "limit.burst = 3"},
      {"limit.burst = 3.5",
       "4:15: error: [limit] burst: must be a whole number from 1 to 4294967295, not a "
       "floating-point number",
       "limit.burst = 3"},
      {"limit.rate = 600",
       "4:14: error: [limit] rate: must be a rate in quotes, such as \"600/min\", not an integer",
       "limit.rate = \"600/min\""},
      {"smtp.judge = 25", "4:14: error: [smtp] judge: must be a list in [ ], not an integer",
       "smtp.judge = [25]"},
      {"smtp.judge = [\"25\"]",
       "4:15: error: [smtp] judge: must be a port from 1 to 65535, not a string",
       "smtp.judge = [25]"},
      {"shield.allow = \"198.51.100.0/24\"",
       "4:16: error: [shield] allow: must be a list in [ ], not a string",
       "shield.allow = [\"198.51.100.0/24\"]"},
      {"log.enabled = \"yes\"",
       "4:15: error: [log] enabled: must be true or false, without quotes, not a string",
       "log.enabled = false"},
      {"log.keep = 1979-05-27",
       "4:12: error: [log] keep: must be a duration in quotes, such as \"90s\" or \"24h\", not a "
       "date or time",
       "log.keep = \"7d\""},
      {"socket = [\"/run/a\"]", "4:10: error: socket: must be a path in quotes, not a list",
       "socket = \"/run/a\""},
      {"block.score = true",
       "4:15: error: [block] score: must be a number above 0, at most 1000, not a boolean",
       "block.score = 9.21"},
  });
}

TEST_F(ConfigRefusals, RatesThatAreNegativeZeroOrOverflow) {
  const auto rate = [](std::string_view text) {
    return "limit.rate = \"" + std::string(text) + "\"";
  };
  const std::pair<std::string_view, std::string_view> wrong[] = {
      {"-5/min", "'-5/min' is negative; a rate is at least 1/365d"},
      {"0/min", "'0/min' lets nothing through; a rate is at least 1/365d"},
      {"4294967296/d",
       "'4294967296/d' is too fast: at most 4294967295 events, and at most "
       "10000000/s"},
      {"99999999999999999999999/d",
       "'99999999999999999999999/d' is too fast: at most 4294967295 "
       "events, and at most 10000000/s"},
      {"10000001/s", "'10000001/s' is too fast: at most 4294967295 events, and at most 10000000/s"},
      {"600/m", "'600/m' has the unit 'm': write min for minutes, 600/min"},
      {"10/10m", "'10/10m' has the unit 'm': write min for minutes, 10/10min"},
      {"600", "'600' is not a rate: write 600/min, 50/s, 30/h, 1/d or 10/10min"},
      {"", "'' is not a rate: write 600/min, 50/s, 30/h, 1/d or 10/10min"},
      {"/min", "'/min' is not a rate: write 600/min, 50/s, 30/h, 1/d or 10/10min"},
      {"1.5/s", "'1.5/s' is not a rate: write 600/min, 50/s, 30/h, 1/d or 10/10min"},
      {" 5/s", "' 5/s' is not a rate: write 600/min, 50/s, 30/h, 1/d or 10/10min"},
      {"5/minute",
       "'5/minute' is not a rate: after the / comes s, min, h, d or a number of them, "
       "at most 365d"},
      {"5/",
       "'5/' is not a rate: after the / comes s, min, h, d or a number of them, at most 365d"},
      {"5/0s",
       "'5/0s' is not a rate: after the / comes s, min, h, d or a number of them, at most "
       "365d"},
      {"5/366d",
       "'5/366d' is not a rate: after the / comes s, min, h, d or a number of them, at "
       "most 365d"},
      {"5/18446744073709551617s",
       "'5/18446744073709551617s' is not a rate: after the / comes s, "
       "min, h, d or a number of them, at most 365d"},
  };
  for (const auto& [text, why] : wrong)
    EXPECT_THAT(lines_of(rate(text)),
                ElementsAre("mailweir.toml:4:14: error: [limit] rate: " + std::string(why)));

  for (const auto text : {"1/s", "10000000/s", "600/min", "30/h", "1200/d", "10/10min", "90/90s"})
    EXPECT_THAT(lines_of(rate(text)), IsEmpty()) << text;
}

TEST_F(ConfigRefusals, ABurstThatTakesLongerThanAYearToRefill) {
  expect({
      {"[limit]\nrate = \"1/d\"\nburst = 366",
       "6:9: error: [limit]: a burst of 366 at a rate of 1/d takes 366 days to refill; at most 365",
       "[limit]\nrate = \"1/d\"\nburst = 365"},
      {"[brake]\nrate = \"1/d\"\nburst = 4294967295",
       "6:9: error: [brake]: a burst of 4294967295 at a rate of 1/d takes 4294967295 days to "
       "refill; at most 365",
       "[brake]\nrate = \"1/d\"\nburst = 1"},
      {"[[group]]\nname = \"a\"\nnetworks = [\"172.16.0.0/28\"]\nrate = \"1/d\"",
       "7:8: error: [[group]] a: a burst of 1200 at a rate of 1/d takes 1200 days to refill; at "
       "most 365",
       "[[group]]\nname = \"a\"\nnetworks = [\"172.16.0.0/28\"]\nrate = \"4/d\""},
  });
}

TEST_F(ConfigRefusals, NumbersOutOfTheirRange) {
  expect({
      {"limit.burst = 0",
       "4:15: error: [limit] burst: must be a whole number from 1 to 4294967295, not 0",
       "limit.burst = 1"},
      {"limit.burst = -1",
       "4:15: error: [limit] burst: must be a whole number from 1 to 4294967295, not -1",
       "limit.burst = 1"},
      {"block.message_bytes = 4294967296",
       "4:23: error: [block] message_bytes: must be a whole number from 1 to 1048576, not "
       "4294967296",
       "block.message_bytes = 300"},
      {"smtp.judge = [0]", "4:15: error: [smtp] judge: must be a port from 1 to 65535, not 0",
       "smtp.judge = [1]"},
      {"smtp.watch = [65536]",
       "4:15: error: [smtp] watch: must be a port from 1 to 65535, not 65536",
       "smtp.watch = [65535]"},
      {"networks.ipv6_prefix = 31",
       "4:24: error: [networks] ipv6_prefix: must be a whole number from 32 to 128, not 31",
       "networks.ipv6_prefix = 32"},
      {"networks.ipv6_prefix = 129",
       "4:24: error: [networks] ipv6_prefix: must be a whole number from 32 to 128, not 129",
       "networks.ipv6_prefix = 128"},
      {"maps.sources = 1023",
       "4:16: error: [maps] sources: must be a whole number from 1024 to 16777216, not 1023",
       "maps.sources = 1024"},
      {"maps.sources = 16777217",
       "4:16: error: [maps] sources: must be a whole number from 1024 to 16777216, not 16777217",
       "maps.sources = 16777216"},
      {"maps.blocks = 4194305",
       "4:15: error: [maps] blocks: must be a whole number from 1024 to 4194304, not 4194305",
       "maps.blocks = 4194304"},
      {"block.score = nan",
       "4:15: error: [block] score: must be a number above 0, at most 1000, not nan",
       "block.score_proven = 13.8"},
      {"block.score = -1",
       "4:15: error: [block] score: must be a number above 0, at most 1000, not -1",
       "block.score = 9.21"},
      {"log.max_size = \"1KiB\"",
       "4:16: error: [log] max_size: must be from 1MiB to 1024GiB, not 1KiB",
       "log.max_size = \"1MiB\""},
      {"log.max_size = \"99999999999GiB\"",
       "4:16: error: [log] max_size: '99999999999GiB' has too many digits",
       "log.max_size = \"1024GiB\""},
      {"log.max_size = \"512MB\"",
       "4:16: error: [log] max_size: '512MB' is not a size: write 512MiB, with B, KiB, MiB or GiB",
       "log.max_size = \"536870912B\""},
  });
}

TEST_F(ConfigRefusals, DurationsThatAreNoneOrTooLong) {
  expect({
      {"block.manual_grace = \"30\"",
       "4:22: error: [block] manual_grace: '30' is not a duration (90s, 10m, 24h, 7d, 1h30m or "
       "forever)",
       "block.manual_grace = \"30m\""},
      {"block.for = [\"1h\", \"0s\"]",
       "4:20: error: [block] for: '0s' is not a duration (90s, 10m, 24h, 7d, 1h30m or forever)",
       "block.for = [\"1h\", \"1h\", \"forever\"]"},
      {"block.manual_grace = \"forever\"",
       "4:22: error: [block] manual_grace: must be from 1s to 365d, not forever",
       "interfaces.dead_man = \"forever\""},
      {"mirror.refresh = \"25h\"", "4:18: error: [mirror] refresh: must be from 1s to 1d, not 25h",
       "mirror.refresh = \"24h\""},
      {"block.for = []",
       "4:13: error: [block] for is empty: name at least one duration, such as [\"1h\"]",
       "block.for = [\"1h\"]"},
      {"block.for = [\"4h\", \"1h\"]",
       "4:13: warning: [block] for: a later block is shorter than an earlier one",
       "block.for = [\"1h\", \"4h\"]"},
      {"interfaces.dead_man = \"9s\"",
       "4:23: warning: [interfaces] dead_man is below 10s: a controller that is busy for so long "
       "counts as dead, and the kernel only observes",
       "interfaces.dead_man = \"10s\""},
  });
}

TEST_F(ConfigRefusals, WordsThatAreNotInTheList) {
  expect({
      {"mode = \"blok\"",
       "4:8: error: mode: 'blok' is not one of observe, throttle, block (did you mean 'block'?)",
       "mode = \"block\""},
      {"mode = \"enforce\"", "4:8: error: mode: 'enforce' is not one of observe, throttle, block",
       "mode = \"observe\""},
      {"mode = \"Block\"",
       "4:8: error: mode: 'Block' is not one of observe, throttle, block (did you mean 'block'?)",
       "mode = \"block\""},
      {"interfaces.attach = \"native\"",
       "4:21: error: [interfaces] attach: 'native' is not one of auto, xdp, xdp-generic, tc",
       "interfaces.attach = \"xdp-generic\""},
      {"interfaces.on_stop = \"open\"",
       "4:22: error: [interfaces] on_stop: 'open' is not one of keep, pass",
       "interfaces.on_stop = \"pass\""},
      {"mirror.backend = \"nft\"",
       "4:18: error: [mirror] backend: 'nft' is not one of iptables, none",
       "mirror.backend = \"none\""},
  });
}

TEST_F(ConfigRefusals, PortsThatAreNamedTwice) {
  expect({
      {"smtp.judge = [25, 26, 25]",
       "4:23: error: [smtp] judge: 25 is listed twice (first in line 4)", "smtp.judge = [25, 26]"},
      {"smtp.judge = [25, 465]",
       "4:14: error: [smtp] watch: port 465 is judged already; a port is judged or watched, not "
       "both",
       "smtp.judge = [25, 2525]"},
      {"smtp.watch = [465, 25]",
       "4:20: error: [smtp] watch: port 25 is judged already; a port is judged or watched, not "
       "both",
       "smtp.watch = []"},
      {"smtp.judge = []",
       "4:14: error: [smtp] judge names no port: to only watch, write mode = \"observe\"",
       "mode = \"observe\""},
  });
}

TEST_F(ConfigRefusals, NamesAndPathsThatDoNotFit) {
  const std::string text32(32, 'n');
  const std::string node32 = "node = \"" + text32 + "\"", node33 = "node = \"" + text32 + "n\"";
  const std::string problem33 = "4:8: error: node: '" + text32 +
                                "n' may have only letters, digits, '.' and '-', at most 32 of them";
  const std::string socket107 = "socket = \"/" + std::string(106, 's') + "\"";
  const std::string socket108 = "socket = \"/" + std::string(107, 's') + "\"";
  const std::string problem108 = "4:10: error: socket: '/" + std::string(107, 's') +
                                 "' is longer than the 107 bytes that a Unix socket may have";
  expect({
      {node33, problem33, node32},
      {"node = \"nat_1\"",
       "4:8: error: node: 'nat_1' may have only letters, digits, '.' and '-', at most 32 of them",
       "node = \"nat-1.example.net\""},
      {"node = \"a\\nb\"",
       "4:8: error: node: 'a\\x0ab' may have only letters, digits, '.' and '-', at most 32 of them",
       "node = \"\""},
      {"state_dir = \"var/lib\"",
       "4:13: error: state_dir: 'var/lib' must be an absolute path (starting with /)",
       "state_dir = \"/var/lib/mailweir\""},
      {"bpffs_dir = \"\"", "4:13: error: bpffs_dir: '' must be an absolute path (starting with /)",
       "bpffs_dir = \"/sys/fs/bpf/mailweir\""},
      {"log.file = \"/a\\u0000b\"", "4:12: error: [log] file: '/a\\x00b' has control characters",
       "log.file = \"/a b\""},
      {socket108, problem108, socket107},
      {"pool.domain = \"exa mple.net\"",
       "4:15: error: [pool] domain: 'exa mple.net' is no domain name such as example.net",
       "pool.domain = \"example.net\""},
      {"pool.resolver = \"127.0.0.1:0\"",
       "4:17: error: [pool] resolver: '127.0.0.1:0' is no resolver: write 192.0.2.1, 192.0.2.1:53 "
       "or [2001:db8::1]:53",
       "pool.resolver = \"[2001:db8::1]:53\""},
      {"pool.ptr_pattern = \"nat\"",
       "4:20: error: [pool] ptr_pattern: 'nat' is no pattern of names such as nat-{d}.{domain}",
       "pool.ptr_pattern = \"{d}.{domain}\""},
      {"pool.ptr_pattern = \"nat-{e}.{domain}\"",
       "4:20: error: [pool] ptr_pattern: 'nat-{e}.{domain}' has {e}; there are {a} {b} {c} {d}, "
       "{hex} and {domain}",
       "pool.ptr_pattern = \"nat-{hex}.{domain}\""},
      {"pool.ptr_pattern = \"nat-{d.{domain}\"",
       "4:20: error: [pool] ptr_pattern: 'nat-{d.{domain}' has {d.{domain}; there are {a} {b} {c} "
       "{d}, {hex} and {domain}",
       "pool.ptr_pattern = \"nat-{c}-{d}.{domain}\""},
      {"pool.ptr_pattern = \"nat-d}.{domain}\"",
       "4:20: error: [pool] ptr_pattern: 'nat-d}.{domain}' has a '{' or '}' without the other",
       "pool.ptr_pattern = \"{a}-{b}.{domain}\""},
      {"pool.name_servers = [\"ns1.example.net=\", \"ns2.example.net\"]",
       "4:22: error: [pool] name_servers: 'ns1.example.net=' has no address after its '='",
       "pool.name_servers = [\"ns1.example.net=192.0.2.53\", \"ns2.example.net\"]"},
      {"pool.name_servers = [\"ns1\", \"ns2.example.net\"]",
       "4:22: error: [pool] name_servers: 'ns1' is no name server: write ns1.example.net or "
       "ns1.example.net=192.0.2.53",
       "pool.name_servers = [\"ns1.example.net\", \"ns2.example.net\"]"},
  });
}

}  // namespace
}  // namespace mailweir
