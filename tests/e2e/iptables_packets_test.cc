// SPDX-License-Identifier: GPL-2.0-or-later
// Real packets through FORWARD: what the mirrored rules let pass, also while they are rewritten.
#include <gmock/gmock.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <fstream>
#include <thread>

#include "iptables_fixture.h"

namespace mailweir {
namespace {

constexpr char kBlocked[] = "172.16.7.70";
constexpr char kNeighbour[] = "172.16.7.71";
constexpr char kServer[] = "203.0.113.5";
constexpr char kMarker[] = "198.51.100.1";

/// One namespace is the whole path: clients' frames are injected on `client`, arrive on its peer
/// `gw`, and are counted as they leave by `out`; markers leave by `mark`.
class PacketsTest : public IptablesFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(IptablesFixture::SetUp());
    if (IsSkipped()) return;
    // Without IPv6 nothing but forwarded packets leaves by them.
    shell(
        "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 && "
        "ip link add client type veth peer name gw address 02:00:00:00:00:01 && "
        "ip link add out type veth peer name out-end && ip link set out arp off && "
        "ip link add mark type veth peer name mark-end && ip link set mark arp off && "
        "ip addr add 172.16.0.1/12 dev gw && "
        "for i in client gw out out-end mark mark-end; do ip link set $i up; done && "
        "ip route add 203.0.113.0/24 dev out && ip route add 198.51.100.0/24 dev mark && "
        "echo 1 >/proc/sys/net/ipv4/ip_forward");
    ASSERT_FALSE(HasFailure());
    socket_ = UniqueFd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    sockaddr_ll where{};
    where.sll_family = AF_PACKET;
    where.sll_ifindex = static_cast<int>(::if_nametoindex("client"));
    ASSERT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&where), sizeof(where)), 0);
    stay_on(::sched_getcpu());
  }

  /// A veth keeps the order of what one CPU sends.
  static void stay_on(int cpu) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    ASSERT_EQ(::sched_setaffinity(0, sizeof(cpus), &cpus), 0);
  }
  /// The same if there is but one.
  static int other_cpu() {
    return (::sched_getcpu() + 1) % static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  }

  void send_syn(const char* source, const char* destination, std::uint16_t port) const {
    std::array<char, ETH_HLEN + sizeof(iphdr) + sizeof(tcphdr)> frame{};
    constexpr unsigned char kTo[] = {2, 0, 0, 0, 0, 1};
    std::memcpy(frame.data(), kTo, sizeof(kTo));
    frame[12] = 0x08;  // IPv4

    iphdr ip{};
    ip.version = 4;
    ip.ihl = 5;
    ip.tot_len = htons(sizeof(iphdr) + sizeof(tcphdr));
    ip.ttl = 64;
    ip.protocol = IPPROTO_TCP;
    ip.saddr = address(source);
    ip.daddr = address(destination);
    ip.check = checksum(ip);
    std::memcpy(frame.data() + ETH_HLEN, &ip, sizeof(ip));

    tcphdr tcp{};
    tcp.source = htons(51422);
    tcp.dest = htons(port);
    tcp.doff = 5;
    tcp.syn = 1;
    std::memcpy(frame.data() + ETH_HLEN + sizeof(ip), &tcp, sizeof(tcp));
    ASSERT_EQ(::send(socket_.get(), frame.data(), frame.size(), 0),
              static_cast<ssize_t>(frame.size()));
  }

  /// Packets that have left for the servers.
  [[nodiscard]] static std::uint64_t forwarded() { return transmitted("out"); }

  /// Returns when all that this thread has sent is forwarded or dropped.
  void wait_for_the_way_to_be_empty() const {
    const std::uint64_t before = transmitted("mark");
    send_syn(kNeighbour, kMarker, 443);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (transmitted("mark") == before) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the marker did not come through";
      std::this_thread::yield();
    }
  }

  [[nodiscard]] bool passes(const char* source, const char* destination = kServer,
                            std::uint16_t port = 25) const {
    const std::uint64_t before = forwarded();
    send_syn(source, destination, port);
    wait_for_the_way_to_be_empty();
    return forwarded() == before + 1;
  }

 private:
  static in_addr_t address(const char* text) {
    in_addr_t value = 0;
    std::memcpy(&value, parse_address(text)->bytes + 12, sizeof(value));
    return value;
  }
  static std::uint16_t checksum(const iphdr& ip) {
    std::array<std::uint16_t, sizeof(ip) / 2> words{};
    std::memcpy(words.data(), &ip, sizeof(ip));
    std::uint32_t sum = 0;
    for (const std::uint16_t word : words) sum += word;
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
  }
  /// /sys shows the host's namespace; /proc of this thread shows ours.
  static std::uint64_t transmitted(const std::string& device) {
    std::ifstream devices("/proc/thread-self/net/dev");
    for (std::string line; std::getline(devices, line);) {
      const auto colon = line.find(device + ":");
      if (colon == std::string::npos) continue;
      std::istringstream fields(line.substr(colon + device.size() + 1));
      std::uint64_t field = 0;
      for (int i = 0; i < 10; ++i) fields >> field;
      return field;
    }
    ADD_FAILURE() << "no device " << device;
    return 0;
  }

  UniqueFd socket_;
};
INSTANTIATE_TEST_SUITE_P(Backends, PacketsTest, testing::Values("nft", "legacy"), backend_name);

TEST_P(PacketsTest, OnlyTheBlockedSourceIsDroppedAndOnlyToJudgedPorts) {
  const Iptables iptables = open();
  EXPECT_TRUE(passes(kBlocked)) << "before";
  write(iptables, {{25, 587}, {}, {rule_for(kBlocked)}});
  EXPECT_FALSE(passes(kBlocked));
  EXPECT_FALSE(passes(kBlocked, kServer, 587));
  EXPECT_TRUE(passes(kBlocked, kServer, 443));
  EXPECT_TRUE(passes(kNeighbour));
  write(iptables, {{25, 587}, {}, {}});
  EXPECT_TRUE(passes(kBlocked)) << "and after";
}

TEST_P(PacketsTest, ServerThatIsNeverJudgedIsReachedByABlockedSource) {
  write(open(), {{25}, {*parse_prefix(kServer)}, {rule_for(kBlocked)}});
  EXPECT_TRUE(passes(kBlocked, kServer));
  EXPECT_FALSE(passes(kBlocked, "203.0.113.6"));
}

TEST_P(PacketsTest, RuleFallsSilentAtItsStopWhateverTheTimeZone) {
  const Iptables iptables = open();
  for (const char* zone : {"UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"}) {
    const ScopedVariable variable("TZ", zone);
    for (const auto offset : {std::chrono::minutes(-10), std::chrono::minutes(10)}) {
      MirrorRule rule = rule_for(kBlocked);
      rule.stops = seconds_from_now(offset);
      write(iptables, {{25}, {}, {rule}});
      EXPECT_EQ(read(iptables).rules.at(0).stops, rule.stops) << zone;
      EXPECT_EQ(passes(kBlocked), offset.count() < 0) << zone << " " << offset.count();
    }
  }
}

TEST_P(PacketsTest, CountingGoesOnFromTheCountersThatWereWritten) {
  const Iptables iptables = open();
  MirrorRule rule = rule_for(kBlocked);
  rule.packets = 1904;
  rule.bytes = 114240;
  write(iptables, {{25}, {}, {rule}});
  EXPECT_FALSE(passes(kBlocked));
  EXPECT_FALSE(passes(kBlocked));
  EXPECT_EQ(read(iptables).rules.at(0).packets, 1906U);
  EXPECT_EQ(read(iptables).rules.at(0).bytes, 114240 + 2 * (sizeof(iphdr) + sizeof(tcphdr)));
}

TEST_P(PacketsTest, NothingPassesWhileChainAndJumpAreRewritten) {
  const Iptables iptables = open();
  write(iptables, {{25}, {}, {rule_for(kBlocked)}});
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> sent = 0;
  std::thread flood([&] {
    stay_on(other_cpu());
    for (; !stop; ++sent) send_syn(kBlocked, kServer, 25);
    wait_for_the_way_to_be_empty();
  });
  for (int round = 0; round < 20; ++round) {
    const std::uint64_t before = sent;
    // Each write finds the jump not alone, or not first, and the ports changed.
    shell(round % 2 == 0 ? "iptables -A FORWARD -p tcp -m tcp --dport 25 -j MAILWEIR"
                         : "iptables -I FORWARD 1 -s 172.16.1.1 -j ACCEPT");
    MirrorTable table{{25}, {}, {rule_for(kNeighbour), rule_for(kBlocked)}};
    if (round % 3 == 0) table.ports.push_back(587);
    write(iptables, table);
    while (sent < before + 100) std::this_thread::yield();
  }
  stop = true;
  flood.join();
  EXPECT_EQ(forwarded(), 0U) << "of " << sent;
  EXPECT_TRUE(passes(kBlocked, kServer, 443)) << "the way is open";
}

}  // namespace
}  // namespace mailweir
