// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/baselines.h"

#include <cmath>
#include <map>
#include <set>

namespace mailweir::evaluate {
namespace {

using namespace std::chrono_literals;

mw_addr network_of(const mw_addr& server) {
  mw_addr network = server;
  network.bytes[15] = 0;
  return network;
}

/// xt_connlimit: half-open connections count, closed ones do not.
template <int kMost>
class Concurrent final : public Baseline {
  bool opened(Time, const Connection&) override { return ++open_ > kMost; }
  bool closed(Time, const Connection&, bool) override {
    --open_;
    return false;
  }
  int open_ = 0;
};

/// xt_recent: hitcount 20, seconds 60.
class PerMinute final : public Baseline {
  bool opened(Time now, const Connection&) override {
    times_.push_back(now);
    while (now - times_.front() >= 60s) times_.pop_front();
    return times_.size() >= 20;
  }
  std::deque<Time> times_;
};

/// CESNET NEMEA's smtp_spam_detector.
class DistinctServers final : public Baseline {
  bool opened(Time now, const Connection& connection) override {
    last_[connection.ends.server] = now;
    std::erase_if(last_, [now](const auto& each) { return now - each.second >= 5min; });
    return last_.size() >= 10;
  }
  std::map<mw_addr, Time> last_;
};

/// Jung et al. 2004: theta0 .8, theta1 .2, alpha .01, beta .99; starts anew when it finds a source
/// benign.
class RandomWalk final : public Baseline {
  bool opened(Time, const Connection& connection) override {
    if (met_.insert(connection.ends.server).second) waiting_.insert(connection.ends.server);
    return false;
  }
  bool answered(Time, const Connection& connection) override {
    return walk(connection, std::log(.2 / .8));
  }
  bool unanswered(Time, const Connection& connection) override {
    return walk(connection, std::log(.8 / .2));
  }
  bool walk(const Connection& connection, double by) {
    if (waiting_.erase(connection.ends.server) == 0) return false;
    sum_ += by;
    if (sum_ <= std::log(.01 / .99)) sum_ = 0;
    return sum_ >= std::log(.99 / .01);
  }
  std::set<mw_addr> met_, waiting_;
  double sum_ = 0;
};

/// SPOT (Duan et al.) of unproductive first contacts in place of spam messages: in an hour, CT 30
/// of them; PT more than half of at least 6.
template <bool kByShare>
class Spot final : public Baseline {
  bool opened(Time now, const Connection& connection) override {
    const auto [found, is_new] = met_.try_emplace(network_of(connection.ends.server), now);
    const bool is_contact = is_new || now - found->second >= kWindow;
    if (is_contact) {
      found->second = now;
      waiting_[connection.ends.server] = now;
    }
    return false;
  }
  bool closed(Time now, const Connection& connection, bool message_taken) override {
    const auto contact = waiting_.find(connection.ends.server);
    if (contact == waiting_.end()) return false;
    waiting_.erase(contact);
    outcomes_.emplace_back(now, message_taken);
    unproductive_ += !message_taken;
    while (now - outcomes_.front().first >= kWindow) {
      unproductive_ -= !outcomes_.front().second;
      outcomes_.pop_front();
    }
    if (!kByShare) return unproductive_ >= 30;
    return outcomes_.size() >= 6 && 2 * unproductive_ > outcomes_.size();
  }
  static constexpr Time kWindow = 1h;
  std::map<mw_addr, Time> met_, waiting_;
  std::deque<std::pair<Time, bool>> outcomes_;
  std::size_t unproductive_ = 0;
};

template <typename Rule>
std::unique_ptr<Baseline> make() {
  return std::make_unique<Rule>();
}

}  // namespace

const std::vector<BaselineKind>& baseline_kinds() {
  static const std::vector<BaselineKind> kinds{
      {"connlimit 30", "more than 30 connections at once (RouterOS recipe)", make<Concurrent<30>>},
      {"connlimit 10", "more than 10 at once", make<Concurrent<10>>},
      {"20 in 60 s", "20 connections in 60 s", make<PerMinute>},
      {"10 servers in 5 min", "CESNET NEMEA", make<DistinctServers>},
      {"TRW on SYN-ACK", "Jung et al.: .8, .2, alpha .01, beta .99", make<RandomWalk>},
      {"SPOT CT", "Duan et al., of unproductive first contacts: 30 in an hour (thresholds: G)",
       make<Spot<false>>},
      {"SPOT PT", "the same, more than half of at least 6 in an hour (thresholds: G)",
       make<Spot<true>>},
  };
  return kinds;
}

template <typename Tell>
void Baselines::tell(Time now, const Connection& connection, Tell tell) {
  if (connection.ends.server_port != kSmtp) return;
  if (sources_.size() <= connection.source) sources_.resize(connection.source + 1);
  Watched& watched = sources_[connection.source];
  if (watched.rules.empty()) {
    for (const BaselineKind& kind : baseline_kinds()) watched.rules.push_back(kind.make());
    watched.alarms.resize(watched.rules.size());
  }
  for (std::size_t i = 0; i < watched.rules.size(); ++i)
    if (!watched.alarms[i] && tell(*watched.rules[i])) watched.alarms[i] = now;
}

void Baselines::opened(Time now, const Connection& connection) {
  tell(now, connection, [&](Baseline& rule) { return rule.opened(now, connection); });
}
void Baselines::answered(Time now, const Connection& connection) {
  tell(now, connection, [&](Baseline& rule) { return rule.answered(now, connection); });
}
void Baselines::unanswered(Time now, const Connection& connection) {
  tell(now, connection, [&](Baseline& rule) { return rule.unanswered(now, connection); });
}
void Baselines::closed(Time now, const Connection& connection, bool message_taken) {
  tell(now, connection,
       [&](Baseline& rule) { return rule.closed(now, connection, message_taken); });
}

std::optional<Time> Baselines::alarm(std::size_t kind, std::uint32_t source) const {
  if (source >= sources_.size() || sources_[source].rules.empty()) return std::nullopt;
  return sources_[source].alarms[kind];
}

}  // namespace mailweir::evaluate
