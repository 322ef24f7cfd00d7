// SPDX-License-Identifier: GPL-2.0-or-later
// mailweir.toml as a typed value, with its defaults in sight. No I/O but reading the files.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/decision.h"
#include "base/result.h"

namespace mailweir {

using namespace std::chrono_literals;

enum class Attach : std::uint8_t { automatic, xdp, xdp_generic, tc };
enum class OnStop : std::uint8_t { keep, pass };
enum class Missing : std::uint8_t { refuse, wait };
enum class Confirm : std::uint8_t { conntrack, none };
enum class MirrorBackend : std::uint8_t { iptables, none };

/// "600/min", "50/s", "30/h": events per period.
struct Rate {
  std::uint32_t events = 0;
  std::chrono::seconds per{60};
  bool operator==(const Rate&) const = default;
};
struct Limit {
  Rate rate{600, 60s};
  std::uint32_t burst = 1200;
  bool operator==(const Limit&) const = default;
};

struct Group {
  std::string name;
  std::vector<Prefix> networks;
  Limit limit;  ///< what the group leaves out is taken from [limit]
  std::optional<Mode> mode;
};

/// One entry of an allowlist and where it was written, as FILE:LINE.
struct AllowEntry {
  Prefix prefix;
  std::string origin;
  bool from_list = false;  ///< written in a list file, not in the configuration itself
};

/// Of [log] file, in place of a path.
inline constexpr std::string_view kLogToSyslog = "syslog";

struct Config {
  Mode mode = Mode::observe;
  std::string node;  ///< filled with the hostname if the file leaves it empty
  std::string bpffs_dir = "/sys/fs/bpf/mailweir";
  std::string socket = "/run/mailweir/mailweir.sock";
  std::string state_dir = "/var/lib/mailweir";

  struct {
    std::vector<std::string> inside;  ///< names or globs
    Attach attach = Attach::automatic;
    OnStop on_stop = OnStop::keep;
    std::chrono::seconds dead_man = 24h;  ///< kForever: never
    Missing missing = Missing::refuse;    ///< what a start does without a named interface
  } interfaces;
  struct {
    std::vector<Prefix> inside;
    int ipv6_prefix = 64;
  } networks;
  struct {
    std::vector<std::uint16_t> judge{25};
    std::vector<std::uint16_t> watch{465, 587};
  } smtp;
  Limit limit;
  std::vector<Group> groups;
  struct {
    std::uint32_t servers = 10;
    double score = 9.21;
    double score_proven = 13.8;
    std::uint32_t message_bytes = 300;
    std::uint32_t message_bytes_tls = 450;
    Confirm confirm = Confirm::conntrack;
    std::vector<std::chrono::seconds> durations{1h, 4h, 24h};
    Rate breaker{10, 600s};
    std::chrono::seconds manual_grace = 30min;
  } block;
  Limit brake{{30, 60s}, 20};
  struct {
    std::uint32_t sources = 65536;
    std::uint32_t blocks = 131072;
  } maps;
  struct {
    std::vector<std::uint16_t> ports;
    std::vector<Prefix> allow;
  } shield;
  struct {
    std::vector<AllowEntry> networks;  ///< of the file, and of all list files
    std::vector<std::string> files{"/etc/mailweir/allow.d/*.list"};
    std::vector<Prefix> servers;
  } allow;
  struct {
    MirrorBackend backend = MirrorBackend::iptables;
    std::uint32_t max_rules = 2000;
    std::chrono::seconds refresh = 60s;
  } mirror;
  struct {
    std::chrono::seconds keep = 365 * 24h;  ///< of decisions that have ended; kForever: always
    std::uint32_t max_decisions = 200'000;
  } record;
  struct {
    bool enabled = false;
    std::string file = "/var/log/mailweir/smtp.log";
    Rate limit{5, 60s};
    Rate total{50, 1s};
    std::chrono::seconds keep = 168h;
    std::uint64_t max_size_bytes = 512ULL << 20;
  } log;
  struct {
    std::vector<Prefix> networks;
    std::string domain;
    std::string ptr_pattern = "nat-{d}.{domain}";
    std::string ptr_pattern_ipv6 = "nat-{hex}.{domain}";
    std::vector<std::string> name_servers;  ///< NAME, or NAME=ADDRESS
    std::vector<Prefix> delegated;  ///< what networks lie in, where that is more than themselves
    std::string resolver;
  } pool;
};

/// A problem with its place, as compilers print it: "FILE:LINE:COLUMN: error: TEXT".
struct Problem {
  enum class Severity : std::uint8_t { warning, error } severity = Severity::error;
  std::string file;
  unsigned line = 0;  ///< 0: the whole file
  unsigned column = 0;
  std::string text;

  [[nodiscard]] std::string to_string() const;
};

struct Loaded {
  Config config;  ///< usable only if no problem is an error
  std::vector<Problem> problems;

  [[nodiscard]] bool usable() const;
  [[nodiscard]] std::size_t errors() const;
};

/// Reads FILE, then conf.d/*.toml beside it in name order (a later file overrides keys and adds
/// groups), then the allow files. Never stops at the first problem.
[[nodiscard]] Loaded load_config(const std::string& file);

/// The configuration in force as TOML, every key with its value: `config show`.
[[nodiscard]] std::string to_toml(const Config& config);

}  // namespace mailweir
