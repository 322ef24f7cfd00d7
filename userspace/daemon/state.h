// SPDX-License-Identifier: GPL-2.0-or-later
// What the daemon knows of itself, for `status`; the loop writes it, the API reads it.
#pragma once

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "datapath/datapath.h"

namespace mailweir {

/// Packets in the last minute, from counters that are read every few seconds.
class RateMeter {
 public:
  void add(BootTime now, const std::map<unsigned, mw_counters>& counters);
  /// {verdict: packets}, enforced and would together; null until a minute is over.
  [[nodiscard]] nlohmann::json last_minute() const;

 private:
  struct Sample {
    BootTime time;
    std::vector<std::uint64_t> totals;  ///< by verdict
  };
  std::deque<Sample> samples_;
};

struct MirrorState {
  std::string backend = "none";
  std::string state = "off";  ///< matches, degraded, off
  std::size_t rules = 0;
  std::optional<BootTime> checked;
  std::string note;
  std::uint64_t repairs = 0;
};

struct ShieldState {
  std::string state = "off";  ///< matches, degraded, off; pending at first
  std::string note;
};

struct DaemonState {
  std::string config_file;
  Now started;
  std::vector<Attachment> attachments;
  MirrorState mirror;
  ShieldState shield;
  RateMeter rates;
  std::uint64_t events_received = 0;
};

}  // namespace mailweir
