// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/day.h"

#include <algorithm>
#include <array>
#include <span>

namespace mailweir::evaluate {
namespace {

using namespace std::chrono_literals;

/// 2026-01-12, a Monday.
constexpr WallTime kDayBegins{std::chrono::sys_days{std::chrono::year{2026} / 1 / 12}};

/// SYNs since the first one, and when the client gives up. Linux, cut at the sixth; bots as
/// Windows, which the capture shows.
constexpr std::array<Time, 7> kSyns{0s, 1s, 3s, 7s, 15s, 31s, 63s};
constexpr std::array<Time, 4> kBotSyns{0s, 3s, 9s, 21s};
constexpr Time kUnansweredAfter = 7s;

/// A data packet's first retransmission; doubled up to the most.
constexpr Time kResend = 300ms;
constexpr Time kResendMost = 60s;
/// So often a client sends again what the gate drops; Linux does for 15 minutes.
constexpr std::uint16_t kMostResends = 6;
constexpr Time kPropagation = 50ms;

std::span<const Time> syns_of(const Connection& connection) {
  if (connection.is_bot) return kBotSyns;
  return kSyns;
}

Time resend_after(std::uint16_t resends) {
  return std::min(kResend * (1 << std::min<int>(resends, 12)), kResendMost);
}

End end_of(Fate fate) {
  switch (fate) {
    case Fate::silent:
      return End::no_answer;
    case Fate::reset:
      return End::reset;
    case Fate::mute:
      return End::mute;
    case Fate::rejected:
      return End::rejected;
    case Fate::put_off:
      return End::put_off;
    case Fate::accepted:
      break;
  }
  return End::accepted;
}

}  // namespace

WallTime day_begins() {
  return kDayBegins;
}

Day::Day(const DayOptions& options, Gate& gate, Witness* witness)
    : options_(options), gate_(gate), witness_(witness), world_(options.one_network_each) {}

std::uint32_t Day::add(SourceDay source, std::unique_ptr<Client> client) {
  sources_.push_back(std::move(source));
  clients_.push_back(std::move(client));
  return static_cast<std::uint32_t>(sources_.size() - 1);
}

void Day::at(Time time, What what, std::uint32_t subject, std::uint32_t argument) {
  events_.push({std::max(time, now_), order_++, subject, argument, what});
}

void Day::wake(std::uint32_t source, Time time, std::uint32_t what) {
  at(time, What::wake, source, what);
}

void Day::run() {
  while (!events_.empty() && events_.top().at < kMidnight) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.at;
    switch (event.what) {
      case What::wake:
        clients_[event.subject]->wake(*this, event.argument);
        break;
      case What::syn:
        retry_syn(event.subject);
        break;
      case What::open:
        open(event.subject);
        break;
      case What::reset:
        if (witness_ != nullptr) witness_->unanswered(now_, connections_[event.subject]);
        over(event.subject, End::reset);
        break;
      case What::step:
        step(event.subject);
        break;
      case What::close:
        close(event.subject);
        break;
      case What::last_ack:
        // The server's own FIN is acknowledged.
        ++connections_[event.subject].heard;
        send(connections_[event.subject], ClientPacket::ack, 0);
        over(event.subject, connections_[event.subject].accepted
                                ? End::accepted
                                : end_of(connections_[event.subject].session.fate));
        break;
    }
  }
  now_ = kMidnight;
  for (const auto& client : clients_) client->settle(*this);
}

void Day::connect(std::uint32_t source, const Endpoints& ends, Session session, std::uint32_t tag,
                  std::uint64_t draws, bool is_bot) {
  std::uint32_t index = static_cast<std::uint32_t>(connections_.size());
  if (free_.empty()) {
    connections_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Connection& connection = connections_[index];
  connection = {.source = source,
                .tag = tag,
                .ends = ends,
                .session = std::move(session),
                .draws = draws,
                .isn = static_cast<std::uint32_t>(seed_of(draws, 1)),
                .server_isn = static_cast<std::uint32_t>(seed_of(draws, 2)),
                .in_use = true,
                .is_bot = is_bot,
                .began = now_};
  SourceDay& day = sources_[source];
  if (ends.server_port == kSmtp) {
    ++day.tried;
    if (!day.first_syn) day.first_syn = now_;
    if (!is_spam(traits(day.kind).label)) day.began.push_back(now_);
    if (witness_ != nullptr) witness_->opened(now_, connection);
  }
  send_syn(index);
}

bool Day::send(const Endpoints& ends, const ClientPacket& packet) {
  write_packet(ends, packet, frame_);
  frame_.time = kDayBegins + now_;
  ++frames_;
  return gate_.meet(frame_);
}

bool Day::send(Connection& connection, std::uint8_t flags, std::uint32_t bytes) {
  const bool is_syn = (flags & ClientPacket::syn) != 0;
  const bool passed =
      send(connection.ends, {.flags = flags,
                             .seq = connection.isn + (is_syn ? 0 : 1 + connection.sent),
                             .ack_seq = is_syn ? 0 : connection.server_isn + 1 + connection.heard,
                             .payload_bytes = bytes});
  SourceDay& source = sources_[connection.source];
  if (!passed) {
    connection.was_dropped = true;
    const bool by_block = gate_.is_blocked(connection.ends.client);
    connection.hit_by_block = connection.hit_by_block || by_block;
    source.was_held = source.was_held || !by_block;
    source.was_blocked = source.was_blocked || by_block;
  } else if (connection.ends.server_port == kSmtp && !source.was_blocked) {
    source.bytes += bytes;
  }
  return passed;
}

/// Of a packet that has passed. Each packet of each connection has its own draw, so that what the
/// gate did to others does not change it.
bool Day::loses(Connection& connection) {
  if (is_out(now_)) return true;
  const double draw = static_cast<double>(seed_of(connection.draws, 4, ++connection.drawn) >> 11);
  return draw * 0x1p-53 < options_.loss;
}

void Day::send_syn(std::uint32_t index) {
  Connection& connection = connections_[index];
  const bool passed = send(connection, ClientPacket::syn, 0);
  connection.syn_dropped = !passed;
  if (passed && !connection.syn_passed) {
    connection.syn_passed = true;
    if (connection.ends.server_port == kSmtp) sources_[connection.source].passed.push_back(now_);
  }
  const auto syns = syns_of(connection);
  const Time next = connection.began + syns[++connection.tries];
  // The SYN, or the answer to it.
  if (passed && !loses(connection) && !loses(connection) &&
      connection.session.fate != Fate::silent) {
    const Time answer = now_ + connection.session.answer_after;
    if (answer < next && !is_out(answer))
      return at(answer, connection.session.is_answered() ? What::open : What::reset, index);
  }
  at(next, What::syn, index);
}

void Day::retry_syn(std::uint32_t index) {
  Connection& connection = connections_[index];
  const auto syns = syns_of(connection);
  if (connection.syn_dropped)
    connection.held += syns[connection.tries] - syns[connection.tries - 1U];
  if (witness_ != nullptr && !connection.was_told_unanswered &&
      now_ - connection.began >= kUnansweredAfter) {
    connection.was_told_unanswered = true;
    witness_->unanswered(now_, connection);
  }
  if (connection.tries + 1U < syns.size()) return send_syn(index);
  over(index, connection.was_dropped ? End::cut_off : End::no_answer);
}

/// An ACK that the gate drops is no loss: the first data carries it, too.
void Day::open(std::uint32_t index) {
  Connection& connection = connections_[index];
  if (witness_ != nullptr) witness_->answered(now_, connection);
  send(connection, ClientPacket::ack, 0);
  const Session& session = connection.session;
  if (session.steps.empty()) return at(now_ + session.close_after, What::close, index);
  at(now_ + session.steps.front().wait, What::step, index);
}

bool Day::deliver(std::uint32_t index, std::uint8_t flags, std::uint32_t bytes, What again) {
  Connection& connection = connections_[index];
  const bool passed = send(connection, flags, bytes);
  if (passed && !loses(connection)) {
    connection.resends = 0;
    return true;
  }
  if (!passed && connection.resends >= kMostResends) {
    over(index, connection.accepted ? End::accepted : End::cut_off);
    return false;
  }
  at(now_ + resend_after(connection.resends++), again, index);
  return false;
}

void Day::step(std::uint32_t index) {
  Connection& connection = connections_[index];
  const Step step = connection.session.steps[connection.step];
  if (connection.resends == 0) {
    // The server's words are lost while the line is down, and come again after.
    if (is_out(now_))
      return at(options_.outage_to +
                    resend_after(static_cast<std::uint16_t>(seed_of(connection.draws, 3) % 8)),
                What::step, index);
    connection.heard += step.heard;
    if (step.taken) connection.accepted = true;
  }
  if (!deliver(index, ClientPacket::ack, step.sent, What::step)) return;
  connection.sent += step.sent;
  const Session& session = connection.session;
  if (++connection.step == session.steps.size())
    return at(now_ + session.close_after, What::close, index);
  const Step& next = session.steps[connection.step];
  // A reply that is lost comes after the server's own timer.
  const Time mended = next.heard > 0 && loses(connection) ? kResend : Time{0};
  at(now_ + next.wait + mended, What::step, index);
}

void Day::close(std::uint32_t index) {
  if (!deliver(index, ClientPacket::fin | ClientPacket::ack, 0, What::close)) return;
  ++connections_[index].sent;
  at(now_ + kPropagation, What::last_ack, index);
}

void Day::over(std::uint32_t index, End end) {
  Connection& connection = connections_[index];
  if (witness_ != nullptr) witness_->closed(now_, connection, connection.accepted);
  clients_[connection.source]->over(*this, connection, end);
  connection.in_use = false;
  free_.push_back(index);
}

}  // namespace mailweir::evaluate
