// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/mirror_worker.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

namespace mailweir {
namespace {

/// Counters differ always: the kernel goes on counting.
bool same_rule(const MirrorRule& a, const MirrorRule& b) {
  return a.source == b.source && a.comment == b.comment && a.stops == b.stops;
}

/// "jump not at FORWARD 1", or nothing.
std::string drift_of(const MirrorFound& found, const MirrorTable& written, bool ipv6) {
  // Without the family, or without a judged port, there is no jump to look for.
  if (!found.available || written.ports.empty()) return "";
  std::vector<MirrorRule> wanted = written.rules;
  std::erase_if(wanted, [&](const MirrorRule& rule) { return rule.source.is_ipv4() == ipv6; });
  const std::string family = ipv6 ? "ip6tables: " : "iptables: ";
  if (!found.jump_is_first || found.jumps != 1) return family + "the jump is not at FORWARD 1";
  std::vector<Prefix> servers = written.servers;
  std::erase_if(servers, [&](const Prefix& server) { return server.is_ipv4() == ipv6; });
  if (found.servers != servers) return family + "the rules for servers are not those that are due";
  if (found.foreign_rules != 0)
    return family + std::to_string(found.foreign_rules) + " foreign rules in the chain";
  if (!std::ranges::equal(found.rules, wanted, same_rule))
    return family + "the chain holds " + std::to_string(found.rules.size()) + " of our rules, " +
           std::to_string(wanted.size()) + " are due";
  return "";
}

}  // namespace

MirrorWorker::MirrorWorker()
    : report_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), thread_([this] { work(); }) {}

MirrorWorker::~MirrorWorker() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wanted_.notify_one();
  thread_.join();
}

void MirrorWorker::write(MirrorTable table) {
  {
    const std::lock_guard lock(mutex_);
    to_write_ = std::move(table);
  }
  wanted_.notify_one();
}

void MirrorWorker::shield(ShieldTable table) {
  {
    const std::lock_guard lock(mutex_);
    to_shield_ = std::move(table);
  }
  wanted_.notify_one();
}

void MirrorWorker::check() {
  {
    const std::lock_guard lock(mutex_);
    to_check_ = true;
  }
  wanted_.notify_one();
}

std::vector<MirrorWorker::Report> MirrorWorker::take_reports() {
  std::uint64_t count = 0;
  (void)!::read(report_fd_.get(), &count, sizeof(count));
  const std::lock_guard lock(mutex_);
  return std::exchange(reports_, {});
}

void MirrorWorker::work() {
  std::unique_lock lock(mutex_);
  // A table that still waits when we stop is written: the chain must not stay behind the kernel.
  // Not where iptables fails or hangs: a stop would take a minute, and nothing would be written.
  while (!stop_ || ((to_write_ || to_shield_) && !is_failing_)) {
    if (auto table = std::exchange(to_write_, std::nullopt)) {
      lock.unlock();
      report(write_now(*table));
    } else if (auto shield = std::exchange(to_shield_, std::nullopt)) {
      lock.unlock();
      const bool is_new = shield_ != *shield;
      shield_ = std::move(*shield);
      Report done = shield_now(*shield_);
      // What was ordered a moment ago is not there yet: no drift.
      if (is_new && done.what == Report::What::shielded) done.text.clear();
      report(std::move(done));
    } else if (std::exchange(to_check_, false)) {
      lock.unlock();
      report(check_now());
      if (shield_) report(shield_now(*shield_));
    } else {
      wanted_.wait(lock);
      continue;
    }
    lock.lock();
  }
}

/// What an earlier run left that is not what is due now. No chain at all is no drift: the first
/// start, or one after a reboot.
std::string MirrorWorker::drift_at_start(const MirrorTable& table) const {
  std::string drift;
  for (const bool ipv6 : {false, true}) {
    const auto found = iptables_->read(ipv6);
    if (!found || (found->jumps == 0 && found->rules.empty() && found->servers.empty())) continue;
    // A refresh moves the ends of rules by the dead man's time; those of a start differ always.
    MirrorFound ends_apart = *found;
    MirrorTable due = table;
    for (MirrorRule& rule : ends_apart.rules) rule.stops.reset();
    for (MirrorRule& rule : due.rules) rule.stops.reset();
    const std::string one = drift_of(ends_apart, due, ipv6);
    if (!one.empty()) drift += (drift.empty() ? "" : "; ") + one;
  }
  return drift.empty() ? "" : "since the last run " + drift;
}

/// Tried again until it works: iptables may be installed, or healed, while we run.
Result<> MirrorWorker::open() {
  if (iptables_) return Ok{};
  auto opened = Iptables::open();
  if (!opened) return std::move(opened).error();
  iptables_ = std::move(*opened);
  other_ = iptables_->other_backend_in_use().value_or("");
  return Ok{};
}

MirrorWorker::Report MirrorWorker::write_now(const MirrorTable& table) {
  if (auto opened = open(); !opened)
    return {.what = Report::What::failed, .rules = 0, .text = opened.error().message};
  const std::string drift = written_ ? "" : drift_at_start(table);
  const auto done = iptables_->write(table);
  if (!done) return {.what = Report::What::failed, .rules = 0, .text = done.error().message};
  written_ = table;
  return {.what = Report::What::written, .rules = table.rules.size(), .text = drift};
}

MirrorWorker::Report MirrorWorker::shield_now(const ShieldTable& table) {
  if (auto opened = open(); !opened)
    return {.what = Report::What::shield_failed, .rules = 0, .text = opened.error().message};
  auto done = iptables_->shield(table);
  if (!done) return {.what = Report::What::shield_failed, .rules = 0, .text = done.error().message};
  return {.what = Report::What::shielded, .rules = 0, .text = std::move(*done)};
}

MirrorWorker::Report MirrorWorker::check_now() {
  if (auto opened = open(); !opened)
    return {.what = Report::What::failed, .rules = 0, .text = opened.error().message};
  if (!written_) return {.what = Report::What::drifted, .rules = 0, .text = "not written yet"};
  std::size_t rules = 0;
  for (const bool ipv6 : {false, true}) {
    const auto found = iptables_->read(ipv6);
    if (!found)
      return {.what = Report::What::failed, .rules = rules, .text = found.error().message};
    rules += found->rules.size();
    if (std::string drift = drift_of(*found, *written_, ipv6); !drift.empty())
      return {.what = Report::What::drifted, .rules = rules, .text = std::move(drift)};
  }
  return {.what = Report::What::matches, .rules = rules, .text = ""};
}

void MirrorWorker::report(Report report) {
  if (report.what != Report::What::shielded && report.what != Report::What::shield_failed)
    is_failing_ = report.what == Report::What::failed;
  if (iptables_) report.backend = iptables_->backend();
  report.other = std::exchange(other_, "");
  {
    const std::lock_guard lock(mutex_);
    reports_.push_back(std::move(report));
  }
  const std::uint64_t one = 1;
  (void)!::write(report_fd_.get(), &one, sizeof(one));
}

}  // namespace mailweir
