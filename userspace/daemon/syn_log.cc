// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/syn_log.h"

#include <net/if.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/log.h"
#include "base/time_text.h"
#include "base/unique_fd.h"
#include "daemon/ruleset.h"
#include "daemon/syn_line.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;

constexpr auto kSummaryEvery = 10s;
/// Sources in one summary; the rest is one line.
constexpr std::size_t kNoisiest = 20;
constexpr std::string_view kDevLog = "/dev/log";
/// Without an end, by the file and by command: the program keeps which of them it was.
constexpr BootTime kByFile = BootTime::max();
constexpr BootTime kEndlessOrder = BootTime::max() - std::chrono::nanoseconds(1);

class FileSink final : public LogSink {
 public:
  FileSink(const std::string& path, LogFileLimits limits, std::string node)
      : file_(path, limits), node_(std::move(node)) {}

  Result<> open(WallTime now) override { return file_.open(now); }
  Result<> write(const std::string& line, const Now& time) override {
    return file_.write(line_head(time, node_) + line + "\n", time.wall);
  }
  Result<> reopen(WallTime now) override { return file_.reopen(now); }
  Result<> look(WallTime now) override { return file_.look(now); }

 private:
  LogFile file_;
  std::string node_;
};

/// A datagram each, and never a wait: a reader that is stuck costs lines, and nothing else.
class SyslogSink final : public LogSink {
 public:
  Result<> open(WallTime) override {
    if (socket_.valid()) return Ok{};
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    kDevLog.copy(to.sun_path, sizeof(to.sun_path) - 1);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0)
      return sys_error(errno, "open " + std::string(kDevLog));
    socket_ = std::move(socket);
    return Ok{};
  }
  Result<> write(const std::string& line, const Now& time) override {
    if (auto opened = open(time.wall); !opened) return opened;
    const std::string message =
        fmt::format("<{}>{} mailweir: {}", LOG_DAEMON | LOG_INFO, syslog_time(time.wall), line);
    if (::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL) >= 0) return Ok{};
    const int cause = errno;
    // It was started anew: the next line finds it.
    if (cause != EAGAIN) socket_.reset();
    return cause == EAGAIN ? Error{EAGAIN, std::string(kDevLog) + ": nobody reads it"}
                           : sys_error(cause, "write to " + std::string(kDevLog));
  }
  Result<> reopen(WallTime now) override {
    socket_.reset();
    return open(now);
  }
  Result<> look(WallTime now) override { return open(now); }

 private:
  UniqueFd socket_;
};

}  // namespace

SynLog::SynLog(Datapath& datapath, const Clock& clock, Journal& journal)
    : datapath_(datapath), clock_(clock), journal_(journal) {
  datapath_.when_logged([this](const mw_logged_syn& syn) { write(syn); });
}

bool SynLog::is_on(BootTime now) const {
  return until_ > now;
}

Result<> SynLog::configure(const Config& config) {
  const bool is_first = config_.node.empty();
  config_ = config;
  const LogFileLimits limits{config.log.keep, config.log.max_size_bytes};
  if (!sink_ || config.log.file != opened_file_ || limits.keep != opened_limits_.keep ||
      limits.max_bytes != opened_limits_.max_bytes) {
    if (config.log.file == kLogToSyslog)
      sink_ = std::make_unique<SyslogSink>();
    else
      sink_ = std::make_unique<FileSink>(config.log.file, limits, config.node);
    opened_file_ = config.log.file;
    opened_limits_ = limits;
  }
  const Now now = clock_.now();
  const LogRules known = datapath_.log();
  if (is_first) skip_what_was_told();
  if (is_first && known.until > now.boot && known.until != kByFile) {
    is_by_command_ = true;
    by_ = "an earlier run";
    until_ = known.until;
  }
  if (is_by_command_ && is_on(now.boot)) {
    note(sink_->open(now.wall));
    return apply(until_, known.source);
  }
  is_by_command_ = false;
  by_ = "file";
  if (!config.log.enabled) return apply(BootTime{}, std::nullopt);
  note(sink_->open(now.wall));
  return apply(kByFile, std::nullopt);
}

/// The kernel's counts outlive us.
void SynLog::skip_what_was_told() {
  (void)datapath_.each_logged([this](const mw_addr& key, const mw_logged& entry) {
    if (entry.suppressed > 0) told_[key] = entry.suppressed;
  });
  if (const auto counts = datapath_.log_counts()) counted_before_ = *counts;
  told_in_all_ = counted_before_.suppressed;
}

Result<> SynLog::apply(BootTime until, std::optional<mw_addr> source) {
  auto told = datapath_.set_log({.until = until,
                                 .limit = to_quota(config_.log.limit),
                                 .total = to_quota(config_.log.total),
                                 .source = source});
  if (!told) return told;
  if (!is_on(clock_.now().boot)) last_summary_ = clock_.now().boot;
  until_ = until;
  return Ok{};
}

Result<> SynLog::turn_on(std::chrono::seconds lasts, std::optional<mw_addr> source,
                         const std::string& by) {
  const Now now = clock_.now();
  if (auto opened = sink_->open(now.wall); !opened) return opened;
  problem_.clear();
  const BootTime until = lasts == kForever ? kEndlessOrder : now.boot + lasts;
  if (auto told = apply(until, source); !told) return told;
  is_by_command_ = true;
  by_ = by;
  const std::string whom =
      source ? " of " + to_string(source_prefix(*source, config_.networks.ipv6_prefix)) : "";
  const std::string text =
      fmt::format("SYNs{} are logged to {} {}", whom, config_.log.file,
                  lasts == kForever ? "until log off" : "for " + duration_text(lasts));
  spdlog::info("log on by={} text={}", log_value(by), log_value(text));
  journal_.add(now.wall, "log", "", text + ", by " + by);
  return Ok{};
}

Result<> SynLog::turn_off(const std::string& by) {
  const bool was_on = is_on(clock_.now().boot);
  if (auto told = apply(BootTime{}, std::nullopt); !told) return told;
  is_by_command_ = true;
  by_ = by;
  if (!was_on) return Ok{};
  write_suppressed();
  spdlog::info("log off by={} lines={}", log_value(by), lines_);
  journal_.add(clock_.now().wall, "log", "", "SYNs are no longer logged, by " + by);
  return Ok{};
}

void SynLog::tick() {
  const Now now = clock_.now();
  if (until_ == BootTime{}) return;
  if (now.boot >= last_summary_ + kSummaryEvery) {
    write_suppressed();
    const auto looked = sink_->look(now.wall);
    // Where every other line fails it does not work again.
    if (!looked || unwritten_ == unwritten_before_) note(looked);
    unwritten_before_ = unwritten_;
  }
  if (is_on(now.boot)) return;
  // The program ended it by itself; here it is said.
  write_suppressed();
  const bool goes_on = config_.log.enabled;
  is_by_command_ = false;
  by_ = "file";
  if (auto told = apply(goes_on ? kByFile : BootTime{}, std::nullopt); !told)
    spdlog::error("log failed={}", log_value(told.error().message));
  spdlog::info("log {} by=auto lines={}", goes_on ? "as-configured" : "off", lines_);
  journal_.add(now.wall, "log", "",
               goes_on ? "the order to log has ended; the file's [log] holds again"
                       : "SYNs are no longer logged: the time that was given is over");
}

void SynLog::reopen() {
  if (sink_) note(sink_->reopen(clock_.now().wall));
}

void SynLog::write(const mw_logged_syn& syn) {
  std::array<char, IF_NAMESIZE> name{};
  ::if_indextoname(syn.ifindex, name.data());
  const Now now = clock_.now();
  const BootTime then = boot_time(syn.time_ns);
  const auto written = sink_->write(syn_line(syn, name.data()), {then, now.wall_of(then)});
  ++(written ? lines_ : unwritten_);
  if (!written) note(written);
}

/// Of the noisiest each, of the rest together.
void SynLog::write_suppressed() {
  const Now now = clock_.now();
  const auto period =
      std::max(1s, std::chrono::round<std::chrono::seconds>(now.boot - last_summary_));
  last_summary_ = now.boot;
  std::unordered_map<mw_addr, std::uint64_t, AddressHash> seen;
  std::vector<std::pair<std::uint64_t, mw_addr>> noisy;
  const auto walked = datapath_.each_logged([&](const mw_addr& key, const mw_logged& entry) {
    if (entry.suppressed == 0) return;
    const auto before = told_.find(key);
    // An entry that was evicted and made anew begins at 0.
    const std::uint64_t told =
        before == told_.end() || before->second > entry.suppressed ? 0 : before->second;
    if (entry.suppressed > told) noisy.emplace_back(entry.suppressed - told, key);
    seen[key] = entry.suppressed;
  });
  const auto counts = datapath_.log_counts();
  if (!walked || !counts) return;
  told_ = std::move(seen);
  std::uint64_t rest =
      counts->suppressed - std::min<std::uint64_t>(told_in_all_, counts->suppressed);
  told_in_all_ = counts->suppressed;
  std::ranges::sort(noisy, std::greater{});
  const std::size_t shown = std::min(noisy.size(), kNoisiest);
  const auto say = [&](const std::string& who, std::uint64_t number) {
    const auto written = sink_->write(
        fmt::format("MAILWEIR-SUPPRESSED SRC={} N={} SECONDS={}", who, number, period.count()),
        now);
    if (written) return;
    ++unwritten_;
    note(written);
  };
  for (std::size_t i = 0; i < shown; ++i) {
    say(to_string(source_prefix(noisy[i].second, config_.networks.ipv6_prefix)), noisy[i].first);
    rest -= std::min(rest, noisy[i].first);
  }
  if (rest > 0) say("others", rest);
}

/// Said once, not with each line.
void SynLog::note(const Result<>& done) {
  const std::string problem = done ? "" : done.error().message;
  if (problem == problem_) return;
  problem_ = problem;
  if (problem.empty())
    spdlog::info("log file={} effect={}", log_value(config_.log.file),
                 log_value("lines are written again"));
  else
    spdlog::error("log failed={} effect={}", log_value(problem),
                  log_value("lines are lost until it works again; nothing else is affected"));
}

SynLog::State SynLog::state() const {
  const Now now = clock_.now();
  State state{
      .is_on = is_on(now.boot), .is_by_command = is_by_command_, .by = by_, .problem = problem_};
  if (state.is_on && until_ < kEndlessOrder) state.until = now.wall_of(until_);
  if (state.is_on) state.source = datapath_.log().source;
  state.lines = lines_;
  if (const auto counts = datapath_.log_counts()) {
    state.suppressed = counts->suppressed - counted_before_.suppressed;
    state.lost = counts->lost - counted_before_.lost + unwritten_;
  }
  return state;
}

}  // namespace mailweir
