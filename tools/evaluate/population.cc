// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/population.h"

#include <algorithm>

#include "evaluate/bots.h"

namespace mailweir::evaluate {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kFirstClient = 0xac100100;  // 172.16.1.0
/// Bots are done by then; honest mail goes on to kLastMail.
constexpr Time kBotsUntil = 21h;
constexpr Time kLastMail = 23h + 40min;
constexpr Time kFloodDay = 22h + 15min, kFlood = 23h, kFloodEnd = 23h + 20min;
constexpr Time kActive = 10min;

class Builder {
 public:
  /// Honest mail is spread over the day from `begins` on.
  Builder(Day& day, Time begins) : day_(day), begins_(begins), random_(seed_of(day.seed(), 50)) {}

  [[nodiscard]] std::size_t clients() const { return next_; }

  void plain() {
    std::vector<Server> servers;
    const std::uint32_t count = random_.chance(0.1) ? random_.count(2, 3) : 1;
    for (std::uint32_t i = 0; i < count; ++i) servers.push_back(provider());
    const Time lasts = std::min<Time>(18h, kLastMail - begins_);
    const Time from = random_.time_between(begins_, kLastMail - lasts);
    std::vector<Delivery> deliveries(random_.count(3, 7));
    for (Delivery& each : deliveries)
      each = {.due = random_.time_between(from, from + lasts), .server = random_.below(count)};
    mailer({.kind = Class::plain}, {.silent = .007, .reset = .006, .rejected = .007},
           std::move(servers), std::move(deliveries));
  }

  void heavy() {
    const double rate = random_.between(30, 95) / 60;
    std::vector<Delivery> deliveries;
    for (int i = 0; i < 2; ++i) {
      const Time from = random_.time_between(0h, kLastMail - kActive);
      for (Time at = from; at < from + kActive; at += seconds_of(random_.exponential(1 / rate)))
        deliveries.push_back({.due = at});
    }
    mailer({.kind = Class::heavy}, {.rejected = .01}, {provider()}, std::move(deliveries));
  }

  void outage() {
    const Time from = random_.time_between(0h, 17h);
    const Time until = from + random_.time_between(2h, 6h);
    mailer({.kind = Class::outage}, {.silent = 1}, {provider()}, {{.due = from}},
           {random_.time_between(5s, 60s)}, until);
  }

  /// `most`: servers. Letters to several at once are what a mail server has most trouble with.
  void mail_server(Class kind, std::uint32_t least, std::uint32_t most, const Chances& chances,
                   double productive) {
    const std::uint32_t count = random_.count(least, most);
    const double greylisting = random_.between(0.1, 0.3);
    std::vector<Server> servers;
    for (std::uint32_t i = 0; i < count; ++i) {
      servers.push_back({.network = new_network(), .greylists = random_.chance(greylisting)});
      servers.back().accepts_after = random_.time_between(5min, 15min);
    }
    std::vector<Delivery> deliveries;
    while (deliveries.size() < count * 13 / 10) {
      const Time at = random_.time_between(begins_, kLastMail);
      const std::uint32_t recipients = random_.chance(0.06) ? random_.count(2, 12) : 1;
      for (std::uint32_t i = 0; i < recipients; ++i) {
        const auto each = static_cast<std::uint32_t>(deliveries.size());
        deliveries.push_back({.due = at + seconds_of(random_.between(0, 1.5)),
                              .server = each < count ? each : random_.below(count)});
      }
    }
    mailer({.kind = kind, .productive = productive}, chances, std::move(servers),
           std::move(deliveries));
  }

  void mailing(std::uint32_t count, double productive, Time from) {
    std::vector<Server> servers;
    std::vector<Delivery> deliveries;
    const double rate = random_.between(2, 5);
    Time at = from;
    for (std::uint32_t i = 0; i < count; ++i) {
      servers.push_back({.network = new_network()});
      deliveries.push_back({.due = at, .server = i});
      at += seconds_of(random_.exponential(1 / rate));
    }
    mailer({.kind = Class::mailing, .productive = productive, .servers = count},
           {.silent = .02, .rejected = 1 - productive}, std::move(servers), std::move(deliveries));
  }

  void bot(Class kind, BotHabits habits) {
    const mw_addr address = next_address();
    habits.draws = draws();
    auto client = std::make_unique<Bot>(address, std::move(habits));
    Bot& begun = *client;
    begun.begin(day_, day_.add({.kind = kind, .address = address, .productive = share_},
                               std::move(client)));
  }
  void padding_bot(double productive, Time from, Time lasts) {
    share_ = productive;
    bot(Class::padding_bot, {.productive = productive, .active = {{from, from + lasts}}});
    share_ = 0;
  }

  /// Twice: the second time when the first block is over.
  [[nodiscard]] std::vector<std::pair<Time, Time>> twice() {
    const Time from = random_.time_between(0h, kBotsUntil - 85min - kActive);
    return {{from, from + kActive}, {from + 85min, from + 85min + kActive}};
  }
  [[nodiscard]] std::vector<std::pair<Time, Time>> once(Time lasts) {
    const Time from = random_.time_between(0h, kBotsUntil - lasts);
    return {{from, from + lasts}};
  }

  void scanner(Class kind) {
    const mw_addr address = next_address();
    const Time from = random_.time_between(0h, kBotsUntil);
    auto client = std::make_unique<Scanner>(address, kind == Class::connect_scanner, from,
                                            from + 10min, draws());
    Scanner& begun = *client;
    begun.begin(day_, day_.add({.kind = kind, .address = address}, std::move(client)));
  }

  void framed(Class kind, Time from) {
    const mw_addr victim = day_address(next_);
    std::vector<Delivery> deliveries;
    for (Time at = 8h; at < 20h; at += 20min) deliveries.push_back({.due = at});
    const std::uint32_t index = mailer({.kind = kind}, {}, {provider()}, std::move(deliveries));
    auto client =
        std::make_unique<Framer>(index, victim, kind == Class::framed_answering, from, draws());
    Framer& begun = *client;
    // The forger has an address of its own, from which it sends nothing.
    begun.begin(day_, day_.add({.kind = kind, .address = next_address()}, std::move(client)));
  }

  void flood(std::uint32_t sources, std::uint32_t first) {
    auto client = std::make_unique<Flood>(sources, first, kFlood, kFloodEnd, draws());
    Flood& begun = *client;
    begun.begin(day_, day_.add({.kind = Class::churn_bot}, std::move(client)));
  }

  [[nodiscard]] Random& random() { return random_; }

 private:
  static mw_addr day_address(std::uint32_t number) { return ipv4_address(kFirstClient + number); }
  mw_addr next_address() { return day_address(next_++); }
  std::uint64_t draws() { return seed_of(day_.seed(), 51, next_, ++drawn_); }
  /// Of a popular mail provider: many clients have the same one.
  Server provider() { return {.network = 900'000 + random_.below(60) * 3}; }
  std::uint32_t new_network() { return 100 + networks_++ * 7 % 850'000; }

  std::uint32_t mailer(SourceDay source, const Chances& chances, std::vector<Server> servers,
                       std::vector<Delivery> deliveries, std::vector<Time> retries = {},
                       Time gives_up = kMidnight) {
    std::ranges::sort(deliveries, {}, &Delivery::due);
    Mailer::Habits habits{.chances = chances, .gives_up = gives_up, .draws = draws()};
    if (!retries.empty()) habits.retries = std::move(retries);
    source.address = next_address();
    const mw_addr address = source.address;
    auto client = std::make_unique<Mailer>(address, std::move(habits), std::move(servers),
                                           std::move(deliveries));
    Mailer& begun = *client;
    const std::uint32_t index = day_.add(std::move(source), std::move(client));
    begun.begin(day_, index);
    return index;
  }

  Day& day_;
  Time begins_;
  Random random_;
  std::uint32_t next_ = 0, drawn_ = 0, networks_ = 0;
  double share_ = 0;
};

void add_honest(Builder& builder, std::uint32_t plain) {
  for (std::uint32_t i = 0; i < plain; ++i) builder.plain();
  for (int i = 0; i < 20; ++i) builder.heavy();
  for (int i = 0; i < 20; ++i) builder.outage();
  constexpr double kProductive = 0.9;
  for (int i = 0; i < 30; ++i)
    builder.mail_server(Class::mail_server, 20, 200,
                        {.silent = .02, .reset = .01, .mute = .01, .rejected = 1 - kProductive},
                        kProductive);
  for (int i = 0; i < 2; ++i)
    builder.mail_server(Class::no_ptr, 200, 200, {.silent = .02, .reset = .01, .rejected = .7}, .3);
}

void add_bots(Builder& builder) {
  for (int i = 0; i < 5; ++i) builder.bot(Class::fast_bot, {.active = builder.twice()});
  for (int i = 0; i < 3; ++i)
    builder.bot(Class::burst_bot, {.burst = 12, .active = builder.twice()});
  for (int i = 0; i < 2; ++i)
    builder.bot(Class::very_fast_bot, {.rate = 6.9, .most = 20, .active = builder.twice()});
  for (int i = 0; i < 5; ++i)
    builder.bot(Class::multi_port_bot, {.rate = 18.4 / 60,
                                        .servers = 317,
                                        .answered = 1,
                                        .reset = 0,
                                        .productive = .02,
                                        .port_25 = .28,
                                        .port_465 = .30,
                                        .active = builder.once(60min)});
  const auto slow = [&](Class kind, Time every, Time lasts, int count) {
    for (int i = 0; i < count; ++i)
      builder.bot(kind, {.every = every, .servers = 0, .active = builder.once(lasts)});
  };
  slow(Class::slow_bot_10, 10s, 3h, 4);
  slow(Class::slow_bot_60, 60s, 12h, 3);
  slow(Class::slow_bot_300, 300s, 20h, 3);
}

}  // namespace

std::size_t populate(Day& day, std::uint32_t clients) {
  Builder builder(day, 0h);
  add_honest(builder, clients * 9 / 100);
  // Three of the eight kinds of mailing each day, in turn.
  for (std::uint32_t i = 0; i < 3; ++i) {
    constexpr std::array<double, 4> kShares{.95, .9, .8, .7};
    const auto kind = static_cast<std::uint32_t>(day.seed() * 3 + i) % 8;
    builder.mailing(kind % 2 == 0 ? 200 : 1000, kShares[kind / 2],
                    builder.random().time_between(0h, 20h));
  }
  builder.scanner(Class::syn_scanner);
  builder.scanner(Class::connect_scanner);
  add_bots(builder);
  for (int i = 0; i < 2; ++i)
    builder.padding_bot(builder.random().between(.3, .6), builder.once(kActive).front().first,
                        kActive);
  builder.bot(Class::aligned_bot, {.aligned = true, .active = builder.once(kActive)});
  builder.framed(Class::framed_answering, 10h);
  builder.framed(Class::framed_silent, 15h);
  return builder.clients();
}

void populate_flood(Day& day, std::uint32_t forged) {
  constexpr std::uint32_t kNotForged = 1000;
  Builder builder(day, kFloodDay);
  for (int i = 0; i < 100; ++i) builder.plain();
  // A tenth of a day's letters, as in the tenth of a day.
  for (int i = 0; i < 30; ++i)
    builder.mail_server(Class::mail_server, 5, 20,
                        {.silent = .02, .reset = .01, .mute = .01, .rejected = .1}, .9);
  for (int i = 0; i < 5; ++i) {
    const Time from = kFlood + builder.random().time_between(2min, 10min);
    builder.bot(Class::churn_bot, {.active = {{from, from + kActive}}});
  }
  builder.flood(forged, kNotForged);
}

void populate_margins(Day& day, std::uint32_t trials) {
  Builder builder(day, 0h);
  // Evenly over the day, so that the blocks of one kind do not meet those of another.
  const std::size_t all =
      trials * (kMailingShares.size() * kMailingServers.size() + kBotShares.size());
  std::size_t begun = 0;
  const auto next = [&] { return (kLastMail - 40min) * begun++ / all; };
  for (std::uint32_t i = 0; i < trials; ++i) {
    for (const double share : kMailingShares)
      for (const std::uint32_t servers : kMailingServers) builder.mailing(servers, share, next());
    for (const double share : kBotShares) builder.padding_bot(share, next(), 5min);
  }
}

}  // namespace mailweir::evaluate
