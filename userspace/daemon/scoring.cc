// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/scoring.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/log.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;

/// An outage is known 10 s after its first contact; what broke off before that is its doing, too.
constexpr auto kTakenBack = kOutageUnseen;
/// After the last sign of an outage: what it broke comes to its end meanwhile.
constexpr auto kThaw = 60s;

/// A proven mailer's date moves with each message; the record needs it by the day.
constexpr auto kProvenNews = 24h;

constexpr auto kAskedWindow = 10min;
constexpr std::size_t kAskedLeast = 20;
constexpr std::size_t kAskedMost = 10'000;
/// More open contacts than a gateway has; beyond, conntrack is asked at their end only.
constexpr std::size_t kConfirmedMost = 100'000;
/// After that the kernel has judged it, or its slot was lost.
constexpr auto kConfirmedFor = 15min;

}  // namespace

Scoring::FlowKey Scoring::flow_key(const mw_event& event) {
  // The sweep knows of an IPv6 client its key and the last 8 bytes.
  mw_addr client = event.source;
  std::copy_n(event.client.bytes + 8, 8, client.bytes + 8);
  return {client, event.destination,
          static_cast<std::uint32_t>(event.src_port_be) << 16 | event.dst_port_be};
}

void Scoring::configure(Rule rule, Confirm confirm) {
  rule_ = std::move(rule);
  confirm_ = confirm;
  asked_.clear();
  is_unavailable_ = false;
}

mw_score Scoring::score(const mw_addr& source) const {
  const auto found = datapath_.score(source);
  return found && *found ? decayed(**found, clock_.now().boot) : mw_score{};
}

void Scoring::store(const mw_addr& source, const mw_score& score) {
  if (score.score >= threshold(score, clock_.now().boot))
    at_threshold_.insert(source);
  else
    at_threshold_.erase(source);
  const auto put = datapath_.put_score(source, score);
  if (static_cast<bool>(put) != is_full_) return;
  is_full_ = !put;
  if (is_full_) spdlog::error("scores failed={}", log_value(put.error().message));
}

Scoring::Taken Scoring::take(const mw_event& event) {
  const BootTime now = clock_.now().boot;
  if (event.kind == MW_EVENT_UNANSWERED) {
    outage_.add_source(now, event.source);
    return {};
  }
  if (event.kind == MW_EVENT_HEARD) {
    ask(event);
    return {};
  }
  const auto [since, until] = datapath_.frozen();
  if (is_by_outage(event, {since, until})) return {};
  const bool confirmed = is_confirmed(event);
  mw_score score = this->score(event.source);
  const BootTime proven_until = boot_time(score.proven_until_ns);
  if (confirmed)
    count(event, score);
  else
    ++score.unconfirmed;
  // Who forges outcomes in a million names must not fill the table.
  if (confirmed || score.updated_ns != 0) store(event.source, score);
  return {confirmed, boot_time(score.proven_until_ns) - proven_until >= kProvenNews};
}

void Scoring::count(const mw_event& outcome, mw_score& score) {
  const BootTime now = clock_.now().boot;
  const std::uint32_t most = 2 * std::max(rule_.score_256ths, rule_.score_proven_256ths);
  if (count_outcome(score, outcome, now, most) == ScoreStep::up)
    recent_.push_back({now, outcome.source});
  while (!recent_.empty() && now - recent_.front().time > kTakenBack) recent_.pop_front();
}

/// Asked while the connection is young: one that the server resets is forgotten by conntrack after
/// ten seconds, and its end may be known to us after a minute only.
void Scoring::ask(const mw_event& heard) {
  if (confirm_ == Confirm::none || datapath_.confirm(heard) != Confirmation::confirmed) return;
  if (confirmed_.size() >= kConfirmedMost) confirmed_.clear();
  confirmed_[flow_key(heard)] = clock_.now().boot;
}

/// Unconfirmed outcomes may be a neighbour's forgery: they are counted, and score nothing.
bool Scoring::is_confirmed(const mw_event& outcome) {
  if (confirm_ == Confirm::none) return true;
  bool confirmed = confirmed_.erase(flow_key(outcome)) > 0;
  if (!confirmed) {
    const Confirmation answer = datapath_.confirm(outcome);
    is_unavailable_ = answer == Confirmation::unavailable;
    confirmed = answer == Confirmation::confirmed;
  }
  const BootTime now = clock_.now().boot;
  asked_.push_back({now, confirmed});
  while (asked_.size() > kAskedMost || now - asked_.front().time > kAskedWindow) asked_.pop_front();
  if (!confirmed) ++unconfirmed_in_all_;
  return confirmed;
}

bool Scoring::watch() {
  if (auto swept = datapath_.sweep_flows(); !swept)
    spdlog::error("sweep failed={}", log_value(swept.error().message));
  const BootTime now = clock_.now().boot;
  const auto counts = datapath_.contacts();
  if (!counts) return false;
  if (contacts_before_)
    outage_.add(now, counts->answered - contacts_before_->answered,
                counts->unanswered - contacts_before_->unanswered);
  contacts_before_ = *counts;
  return outage_.is_down(now) && freeze(now);
}

/// Written where a restarted controller finds it: it has not seen the minute before.
bool Scoring::freeze(BootTime now) {
  const bool is_new = !is_frozen();
  const BootTime since = is_new ? now : datapath_.frozen().first;
  if (auto noted = datapath_.set_frozen(since, now + kThaw); !noted)
    spdlog::error("freeze failed={}", log_value(noted.error().message));
  if (!is_new) return false;
  for (const Step& step : recent_) {
    if (now - step.time > kTakenBack) continue;
    mw_score score = this->score(step.source);
    take_back(score);
    store(step.source, score);
  }
  recent_.clear();
  spdlog::warn("frozen because={}",
               log_value("most contacts go unanswered: the uplink is down, not the customers; what "
                         "it cuts off is not scored"));
  return true;
}

bool Scoring::is_frozen() const {
  return datapath_.frozen().second > clock_.now().boot;
}

void Scoring::review() {
  const auto all = datapath_.scores();
  if (!all) {
    spdlog::error("scores failed={}", log_value(all.error().message));
    return;
  }
  const BootTime now = clock_.now().boot;
  std::erase_if(confirmed_, [&](const auto& each) { return now - each.second > kConfirmedFor; });
  at_threshold_.clear();
  for (const auto& [source, kept] : *all) {
    const mw_score score = decayed(kept, now);
    if (score.score >= threshold(score, now)) at_threshold_.insert(source);
    if (is_idle(score, now))
      if (auto removed = datapath_.remove_score(source); !removed)
        spdlog::error("scores failed={}", log_value(removed.error().message));
  }
}

void Scoring::spend(const mw_addr& source, BootTime until) {
  mw_score score = this->score(source);
  mailweir::spend(score, rule_.score_256ths, until);
  store(source, score);
}

void Scoring::settle(const mw_addr& source) {
  mw_score score = this->score(source);
  mailweir::settle(score, rule_.score_256ths);
  if (score.updated_ns != 0) store(source, score);
}

void Scoring::forget(const mw_addr& source) {
  at_threshold_.erase(source);
  if (auto removed = datapath_.remove_score(source); !removed)
    spdlog::error("scores failed={}", log_value(removed.error().message));
}

void Scoring::restore_proven(const mw_addr& source, BootTime until) {
  mw_score score = this->score(source);
  score.proven_until_ns = std::max<std::uint64_t>(score.proven_until_ns, to_ns(until));
  if (score.updated_ns == 0) score.updated_ns = to_ns(clock_.now().boot);
  store(source, score);
}

std::string Scoring::problem() const {
  if (is_unavailable_)
    return "conntrack cannot be asked (no nf_conntrack here, or CAP_NET_ADMIN is missing), so no "
           "outcome counts: limit and brake only. confirm = \"none\" trusts the packets alone";
  const auto confirmed = static_cast<std::size_t>(
      std::ranges::count_if(asked_, [](const Asked& each) { return each.confirmed; }));
  if (asked_.size() >= kAskedLeast && 2 * confirmed < asked_.size())
    return fmt::format(
        "conntrack confirms only {} of the last {} finished contacts; the rest does not count. Is "
        "port 25 tracked here (no NOTRACK; IPv6 is tracked only where a rule of ip6tables asks for "
        "it), and does the way back lead through this gateway? Or somebody forges packets",
        confirmed, asked_.size());
  return {};
}

}  // namespace mailweir
