// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/links.h"

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "datapath/handles.h"
#include "datapath/interface.h"

namespace mailweir {
namespace {

namespace fs = std::filesystem;

bpf_tc_hook ingress_of(unsigned ifindex) {
  return {.sz = sizeof(bpf_tc_hook),
          .ifindex = static_cast<int>(ifindex),
          .attach_point = BPF_TC_INGRESS,
          .parent = 0};
}

bpf_tc_opts filter_at(unsigned priority) {
  bpf_tc_opts opts{};
  opts.sz = sizeof(opts);
  opts.handle = kFilterHandle;
  opts.priority = priority;
  return opts;
}

std::optional<unsigned> take_number(std::string_view& text) {
  unsigned number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

std::optional<PinnedLink> parse_name(std::string_view name) {
  PinnedLink link;
  const auto starts = [&](std::string_view word, PinnedLink::Kind kind) {
    if (!name.starts_with(word)) return false;
    name.remove_prefix(word.size());
    link.kind = kind;
    return true;
  };
  if (!starts("xdp_", PinnedLink::Kind::xdp) && !starts("tc_", PinnedLink::Kind::tc) &&
      !starts("clsact_", PinnedLink::Kind::clsact))
    return std::nullopt;
  const auto ifindex = take_number(name);
  if (!ifindex) return std::nullopt;
  link.ifindex = *ifindex;
  if (link.kind == PinnedLink::Kind::tc && name.starts_with('_')) {
    name.remove_prefix(1);
    link.priority = take_number(name).value_or(0);
  }
  if (!name.empty()) return std::nullopt;
  return link;
}

/// Does any filter hang at this parent of the interface? libbpf can only ask for one it knows.
Result<bool> has_filters(unsigned ifindex, std::uint32_t parent) {
  const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket.valid()) return sys_error(errno, "open a netlink socket");
  struct {
    nlmsghdr header;
    tcmsg message;
  } request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_GETTFILTER;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.message.tcm_ifindex = static_cast<int>(ifindex);
  request.message.tcm_parent = parent;
  if (::send(socket.get(), &request, sizeof(request), 0) < 0)
    return sys_error(errno, "ask for the tc filters");

  std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t bytes = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (bytes < 0) return sys_error(errno, "read the tc filters");
    auto left = static_cast<unsigned>(bytes);
    for (auto* each = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(each, left);
         each = NLMSG_NEXT(each, left)) {
      if (each->nlmsg_type == NLMSG_DONE || each->nlmsg_type == NLMSG_ERROR) return false;
      if (each->nlmsg_type == RTM_NEWTFILTER) return true;
    }
  }
}

std::string named(unsigned ifindex) {
  std::string name = interface_name(ifindex);
  return name.empty() ? "an interface that is gone (ifindex " + std::to_string(ifindex) + ")"
                      : name;
}

Result<std::string> remove_clsact(const PinnedLink& link) {
  if (!interface_name(link.ifindex).empty()) {
    for (const std::uint32_t parent : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS}) {
      auto used = has_filters(link.ifindex, TC_H_MAKE(TC_H_CLSACT, parent));
      if (!used) return std::move(used).error();
      if (*used) {
        ::unlink(link.path.c_str());
        return "clsact of " + named(link.ifindex) + " left in place: others have filters there";
      }
    }
    bpf_tc_hook hook = ingress_of(link.ifindex);
    hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
    if (const int err = bpf_tc_hook_destroy(&hook); err != 0 && err != -ENOENT && err != -EINVAL)
      return sys_error(err, "remove the clsact qdisc of " + named(link.ifindex));
  }
  ::unlink(link.path.c_str());
  return "clsact of " + named(link.ifindex);
}

}  // namespace

std::string tag_text(const bpf_prog_info& info) {
  std::string text;
  for (const unsigned char byte : info.tag) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", byte);
    text += digits;
  }
  return text;
}

std::string link_path(const std::string& links_dir, const PinnedLink& link) {
  const std::string index = std::to_string(link.ifindex);
  switch (link.kind) {
    case PinnedLink::Kind::xdp:
      return links_dir + "/xdp_" + index;
    case PinnedLink::Kind::tc:
      return links_dir + "/tc_" + index + "_" + std::to_string(link.priority);
    case PinnedLink::Kind::clsact:
      break;
  }
  return links_dir + "/clsact_" + index;
}

std::vector<PinnedLink> pinned_links(const std::string& links_dir) {
  std::vector<PinnedLink> links;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(links_dir, failed)) {
    auto link = parse_name(entry.path().filename().string());
    if (!link) continue;
    link->path = entry.path().string();
    struct stat found {};
    if (::stat(link->path.c_str(), &found) == 0)
      link->since = std::chrono::system_clock::from_time_t(found.st_mtim.tv_sec);
    links.push_back(std::move(*link));
  }
  std::ranges::sort(links, {}, &PinnedLink::path);
  return links;
}

std::optional<PinnedLink> find_link(const std::vector<PinnedLink>& links, PinnedLink::Kind kind,
                                    unsigned ifindex) {
  for (const PinnedLink& link : links)
    if (link.kind == kind && link.ifindex == ifindex) return link;
  return std::nullopt;
}

std::optional<PinnedLink> parse_link_path(const std::string& path) {
  auto link = parse_name(std::string_view(path).substr(path.rfind('/') + 1));
  if (link) link->path = path;
  return link;
}

std::uint32_t attached_program(const PinnedLink& link) {
  const UniqueFd fd(bpf_obj_get(link.path.c_str()));
  return fd.valid() ? attached_program(link, fd.get()) : 0;
}

std::uint32_t attached_program(const PinnedLink& link, int fd) {
  const ObjectKind kind = object_kind(fd);
  if (link.kind == PinnedLink::Kind::clsact ||
      kind != (link.kind == PinnedLink::Kind::xdp ? ObjectKind::link : ObjectKind::program))
    return 0;
  if (link.kind == PinnedLink::Kind::xdp) {
    const auto info = link_info(fd);
    // The link of a deleted interface stays, with ifindex 0.
    return info && info->type == BPF_LINK_TYPE_XDP && info->xdp.ifindex == link.ifindex
               ? info->prog_id
               : 0;
  }
  const auto pinned = program_info(fd);
  const bpf_tc_hook hook = ingress_of(link.ifindex);
  bpf_tc_opts opts = filter_at(link.priority);
  if (!pinned || bpf_tc_query(&hook, &opts) != 0) return 0;
  return opts.prog_id == pinned->id ? opts.prog_id : 0;
}

void describe(const std::string& links_dir, Attachment& attachment) {
  attachment.attached = false;
  attachment.program_id = 0;
  for (const PinnedLink& link : pinned_links(links_dir)) {
    if (link.ifindex != attachment.ifindex || link.kind == PinnedLink::Kind::clsact) continue;
    const std::uint32_t id = attached_program(link);
    if (id == 0) continue;
    attachment.attached = true;
    attachment.program_id = id;
    attachment.since = link.since;
    attachment.hook = Hook::tc;
    if (link.kind == PinnedLink::Kind::xdp) {
      bpf_xdp_query_opts query{};
      query.sz = sizeof(query);
      const bool generic = bpf_xdp_query(static_cast<int>(link.ifindex), 0, &query) == 0 &&
                           query.attach_mode == XDP_ATTACHED_SKB;
      attachment.hook = generic ? Hook::xdp_generic : Hook::xdp;
    }
    const UniqueFd fd(bpf_prog_get_fd_by_id(id));
    if (const auto info = fd.valid() ? program_info(fd.get()) : Result<bpf_prog_info>(Error{});
        info)
      attachment.tag = tag_text(*info);
    return;
  }
}

Result<> attach_filter(unsigned ifindex, unsigned priority, int program_fd, bool replace) {
  const bpf_tc_hook hook = ingress_of(ifindex);
  bpf_tc_opts opts = filter_at(priority);
  opts.prog_fd = program_fd;
  opts.flags = replace ? BPF_TC_F_REPLACE : 0;
  if (const int err = bpf_tc_attach(&hook, &opts); err != 0)
    return sys_error(err, "attach a tc filter to " + named(ifindex));
  return Ok{};
}

Result<std::string> remove_link(const PinnedLink& link) {
  if (link.kind == PinnedLink::Kind::clsact) return remove_clsact(link);

  const UniqueFd fd(bpf_obj_get(link.path.c_str()));
  const ObjectKind wanted =
      link.kind == PinnedLink::Kind::xdp ? ObjectKind::link : ObjectKind::program;
  if (fd.valid() && object_kind(fd.get()) != wanted)
    return Error{EEXIST, link.path + " holds something that is not mailweir's: it is left there"};
  if (link.kind == PinnedLink::Kind::tc && attached_program(link) != 0) {
    const bpf_tc_hook hook = ingress_of(link.ifindex);
    const bpf_tc_opts opts = filter_at(link.priority);
    if (const int err = bpf_tc_detach(&hook, &opts); err != 0)
      return sys_error(err, "remove the tc filter of " + named(link.ifindex));
  }
  if (link.kind == PinnedLink::Kind::xdp && fd.valid()) (void)bpf_link_detach(fd.get());
  if (::unlink(link.path.c_str()) != 0) return sys_error(errno, "remove " + link.path);
  return (link.kind == PinnedLink::Kind::xdp ? "xdp program of " : "tc filter of ") +
         named(link.ifindex);
}

}  // namespace mailweir
