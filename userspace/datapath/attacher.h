// SPDX-License-Identifier: GPL-2.0-or-later
// Puts the programs on interfaces: adopts what is pinned, swaps programs without a gap, never
// evicts another program, and says which hook it took and why.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "datapath/datapath.h"
#include "datapath/interface.h"
#include "datapath/links.h"
#include "datapath/pin_keeper.h"

namespace mailweir {

class Attacher {
 public:
  struct Programs {
    int xdp_fd = -1;
    int tc_fd = -1;
    int tc_ip_fd = -1;   ///< for interfaces without an Ethernet header
    int marker_fd = -1;  ///< what the clsact pin holds: a map, so that no old program is kept
  };

  Attacher(std::string links_dir, Programs programs, PinKeeper& pins)
      : links_dir_(std::move(links_dir)), programs_(programs), pins_(pins) {}

  /// As Datapath::attach().
  std::vector<Attachment> attach(const std::vector<std::string>& interfaces, AttachChoice choice);
  /// As Datapath::check_attached().
  std::vector<Attachment> check();

 private:
  Attachment attach_one(const std::string& name, AttachChoice choice);
  Result<> adopt(const PinnedLink& link, const InterfaceFacts& facts);
  Result<> attach_xdp(const InterfaceFacts& facts, bool generic);
  Result<> attach_tc(const InterfaceFacts& facts);
  Result<> swap_xdp(int link_fd, const std::string& interface);
  void remove(const PinnedLink& link);
  void remove_all_but(const std::vector<Attachment>& wanted);
  void hold_pins();
  [[nodiscard]] std::optional<std::pair<PinnedLink, int>> held_attachment(unsigned ifindex) const;
  void describe_now(Attachment& attachment);
  [[nodiscard]] int tc_program(const InterfaceFacts& facts) const {
    return facts.has_ethernet ? programs_.tc_fd : programs_.tc_ip_fd;
  }

  std::string links_dir_;
  Programs programs_;
  PinKeeper& pins_;
  std::vector<Attachment> attachments_;
};

}  // namespace mailweir
