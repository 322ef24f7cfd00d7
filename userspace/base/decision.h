// SPDX-License-Identifier: GPL-2.0-or-later
// The vocabulary that policy, store, mirror and control share: a decision and its evidence.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"

namespace mailweir {

enum class Mode : std::uint8_t { observe, throttle, block };
[[nodiscard]] std::string_view to_string(Mode mode);
[[nodiscard]] std::optional<Mode> parse_mode(std::string_view text);
[[nodiscard]] mw_mode to_abi(Mode mode);

/// Who decided. The word stands in the rule's comment and in JSON: auto, manual, bpftool.
enum class Origin : std::uint8_t { automatic, manual, bpftool };
[[nodiscard]] std::string_view to_string(Origin origin);
[[nodiscard]] std::optional<Origin> parse_origin(std::string_view text);

/// What was counted about a source in the last 5 to 10 minutes, and since it was first seen. A
/// contact is the first connection to a network (/24, IPv6 /48) in that time.
struct Evidence {
  std::uint32_t syns = 0;           ///< SYNs to judged ports, retransmissions not counted
  std::uint32_t networks = 0;       ///< distinct new networks that SYNs went to, estimated
  std::uint32_t answered = 0;       ///< contacts whose handshake was completed
  std::uint32_t unanswered = 0;     ///< contacts without one in 10 s
  std::uint32_t finished = 0;       ///< answered contacts that are over, or have sent a message
  std::uint32_t no_message = 0;     ///< of these: without a message
  std::uint32_t message_bytes = 0;  ///< what a message needs at least
  std::uint32_t braked = 0;         ///< SYNs held by the brake
  std::uint32_t limited = 0;        ///< SYNs over the limit
  std::uint32_t score_256ths = 0;   ///< of the sequential test over confirmed contacts
  std::uint32_t threshold_256ths = 0;
  std::uint32_t unconfirmed = 0;  ///< outcomes, in all, that conntrack did not confirm
  std::uint64_t lost = 0;         ///< contacts, in all, whose outcome will never be known
  WallTime first_seen;
  WallTime last_seen;
  std::vector<mw_addr> examples;  ///< at most 3 servers that were left without a message

  /// One line for people; prints what was counted, never what it might mean.
  [[nodiscard]] std::string sentence() const;
  bool operator==(const Evidence&) const = default;
};

/// "9.1" for 9.19: rounded down, so that it never looks like a threshold that it has not reached.
[[nodiscard]] std::string score_text(std::uint32_t score_256ths);

/// Why a decision ended.
///   replaced: another decision about the same source took over
///   removed: the kernel's entry was deleted by hand
///   outside: the configuration does not count the source among the clients any more
///   outage: it was decided just before the uplink was seen to be down
///   failed: the kernel refused the entry; it was never enforced
enum class EndCause : std::uint8_t {
  expired,
  unblocked,
  allowed,
  mode,
  replaced,
  removed,
  outside,
  outage,
  failed
};
[[nodiscard]] std::string_view to_string(EndCause cause);
[[nodiscard]] std::optional<EndCause> parse_end_cause(std::string_view text);

/// A block, ordered or decided; or a would-block, which is recorded only.
struct Decision {
  std::string node;
  std::uint32_t number = 0;
  mw_addr source{};               ///< the kernel's key
  std::uint8_t ipv6_prefix = 64;  ///< what an IPv6 key stands for
  Origin origin = Origin::automatic;
  bool would = false;  ///< the mode did not allow it; never in the blocklist or the chain
  WallTime since;
  std::optional<WallTime> until;  ///< none: for ever
  std::string by;                 ///< who: "auto", or the user's name and uid
  std::string reason;             ///< free text of a person, or the rule's name
  std::optional<Evidence> evidence;
  std::optional<WallTime> ended;
  std::optional<EndCause> end_cause;
  std::uint64_t dropped_packets = 0;  ///< at its end; while it lives, ask the kernel
  std::uint64_t dropped_bytes = 0;

  [[nodiscard]] std::string id() const { return node + "-" + std::to_string(number); }
  [[nodiscard]] Prefix prefix() const { return source_prefix(source, ipv6_prefix); }
  [[nodiscard]] bool active(WallTime now) const { return !ended && (!until || *until > now); }
};

}  // namespace mailweir
