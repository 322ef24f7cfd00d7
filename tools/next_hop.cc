// SPDX-License-Identifier: GPL-2.0-or-later
#include "next_hop.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "base/unique_fd.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 1s;
constexpr std::uint16_t kDiscardPort = 9;
constexpr int kUsable =
    NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;

/// The value of one attribute, as bytes; empty if it is not there.
std::string attribute(const rtattr* first, std::size_t bytes, unsigned short type) {
  auto left = static_cast<int>(bytes);
  for (const rtattr* at = first; RTA_OK(at, left); at = RTA_NEXT(at, left))
    if (at->rta_type == type) return {static_cast<const char*>(RTA_DATA(at)), RTA_PAYLOAD(at)};
  return {};
}

/// Reads one of the kernel's tables; `visit` gets each message of it.
Result<> dump(std::uint16_t request_type, int family,
              const std::function<void(const nlmsghdr*)>& visit) {
  const UniqueFd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr header{};
    rtmsg route{};  // as long as ndmsg, or longer: the family stands first in both
  } request;
  static_assert(sizeof(rtmsg) == sizeof(ndmsg));
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = request_type;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.route.rtm_family = static_cast<unsigned char>(family);
  if (!netlink.valid() || ::send(netlink.get(), &request, sizeof(request), 0) < 0)
    return sys_error(errno, "ask the kernel for its routes and neighbours");

  alignas(nlmsghdr) char buffer[32768];
  for (;;) {
    const ssize_t got = ::recv(netlink.get(), buffer, sizeof(buffer), 0);
    if (got <= 0) return sys_error(errno, "read the kernel's routes and neighbours");
    auto left = static_cast<std::size_t>(got);
    for (auto* at = reinterpret_cast<const nlmsghdr*>(buffer); NLMSG_OK(at, left);
         at = NLMSG_NEXT(at, left)) {
      if (at->nlmsg_type == NLMSG_DONE) return Ok{};
      if (at->nlmsg_type == NLMSG_ERROR)
        return sys_error(static_cast<const nlmsgerr*>(NLMSG_DATA(at))->error,
                         "read the kernel's routes and neighbours");
      visit(at);
    }
  }
}

/// The default gateway's address on the wire, 4 or 16 bytes; empty if there is none.
Result<std::string> find_gateway(unsigned ifindex, int family) {
  std::string gateway;
  auto ok = dump(RTM_GETROUTE, family, [&](const nlmsghdr* message) {
    const auto* route = static_cast<const rtmsg*>(NLMSG_DATA(message));
    const std::size_t bytes = RTM_PAYLOAD(message);
    const std::string out = attribute(RTM_RTA(route), bytes, RTA_OIF);
    if (message->nlmsg_type != RTM_NEWROUTE || route->rtm_dst_len != 0 || !gateway.empty() ||
        out != std::string(reinterpret_cast<const char*>(&ifindex), sizeof(ifindex)))
      return;
    gateway = attribute(RTM_RTA(route), bytes, RTA_GATEWAY);
  });
  if (!ok) return std::move(ok).error();
  return gateway;
}

Result<std::optional<Mac>> find_neighbour(unsigned ifindex, int family,
                                          const std::string& address) {
  std::optional<Mac> mac;
  auto ok = dump(RTM_GETNEIGH, family, [&](const nlmsghdr* message) {
    const auto* neighbour = static_cast<const ndmsg*>(NLMSG_DATA(message));
    // linux/neighbour.h has no NDA_RTA of its own.
    const auto* first = reinterpret_cast<const rtattr*>(reinterpret_cast<const char*>(neighbour) +
                                                        NLMSG_ALIGN(sizeof(ndmsg)));
    const std::size_t bytes = NLMSG_PAYLOAD(message, sizeof(ndmsg));
    if (message->nlmsg_type != RTM_NEWNEIGH ||
        neighbour->ndm_ifindex != static_cast<int>(ifindex) ||
        (neighbour->ndm_state & kUsable) == 0 || attribute(first, bytes, NDA_DST) != address)
      return;
    const std::string link = attribute(first, bytes, NDA_LLADDR);
    if (link.size() != mac.emplace().size())
      mac.reset();
    else
      std::copy(link.begin(), link.end(), mac->begin());
  });
  if (!ok) return std::move(ok).error();
  return mac;
}

/// Makes the kernel ask for the neighbour. A failure shows as a neighbour that stays unknown.
void provoke(unsigned ifindex, int family, const std::string& address) {
  sockaddr_in ipv4{};
  ipv4.sin_family = AF_INET;
  ipv4.sin_port = htons(kDiscardPort);
  sockaddr_in6 ipv6{};
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(kDiscardPort);
  ipv6.sin6_scope_id = ifindex;
  if (family == AF_INET)
    std::copy(address.begin(), address.end(), reinterpret_cast<char*>(&ipv4.sin_addr));
  else
    std::copy(address.begin(), address.end(), reinterpret_cast<char*>(&ipv6.sin6_addr));

  const UniqueFd udp(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto* to = family == AF_INET ? reinterpret_cast<const sockaddr*>(&ipv4)
                                     : reinterpret_cast<const sockaddr*>(&ipv6);
  (void)::sendto(udp.get(), nullptr, 0, 0, to, family == AF_INET ? sizeof(ipv4) : sizeof(ipv6));
}

}  // namespace

Result<std::optional<Mac>> gateway_mac(unsigned ifindex, int family) {
  auto gateway = find_gateway(ifindex, family);
  if (!gateway) return std::move(gateway).error();
  if (gateway->empty()) return std::optional<Mac>();

  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  for (bool provoked = false;; provoked = true) {
    auto mac = find_neighbour(ifindex, family, *gateway);
    if (!mac || *mac || std::chrono::steady_clock::now() > give_up) return mac;
    if (!provoked) provoke(ifindex, family, *gateway);
    std::this_thread::sleep_for(20ms);
  }
}

}  // namespace mailweir
