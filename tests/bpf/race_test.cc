// SPDX-License-Identifier: GPL-2.0-or-later
// Exactness: the limit against a reference, and two CPUs on one source at once. The clock stands
// still, so that every number is known beforehand.
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <random>
#include <thread>

#include "bpf/flow.h"
#include "contact_fixture.h"

namespace mailweir {
namespace {

/// The CPUs that this process may use; one twice if there is one only.
std::array<int, 2> two_cpus() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ::sched_getaffinity(0, sizeof(allowed), &allowed);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  return {cpus.front(), cpus.back()};
}

class RaceTest : public ProgramFixture {
 protected:
  void SetUp() override {
    ProgramFixture::SetUp();
    rules_.brake = kNoLimit;
  }

  static std::string client(int number) {
    return "172.20." + std::to_string(number / 250) + "." + std::to_string(number % 250 + 1);
  }
  static mw_addr key(int number) { return *parse_address(client(number)); }
  static Packet syn(int client_number, int server, std::uint16_t source_port = 51422) {
    return Packet{}
        .eth()
        .ipv4(client(client_number), "198.18." + std::to_string(server) + ".25")
        .tcp(25, source_port)
        .syn();
  }
  static Session session(int client_number, int server, std::uint16_t source_port) {
    return {Path{}, client(client_number), "198.18." + std::to_string(server) + ".25", source_port};
  }
  mw_contacts contacts() const {
    const auto counts = datapath().contacts();
    EXPECT_TRUE(counts);
    return counts ? *counts : mw_contacts{};
  }
  mw_source evidence(int client_number) const {
    return source(key(client_number)).value_or(mw_source{});
  }

  /// Runs `work(0)` and `work(1)` at the same time, each on a CPU of its own.
  template <typename Work>
  static void on_two_cpus(Work work) {
    const auto cpus = two_cpus();
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i)
      threads.emplace_back([&, i] {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpus[i], &one);
        ::pthread_setaffinity_np(::pthread_self(), sizeof(one), &one);
        work(i);
      });
    for (std::thread& thread : threads) thread.join();
  }

  /// Lets both threads go on only when both have come here for the n-th time.
  class Gate {
   public:
    void pass(int n) {
      ++arrived_;
      while (arrived_ < 2 * n) std::this_thread::yield();
    }

   private:
    std::atomic<int> arrived_{0};
  };

  Ruleset rules_ = default_rules();
};

TEST_F(RaceTest, GrantsExactlyWhatACellRateReferenceGrants) {
  // ITU-T I.371, annex A, in its other form: the continuous-state leaky bucket.
  constexpr std::int64_t kIncrement = 100'000'000;
  constexpr std::int64_t kLimit = 4 * kIncrement;
  rules_.groups[0].limit = rate(nanoseconds(kIncrement), 5);
  apply(rules_);
  std::mt19937 random(2010);
  std::uniform_int_distribution<std::int64_t> gap(0, 2 * kIncrement);
  std::int64_t level = 0;
  std::int64_t since_conforming = 0;
  int granted = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::int64_t wait = i % 8 < 5 ? gap(random) / 16 : gap(random);
    advance(nanoseconds(wait));
    since_conforming += wait;
    const std::int64_t left = level - since_conforming;
    const bool conforms = left <= kLimit;
    ASSERT_EQ(conforms ? pass("passed") : drop("limited"),
              run(Program::xdp, syn(7, 1, static_cast<std::uint16_t>(i + 1))))
        << "SYN " << i;
    if (!conforms) continue;
    ++granted;
    level = std::max<std::int64_t>(left, 0) + kIncrement;
    since_conforming = 0;
  }
  EXPECT_GT(granted, 1000);
  EXPECT_LT(granted, 2500);
}

TEST_F(RaceTest, TwoCpusAreGrantedTheBurstAndNotOneSynMore) {
  constexpr std::uint64_t kBurst = 20'000;
  constexpr int kEach = 60'000;
  rules_.groups[0].limit = rate(1s, kBurst);
  apply(rules_);
  on_two_cpus([&](int) { repeat(Program::xdp, syn(7, 1), kEach); });
  const mw_source source = evidence(7);
  EXPECT_EQ(kBurst + source.contended, counters(1).passed.enforced);
  EXPECT_EQ(2U * kEach, counters(1).passed.enforced + counters(1).limited.enforced);
  EXPECT_EQ(2U * kEach, source.syns);
  EXPECT_EQ(source.limited, counters(1).limited.enforced);
  EXPECT_EQ(source.dropped, counters(1).limited.enforced);
  RecordProperty("contended", std::to_string(source.contended));
}

TEST_F(RaceTest, TheTwoHooksOnTwoCpusShareOneBurst) {
  constexpr std::uint64_t kBurst = 20'000;
  constexpr int kEach = 60'000;
  rules_.groups[0].limit = rate(1s, kBurst);
  apply(rules_);
  on_two_cpus([&](int i) { repeat(i == 0 ? Program::xdp : Program::tc, syn(7, 1), kEach); });
  EXPECT_EQ(kBurst + evidence(7).contended, counters(1).passed.enforced);
  EXPECT_EQ(2U * kEach, evidence(7).syns);
}

TEST_F(RaceTest, TwoCpusAreBrakedAtOneBurstOfNetworks) {
  constexpr std::uint64_t kBurst = 20;
  rules_.brake = rate(1h, kBurst);
  apply(rules_);
  on_two_cpus([&](int i) {
    for (int n = 0; n < 100; ++n) repeat(Program::xdp, syn(7, 100 * i + n), 1);
  });
  // A network whose bit is set already passes without a charge: it shares another one's bit.
  const mw_source source = evidence(7);
  const auto contacts = source.slices[0].contacts + source.slices[1].contacts;
  EXPECT_LE(contacts, kBurst + source.contended);
  EXPECT_GE(contacts + 2, kBurst + source.contended) << "two at once with one bit pay twice";
  EXPECT_GE(counters(1).passed.enforced, contacts);
  EXPECT_EQ(200U, source.braked + counters(1).passed.enforced);
}

TEST_F(RaceTest, TwoCpusThatMeetANetworkTogetherCountItOnce) {
  apply(rules_);
  constexpr int kClients = 40;
  constexpr int kServers = 200;
  Gate gate;
  // Many rounds: the two meet within some nanoseconds in a few of them only.
  on_two_cpus([&](int) {
    for (int n = 0; n < kClients * kServers; ++n) {
      const Packet packet = syn(n / kServers, n % kServers);
      gate.pass(n + 1);
      repeat(Program::xdp, packet, 1);
    }
  });
  for (int client_number = 0; client_number < kClients; ++client_number) {
    const mw_source source = evidence(client_number);
    int bits = 0;
    for (const mw_slice& slice : source.slices)
      for (const __u64 word : slice.seen) bits += std::popcount(word);
    EXPECT_EQ(static_cast<__u32>(bits), source.slices[0].contacts + source.slices[1].contacts);
    EXPECT_EQ(2U * kServers, source.syns);
  }
}

TEST_F(RaceTest, OneRetransmissionIsFreeNotOneForEachCpu) {
  apply(rules_);
  constexpr int kRounds = 6;
  Gate gate;
  repeat(Program::xdp, syn(7, 1), 1);
  on_two_cpus([&](int i) {
    for (int n = 1; n <= kRounds; ++n) {
      gate.pass(2 * n - 1);
      if (i == 0) advance(600ms);
      gate.pass(2 * n);
      repeat(Program::xdp, syn(7, 1), 1000);
    }
  });
  EXPECT_EQ(static_cast<std::uint64_t>(kRounds), evidence(7).retransmits);
  EXPECT_EQ(1U + kRounds * 1999U, evidence(7).syns);
}

TEST_F(RaceTest, TwoCpusThatMeetASourceFirstCountInOneEntry) {
  apply(rules_);
  constexpr int kClients = 1000;
  Gate gate;
  for (int n = 0; n < kClients; n += 2) block(key(n));
  on_two_cpus([&](int i) {
    for (int n = 0; n < kClients; ++n) {
      const Packet packet = syn(n, 1, static_cast<std::uint16_t>(1000 + i));
      gate.pass(n + 1);
      repeat(Program::xdp, packet, 1);
    }
  });
  for (int n = 0; n < kClients; ++n) {
    if (n % 2 == 0)
      EXPECT_EQ(2U, drops(key(n)).packets) << client(n);
    else
      EXPECT_EQ(2U, evidence(n).syns) << client(n);
  }
}

TEST_F(RaceTest, TwoCpusThatSeeTheEndOfAContactTellItOnceWithAllItsBytes) {
  apply(rules_);
  constexpr int kClients = 500;
  for (int n = 0; n < kClients; ++n) {
    const Session contact = session(n, 1, 2000);
    for (const Packet& packet : {contact.syn(), contact.ack(), contact.data(0, 80, 10)})
      repeat(Program::xdp, packet, 1);
  }
  (void)events();  // their servers speak
  Gate gate;
  on_two_cpus([&](int i) {
    for (int n = 0; n < kClients; ++n) {
      const Session contact = session(n, 1, 2000);
      const Packet last_data = contact.data(80, 106, 20);
      const Packet end = contact.fin(186, 30);
      gate.pass(n + 1);
      if (i == n % 2) repeat(Program::xdp, last_data, 1);
      repeat(Program::xdp, end, 3);
    }
  });
  std::map<std::string, int> outcomes;
  for (const mw_event& event : events()) {
    ++outcomes[to_string(event.client)];
    EXPECT_EQ(186U, event.sent_bytes) << to_string(event.client);
    EXPECT_EQ(30U, event.heard_bytes) << to_string(event.client);
  }
  EXPECT_EQ(std::size_t{kClients}, outcomes.size());
  for (const auto& [told, times] : outcomes) EXPECT_EQ(1, times) << told;
}

TEST_F(RaceTest, TwoCpusWithMoreFlowsOfASourceThanItHasSlotsLoseOutcomesAndInventNone) {
  apply(rules_);
  constexpr int kClients = 40;
  constexpr int kServers = 180;
  constexpr int kOpenAtOnce = 30;
  const auto bytes_of = [](int client_number, int server) {
    return static_cast<std::uint32_t>(client_number * 1000 + server) % 997;
  };
  sweep();
  const mw_contacts before = contacts();
  on_two_cpus([&](int i) {
    for (int n = 0; n < kClients; ++n)
      for (int k = 0; k < kServers / 2 + kOpenAtOnce; ++k) {
        const int opening = 2 * k + i;
        const int ending = opening - 2 * kOpenAtOnce;
        const auto of = [&](int server) {
          return session(n, server, static_cast<std::uint16_t>(3000 + server));
        };
        if (opening < kServers) {
          repeat(Program::xdp, of(opening).syn(), 1);
          repeat(Program::tc, of(opening).data(0, bytes_of(n, opening) / 2), 1);
        }
        if (ending >= 0) {
          const auto bytes = bytes_of(n, ending);
          repeat(Program::xdp, of(ending).fin(bytes / 2).payload(bytes - bytes / 2), 1);
        }
      }
  });
  std::map<std::pair<std::string, std::string>, int> outcomes;
  for (const mw_event& event : events()) {
    if (event.kind == MW_EVENT_HEAVY) continue;
    const int times = ++outcomes[{to_string(event.client), to_string(event.destination)}];
    ASSERT_EQ(1, times);
    const int n = event.client.bytes[15] - 1;
    const int server = event.destination.bytes[14];
    EXPECT_EQ(3000 + server, ntohs(event.src_port_be));
    EXPECT_EQ(bytes_of(n, server), event.sent_bytes);
  }
  const mw_contacts after = contacts();
  std::uint64_t pending = 0;
  ASSERT_TRUE(datapath().each_source([&](const mw_addr&, const mw_source& source) {
    for (const __u64 word : source.flow_words)
      pending += mw_flow_is_pending(word) != 0 && mw_flow_is_contact(word) != 0;
  }));
  EXPECT_GT(outcomes.size(), 500U);
  EXPECT_EQ(outcomes.size(), after.finished - before.finished);
  EXPECT_GT(after.lost - before.lost, 100U);
  EXPECT_EQ(after.opened - before.opened, outcomes.size() + (after.lost - before.lost) + pending);
}

}  // namespace
}  // namespace mailweir
