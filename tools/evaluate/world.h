// SPDX-License-Identifier: GPL-2.0-or-later
// The servers' addresses: a million networks of 256.
#pragma once

#include <unordered_map>

#include "base/address.h"

namespace mailweir::evaluate {

[[nodiscard]] inline mw_addr ipv4_address(std::uint32_t host_order) {
  mw_addr address{};
  address.bytes[10] = address.bytes[11] = 0xff;
  for (int i = 0; i < 4; ++i)
    address.bytes[12 + i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  return address;
}

class World {
 public:
  static constexpr std::uint32_t kNetworks = 1U << 20;

  /// `one_network_each`: every server that is asked for gets a network of its own, as if a contact
  /// were counted by address.
  explicit World(bool one_network_each) : one_network_each_(one_network_each) {}

  [[nodiscard]] mw_addr server(std::uint32_t network, std::uint8_t host) {
    std::uint32_t address = kFirst | (network % kNetworks) << 8 | host;
    if (one_network_each_) {
      const auto next = static_cast<std::uint32_t>(alone_.size());
      // Odd, so that no two meet.
      address = kFirst |
                (alone_.try_emplace(address, next).first->second * 0x9e3b5U % kNetworks) << 8 | 1;
    }
    return ipv4_address(address);
  }

 private:
  static constexpr std::uint32_t kFirst = 0x20000000;  // 32.0.0.0/4

  bool one_network_each_;
  std::unordered_map<std::uint32_t, std::uint32_t> alone_;
};

}  // namespace mailweir::evaluate
