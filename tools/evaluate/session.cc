// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/session.h"

#include <algorithm>

namespace mailweir::evaluate {
namespace {

constexpr std::uint32_t kSegment = 1448;
/// A client waits so long for a greeting (RFC 5321, section 4.5.3.2.1).
constexpr std::chrono::minutes kPatience{5};

/// Spreads the steps over the whole duration, as they stand in proportion.
void stretch(Session& session, Time duration) {
  Time sum = session.answer_after + session.close_after;
  for (const Step& step : session.steps) sum += step.wait;
  const double by = std::max(1.0, in_seconds(duration) / std::max(in_seconds(sum), 1e-6));
  for (Step& step : session.steps) step.wait = seconds_of(in_seconds(step.wait) * by);
  session.close_after = seconds_of(in_seconds(session.close_after) * by);
}

void send_body(Session& session, std::uint32_t bytes, Time first_wait, std::uint32_t heard) {
  Time wait = first_wait;
  while (bytes > 0) {
    const std::uint32_t part = std::min(bytes, kSegment);
    session.steps.push_back({.wait = wait, .heard = heard, .sent = part});
    bytes -= part;
    heard = 0;
    wait = Time(200);
  }
}

/// Of the connections that the bot's servers refuse: at the greeting, at MAIL, the rest at RCPT.
/// From the bytes sent in the capture: 0, 71, and 102 to 117.
constexpr double kAtGreeting = 0.32, kAtMail = 0.06;

}  // namespace

Session bot_session(Random& random, Fate fate) {
  Session session{.fate = fate, .answer_after = seconds_of(random.lognormal(0.164, 0.55))};
  const Time round = session.answer_after;
  const bool accepted = fate == Fate::accepted;
  if (!session.is_answered()) return session;
  if (fate == Fate::mute) {
    session.close_after = std::chrono::seconds(60);
    return session;
  }
  const double where = random.uniform();
  session.close_after = round;
  if (accepted || where >= kAtGreeting) {
    session.steps.push_back({round, 90, 18});
    session.steps.push_back({round, 40, 53});
    if (accepted || where >= kAtGreeting + kAtMail)
      session.steps.push_back({round, 30, random.count(31, 46)});
  }
  if (accepted) {
    session.steps.push_back({round, 30, 6});
    send_body(session, random.count(4230, 4310), round, 40);
    session.steps.push_back({.wait = round, .heard = 40, .sent = 6, .taken = true});
  }
  const double seconds =
      accepted ? random.lognormal(1.773, 0.90)
               : (random.chance(0.013) ? random.between(30, 60) : random.lognormal(1.084, 1.03));
  stretch(session, seconds_of(seconds));
  return session;
}

Letter draw_letter(Random& random) {
  return {.body = static_cast<std::uint32_t>(std::clamp(random.lognormal(6000, 1.0), 470.0, 16e3)),
          .tls = random.chance(0.6)};
}

Session mail_session(Random& random, Fate fate, const Letter& letter) {
  Session session{.fate = fate, .answer_after = seconds_of(random.lognormal(0.040, 0.5))};
  if (!session.is_answered()) return session;
  if (fate == Fate::mute) {
    session.close_after = kPatience;
    return session;
  }
  const Time round = session.answer_after;
  const auto reply = [&](double median) {
    return round + seconds_of(random.lognormal(median, 0.7));
  };
  const auto say = [&](std::uint32_t heard, std::uint32_t sent, double median) {
    session.steps.push_back({reply(median), heard, sent});
  };
  session.close_after = round;
  say(90, 24, 0.1);
  std::uint32_t more = 0;  // a record's header and tag
  if (letter.tls) {
    say(180, 10, 0.01);
    say(30, 320, 0.01);
    say(2900, 80, 0.02);
    say(500, 24 + 22, 0.01);
    more = 22;
  }
  say(180, 40 + more, 0.02);
  say(20, 36 + more, 0.05);
  if (fate == Fate::accepted) {
    say(20, 6 + more, 0.2);
    send_body(session, letter.body, reply(0.02), 30);
    session.steps.push_back({.wait = reply(0.3), .heard = 50, .sent = 6 + more, .taken = true});
  } else {
    say(60, 6 + more, 0.2);
  }
  return session;
}

Session connect_scan(Random& random, bool is_answered) {
  Session session{.fate = is_answered ? Fate::rejected : Fate::silent,
                  .answer_after = seconds_of(random.lognormal(0.1, 0.5))};
  session.close_after = seconds_of(0.5);
  return session;
}

}  // namespace mailweir::evaluate
