// SPDX-License-Identifier: GPL-2.0-or-later
// Verbs about the daemon as a whole and its allowlist: mode, reload, detach, migrate, allow list
// and check.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <ostream>

#include "base/address.h"
#include "cli/body.h"
#include "cli/verbs.h"
#include "config/config.h"
#include "control/listener.h"
#include "datapath/migrate.h"
#include "datapath/pins.h"
#include "mirror/iptables.h"

namespace mailweir {
namespace {

using nlohmann::json;

const std::vector<CsvColumn> kAllowColumns = {
    {"network"}, {"origin"}, {"by"}, {"reason"}, {"since"}};

int show_mode(const Console& console, const Client& client) {
  auto status = body_of(client.get("/v1/status"));
  if (!status) return fail(console, status.error());
  json body;
  for (const char* key : {"mode", "mode_origin", "file_mode"}) body[key] = field(*status, key);
  if (print_for_machines(console, body, "", {})) return kDone;
  console.out << text(field(body, "mode"));
  if (text(field(body, "mode_origin")) == "command")
    console.out << " (by command; the file says " << text(field(body, "file_mode")) << ")";
  console.out << '\n';
  return kDone;
}

/// A chain that is there is removed; the names of the families where it was.
Result<std::vector<std::string>> remove_chains() {
  auto iptables = Iptables::open();
  if (!iptables) return std::move(iptables).error();
  std::vector<std::string> removed;
  for (const bool ipv6 : {false, true}) {
    const auto found = iptables->read(ipv6);
    if (found && (found->jumps > 0 || !found->rules.empty() || found->foreign_rules > 0))
      removed.push_back(fmt::format("{} chain MAILWEIR, {}", ipv6 ? "ip6tables" : "iptables",
                                    counted(found->rules.size(), "rule")));
  }
  if (auto gone = iptables->remove(); !gone) return std::move(gone).error();
  return removed;
}

Result<std::vector<std::string>> remove_socket(const std::string& path) {
  const auto stale = remove_stale_socket(path);
  if (!stale) return stale.error();
  return *stale ? std::vector<std::string>{"stale socket " + path} : std::vector<std::string>{};
}

/// None: no daemon runs. An exit code: one does, or nobody can tell.
std::optional<int> refuse_if_running(const Console& console, const Client& client) {
  auto status = body_of(client.get("/v1/status"));
  if (!status) {
    const int code = status.error().code;
    if (code == ENOENT || code == ECONNREFUSED) return std::nullopt;
    return fail(console, status.error());
  }
  const std::uint64_t pid = number(field(*status, "pid"));
  console.err << fmt::format(
      "the daemon (pid {}) is running: systemctl stop mailweir (or kill "
      "{}), then this again\n",
      pid, pid);
  return kNo;
}

}  // namespace

int order_mode(const Console& console, const std::string& mode) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  const Client client(target->socket);
  if (mode.empty()) return show_mode(console, client);

  auto body = body_of(client.post("/v1/mode", {{"mode", mode}}));
  if (!body) return fail(console, body.error());
  if (print_for_machines(console, *body, "", {})) return kDone;
  const std::string now = text(field(*body, "mode"));
  const std::string was = text(field(*body, "was"));
  console.out << "mode " << now << (now == was ? " (as before)" : " (was " + was + ")") << '\n';
  for (const json& decision : field(*body, "lifted"))
    console.out << fmt::format("lifted {} (decision {})\n", text(field(decision, "source")),
                               text(field(decision, "id")));
  if (const std::string note = text(field(*body, "note")); !note.empty())
    console.out << note << '\n';
  if (now != was && !console.globals.quiet)
    console.out << "until the file's own mode is changed\nundo: mailweir mode " << was << '\n';
  return kDone;
}

int order_reload(const Console& console) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  auto answer = Client(target->socket).post("/v1/reload", json::object());
  if (answer && answer->status == 422) {
    print_for_machines(console, answer->body, "", {});
    const json& problems = field(answer->body, "problems");
    for (const json& problem : problems) console.err << text(problem) << '\n';
    console.err << "not reloaded. The running configuration is unchanged.\n";
    return kConfigInvalid;
  }
  auto body = body_of(std::move(answer));
  if (!body) return fail(console, body.error());
  for (const json& warning : field(*body, "warnings")) console.err << text(warning) << '\n';
  if (!print_for_machines(console, *body, "", {})) console.out << "reloaded\n";
  return kDone;
}

int order_detach(const Console& console) {
  if (::geteuid() != 0)
    return fail(console, {EPERM, "detach removes kernel programs: permission denied"});
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  if (const auto refused = refuse_if_running(console, Client(target->socket))) return *refused;
  // Also finds a daemon that is just starting.
  auto socket = remove_socket(target->socket);
  if (!socket && socket.error().code == EADDRINUSE) {
    console.err << "mailweir: " << printable(socket.error().message) << '\n';
    return kNo;
  }

  const Result<std::vector<std::string>> parts[] = {std::move(socket),
                                                    detach_all(target->bpffs_dir), remove_chains()};
  json removed = json::array();
  int exit_code = kDone;
  for (const auto& part : parts) {
    if (!part) {
      console.err << "mailweir: " << printable(part.error().message) << '\n';
      exit_code = kNo;
      continue;
    }
    for (const std::string& line : *part) removed.push_back(line);
  }
  if (!print_for_machines(console, {{"removed", removed}}, "", {})) {
    for (const json& line : removed) console.out << "removed " << text(line) << '\n';
    if (removed.empty() && exit_code == kDone) console.out << "nothing of mailweir is attached\n";
  }
  if (!console.globals.quiet)
    console.err << "the record (state_dir) is kept: the next start restores the blocks\n";
  return exit_code;
}

int order_migrate(const Console& console, bool dry_run) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  if (const auto refused = refuse_if_running(console, Client(target->socket))) return *refused;
  const Loaded loaded = load_config(console.globals.config_file);
  if (!loaded.usable()) return check_config(console);
  for (const Result<>& held : {check_kernel(), check_privileges()})
    if (!held) return fail(console, held.error());
  const auto done = migrate({.bpffs_dir = target->bpffs_dir,
                             .sources = loaded.config.maps.sources,
                             .blocks = loaded.config.maps.blocks},
                            dry_run);
  if (!done) return fail(console, done.error());
  if (print_for_machines(console, {{"dry_run", dry_run}, {"done", *done}}, "", {})) return kDone;
  for (const std::string& line : *done) console.out << line << '\n';
  if (done->empty())
    console.out << "nothing to migrate: the maps have this version's layout and sizes\n";
  else
    console.err << (dry_run ? "nothing was changed (--dry-run)\n"
                            : "migrated; the program went on enforcing. next: mailweir run\n");
  return kDone;
}

int show_allow(const Console& console) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  auto body = body_of(Client(target->socket).get("/v1/allow"));
  if (!body) return fail(console, body.error());
  if (console.format != Format::json && body->contains("allow"))
    (*body)["allow"] = sorted_by_address(field(*body, "allow"), "network");
  if (print_for_machines(console, *body, "allow", kAllowColumns)) return kDone;

  const json& entries = field(*body, "allow");
  if (entries.empty()) {
    console.err << "nothing is allowed; mailweir allow add 172.16.0.25 --reason \"mail server\"\n";
    return kDone;
  }
  Table table({{"NETWORK"}, {"SINCE"}, {"ORIGIN"}, {"BY"}, {"REASON"}});
  const auto or_dash = [](const std::string& word) { return word.empty() ? "-" : word; };
  for (const json& entry : entries)
    table.add({text(field(entry, "network")), local_short(field(entry, "since")),
               text(field(entry, "origin")), or_dash(text(field(entry, "by"))),
               or_dash(text(field(entry, "reason")))});
  table.print(console.out, console.style, console.width);
  return kDone;
}

int check_allow(const Console& console, const std::string& address) {
  if (const auto prefix = parse_prefix(address); !prefix)
    return fail(console, {EINVAL, prefix.error().message + "\nmailweir allow check 172.16.0.25"});
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  auto body = body_of(Client(target->socket).get("/v1/allow/" + url_encoded(address)));
  if (!body) return fail(console, body.error());
  const bool allowed = flag(field(*body, "allowed"));
  if (print_for_machines(console, *body, "entries", kAllowColumns)) return allowed ? kDone : kNo;

  console.out << address << " is " << (allowed ? "" : "not ")
              << console.style.paint("allowed", allowed ? Tone::good : Tone::plain) << '\n';
  for (const json& entry : field(*body, "entries")) {
    const std::string reason = text(field(entry, "reason"));
    const std::string by = text(field(entry, "by"));
    console.out << fmt::format("  {} by {}{}{}\n", text(field(entry, "network")),
                               text(field(entry, "origin")), by.empty() ? "" : " of " + by,
                               reason.empty() ? "" : ": " + reason);
  }
  if (!allowed && !console.globals.quiet)
    console.err << "  next: mailweir allow add " << address << " --reason \"...\"\n";
  return allowed ? kDone : kNo;
}

}  // namespace mailweir
