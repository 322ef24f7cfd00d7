// SPDX-License-Identifier: GPL-2.0-or-later
#include "flood.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "live_interface.h"
#include "packet_builder.h"

namespace mailweir {
namespace {

constexpr const char* kOtherEnd = "mwflood1";
/// Where the source address of an IPv4 frame without tags stands.
constexpr std::size_t kSourceAt = 14 + 12;

Result<UniqueFd> packet_socket(const char* interface) {
  UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_IP)));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_IP);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(interface));
  if (!socket.valid() ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return sys_error(errno, std::string("open a packet socket on ") + interface);
  return socket;
}

}  // namespace

Result<std::unique_ptr<Flood>> Flood::make() {
  if (auto made = make_veth(kGuarded, kOtherEnd); !made) return std::move(made).error();
  for (const char* name : {kGuarded, kOtherEnd})
    if (auto up = bring_up(name); !up) return std::move(up).error();
  std::unique_ptr<Flood> flood(new Flood);
  auto sender = packet_socket(kOtherEnd);
  if (!sender) return std::move(sender).error();
  flood->sender_ = std::move(*sender);
  auto receiver = packet_socket(kGuarded);
  if (!receiver) return std::move(receiver).error();
  flood->receiver_ = std::move(*receiver);
  return flood;
}

Flood::~Flood() {
  stop();
  (void)remove_interface(kGuarded);
}

void Flood::start(const std::string& blocked, const std::string& neighbour) {
  frames_ = {Packet{}.eth().ipv4(blocked, "198.18.1.25").tcp(25).syn().bytes(),
             Packet{}.eth().ipv4(neighbour, "198.18.1.25").tcp(25).syn().bytes()};
  sending_ = receiving_ = true;
  receive_thread_ = std::thread([this] { receive(); });
  send_thread_ = std::thread([this] { send(); });
}

void Flood::stop() {
  sending_ = false;
  if (send_thread_.joinable()) send_thread_.join();
  receiving_ = false;
  if (receive_thread_.joinable()) receive_thread_.join();
}

void Flood::send() {
  for (std::size_t turn = 0; sending_; turn = 1 - turn) {
    const auto& frame = frames_[turn];
    if (::send(sender_.get(), frame.data(), frame.size(), 0) > 0) ++sent_[turn];
  }
}

/// Ends when nothing has come for a while after the last frame was sent.
void Flood::receive() {
  constexpr int kQuietMs = 200;
  std::array<std::uint8_t, 128> frame{};
  for (;;) {
    pollfd ready{receiver_.get(), POLLIN, 0};
    if (::poll(&ready, 1, kQuietMs) == 0) {
      if (!receiving_) return;
      continue;
    }
    const ssize_t bytes = ::recv(receiver_.get(), frame.data(), frame.size(), 0);
    if (bytes < static_cast<ssize_t>(kSourceAt) + 4) continue;
    for (std::size_t i = 0; i < frames_.size(); ++i)
      if (std::equal(frame.begin() + kSourceAt, frame.begin() + kSourceAt + 4,
                     frames_[i].begin() + kSourceAt))
        ++arrived_[i];
  }
}

}  // namespace mailweir
