// SPDX-License-Identifier: GPL-2.0-or-later
// The vocabulary that policy, store, mirror and control share: a decision and its evidence.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

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

/// What was counted about a source in the last 5 to 10 minutes, and since it was first seen.
struct Evidence {
  std::uint32_t syns = 0;      ///< SYNs to judged ports, retransmissions not counted
  std::uint32_t networks = 0;  ///< distinct new networks that SYNs went to, estimated
  std::uint32_t braked = 0;    ///< SYNs held by the brake
  std::uint32_t limited = 0;   ///< SYNs over the limit
  WallTime first_seen;
  WallTime last_seen;

  /// One line for people; prints what was counted, never what it might mean.
  [[nodiscard]] std::string sentence() const;
  bool operator==(const Evidence&) const = default;
};

/// Why a decision ended.
///   replaced: another decision about the same source took over
///   removed: the kernel's entry was deleted by hand
///   outside: the configuration does not count the source among the clients any more
///   failed: the kernel refused the entry; it was never enforced
enum class EndCause : std::uint8_t {
  expired,
  unblocked,
  allowed,
  mode,
  replaced,
  removed,
  outside,
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
