// SPDX-License-Identifier: GPL-2.0-or-later
// Who is behind the gateway, and what a day of each of them came to.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "bpf/abi.h"
#include "evaluate/random.h"

namespace mailweir::evaluate {

enum class Class : std::uint8_t {
  plain,
  heavy,
  outage,
  mail_server,
  mailing,
  no_ptr,
  framed_answering,
  framed_silent,
  syn_scanner,
  connect_scanner,
  fast_bot,
  burst_bot,
  very_fast_bot,
  multi_port_bot,
  slow_bot_10,
  slow_bot_60,
  slow_bot_300,
  padding_bot,
  aligned_bot,
  churn_bot,
};
inline constexpr std::size_t kClasses = 20;

enum class Label : std::uint8_t {
  honest,    ///< a block of it is a false one
  expected,  ///< honest, and known to look like a bot from here
  framed,    ///< honest, and forged by a neighbour
  scanner,
  bot,
  attacker,  ///< a bot that knows of the gateway
};

struct ClassTraits {
  Class kind;
  std::string_view name;
  Label label;
  bool is_bound;  ///< what the exit status asks of its label is asked of it
  bool is_guess;  ///< how many there are, or what they do
  std::string_view does;
};

[[nodiscard]] const ClassTraits& traits(Class kind);
[[nodiscard]] inline bool is_spam(Label label) {
  return label == Label::bot || label == Label::attacker;
}

/// One source, from its first SYN to port 25 on.
struct SourceDay {
  Class kind = Class::plain;
  mw_addr address{};
  double productive = 0;      ///< mailings and padding bots: the share of first contacts
  std::uint32_t servers = 0;  ///< mailings: how many new ones
  std::optional<Time> first_syn;
  std::vector<Time> passed;   ///< SYNs to port 25 that reached the world, without retransmissions
  std::uint64_t bytes = 0;    ///< of TCP payload that did before the first block, port 25
  std::uint64_t tried = 0;    ///< connections to port 25
  std::vector<Time> began;    ///< honest sources: of these, each
  std::uint64_t lost = 0;     ///< deliveries
  std::uint64_t delayed = 0;  ///< deliveries, by more than 10 s
  Time longest_delay{0};
  std::uint64_t deliveries = 0, delivered = 0;
  bool was_held = false;  ///< a SYN was dropped, and not by a block
  bool was_blocked = false;

  /// SYNs that reached the world before a detector blocked it (or all).
  [[nodiscard]] std::size_t leaked(std::optional<Time> blocked) const;
};

}  // namespace mailweir::evaluate
