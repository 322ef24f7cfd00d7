// SPDX-License-Identifier: GPL-2.0-or-later
// Owns everything, decides nothing: start-up in an order that never opens a gap, the loop, the end.
#include "daemon/daemon.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "base/log.h"
#include "base/unique_fd.h"
#include "control/server.h"
#include "daemon/api.h"
#include "daemon/controller.h"
#include "daemon/loop.h"
#include "daemon/mirror_worker.h"
#include "daemon/sampler.h"
#include "daemon/syn_log.h"
#include "daemon/views.h"
#include "datapath/interface.h"
#include "datapath/kernel_datapath.h"
#include "datapath/pins.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;

constexpr auto kWatchEvery = 2s;
constexpr auto kReviewEvery = 60s;
constexpr auto kCheckRecordEvery = 10s;
constexpr auto kPruneEvery = 24h;
constexpr auto kCheckAttachedEvery = 2s;
constexpr auto kCheckMirrorEvery = 10s;
constexpr auto kSampleRatesEvery = 5s;
constexpr auto kSampleSourcesEvery = 250ms;

/// Tells of interfaces that come, go and are renamed, and of their addresses. Invalid if the kernel
/// refuses it: the timer looks all the same.
UniqueFd open_link_watch() {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl groups{};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof(groups)) != 0)
    socket.reset();
  return socket;
}

class Daemon {
 public:
  explicit Daemon(const RunOptions& options) { state_.config_file = options.config_file; }

  int run();

 private:
  Result<> start(Config config);
  Result<> check_interfaces(const Config& config) const;
  Result<> open_kernel(const Config& config);
  void open_mirror(const Config& config);
  Result<> watch();
  void attach();
  void check_attached();
  void refresh_mirror();
  void refresh_shield();
  void follow_allowlist();
  void take_shield_report(const MirrorWorker::Report& report);
  void take_mirror_reports();
  void drain_link_watch();
  Result<std::vector<std::string>> reload();
  void stop();

  SystemClock clock_;
  DaemonState state_;
  std::optional<Loop> loop_;
  std::optional<Server> server_;
  std::unique_ptr<KernelDatapath> datapath_;
  std::optional<Store> store_;
  std::unique_ptr<Controller> controller_;
  std::optional<SynLog> syn_log_;
  std::unique_ptr<Sampler> sampler_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<MirrorWorker> mirror_;
  UniqueFd link_watch_;
  UniqueFd pins_lock_;
  std::string pin_problem_;
  ShieldTable shield_told_;
  std::uint64_t journal_seen_ = 0;
  bool stopping_ = false;
};

int Daemon::run() {
  Loaded loaded = load_config(state_.config_file);
  for (const Problem& problem : loaded.problems)
    std::fprintf(stderr, "%s\n", problem.to_string().c_str());
  if (!loaded.usable()) {
    std::fprintf(stderr, "mailweir: not started: the configuration has %zu error%s\n",
                 loaded.errors(), loaded.errors() == 1 ? "" : "s");
    return 6;
  }
  if (auto started = start(std::move(loaded.config)); !started) {
    spdlog::error("start failed={}", log_value(started.error().message));
    return started.error().code == EPERM || started.error().code == EACCES ? 4 : 1;
  }
  while (!stopping_) {
    if (auto turned = loop_->turn(server_->due()); !turned) {
      spdlog::error("loop failed={}", log_value(turned.error().message));
      return 1;
    }
    server_->run();
    if (controller_->take_mirror_due()) refresh_mirror();
    if (const auto last = controller_->journal().last(); last != journal_seen_) {
      journal_seen_ = last;
      server_->wake();
    }
  }
  stop();
  return 0;
}

Result<> Daemon::start(Config config) {
  // Threads inherit the mask: signals come to the loop only.
  sigset_t handled;
  ::sigemptyset(&handled);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) ::sigaddset(&handled, signal);
  ::sigprocmask(SIG_BLOCK, &handled, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  if (auto new_enough = check_kernel(); !new_enough) return new_enough;
  if (auto permitted = check_privileges(); !permitted) return permitted;
  if (auto there = check_interfaces(config); !there) return there;
  auto loop = Loop::open();
  if (!loop) return std::move(loop).error();
  loop_.emplace(std::move(*loop));

  // The socket first: it keeps a second daemon away from everything that follows.
  ServerOptions listening;
  listening.socket = config.socket;
  auto server = Server::listen(listening, [this](const HttpRequest& request) {
    return api_ ? api_->answer(request) : http_error(503, "starting", "try again in a second");
  });
  if (!server) return std::move(server).error();
  server_.emplace(std::move(*server));

  if (auto opened = open_kernel(config); !opened) return opened;
  auto store = Store::open(config.state_dir);
  if (!store) return std::move(store).error();
  store_.emplace(std::move(*store));
  if (!store_->note().empty()) spdlog::warn("record note={}", log_value(store_->note()));

  state_.started = clock_.now();
  controller_ = std::make_unique<Controller>(std::move(config), *datapath_, clock_, &*store_);
  controller_->set_own_addresses(own_addresses());
  auto repaired = controller_->start();
  if (!repaired) return std::move(repaired).error();
  for (const std::string& line : *repaired) spdlog::warn("repaired what={}", log_value(line));
  controller_->prune();

  // Only now, with rules and blocks in its maps, may the program meet a packet.
  attach();
  const bool waits = controller_->config().interfaces.missing == Missing::wait;
  if (!waits && std::ranges::none_of(state_.attachments, &Attachment::attached))
    return Error{ENODEV, state_.attachments.empty()
                             ? "no interface matches [interfaces] inside; ip -br link lists them"
                             : state_.attachments.front().note};
  syn_log_.emplace(*datapath_, clock_, controller_->journal());
  if (auto logs = syn_log_->configure(controller_->config()); !logs) return logs;
  sampler_ = std::make_unique<Sampler>(*controller_, *datapath_, clock_);
  if (auto taken = sampler_->take_all(); !taken) return taken;
  api_ = std::make_unique<Api>(*controller_, *datapath_, clock_, state_, *sampler_, *syn_log_,
                               [this] { return reload(); });
  open_mirror(controller_->config());
  if (auto watched = watch(); !watched) return watched;
  ::sd_notify(0, "READY=1");
  spdlog::info("ready mode={} node={} interfaces={} version={}", to_string(controller_->mode()),
               controller_->config().node, state_.attachments.size(), MAILWEIR_VERSION);
  return Ok{};
}

/// An interface that is guarded may be away for a moment; one that is new must be there, unless
/// the configuration says that it may come later.
Result<> Daemon::check_interfaces(const Config& config) const {
  if (config.interfaces.missing == Missing::wait) return Ok{};
  for (const std::string& name : matching_interfaces(config.interfaces.inside))
    if (::if_nametoindex(name.c_str()) == 0 &&
        std::ranges::find(state_.attachments, name, &Attachment::interface) ==
            state_.attachments.end())
      return Error{
          ENODEV, "[interfaces] inside: there is no interface " + name + " (" + state_.config_file +
                      "); ip -br link lists them. If it comes later: [interfaces] missing = "
                      "\"wait\""};
  return Ok{};
}

Result<> Daemon::open_kernel(const Config& config) {
  if (auto usable = check_bpffs(config.bpffs_dir); !usable) return usable;
  auto lock = lock_pins(config.bpffs_dir);
  if (!lock) return std::move(lock).error();
  pins_lock_ = std::move(*lock);
  auto loaded = KernelDatapath::load({.bpffs_dir = config.bpffs_dir,
                                      .sources = config.maps.sources,
                                      .blocks = config.maps.blocks});
  if (!loaded) return std::move(loaded).error();
  datapath_ = std::move(*loaded);
  for (const std::string& note : datapath_->notes()) spdlog::warn("maps note={}", log_value(note));
  return Ok{};
}

/// In a thread of its own: without iptables, or with one that hangs, the kernel program enforces
/// all the same. Degraded, not dead.
void Daemon::open_mirror(const Config& config) {
  if (config.mirror.backend == MirrorBackend::none) {
    refresh_shield();
    return;
  }
  state_.mirror = {.backend = "iptables", .state = "pending", .note = ""};
  mirror_ = std::make_unique<MirrorWorker>();
  refresh_shield();
}

/// Also without ports: what an earlier run left must go.
void Daemon::refresh_shield() {
  const Config& config = controller_->config();
  const bool has_ports = !config.shield.ports.empty();
  state_.shield = {.state = has_ports ? "pending" : "off", .note = ""};
  if (mirror_)
    mirror_->shield(shield_told_ = shield_table(*controller_));
  else if (has_ports)
    state_.shield = {.state = "degraded",
                     .note =
                         "client to client only: [mirror] backend = \"none\" writes no rule "
                         "against what comes from outside. A chain MAILWEIR_SHIELD of an "
                         "earlier run stays as it is"};
}

/// Which may change at any time.
void Daemon::follow_allowlist() {
  if (mirror_ && !controller_->config().shield.ports.empty() &&
      shield_table(*controller_) != shield_told_)
    refresh_shield();
}

Result<> Daemon::watch() {
  Loop& loop = *loop_;
  const auto refresh = std::chrono::milliseconds(controller_->config().mirror.refresh);
  link_watch_ = open_link_watch();
  const Result<> all[] = {
      loop.on_signal(SIGTERM, [this] { stopping_ = true; }),
      loop.on_signal(SIGINT, [this] { stopping_ = true; }),
      loop.on_signal(SIGHUP, [this] { (void)reload(); }),
      loop.on_signal(SIGUSR1, [this] { syn_log_->reopen(); }),
      loop.on_readable(server_->poll_fd(), [] {}),  // run() follows every turn
      loop.on_readable(datapath_->events_fd(),
                       [this] {
                         datapath_->read_events([this](const mw_event& event) {
                           ++state_.events_received;
                           controller_->on_kernel_event(event);
                         });
                       }),
      // The watchdog of systemd hears from the same timer that the kernel program does.
      loop.every(1s,
                 [this] {
                   controller_->tick();
                   syn_log_->tick();
                   follow_allowlist();
                   ::sd_notify(0, "WATCHDOG=1");
                 }),
      loop.every(kWatchEvery, [this] { controller_->watch(); }),
      loop.every(kReviewEvery, [this] { controller_->review(); }),
      loop.every(kCheckRecordEvery, [this] { controller_->check_record(); }),
      loop.every(kPruneEvery, [this] { controller_->prune(); }),
      loop.every(kCheckAttachedEvery, [this] { check_attached(); }),
      loop.every(kSampleSourcesEvery, [this] { sampler_->step(); }),
      loop.every(kSampleRatesEvery,
                 [this] {
                   if (const auto counters = datapath_->counters())
                     state_.rates.add(clock_.now().boot, *counters);
                 }),
      mirror_ ? loop.on_readable(mirror_->report_fd(), [this] { take_mirror_reports(); }) : Ok{},
      mirror_ ? loop.every(std::min<std::chrono::milliseconds>(refresh, kCheckMirrorEvery),
                           [this] { mirror_->check(); })
              : Ok{},
      mirror_ ? loop.every(refresh, [this] { refresh_mirror(); }) : Ok{},
      link_watch_.valid() ? loop.on_readable(link_watch_.get(), [this] { drain_link_watch(); })
                          : Ok{},
  };
  for (const Result<>& each : all)
    if (!each) return each;
  return Ok{};
}

void Daemon::attach() {
  const Config& config = controller_->config();
  const std::vector<Attachment> before = std::exchange(
      state_.attachments, datapath_->attach(matching_interfaces(config.interfaces.inside),
                                            to_choice(config.interfaces.attach)));
  for (const Attachment& each : state_.attachments) {
    // It is tried again every two seconds: said once.
    const bool is_news = std::ranges::none_of(before, [&](const Attachment& old) {
      return old.interface == each.interface && old.attached == each.attached &&
             old.hook == each.hook && old.note == each.note;
    });
    if (!is_news) continue;
    if (!each.attached)
      spdlog::error("attach interface={} failed={}", each.interface, log_value(each.note));
    else
      spdlog::info("attach interface={} hook={} program={} adopted={}{}", each.interface,
                   to_string(each.hook), each.program_id, each.adopted,
                   each.note.empty() ? "" : " note=" + log_value(each.note));
  }
}

/// A filter has no link, an interface comes and goes: both are seen by looking.
void Daemon::check_attached() {
  const std::vector<Attachment> before =
      std::exchange(state_.attachments, datapath_->check_attached());
  if (std::string problem = datapath_->pin_problem(); problem != pin_problem_) {
    pin_problem_ = std::move(problem);
    if (pin_problem_.empty())
      spdlog::info("maps pins=restored");
    else
      spdlog::error("maps pins={}", log_value(pin_problem_));
    controller_->journal().add(clock_.now().wall, "pins", "",
                               pin_problem_.empty() ? "pinned again" : pin_problem_);
  }
  bool lost = false;
  for (std::size_t i = 0; i < before.size() && i < state_.attachments.size(); ++i) {
    const Attachment& now = state_.attachments[i];
    if (!before[i].attached || now.attached) continue;
    lost = true;
    spdlog::error("detached interface={} note={}", now.interface, log_value(now.note));
    controller_->journal().add(clock_.now().wall, "detach", "", now.interface + ": " + now.note);
  }
  std::vector<std::string> guarded;
  for (const Attachment& each : state_.attachments)
    if (each.attached) guarded.push_back(each.interface);
  bool is_due = lost;
  for (const std::string& name : matching_interfaces(controller_->config().interfaces.inside))
    is_due = is_due || (::if_nametoindex(name.c_str()) != 0 &&
                        std::ranges::find(guarded, name) == guarded.end());
  if (!is_due) return;
  attach();
  for (const Attachment& each : state_.attachments)
    if (each.attached && std::ranges::find(guarded, each.interface) == guarded.end())
      controller_->journal().add(clock_.now().wall, "attach", "",
                                 each.interface + ": " + std::string(to_string(each.hook)));
}

void Daemon::drain_link_watch() {
  std::array<char, 8192> buffer;
  while (::recv(link_watch_.get(), buffer.data(), buffer.size(), 0) > 0) {
  }
  controller_->set_own_addresses(own_addresses());
  check_attached();
}

void Daemon::refresh_mirror() {
  if (mirror_) mirror_->write(mirror_table(*controller_, *datapath_, clock_.now()));
}

void Daemon::take_mirror_reports() {
  for (const MirrorWorker::Report& report : mirror_->take_reports()) {
    using What = MirrorWorker::Report::What;
    // With the first report, whatever it is about.
    if (!report.other.empty()) spdlog::warn("mirror note={}", log_value(report.other));
    if (report.what == What::shielded || report.what == What::shield_failed) {
      take_shield_report(report);
      continue;
    }
    MirrorState& mirror = state_.mirror;
    mirror.checked = clock_.now().boot;
    if (!report.backend.empty()) mirror.backend = report.backend;
    const bool is_news = report.text != mirror.note;
    if (report.what == What::written || report.what == What::matches) {
      if (!report.text.empty()) {
        spdlog::warn("mirror repaired={}", log_value(report.text));
        controller_->journal().add(clock_.now().wall, "mirror", "", report.text);
      }
      if (mirror.state != "matches")
        spdlog::info("mirror rules={} backend={}", report.rules, mirror.backend);
      mirror.state = "matches";
      mirror.rules = report.rules;
      mirror.note.clear();
      continue;
    }
    mirror.state = "degraded";
    mirror.note = report.text;
    if (report.what == What::drifted) {
      ++mirror.repairs;
      refresh_mirror();
    }
    if (is_news) {
      spdlog::warn("mirror {}={}", report.what == What::drifted ? "repaired" : "degraded",
                   log_value(report.text));
      controller_->journal().add(clock_.now().wall, "mirror", "", report.text);
    }
  }
}

void Daemon::take_shield_report(const MirrorWorker::Report& report) {
  ShieldState& shield = state_.shield;
  const bool is_off = controller_->config().shield.ports.empty();
  if (report.what == MirrorWorker::Report::What::shielded) {
    if (!report.text.empty()) {
      spdlog::warn("shield repaired={}", log_value(report.text));
      controller_->journal().add(clock_.now().wall, "shield", "", report.text);
    }
    const std::string_view state = is_off ? "off" : "matches";
    if (shield.state != state) spdlog::info("shield state={}", state);
    shield = {.state = std::string(state), .note = ""};
    return;
  }
  if (report.text != shield.note && !is_off)
    spdlog::warn("shield degraded={}", log_value(report.text));
  shield = {.state = is_off ? "off" : "degraded", .note = is_off ? "" : report.text};
}

Result<std::vector<std::string>> Daemon::reload() {
  Loaded loaded = load_config(state_.config_file);
  std::vector<std::string> lines;
  for (const Problem& problem : loaded.problems) lines.push_back(problem.to_string());
  if (!loaded.usable()) {
    spdlog::error("reload failed={} effect={}", log_value(lines.front()),
                  log_value("the running configuration is unchanged"));
    return Error{EINVAL, fmt::format("{}", fmt::join(lines, "\n"))};
  }
  if (auto there = check_interfaces(loaded.config); !there) {
    spdlog::error("reload failed={} effect={}", log_value(there.error().message),
                  log_value("the running configuration is unchanged"));
    return Error{EINVAL, there.error().message};
  }
  const Config& running = controller_->config();
  const auto fixed = [&](bool same, std::string_view key) {
    if (!same) lines.push_back(std::string(key) + " takes effect at the next start");
  };
  fixed(loaded.config.bpffs_dir == running.bpffs_dir, "bpffs_dir");
  fixed(loaded.config.socket == running.socket, "socket");
  fixed(loaded.config.state_dir == running.state_dir, "state_dir");
  fixed(loaded.config.node == running.node, "node");
  fixed(loaded.config.maps.sources == running.maps.sources &&
            loaded.config.maps.blocks == running.maps.blocks,
        "[maps]");
  fixed(loaded.config.mirror.backend == running.mirror.backend &&
            loaded.config.mirror.refresh == running.mirror.refresh,
        "[mirror]");
  // Every key of an IPv6 source would mean another set of addresses.
  fixed(loaded.config.networks.ipv6_prefix == running.networks.ipv6_prefix, "networks.ipv6_prefix");
  loaded.config.networks.ipv6_prefix = running.networks.ipv6_prefix;
  loaded.config.bpffs_dir = running.bpffs_dir;
  loaded.config.socket = running.socket;
  loaded.config.state_dir = running.state_dir;
  loaded.config.node = running.node;
  loaded.config.maps = running.maps;
  loaded.config.mirror.backend = running.mirror.backend;
  loaded.config.mirror.refresh = running.mirror.refresh;
  if (auto reloaded = controller_->reload(std::move(loaded.config)); !reloaded) {
    spdlog::error("reload failed={}", log_value(reloaded.error().message));
    return Error{reloaded.error().code, reloaded.error().message};
  }
  controller_->set_own_addresses(own_addresses());
  if (auto logs = syn_log_->configure(controller_->config()); !logs)
    lines.push_back("[log]: " + logs.error().message);
  refresh_shield();
  attach();
  for (const Attachment& each : state_.attachments)
    if (!each.attached)
      lines.push_back("interface " + each.interface + " is not guarded: " + each.note);
  if (state_.attachments.empty())
    lines.push_back("no interface matches [interfaces] inside: nothing is guarded");
  for (const std::string& line : lines) spdlog::warn("reload note={}", log_value(line));
  spdlog::info("reload mode={} warnings={}", to_string(controller_->mode()), lines.size());
  return lines;
}

void Daemon::stop() {
  ::sd_notify(0, "STOPPING=1");
  const bool pass = controller_->config().interfaces.on_stop == OnStop::pass;
  if (pass) {
    if (auto opened = controller_->open_gate(); !opened)
      spdlog::error("stop failed={}", log_value(opened.error().message));
    // Its destructor writes what waits.
    if (mirror_)
      mirror_->write({.ports = controller_->config().smtp.judge, .servers = {}, .rules = {}});
    if (mirror_) mirror_->shield({});
  }
  controller_->write_days();
  mirror_.reset();
  spdlog::info("stopped effect={}",
               log_value(pass ? "everything passes" : "the kernel program goes on enforcing"));
}

}  // namespace

int run_daemon(const RunOptions& options) {
  start_log(options.verbose, options.quiet);
  return Daemon(options).run();
}

}  // namespace mailweir
