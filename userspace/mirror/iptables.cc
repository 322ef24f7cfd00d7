// SPDX-License-Identifier: GPL-2.0-or-later
#include "mirror/iptables.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <string_view>

#include "mirror/command.h"
#include "mirror/restore_text.h"

namespace mailweir {
namespace {

constexpr int kExitResource = 4;  // the lock is held, or another resource is short
constexpr std::size_t kQuotedBytes = 200;

struct Family {
  bool ipv6;
  const char* tool;
  const char* restore;
};
constexpr Family kIpv4{false, "iptables", "iptables-restore"};
constexpr Family kIpv6{true, "ip6tables", "ip6tables-restore"};

bool contains(std::string_view text, std::initializer_list<std::string_view> any_of) {
  return std::any_of(any_of.begin(), any_of.end(), [text](std::string_view part) {
    return text.find(part) != std::string_view::npos;
  });
}

std::string printable(std::string_view text) {
  std::string line(text.substr(0, kQuotedBytes));
  for (char& c : line)
    if (c < ' ' || c > '~') c = '?';
  return line;
}

/// iptables puts hints, and where it stopped, after the line that names the cause.
bool is_hint(std::string_view line) {
  return line.starts_with("Try `") || line.starts_with("Perhaps ") ||
         line.starts_with("Error occurred at line");
}

std::string last_line(std::string_view text) {
  while (!text.empty()) {
    if (text.back() == '\n') text.remove_suffix(1);
    const auto start = text.rfind('\n') + 1;  // npos + 1 is 0
    const std::string_view line = text.substr(start);
    text = text.substr(0, start);
    if (!line.empty() && !is_hint(line)) return printable(line);
  }
  return "(nothing)";
}

Error explain(const std::vector<std::string>& argv, const CommandResult& result,
              const IptablesOptions& options) {
  const std::string why = last_line(result.err);
  if (result.exit_code == kExitResource && contains(result.err, {"holding the xtables lock"}))
    return {EAGAIN, fmt::format("xtables lock held by somebody else for {}s; trying again at the "
                                "next refresh",
                                options.lock_wait.count())};
  // From a kernel without this family: the words of both backends.
  if (contains(result.err, {"Address family not supported", "Table does not exist", "who?"}))
    return {EAFNOSUPPORT, fmt::format("{}: not on this kernel: {}", argv.front(), why)};
  return {0, fmt::format("{} exited with {}: {}", fmt::join(argv, " "), result.exit_code, why)};
}

/// The output of a command that succeeded.
Result<std::string> run(const std::vector<std::string>& argv, std::string_view input,
                        const IptablesOptions& options) {
  auto result = run_command(argv, input, options.timeout);
  if (!result) return std::move(result).error();
  if (result->exit_code != 0) return explain(argv, *result, options);
  return std::move(result->out);
}

std::string wait_of(const IptablesOptions& options) {
  return std::to_string(options.lock_wait.count());
}

/// What `-S CHAIN` lists; empty if there is no such chain.
Result<std::string> list(const Family& family, std::string_view chain,
                         const IptablesOptions& options) {
  std::vector<std::string> argv = {family.tool, "-w", wait_of(options), "-S", std::string(chain)};
  if (chain != "FORWARD") argv.insert(argv.begin() + 1, "-v");  // with counters
  auto result = run_command(argv, "", options.timeout);
  if (!result) return std::move(result).error();
  if (result->exit_code == 0) return std::move(result->out);
  // nft's iptables calls a chain incompatible if it is missing; and if somebody filled it with
  // rules of nft's own, then it holds none of ours either, and the next write replaces it.
  const std::string incompatible =
      fmt::format("chain `{}' in table `filter' is incompatible", chain);
  if (result->exit_code == 1 && chain != "FORWARD" &&
      contains(result->err, {"No chain/target/match by that name", incompatible}))
    return std::string();
  return explain(argv, *result, options);
}

Result<> restore(const Family& family, std::string_view text, const IptablesOptions& options) {
  auto done =
      run({family.restore, "--noflush", "--counters", "-w", wait_of(options)}, text, options);
  if (!done) return std::move(done).error();
  return Ok{};
}

/// In a kernel without IPv6, or with ipv6.disable=1, no IPv6 packet is ever forwarded. Of this
/// thread: the commands that it runs are in its network namespace.
Result<> check_stack(const Family& family) {
  if (!family.ipv6 || ::access("/proc/thread-self/net/if_inet6", F_OK) == 0) return Ok{};
  return Error{EAFNOSUPPORT, "this kernel runs without IPv6"};
}

bool host_lacks_family(const Family& family, const Error& error) {
  return family.ipv6 && (error.code == EAFNOSUPPORT || error.code == ENOENT);
}

Result<> write_family(const Family& family, const MirrorTable& table,
                      const IptablesOptions& options) {
  if (auto stack = check_stack(family); !stack) return stack;
  const auto forward = list(family, "FORWARD", options);
  if (!forward) return forward.error();
  auto text = restore_text(table, family.ipv6, parse_jumps(*forward));
  if (!text) return std::move(text).error();
  return restore(family, *text, options);
}

Result<MirrorFound> read_family(const Family& family, const IptablesOptions& options) {
  if (auto stack = check_stack(family); !stack) return std::move(stack).error();
  const auto forward = list(family, "FORWARD", options);
  if (!forward) return forward.error();
  const auto chain = list(family, kMirrorChain, options);
  if (!chain) return chain.error();

  const FoundJumps jumps = parse_jumps(*forward);
  MirrorFound found = parse_chain(*chain, family.ipv6);
  found.jump_is_first = jumps.first;
  found.jumps = jumps.specs.size();
  return found;
}

Result<> delete_chain(const Family& family, std::string_view chain,
                      const IptablesOptions& options) {
  auto done = run({family.tool, "-w", wait_of(options), "-X", std::string(chain)}, "", options);
  if (done) return Ok{};
  return std::move(done).error().in(
      fmt::format("chain {} is empty now but stays; a rule that is not mailweir's may lead there "
                  "({} -S | grep {})",
                  chain, family.tool, chain));
}

Result<std::string> shield_family(const Family& family, const ShieldTable& table,
                                  const IptablesOptions& options) {
  if (auto stack = check_stack(family); !stack) return std::move(stack).error();
  const auto forward = list(family, "FORWARD", options);
  if (!forward) return forward.error();
  const auto chain = list(family, kShieldChain, options);
  if (!chain) return chain.error();
  std::string drift = shield_drift(table, family.ipv6, *forward, *chain);
  if (drift.empty()) return drift;
  const std::string text = shield_text(table, family.ipv6, *forward, *chain);
  if (auto done = restore(family, text, options); !done) return std::move(done).error();
  const bool is_gone = text.find(fmt::format("-F {}", kShieldChain)) != std::string::npos;
  if (is_gone)
    if (auto gone = delete_chain(family, kShieldChain, options); !gone)
      return std::move(gone).error();
  // A chain that is made for the first time is no drift.
  return chain->empty() || is_gone ? std::string() : drift;
}

Result<> remove_family(const Family& family, const IptablesOptions& options) {
  if (auto stack = check_stack(family); !stack) return stack;
  const auto forward = list(family, "FORWARD", options);
  if (!forward) return forward.error();
  const auto chain = list(family, kMirrorChain, options);
  if (!chain) return chain.error();
  const FoundJumps jumps = parse_jumps(*forward);
  if (chain->empty() && jumps.specs.empty()) return Ok{};

  if (auto done = restore(family, removal_text(jumps), options); !done) return done;
  return delete_chain(family, kMirrorChain, options);
}

Result<std::string> version_of(const char* command, const IptablesOptions& options) {
  auto version = run({command, "--version"}, "", options);
  if (version || version.error().code != ENOENT) return version;
  return Error{ENOENT, fmt::format("find {} in PATH: install the package iptables, or set [mirror] "
                                   "backend = \"none\"",
                                   command)};
}

Result<> both(Result<> ipv4, Result<> ipv6) {
  if (ipv4) return ipv6;
  if (ipv6 || ipv4.error().message == ipv6.error().message) return ipv4;
  return Error{ipv4.error().code, ipv4.error().message + "; " + ipv6.error().message};
}

/// Listing legacy rules would create the tables: ask the kernel first whether there are any.
bool legacy_filter_exists(const char* names_file) {
  std::ifstream names(names_file);  // unreadable: not root, and then the mirror fails anyway
  std::string name;
  while (names >> name)
    if (name == "filter") return true;
  return false;
}

std::size_t rules_listed_by(const std::string& tool, const IptablesOptions& options) {
  const auto listing = run({tool, "-w", wait_of(options), "-S"}, "", options);
  return listing ? count_rules(*listing) : 0;  // not installed: it holds none that matter
}

}  // namespace

Iptables::Iptables(IptablesOptions options, std::string backend)
    : options_(options), backend_(std::move(backend)) {}

Result<Iptables> Iptables::open(IptablesOptions options) {
  const auto version = version_of(kIpv4.tool, options);
  if (!version) return version.error();
  if (auto restore = version_of(kIpv4.restore, options); !restore) return restore.error();

  auto backend = parse_backend(*version);
  if (!backend)
    return Error{0, fmt::format("{} --version printed {}: no iptables that mailweir knows",
                                kIpv4.tool, last_line(*version))};
  return Iptables(options, *std::move(backend));
}

std::optional<std::string> Iptables::other_backend_in_use() const {
  const std::string other = backend_ == "nft" ? "legacy" : "nft";
  std::size_t rules = 0;
  if (other == "nft" || legacy_filter_exists("/proc/thread-self/net/ip_tables_names"))
    rules += rules_listed_by("iptables-" + other, options_);
  if (other == "nft" || legacy_filter_exists("/proc/thread-self/net/ip6_tables_names"))
    rules += rules_listed_by("ip6tables-" + other, options_);
  if (rules == 0) return std::nullopt;
  return fmt::format(
      "both iptables backends hold filter rules: mailweir writes to {}, as iptables does here, but "
      "{} holds {} more that packets meet too; list them with iptables-{} -S and ip6tables-{} -S",
      backend_, other, rules, other, other);
}

Result<> Iptables::write(const MirrorTable& table) const {
  if (auto checked = check_table(table); !checked) return checked;
  Result<> ipv4 = write_family(kIpv4, table, options_);
  Result<> ipv6 = write_family(kIpv6, table, options_);
  if (!ipv6 && host_lacks_family(kIpv6, ipv6.error())) {
    if (!has_rules(table, true))
      ipv6 = Ok{};
    else
      ipv6 = std::move(ipv6).error().in("IPv6 rules are not mirrored");
  }
  return both(std::move(ipv4), std::move(ipv6));
}

Result<MirrorFound> Iptables::read(bool ipv6) const {
  const Family& family = ipv6 ? kIpv6 : kIpv4;
  auto found = read_family(family, options_);
  if (!found && host_lacks_family(family, found.error())) {
    MirrorFound nothing;
    nothing.available = false;
    return nothing;
  }
  return found;
}

Result<std::string> Iptables::shield(const ShieldTable& table) const {
  auto ipv4 = shield_family(kIpv4, table, options_);
  if (!ipv4) return ipv4;
  auto ipv6 = shield_family(kIpv6, table, options_);
  if (!ipv6 && host_lacks_family(kIpv6, ipv6.error())) return ipv4;
  if (!ipv6) return ipv6;
  return *ipv4 + (ipv4->empty() || ipv6->empty() ? "" : "; ") + *ipv6;
}

Result<> Iptables::remove() const {
  if (auto gone = shield({}); !gone) return std::move(gone).error();
  Result<> ipv4 = remove_family(kIpv4, options_);
  Result<> ipv6 = remove_family(kIpv6, options_);
  if (!ipv6 && host_lacks_family(kIpv6, ipv6.error())) ipv6 = Ok{};
  return both(std::move(ipv4), std::move(ipv6));
}

Result<std::vector<ForwardListing>> list_forward(IptablesOptions options) {
  std::vector<ForwardListing> found;
  for (const char* backend : {"nft", "legacy"})
    for (const Family& family : {kIpv4, kIpv6}) {
      if (!check_stack(family)) continue;
      const char* const names = family.ipv6 ? "/proc/thread-self/net/ip6_tables_names"
                                            : "/proc/thread-self/net/ip_tables_names";
      if (std::string_view(backend) == "legacy" && !legacy_filter_exists(names)) continue;
      const std::string tool = fmt::format("{}-{}", family.tool, backend);
      auto listed = run({tool, "-w", wait_of(options), "-S", "FORWARD"}, "", options);
      if (listed)
        found.push_back({tool, std::move(*listed)});
      else if (listed.error().code != ENOENT && listed.error().code != EAFNOSUPPORT)
        return std::move(listed).error();
    }
  if (found.empty()) return Error{ENOENT, "iptables is not in PATH\ninstall the package iptables"};
  return found;
}

Result<> delete_from_forward(const std::string& tool, const std::vector<std::string>& spec,
                             IptablesOptions options) {
  std::vector<std::string> argv = {tool, "-w", wait_of(options), "-D", "FORWARD"};
  argv.insert(argv.end(), spec.begin(), spec.end());
  auto done = run(argv, "", options);
  if (!done) return std::move(done).error();
  return Ok{};
}

}  // namespace mailweir
