// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/bots.h"

#include <algorithm>

namespace mailweir::evaluate {
namespace {

using namespace std::chrono_literals;

/// Of the capture: gaps with median 92 ms and p90 284 ms, and 1.3 % pauses, of 7 s in the mean,
/// which make 4.46 a second of it. The lognormal's median and sigma are solved for the mixture.
constexpr double kCaptureRate = 4.46;
constexpr double kPauseShare = 0.013, kPause = 7.2;
constexpr double kGapMedian = 0.0907, kGapSigma = 0.844;
/// The networks that the list's servers are spread over: 840 of them lie in 775.
constexpr double kNetworksPerServer = 5090.0 / 1850;
/// Of the capture's connections, over all.
constexpr double kRepeats = 1 - 840.0 / 1108;
/// Of the answered connections: a tarpit, no word of the server. A guess.
constexpr double kMute = 0.02;

constexpr std::uint32_t kMailNetworks = 60'000;

std::uint32_t mail_network(Random& random) {
  // Spread over the world, so that a bot's networks are no neighbours.
  return random.below(kMailNetworks) * 17 + 3;
}

}  // namespace

Bot::Bot(const mw_addr& address, BotHabits habits)
    : address_(address),
      habits_(std::move(habits)),
      random_(seed_of(habits_.draws, 10)),
      ports_(1025, 5000, random_.below(1000)) {}

void Bot::begin(Day& day, std::uint32_t source) {
  source_ = source;
  for (std::uint32_t i = 0; i < habits_.active.size(); ++i)
    day.wake(source, habits_.active[i].first, i);
}

Time Bot::gap() {
  if (habits_.every > 0s) return habits_.every;
  if (of_period_ < habits_.burst) return seconds_of(0.090 / (habits_.burst - 1));
  const double stretched = kCaptureRate / habits_.rate;
  return seconds_of(stretched * (random_.chance(kPauseShare)
                                     ? random_.exponential(kPause)
                                     : random_.lognormal(kGapMedian, kGapSigma)));
}

/// The list need not be kept: a server is what its number makes of it.
Server Bot::draw_server(bool early_repeats) {
  const std::uint32_t all = habits_.servers != 0 ? habits_.servers : kMailNetworks;
  std::uint32_t number = habits_.servers != 0 ? random_.below(all) : count_;
  if (early_repeats && habits_.servers != 0)
    number = random_.chance(kRepeats) && count_ > 1 ? random_.below(count_ - 1) : count_;
  Random of_server(seed_of(habits_.draws, 12, number));
  const auto networks = static_cast<std::uint32_t>(all * kNetworksPerServer);
  Random of_network(seed_of(habits_.draws, 13, of_server.below(networks)));
  Server server{.network = mail_network(of_network),
                .host = static_cast<std::uint8_t>(of_server.count(1, 254))};
  if (habits_.aligned) server.network = of_network.below(World::kNetworks / 256) * 256;
  return server;
}

Fate Bot::draw_fate(Random& random) const {
  const double draw = random.uniform();
  // The share of all connections, as the capture's: it has to fit into the answered ones.
  if (draw < habits_.productive) return Fate::accepted;
  if (draw >= habits_.answered)
    return draw < habits_.answered + habits_.reset ? Fate::reset : Fate::silent;
  return random.chance(kMute) ? Fate::mute : Fate::rejected;
}

void Bot::wake(Day& day, std::uint32_t what) {
  const Time until = habits_.active[what].second;
  if (day.now() >= until) return;
  if (day.now() == habits_.active[what].first) of_period_ = 0;
  ++of_period_;

  const std::uint64_t draws = seed_of(habits_.draws, 11, count_++);
  Random random(draws);
  const double port = random_.uniform();
  const Server server = draw_server(day.options().early_repeats);
  const Endpoints ends{address_, day.world().server(server.network, server.host), ports_.next(),
                       port < habits_.port_25                      ? kSmtp
                       : port < habits_.port_25 + habits_.port_465 ? std::uint16_t{465}
                                                                   : std::uint16_t{587}};
  const Fate fate = draw_fate(random);
  Session session = bot_session(random, fate);
  if (fate == Fate::reset) session.answer_after = seconds_of(random.lognormal(0.164, 0.55));
  day.connect(source_, ends, std::move(session), 0, draws, true);

  Time next = day.now() + gap();
  if (habits_.every == 0s && of_period_ >= habits_.burst) {
    last_second_.push_back(day.now());
    if (static_cast<double>(last_second_.size()) >= habits_.most) {
      next = std::max(next, last_second_.front() + 1s);
      last_second_.pop_front();
    }
  }
  day.wake(source_, next, what);
}

Scanner::Scanner(const mw_addr& address, bool connects, Time from, Time until, std::uint64_t draws)
    : address_(address),
      connects_(connects),
      from_(from),
      until_(until),
      draws_(draws),
      random_(seed_of(draws, 20)),
      ports_(linux_ports(random_)) {}

void Scanner::begin(Day& day, std::uint32_t source) {
  source_ = source;
  day.wake(source, from_, 0);
}

void Scanner::wake(Day& day, std::uint32_t what) {
  if (what > 0) return come_back(day, probes_[what - 1]);
  if (day.now() >= until_) return;
  const std::uint64_t draws = seed_of(draws_, 21, count_);
  Random random(draws);
  const bool answers = random.chance(0.1);
  // Each network once.
  const std::uint32_t network = static_cast<std::uint32_t>(draws_) + count_++ * 0x9e3b5U;
  const Endpoints ends{address_, day.world().server(network, 1), ports_.next(), kSmtp};
  if (connects_)
    day.connect(source_, ends, connect_scan(random, answers), 0, draws, true);
  else
    probe(day, {ends, static_cast<std::uint32_t>(draws), answers});
  day.wake(source_, day.now() + 100ms, 0);
}

/// A SYN that is never sent again.
void Scanner::probe(Day& day, const Probe& probe) {
  SourceDay& source = day.source(source_);
  if (!source.first_syn) source.first_syn = day.now();
  ++source.tried;
  if (day.witness() != nullptr)
    day.witness()->opened(day.now(), {.source = source_, .ends = probe.ends});
  const bool passed = day.send(probe.ends, {.flags = ClientPacket::syn, .seq = probe.isn});
  source.was_held = source.was_held || !passed;
  if (passed) source.passed.push_back(day.now());
  probes_.push_back(probe);
  probes_.back().answers = probe.answers && passed && !day.is_out(day.now());
  day.wake(source_, day.now() + (probes_.back().answers ? 100ms : 7s),
           static_cast<std::uint32_t>(probes_.size()));
}

void Scanner::come_back(Day& day, const Probe& probe) {
  const Connection connection{.source = source_, .ends = probe.ends};
  if (probe.answers) day.send(probe.ends, {.flags = ClientPacket::rst, .seq = probe.isn + 1});
  if (day.witness() == nullptr) return;
  if (probe.answers)
    day.witness()->answered(day.now(), connection);
  else
    day.witness()->unanswered(day.now(), connection);
  day.witness()->closed(day.now(), connection, false);
}

Framer::Framer(std::uint32_t victim_source, const mw_addr& victim, bool servers_answer, Time from,
               std::uint64_t draws)
    : victim_source_(victim_source),
      victim_(victim),
      servers_answer_(servers_answer),
      from_(from),
      random_(seed_of(draws, 30)) {}

void Framer::begin(Day& day, std::uint32_t source) {
  source_ = source;
  constexpr std::uint32_t kServers = 20;
  for (std::uint32_t i = 0; i < kServers; ++i) {
    forged_.push_back({victim_, day.world().server(mail_network(random_), 1),
                       static_cast<std::uint16_t>(20000 + i), kSmtp});
    const Time begin = from_ + i * 1s;
    day.wake(source, begin, i * 4);
    day.wake(source, begin + 5ms, i * 4 + 1);
    if (servers_answer_) day.wake(source, begin + 60ms, i * 4 + 2);
    day.wake(source, begin + 500ms, i * 4 + 3);
  }
}

void Framer::wake(Day& day, std::uint32_t what) {
  const Endpoints& ends = forged_[what / 4];
  const std::uint32_t isn = seed_of(what / 4, 31) & 0xffffffff;
  const std::uint32_t guess = 12345;
  switch (what % 4) {
    case 0:
      if (auto& source = day.source(victim_source_); !source.first_syn)
        source.first_syn = day.now();
      day.send(ends, {.flags = ClientPacket::syn, .seq = isn});
      break;
    case 1:
      day.send(ends, {.flags = ClientPacket::ack, .seq = isn + 1, .ack_seq = guess});
      break;
    case 2:  // the victim knows of no connection
      day.send(ends, {.flags = ClientPacket::rst, .seq = isn + 1});
      break;
    default:
      day.send(ends,
               {.flags = ClientPacket::fin | ClientPacket::ack, .seq = isn + 1, .ack_seq = guess});
      break;
  }
  witness(day, ends, what % 4);
}

/// A server that answers is a truth, too, for those who ask no more.
void Framer::witness(Day& day, const Endpoints& ends, std::uint32_t step) const {
  if (day.witness() == nullptr) return;
  Connection connection{.source = victim_source_, .ends = ends};
  connection.session.fate = servers_answer_ ? Fate::rejected : Fate::silent;
  if (step == 0) day.witness()->opened(day.now(), connection);
  if (step == 2) day.witness()->answered(day.now(), connection);
  if (step != 3) return;
  if (!servers_answer_) day.witness()->unanswered(day.now(), connection);
  day.witness()->closed(day.now(), connection, false);
}

Flood::Flood(std::uint32_t sources, std::uint32_t first, Time from, Time until, std::uint64_t draws)
    : sources_(sources), first_(first), from_(from), until_(until), random_(seed_of(draws, 40)) {}

void Flood::begin(Day& day, std::uint32_t source) {
  source_ = source;
  day.wake(source, from_, 0);
}

void Flood::wake(Day& day, std::uint32_t) {
  constexpr Time kTick = 10ms;
  const double part = in_seconds(day.now() - from_ + kTick) / in_seconds(until_ - from_);
  const auto due = static_cast<std::uint32_t>(std::min(1.0, part) * sources_);
  constexpr std::uint32_t kInside = 0xac100000, kInsideBits = 20;
  constexpr std::uint64_t kPrime = 1'000'003;  // every address once, in no order
  for (; sent_ < due; ++sent_) {
    const std::uint64_t low =
        first_ + std::uint64_t{sent_} * kPrime % ((1U << kInsideBits) - first_);
    day.send({ipv4_address(kInside + static_cast<std::uint32_t>(low)),
              day.world().server(mail_network(random_), 1),
              static_cast<std::uint16_t>(random_.count(1025, 65000)), kSmtp},
             {.flags = ClientPacket::syn, .seq = static_cast<std::uint32_t>(random_.word())});
  }
  if (sent_ < sources_) day.wake(source_, day.now() + kTick, 0);
}

}  // namespace mailweir::evaluate
