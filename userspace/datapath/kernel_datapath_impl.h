// SPDX-License-Identifier: GPL-2.0-or-later
// What KernelDatapath owns; for its own files only.
#pragma once

#include "datapath/attacher.h"
#include "datapath/conntrack.h"
#include "datapath/kernel_datapath.h"
#include "datapath/map.h"

namespace mailweir {

struct KernelDatapath::Impl {
  LoadOptions options;
  Skeleton skeleton;
  RingBuffer ring;
  std::function<void(const mw_event&)> visit_event;
  std::function<void(const mw_logged_syn&)> logged_syn;
  std::vector<std::string> notes;
  mw_settings settings{};
  PinKeeper pins;
  std::string pin_problem;
  std::unique_ptr<Attacher> attacher;
  Conntrack conntrack;
  std::uint64_t evicted_contacts = 0;

  Map<mw_addr, mw_source> sources;
  Map<mw_addr, mw_score> scores;
  Map<mw_addr, mw_block> blocklist;
  PerCpuMap<mw_addr, mw_drops> drops;
  Map<mw_addr, mw_scope> hosts;
  Map<mw_prefix_key, mw_scope> networks;
  Map<__u32, __u64> ports;
  Map<__u32, mw_group> groups;
  Map<__u32, mw_settings> settings_map;
  PerCpuMap<__u32, mw_counters> counters;
  PerCpuMap<__u32, mw_contacts> contacts;
  Map<mw_addr, mw_logged> logged;
  PerCpuMap<__u32, mw_log_counts> log_counts;

  Result<> open();
  [[nodiscard]] Attacher::Programs programs() const;
  Result<> pin_maps();
  Result<> wrap_maps();
  Result<> check_layout(const std::string& path) const;
  Result<> start_settings();
  Result<> write_settings() { return settings_map.put(0, settings); }
  Result<> apply_ports(const Ruleset& rules);
};

}  // namespace mailweir
