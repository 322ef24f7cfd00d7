// SPDX-License-Identifier: GPL-2.0-or-later
// Recorded traffic as frames in time order, wherever it was recorded. What becomes of the frames is
// not decided here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace mailweir {

/// One frame as the gateway's inside interface would have met it.
struct ReplayFrame {
  enum class Link : std::uint8_t {
    ethernet,
    ip,  ///< no link header
  };

  Link link = Link::ethernet;
  WallTime time;
  std::vector<std::uint8_t> bytes;  ///< as captured, perhaps cut; headers are what matters
};

class FrameReader {
 public:
  virtual ~FrameReader() = default;
  /// In time order. False: the end. An error names file and position (frame or line number); there
  /// is nothing to be had after it.
  [[nodiscard]] virtual Result<bool> next(ReplayFrame& frame) = 0;
  /// What was left out or mended up to now, one line each for the operator, counted not repeated.
  [[nodiscard]] virtual std::vector<std::string> notes() const = 0;
  /// 0 to 1, for a progress line. Stays 0 until the end where the length of the input is not known.
  [[nodiscard]] virtual double progress() const = 0;
  /// False: only SYNs are known, not what became of them (kernel log lines).
  [[nodiscard]] virtual bool knows_outcomes() const = 0;
};

/// The ports that mail clients connect to. Of a connection log only these are of interest.
inline const std::vector<std::uint16_t> kMailPorts = {25, 465, 587};

/// Recognised by content, not by name: pcap, pcapng, Zeek's conn.log (as a table or as JSON), lines
/// of the kernel's packet log; each also compressed by gzip. "-": standard input. Captures are read
/// as they are asked for, logs here and now.
[[nodiscard]] Result<std::unique_ptr<FrameReader>> open_frames(
    const std::string& path, const std::vector<std::uint16_t>& mail_ports = kMailPorts);

/// Several in time order; at the same time the earlier in the list comes first.
[[nodiscard]] std::unique_ptr<FrameReader> merge_frames(
    std::vector<std::unique_ptr<FrameReader>> readers);

}  // namespace mailweir
