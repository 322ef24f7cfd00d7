// SPDX-License-Identifier: GPL-2.0-or-later
// Which segments come in which order, and their way onto an interface. What an address may be is
// decided before.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "frame.h"

namespace mailweir {

struct Traffic {
  std::vector<Prefix> sources, destinations;
  std::uint16_t port = 25;
  std::uint16_t first_source_port = 1024, last_source_port = 65535;
  bool random_isn = true;
  std::uint64_t count = 1;
  std::optional<double> packets_per_second;  ///< none: as fast as it goes
  std::uint64_t seed = 1;
};

/// Sources take turns; a source's destinations (of its family) and ports take turns too. Within a
/// prefix the address is random. The same seed gives the same segments.
class Segments {
 public:
  /// Every source must have a destination of its family.
  explicit Segments(const Traffic& traffic);
  [[nodiscard]] Segment next();

 private:
  [[nodiscard]] mw_addr address_in(const Prefix& prefix);

  const Traffic& traffic_;
  std::vector<Prefix> ipv4_destinations_, ipv6_destinations_;
  std::mt19937_64 random_;
  std::uint64_t turn_ = 0;
};

/// An Ethernet interface, open for raw frames.
class EthernetPort {
 public:
  [[nodiscard]] static Result<EthernetPort> open(const std::string& interface);

  [[nodiscard]] unsigned ifindex() const { return ifindex_; }
  [[nodiscard]] const Mac& mac() const { return mac_; }
  /// Sends the first of these frames, at least one; returns how many. Waits for a full queue, at
  /// most a second.
  [[nodiscard]] Result<std::size_t> send(std::vector<std::vector<std::uint8_t>>& frames,
                                         std::size_t count);

 private:
  EthernetPort(std::string name, unsigned ifindex, UniqueFd socket)
      : name_(std::move(name)), ifindex_(ifindex), socket_(std::move(socket)) {}

  std::string name_;
  unsigned ifindex_;
  UniqueFd socket_;
  Mac mac_{};
};

struct Sent {
  std::uint64_t frames = 0;
  std::chrono::duration<double> time{0};
  std::optional<Error> error;  ///< what ended it early
};

/// SIGINT and SIGTERM end it early, without an error.
[[nodiscard]] Sent send_traffic(EthernetPort& port, const Traffic& traffic,
                                const FrameShape& ipv4_shape, const FrameShape& ipv6_shape);

}  // namespace mailweir
