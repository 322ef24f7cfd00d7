// SPDX-License-Identifier: GPL-2.0-or-later
#include "traffic.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <thread>

namespace mailweir {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::uint32_t kFixedIsn = 0x10000000;
constexpr std::size_t kBatch = 64;
constexpr auto kPatience = 1s;

volatile std::sig_atomic_t stop_asked = 0;

std::vector<Prefix> of_family(const std::vector<Prefix>& prefixes, bool ipv4) {
  std::vector<Prefix> found;
  std::copy_if(prefixes.begin(), prefixes.end(), std::back_inserter(found),
               [&](const Prefix& prefix) { return prefix.is_ipv4() == ipv4; });
  return found;
}

/// Sleeps until something is due; returns how much, at most a batch.
std::size_t wait_until_due(const Traffic& traffic, std::uint64_t sent, Clock::time_point start) {
  const std::uint64_t left = std::min<std::uint64_t>(traffic.count - sent, kBatch);
  if (!traffic.packets_per_second) return left;
  const auto at = [&](std::uint64_t frame) {
    return start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                       static_cast<double>(frame) / *traffic.packets_per_second));
  };
  std::this_thread::sleep_until(at(sent));
  std::uint64_t due = 1;
  for (const auto now = Clock::now(); due < left && at(sent + due) <= now; ++due) {
  }
  return due;
}

}  // namespace

Segments::Segments(const Traffic& traffic)
    : traffic_(traffic),
      ipv4_destinations_(of_family(traffic.destinations, true)),
      ipv6_destinations_(of_family(traffic.destinations, false)),
      random_(traffic.seed) {}

mw_addr Segments::address_in(const Prefix& prefix) {
  const mw_addr mask = mask_of(prefix.bits);
  mw_addr address = prefix.addr;
  for (int half = 0; half < 2 && prefix.bits < 128; ++half) {
    const std::uint64_t noise = random_();
    for (int i = 0; i < 8; ++i) {
      const int at = half * 8 + i;
      address.bytes[at] |= static_cast<__u8>(noise >> (i * 8)) & ~mask.bytes[at];
    }
  }
  return address;
}

Segment Segments::next() {
  const std::size_t sources = traffic_.sources.size();
  const std::uint64_t turn = turn_ / sources;
  const Prefix& source = traffic_.sources[turn_ % sources];
  const auto& destinations = source.is_ipv4() ? ipv4_destinations_ : ipv6_destinations_;
  const std::uint64_t ports = traffic_.last_source_port - traffic_.first_source_port + 1ULL;
  ++turn_;

  Segment segment;
  segment.source = address_in(source);
  segment.destination = address_in(destinations[turn % destinations.size()]);
  segment.source_port = static_cast<std::uint16_t>(traffic_.first_source_port + turn % ports);
  segment.destination_port = traffic_.port;
  segment.sequence = traffic_.random_isn ? static_cast<std::uint32_t>(random_()) : kFixedIsn;
  return segment;
}

Result<EthernetPort> EthernetPort::open(const std::string& interface) {
  const unsigned ifindex = ::if_nametoindex(interface.c_str());
  if (ifindex == 0) return sys_error(errno, "find interface " + interface);

  UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return sys_error(errno, "open a packet socket (needs CAP_NET_RAW)");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(ifindex);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return sys_error(errno, "bind to interface " + interface);

  EthernetPort port(interface, ifindex, std::move(socket));
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  if (::ioctl(port.socket_.get(), SIOCGIFHWADDR, &request) != 0)
    return sys_error(errno, "read the address of interface " + interface);
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
    return Error{EINVAL, "interface " + interface + " is not Ethernet"};
  std::memcpy(port.mac_.data(), request.ifr_hwaddr.sa_data, port.mac_.size());
  return port;
}

Result<std::size_t> EthernetPort::send(std::vector<std::vector<std::uint8_t>>& frames,
                                       std::size_t count) {
  std::array<mmsghdr, kBatch> messages{};
  std::array<iovec, kBatch> parts{};
  for (std::size_t i = 0; i < count; ++i) {
    parts[i] = {frames[i].data(), frames[i].size()};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const auto give_up = Clock::now() + kPatience;
  for (;;) {
    const int sent = ::sendmmsg(socket_.get(), messages.data(), static_cast<unsigned>(count), 0);
    const int code = errno;
    if (sent > 0) return static_cast<std::size_t>(sent);
    const bool is_full = code == ENOBUFS || code == EAGAIN || code == EINTR;
    if (!is_full || Clock::now() > give_up) return sys_error(code, "send on " + name_);
    // A full device queue does not show as a socket that is not writable.
    std::this_thread::sleep_for(1ms);
  }
}

Sent send_traffic(EthernetPort& port, const Traffic& traffic, const FrameShape& ipv4_shape,
                  const FrameShape& ipv6_shape) {
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { stop_asked = 1; });

  Segments segments(traffic);
  std::vector<std::vector<std::uint8_t>> frames(kBatch);
  std::size_t built = 0;
  Sent sent;
  const auto start = Clock::now();
  while (sent.frames < traffic.count && stop_asked == 0) {
    const std::size_t due = wait_until_due(traffic, sent.frames, start);
    for (; built < due; ++built) {
      const Segment segment = segments.next();
      build_frame(is_ipv4(segment.source) ? ipv4_shape : ipv6_shape, segment, frames[built]);
    }
    auto count = port.send(frames, due);
    if (!count) {
      sent.error = count.error();
      break;
    }
    // What was not sent keeps its place at the front.
    std::rotate(frames.begin(), frames.begin() + static_cast<std::ptrdiff_t>(*count), frames.end());
    built -= *count;
    sent.frames += *count;
  }
  sent.time = Clock::now() - start;
  return sent;
}

}  // namespace mailweir
