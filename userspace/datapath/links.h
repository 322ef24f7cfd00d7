// SPDX-License-Identifier: GPL-2.0-or-later
// What is attached where, as the pins under links/ tell it. bpffs allows no dot in a name, so an
// interface is named by its index, which also outlives a rename:
//   xdp_7    the bpf_link of ifindex 7
//   tc_7_1   the program of the tc filter of ifindex 7, priority 1 (a filter has no link on 6.1)
//   clsact_7 we made the clsact qdisc of ifindex 7, and may remove it
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "datapath/datapath.h"

struct bpf_prog_info;

namespace mailweir {

struct PinnedLink {
  enum class Kind : std::uint8_t { xdp, tc, clsact } kind = Kind::xdp;
  unsigned ifindex = 0;
  unsigned priority = 0;  ///< tc only
  std::string path;
  WallTime since;  ///< when it was pinned
};

[[nodiscard]] std::string link_path(const std::string& links_dir, const PinnedLink& link);
/// Empty if the directory is missing; names that are not ours are passed over.
[[nodiscard]] std::vector<PinnedLink> pinned_links(const std::string& links_dir);
[[nodiscard]] std::optional<PinnedLink> find_link(const std::vector<PinnedLink>& links,
                                                  PinnedLink::Kind kind, unsigned ifindex);

/// What the path of a pin says; none: it is not one of ours.
[[nodiscard]] std::optional<PinnedLink> parse_link_path(const std::string& path);

/// The id of the program that is attached there now; 0 if none is, or another than the pin's.
[[nodiscard]] std::uint32_t attached_program(const PinnedLink& link);
/// The same, of a descriptor of what was pinned.
[[nodiscard]] std::uint32_t attached_program(const PinnedLink& link, int fd);

/// The program's tag in hexadecimal, as bpftool prints it.
[[nodiscard]] std::string tag_text(const bpf_prog_info& info);

/// Fills all but name and index of the attachment from what the kernel says now.
void describe(const std::string& links_dir, Attachment& attachment);

/// Our tc filter: direct-action cls_bpf at ingress, found again by priority and this handle.
inline constexpr std::uint32_t kFilterHandle = 0x6d77;  // "mw"
[[nodiscard]] Result<> attach_filter(unsigned ifindex, unsigned priority, int program_fd,
                                     bool replace);

/// Detaches what the pin stands for and removes the pin. A clsact goes only if it is empty, and its
/// pin last. Returns a line for the operator.
[[nodiscard]] Result<std::string> remove_link(const PinnedLink& link);

}  // namespace mailweir
