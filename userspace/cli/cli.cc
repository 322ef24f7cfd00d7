// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/cli.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "base/time_text.h"
#include "cli/verbs.h"

namespace mailweir {
namespace {

using Verb = std::function<int(const Console&)>;

/// The arguments, and the verb that they chose.
class CommandLine {
 public:
  explicit CommandLine(const RunVerb& run);
  CommandLine(const CommandLine&) = delete;  // its options are bound to its members
  CommandLine& operator=(const CommandLine&) = delete;

  /// An exit code, if there is nothing to run: help, or a usage error.
  std::optional<int> parse(int argc, const char* const* argv, const Streams& streams);
  [[nodiscard]] const Globals& globals() const { return globals_; }
  [[nodiscard]] const Verb& verb() const { return verb_; }
  [[nodiscard]] bool is_daemon() const { return is_daemon_; }

 private:
  CLI::App* add(CLI::App& parent, const char* name, const char* description, const char* example,
                Verb verb);
  void add_globals();
  void add_run(const RunVerb& run);
  void add_look();
  void add_act();
  void add_import();
  void add_log();
  void add_allow();
  void add_before();
  void add_simulate();
  void add_ptr();
  void add_daemon();
  void add_config();
  void add_change(CLI::App* verb, const char* what);
  int explain(const CLI::ParseError& error, const Streams& streams);

  CLI::App app_{"Holds back spam of clients behind this gateway, in the kernel, on evidence.",
                "mailweir"};
  Globals globals_;
  Change change_;
  Verb verb_;
  bool is_daemon_ = false;
  TopChoice top_;
  unsigned rows_ = 0;
  bool follow_ = false;
  std::string address_;
  ReplayOrder replay_;
  ImportOrder import_;
  LogOrder log_;
  SimulateOrder simulate_;
  PtrCheck ptr_check_;
  PtrZone ptr_zone_;
  std::string mode_;
};

std::string not_empty(const std::string& text) {
  return text.empty() ? "is empty (a variable that is not set?)" : "";
}

CommandLine::CommandLine(const RunVerb& run) {
  app_.require_subcommand(1);
  app_.fallthrough();  // global options after the verb as well
  app_.set_help_flag("-h,--help", "Print this help");
  app_.set_version_flag("--version", "mailweir " MAILWEIR_VERSION, "Print the version");
  app_.get_formatter()->column_width(22);
  add_globals();
  add_run(run);
  add_look();
  add_act();
  add_import();
  add_log();
  add_allow();
  add_before();
  add_simulate();
  add_ptr();
  add_daemon();
  add_config();
  app_.footer(
      "Example: mailweir top --by servers\n"
      "Exit codes: 0 done or yes, 1 no or part failed, 2 usage, 3 not running (status),\n"
      "4 no permission, 6 configuration invalid, 7 daemon not reachable.");
}

CLI::App* CommandLine::add(CLI::App& parent, const char* name, const char* description,
                           const char* example, Verb verb) {
  CLI::App* added = parent.add_subcommand(name, description);
  added->footer(std::string("Example: mailweir ") + example);
  if (verb) added->callback([this, verb = std::move(verb)] { verb_ = verb; });
  return added;
}

void CommandLine::add_globals() {
  app_.add_option("-o,--output", globals_.output, "table, json, jsonl or csv")
      ->option_text("FORMAT")
      ->check(CLI::IsMember({"table", "json", "jsonl", "csv"}));
  app_.add_option("--color", globals_.color, "auto, always or never")
      ->option_text("WHEN")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app_.add_flag("-q,--quiet", globals_.quiet, "Without undo lines and notes");
  app_.add_flag("-v,--verbose", globals_.verbose, "Log more (run)");
  app_.add_option("--config", globals_.config_file, "Default: /etc/mailweir/mailweir.toml")
      ->option_text("FILE");
  app_.add_option("--socket", globals_.socket, "The daemon's; default: as configured")
      ->option_text("PATH");
}

void CommandLine::add_run(const RunVerb& run) {
  add(app_, "run", "Be the daemon, in the foreground", "run -v",
      [run](const Console& console) { return run(console.globals); });
}

void CommandLine::add_look() {
  add(app_, "status", "What is attached, how much passes, what is blocked", "status", show_status);

  CLI::App* top = add(
      app_, "top", "The sources that send most", "top --by bytes --over 60m -n 5",
      [this](const Console& console) { return show_top(console, top_, rows_ == 0 ? 20 : rows_); });
  top->add_option("--by", top_.by, "syn (default), bytes, servers or dropped")
      ->option_text("WHAT")
      ->check(CLI::IsMember({"syn", "bytes", "servers", "dropped"}));
  top->add_option("--over", top_.over, "The last 1m, 10m (default) or 60m")
      ->option_text("TIME")
      ->check(CLI::IsMember({"1m", "10m", "60m"}));
  top->add_option("-n", rows_, "Rows (default: 20)")
      ->option_text("N")
      ->check(CLI::Range(1, 100000));

  add(app_, "why", "All about one source, and how to undo its block", "why 172.16.7.70",
      [this](const Console& console) { return show_why(console, address_); })
      ->add_option("ADDR", address_, "IPv4 or IPv6 address")
      ->option_text(" ")
      ->required();
  add(app_, "blocks", "Blocks in force, and would-blocks", "blocks -o csv", show_blocks);

  CLI::App* events =
      add(app_, "events", "What happened lately", "events -f", [this](const Console& console) {
        return show_events(console, follow_, rows_ == 0 ? 100 : rows_);
      });
  events->add_flag("-f,--follow", follow_, "Go on, with what comes");
  events->add_option("-n", rows_, "The last N only (default: 100)")
      ->option_text("N")
      ->check(CLI::Range(1, 100));
}

void CommandLine::add_change(CLI::App* verb, const char* what) {
  verb->add_option(what, change_.addresses, "Addresses or prefixes; - reads them from stdin")
      ->option_text("...");
  verb->add_flag("--dry-run", change_.dry_run, "Say what would be done, change nothing");
}

void CommandLine::add_act() {
  CLI::App* block = add(app_, "block", "Drop all mail of a source, in every mode",
                        "block 172.16.7.70 --for 4h --reason \"ticket 4711\"",
                        [this](const Console& console) { return order_block(console, change_); });
  add_change(block, "ADDR[/LEN]");
  block->add_option("--for", change_.lasts, "90s, 10m, 24h (default), 7d or forever")
      ->option_text("TIME")
      ->check([](const std::string& text) {
        const auto duration = parse_duration(text);
        return duration ? std::string() : duration.error().message;
      });
  block->add_option("--reason", change_.reason, "Is shown by why, blocks and iptables -L")
      ->option_text("TEXT");

  CLI::App* unblock =
      add(app_, "unblock", "Lift blocks", "unblock 172.16.7.70",
          [this](const Console& console) { return order_unblock(console, change_); });
  add_change(unblock, "ADDR[/LEN]");
  unblock->add_flag("--all", change_.all, "Every block there is");
}

void CommandLine::add_import() {
  CLI::App* import =
      add(app_, "import", "Adopt hand-written rules that are commented SPAM_*", "import --dry-run",
          [this](const Console& console) { return order_import(console, import_); });
  import->add_flag("--dry-run", import_.dry_run, "Show them, change nothing");
  import->add_flag("--take-over", import_.take_over, "Remove each rule that was adopted");
}

void CommandLine::add_log() {
  CLI::App* log = add(app_, "log", "A line per sampled SYN; alone: is it on?", "log", nullptr);
  log->require_subcommand(0, 1);
  // CLI11 calls this after the verb below it.
  log->callback([this, log] {
    if (log->get_subcommands().empty()) verb_ = show_log;
  });
  CLI::App* on = add(*log, "on", "Log SYNs; it ends by itself", "log on --for 30m",
                     [this](const Console& console) { return order_log_on(console, log_); });
  on->add_option("--for", log_.lasts, "10m, 30m (default), 24h or forever")
      ->option_text("TIME")
      ->check([](const std::string& text) {
        const auto duration = parse_duration(text);
        return duration ? std::string() : duration.error().message;
      });
  on->add_option("--source", log_.source, "Of this one only")
      ->option_text("ADDR")
      ->check(not_empty);
  add(*log, "off", "Log no more", "log off", order_log_off);
}

void CommandLine::add_allow() {
  CLI::App* allow =
      add(app_, "allow", "The allowlist, which beats every block", "allow list", nullptr);
  allow->require_subcommand(1);
  CLI::App* more =
      add(*allow, "add", "Never drop these", "allow add 172.16.0.25 --reason \"mail server\"",
          [this](const Console& console) { return order_allow_add(console, change_); });
  add_change(more, "ADDR[/LEN]");
  more->add_option("--reason", change_.reason, "Is shown by allow list and why")
      ->option_text("TEXT");
  CLI::App* less =
      add(*allow, "remove", "Take out again what was added", "allow remove 172.16.0.25",
          [this](const Console& console) { return order_allow_remove(console, change_); });
  add_change(less, "ADDR[/LEN]");
  add(*allow, "list", "What is allowed, and by whom", "allow list", show_allow);
  add(*allow, "check", "Is this address allowed? Exit code 0: yes, 1: no",
      "allow check 172.16.0.25",
      [this](const Console& console) { return check_allow(console, address_); })
      ->add_option("ADDR", address_, "IPv4 or IPv6 address")
      ->option_text(" ")
      ->required();
}

void CommandLine::add_before() {
  CLI::App* replay = add(app_, "replay", "What this policy would have done to recorded traffic",
                         "replay capture.pcap --as 172.16.0.0/12",
                         [this](const Console& console) { return run_replay(console, replay_); });
  replay
      ->add_option("FILE", replay_.files, "pcap, pcapng, conn.log, kernel LOG lines; .gz; -: stdin")
      ->option_text("...")
      ->required()
      ->check(not_empty);
  replay->add_option("--as", replay_.as, "Give the recorded clients addresses of this prefix")
      ->option_text("PREFIX")
      ->check(not_empty);
  replay->add_option("--plot", replay_.plot, "A picture: SYNs per second, score, block")
      ->option_text("FILE.svg")
      ->check(not_empty);
  replay->add_option("--seed", replay_.seed, "Of the contact hash, to make a run again")
      ->option_text("N")
      ->check(not_empty);
  replay->add_flag("--all", replay_.all, "Every source, not the first 20");
}

void CommandLine::add_simulate() {
  CLI::App* simulate =
      add(app_, "simulate", "What other thresholds would have done to the clients",
          "simulate --servers 15 --score 11.5 --days 3",
          [this](const Console& console) { return show_simulation(console, simulate_); });
  simulate->add_option("--days", simulate_.days, "To look back (default: 7)")
      ->option_text("N")
      ->check(CLI::Range(1, 31));
  simulate->add_option("--servers", simulate_.servers, "In place of [block] servers")
      ->option_text("N")
      ->check(CLI::IsMember({5, 10, 15, 20, 30}));
  simulate->add_option("--score", simulate_.score, "In place of [block] score")
      ->option_text("X")
      ->check(CLI::PositiveNumber);
  simulate->add_option("--score-proven", simulate_.score_proven, "Of proven mailers")
      ->option_text("X")
      ->check(CLI::PositiveNumber);
}

void CommandLine::add_ptr() {
  CLI::App* ptr =
      add(app_, "ptr", "Reverse DNS of the pool that the NAT uses", "ptr check --bad", nullptr);
  ptr->require_subcommand(1);
  const char* ranges = "198.51.100.0/24, FIRST-LAST; -: stdin (default: [pool])";
  CLI::App* check = add(*ptr, "check", "A name for every address, and it leads back; zones served",
                        "ptr check --servers 192.0.2.53,192.0.2.54",
                        [this](const Console& console) { return check_ptr(console, ptr_check_); });
  check->add_option("RANGE", ptr_check_.ranges, ranges)->option_text("...");
  check->add_option("--servers", ptr_check_.servers, "Ask these directly, before the delegation")
      ->option_text("NS,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  check->add_flag("--bad", ptr_check_.bad, "Only what is bad");
  check->add_flag("--all", ptr_check_.all, "Every row, of more than 1,024 addresses as well");

  CLI::App* zone = add(*ptr, "zone", "The zones as they should be, and all that belongs to them",
                       "ptr zone --out /etc/bind/mailweir", [this](const Console& console) {
                         return make_ptr_zone(console, ptr_zone_);
                       });
  zone->add_option("RANGE", ptr_zone_.ranges, ranges)->option_text("...");
  zone->add_option("--out", ptr_zone_.out, "Write them there; else they are printed")
      ->option_text("DIR");
  zone->add_option("--diff", ptr_zone_.diff, "Compare with this zone; exit 1: differs")
      ->option_text("FILE");
  zone->add_flag("--ripe", ptr_zone_.ripe, "RIPE domain objects as well");
  zone->add_option("--domain", ptr_zone_.domain, "In place of [pool] domain")->option_text("NAME");
  zone->add_option("--name-servers", ptr_zone_.name_servers, "NAME or NAME=ADDRESS")
      ->option_text("NS,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  zone->add_flag("--dry-run", ptr_zone_.dry_run, "Say what --out would write, change nothing");
}

void CommandLine::add_daemon() {
  add(app_, "mode", "What mailweir may decide itself; alone: print it", "mode throttle",
      [this](const Console& console) { return order_mode(console, mode_); })
      ->add_option("MODE", mode_, "observe, throttle or block")
      ->option_text(" ")
      ->check(CLI::IsMember({"observe", "throttle", "block"}));
  add(app_, "reload", "Read the configuration; one with errors changes nothing", "reload",
      order_reload);
  add(app_, "detach", "Remove programs, pins and chain of a stopped daemon", "detach",
      order_detach);
  add(app_, "migrate", "Take over maps of another version or size, without a gap",
      "migrate --dry-run",
      [this](const Console& console) { return order_migrate(console, change_.dry_run); })
      ->add_flag("--dry-run", change_.dry_run, "Say what would be taken over, change nothing");
  add(app_, "version", "Print the version", "version", show_version);
}

void CommandLine::add_config() {
  CLI::App* config = add(app_, "config", "The configuration files", "config check", nullptr);
  config->require_subcommand(1);
  add(*config, "check", "Look for errors; exit code 6 if there are any",
      "config check --config new.toml", check_config);
  add(*config, "show", "Every key with its value, files merged", "config show", show_config);
}

/// CLI11 speaks of a missing subcommand where a verb was mistyped.
int CommandLine::explain(const CLI::ParseError& error, const Streams& streams) {
  const CLI::App* last = &app_;
  while (!last->get_subcommands().empty()) last = last->get_subcommands().front();
  const auto left = app_.remaining(true);
  const bool takes_verb = !last->get_subcommands({}).empty();
  const bool is_word = !left.empty() && !left.front().starts_with('-');
  if (takes_verb && is_word) {
    const std::string parent = last == &app_ ? "mailweir" : "mailweir " + last->get_name();
    streams.err << "mailweir: there is no verb '" << printable(left.front())
                << "'\n  next: " << parent << " --help\n";
    return kUsage;
  }
  // Its own exit codes are 100 to 127.
  return app_.exit(error, streams.out, streams.err) == 0 ? kDone : kUsage;
}

std::optional<int> CommandLine::parse(int argc, const char* const* argv, const Streams& streams) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (argc > 1) return explain(error, streams);
    streams.err << app_.help();
    return kUsage;
  }
  is_daemon_ = app_.got_subcommand("run");
  globals_.config_given = app_.count("--config") > 0;
  if (globals_.quiet && globals_.verbose) {
    streams.err << "mailweir: -q and -v exclude each other\n";
    return kUsage;
  }
  if (is_daemon_ && !globals_.socket.empty()) {
    streams.err << "mailweir: run listens where the configuration says\n  next: set `socket` in "
                << globals_.config_file << '\n';
    return kUsage;
  }
  return std::nullopt;
}

Format format_of(const std::string& word) {
  return word == "json"    ? Format::json
         : word == "jsonl" ? Format::jsonl
         : word == "csv"   ? Format::csv
                           : Format::table;
}

bool has_colour(const Globals& globals, bool out_is_terminal) {
  if (globals.color != "auto") return globals.color == "always";
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return out_is_terminal && (no_color == nullptr || *no_color == '\0') && term != nullptr &&
         std::string_view(term) != "dumb";
}

std::optional<unsigned> terminal_width(bool out_is_terminal) {
  winsize size{};
  if (!out_is_terminal || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
    return std::nullopt;
  return std::max<unsigned>(size.ws_col, 80);
}

std::string command_text(int argc, const char* const* argv) {
  std::string command;
  for (int i = 1; i < argc; ++i) command += (i > 1 ? " " : "") + shell_word(argv[i]);
  return command;
}

}  // namespace

int cli_main(int argc, const char* const* argv, const RunVerb& run, const Streams& streams) {
  CommandLine line(run);
  if (const auto exit_code = line.parse(argc, argv, streams)) return *exit_code;

  const Globals& globals = line.globals();
  const Console console{.in = streams.in,
                        .out = streams.out,
                        .err = streams.err,
                        .globals = globals,
                        .format = format_of(globals.output),
                        .style = Style(has_colour(globals, streams.out_is_terminal)),
                        .width = terminal_width(streams.out_is_terminal),
                        .now = std::chrono::system_clock::now(),
                        .command = command_text(argc, argv)};
  if (!line.is_daemon()) std::signal(SIGPIPE, SIG_DFL);
  const int exit_code = line.verb()(console);
  if (!streams.out.flush()) {
    streams.err << "mailweir: " << sys_error(errno, "write to the standard output").message << '\n';
    return kNo;
  }
  return exit_code;
}

int cli_main(int argc, char** argv, const RunVerb& run) {
  return cli_main(argc, argv, run, {std::cin, std::cout, std::cerr, ::isatty(STDOUT_FILENO) == 1});
}

}  // namespace mailweir
