// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/mailer.h"

#include <algorithm>

namespace mailweir::evaluate {
namespace {

/// What the brief asks about: longer than this is a delay that a person may notice.
constexpr std::chrono::seconds kDelay{10};

}  // namespace

Mailer::Mailer(const mw_addr& address, Habits habits, std::vector<Server> servers,
               std::vector<Delivery> deliveries)
    : address_(address),
      habits_(std::move(habits)),
      servers_(std::move(servers)),
      deliveries_(std::move(deliveries)),
      random_(seed_of(habits_.draws, 5)),
      ports_(linux_ports(random_)) {}

void Mailer::begin(Day& day, std::uint32_t source) {
  source_ = source;
  for (std::uint32_t i = 0; i < deliveries_.size(); ++i) day.wake(source, deliveries_[i].due, i);
}

void Mailer::wake(Day& day, std::uint32_t what) {
  attempt(day, what);
}

void Mailer::attempt(Day& day, std::uint32_t index) {
  Delivery& delivery = deliveries_[index];
  Server& server = servers_[delivery.server];
  const std::uint64_t draws = seed_of(habits_.draws, 6, index, delivery.attempts++);
  Random random(draws);
  Session session = session_for(delivery, server, random, day.now());
  const Endpoints ends{address_, day.world().server(server.network, server.host), ports_.next(),
                       kSmtp};
  day.connect(source_, ends, std::move(session), index, draws, false);
}

Session Mailer::session_for(const Delivery& delivery, Server& server, Random& random,
                            Time now) const {
  const Letter letter = draw_letter(random);
  const Chances& chances = habits_.chances;
  const double draw = random.uniform();
  if (draw < chances.silent) return {};
  if (draw < chances.silent + chances.reset)
    return {.fate = Fate::reset, .answer_after = seconds_of(0.04), .steps = {}};
  if (draw < chances.silent + chances.reset + chances.mute)
    return mail_session(random, Fate::mute, letter);
  if (server.greylists) {
    if (!server.first_met) server.first_met = now;
    if (now - *server.first_met < server.accepts_after)
      return mail_session(random, Fate::put_off, letter);
  }
  // That a recipient does not exist is no matter of the attempt, but of the letter.
  const std::uint64_t of_letter = seed_of(habits_.draws, 7, &delivery - deliveries_.data());
  const bool rejected = static_cast<double>(of_letter >> 11) * 0x1p-53 < chances.rejected;
  return mail_session(random, rejected ? Fate::rejected : Fate::accepted, letter);
}

void Mailer::over(Day& day, const Connection& connection, End end) {
  Delivery& delivery = deliveries_[connection.tag];
  delivery.held += connection.held;
  delivery.was_dropped = delivery.was_dropped || connection.was_dropped;
  delivery.hit_by_block = delivery.hit_by_block || connection.hit_by_block;
  delivery.delivered = end == End::accepted;
  delivery.open = false;
  if (end == End::accepted || end == End::rejected) return;
  const Time wait =
      habits_.retries[std::min<std::size_t>(delivery.attempts, habits_.retries.size()) - 1];
  if (end == End::cut_off) delivery.held += wait;
  if (day.now() + wait >= habits_.gives_up) return;
  delivery.open = true;
  day.wake(source_, day.now() + wait, connection.tag);
}

void Mailer::settle(Day& day) {
  SourceDay& source = day.source(source_);
  for (const Delivery& delivery : deliveries_) {
    if (delivery.attempts == 0) continue;
    ++source.deliveries;
    source.delivered += delivery.delivered;
    source.delayed += delivery.held > kDelay;
    source.longest_delay = std::max(source.longest_delay, delivery.held);
    source.lost += delivery.hit_by_block || (delivery.was_dropped && !delivery.delivered);
  }
}

}  // namespace mailweir::evaluate
