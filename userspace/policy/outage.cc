// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/outage.h"

namespace mailweir {
namespace {

constexpr std::chrono::seconds kWindow{60};
constexpr std::chrono::seconds kShortWindow{15};
constexpr std::uint64_t kLeastContacts = 20;
constexpr std::size_t kLeastSources = 5;

}  // namespace

void OutageWatch::add(BootTime now, std::uint64_t answered, std::uint64_t unanswered) {
  if (answered + unanswered > 0) samples_.push_back({now, answered, unanswered});
}

void OutageWatch::add_source(BootTime now, const mw_addr& source) {
  sources_[source] = now;
}

bool OutageWatch::is_down(BootTime now) {
  while (!samples_.empty() && now - samples_.front().time > kWindow) samples_.pop_front();
  std::erase_if(sources_, [&](const auto& each) { return now - each.second > kWindow; });

  return sources_.size() >= kLeastSources &&
         (is_down_within(now, kWindow) || is_down_within(now, kShortWindow));
}

bool OutageWatch::is_down_within(BootTime now, std::chrono::seconds window) const {
  std::uint64_t answered = 0;
  std::uint64_t unanswered = 0;
  for (const Sample& sample : samples_) {
    if (now - sample.time > window) continue;
    answered += sample.answered;
    unanswered += sample.unanswered;
  }
  return answered + unanswered >= kLeastContacts && unanswered > answered;
}

bool is_by_outage(const mw_event& outcome, const Freeze& freeze) {
  const BootTime started = boot_time(outcome.started_ns);
  if (outcome.kind != MW_EVENT_UNPRODUCTIVE || started >= freeze.until) return false;
  return started < freeze.since || outcome.heard_bytes == 0 || outcome.is_by_time != 0;
}

}  // namespace mailweir
