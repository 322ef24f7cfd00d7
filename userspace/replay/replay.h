// SPDX-License-Identifier: GPL-2.0-or-later
// What a policy would have done: recorded frames through the real kernel program and the real
// controller, at the times they were recorded. Maps of its own, no effect on a running daemon.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "replay/frames.h"

namespace mailweir {

struct ReplayOptions {
  Config config;  ///< judged in mode block, whatever the file says; groups keep theirs
  std::uint32_t sources = 65536;
  /// Puts the clients into this prefix, one address (IPv6: one /64) each, in the order they come.
  std::optional<Prefix> as;
  std::optional<std::uint64_t> seed;  ///< of the contact hash; none: drawn
  bool with_timeline = false;
};

/// One second of a source.
struct TimelinePoint {
  std::chrono::seconds at{0};  ///< since the first frame
  std::uint32_t syns = 0;      ///< in this second
  std::uint32_t held = 0;      ///< of these, by limit or brake
  std::uint32_t dropped = 0;   ///< packets, by its block
  std::uint32_t score_256ths = 0;
};

struct SourceReplay {
  mw_addr key{};
  mw_addr recorded{};  ///< as in the recording; another one with `as`
  WallTime first_seen;
  std::optional<Decision> block;  ///< the first
  std::optional<Decision> would;  ///< a group's mode or the allowlist stood against it
  std::uint64_t blocks = 0;       ///< in all; they may have ended
  std::string waits_for;          ///< why it was not blocked although its score said so
  std::uint64_t braked = 0;       ///< SYNs
  std::uint64_t limited = 0;
  std::uint64_t dropped = 0;  ///< packets, by its blocks

  // Until its first block, or the end. SYNs to judged ports, without retransmissions.
  std::uint64_t syns = 0;
  std::uint64_t held = 0;  ///< of the SYNs, by limit or brake: the rest reached a server
  std::uint64_t contacts = 0;
  std::uint64_t answered = 0;
  std::uint64_t finished = 0;
  std::uint64_t no_message = 0;    ///< of the finished ones
  std::uint32_t score_256ths = 0;  ///< the highest
  std::vector<TimelinePoint> timeline;
};

struct ReplayResult {
  std::map<mw_addr, SourceReplay> sources;  ///< that sent a SYN to a judged port
  std::uint64_t frames = 0;
  std::uint64_t runs = 0;          ///< of the kernel program: as many as frames
  std::uint64_t other_family = 0;  ///< packets to judged ports that --as cannot rewrite
  std::uint64_t outside = 0;       ///< packets of sources that are not in [networks] inside
  std::uint64_t unjudged = 0;      ///< packets whose headers end early, or are not followed so far
  bool was_full = false;           ///< the table of sources: who was quiet longest is forgotten
  std::uint64_t refused_frames = 0;  ///< too short for the kernel to take them
  std::optional<WallTime> first, last;
  std::chrono::nanoseconds took{0};
  bool froze = false;           ///< an outage of the uplink was seen
  std::optional<Error> broken;  ///< why the recording could not be read to its end
};

/// Frame by frame, for who wants to react to what became of one.
class Replay {
 public:
  /// Loads the program with maps of its own. The options must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<Replay>> open(const ReplayOptions& options);
  ~Replay();

  /// Times must not go back: one that does counts as the last one. True: the program let it pass.
  [[nodiscard]] Result<bool> meet(ReplayFrame& frame);
  /// Once, at the end.
  [[nodiscard]] ReplayResult finish();
  /// So far.
  [[nodiscard]] const ReplayResult& result() const;
  [[nodiscard]] bool is_blocked(const mw_addr& source) const;

 private:
  class Engine;
  explicit Replay(std::unique_ptr<Engine> engine);
  std::unique_ptr<Engine> engine_;
};

/// All of them. `progress` is told 0 to 1 now and then. What a damaged recording held before its
/// damage is in the result.
[[nodiscard]] Result<ReplayResult> replay(FrameReader& frames, const ReplayOptions& options,
                                          const std::function<void(double)>& progress);

}  // namespace mailweir
