// SPDX-License-Identifier: GPL-2.0-or-later
// A real interface with a program at its tc ingress, for what BPF_PROG_TEST_RUN cannot give: a
// packet without Ethernet header, tags in skb metadata, headers outside the linear area.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace mailweir {

/// A network namespace of this process's own, from now on, without IPv6 chatter.
[[nodiscard]] Result<> enter_own_namespace();

/// Two interfaces joined by a cable, both down.
[[nodiscard]] Result<> make_veth(const std::string& name, const std::string& peer);
[[nodiscard]] Result<> bring_up(const std::string& name);
[[nodiscard]] Result<> remove_interface(const std::string& name);

class LiveInterface {
 public:
  /// Without Ethernet header.
  [[nodiscard]] static Result<LiveInterface> tun(int program_fd);
  /// One end of a cable; frames are sent into the other.
  [[nodiscard]] static Result<LiveInterface> veth(int program_fd);

  /// `linear`: only so many bytes lie in the linear area (tun, and over a page in all; 0: all).
  [[nodiscard]] Result<> send(const std::vector<std::uint8_t>& bytes, std::uint16_t linear = 0);
  /// How many packets the program passed on: a second filter counts them and stops them there.
  [[nodiscard]] std::uint64_t passed() const;
  [[nodiscard]] unsigned ifindex() const { return ifindex_; }

 private:
  LiveInterface() = default;
  Result<> attach(int program_fd);

  UniqueFd port_;
  UniqueFd counter_map_;
  UniqueFd counter_program_;
  unsigned ifindex_ = 0;
  bool is_tun_ = false;
};

}  // namespace mailweir
