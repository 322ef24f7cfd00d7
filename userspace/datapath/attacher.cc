// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/attacher.h"

#include <linux/if_link.h>

#include <algorithm>
#include <cstdio>

#include "datapath/handles.h"

namespace mailweir {
namespace {

using Kind = PinnedLink::Kind;

constexpr unsigned kMostPriorities = 16;

/// "another XDP program is attached: 17 (xdp_dispatcher)", or nothing.
std::string other_xdp_program(unsigned ifindex) {
  bpf_xdp_query_opts query{};
  query.sz = sizeof(query);
  if (bpf_xdp_query(static_cast<int>(ifindex), 0, &query) != 0 || query.prog_id == 0) return "";
  std::string text = "another XDP program is attached: id " + std::to_string(query.prog_id);
  const UniqueFd fd(bpf_prog_get_fd_by_id(query.prog_id));
  if (const auto info = fd.valid() ? program_info(fd.get()) : Result<bpf_prog_info>(Error{});
      info && info->name[0] != '\0')
    text += " (" + std::string(info->name) + ")";
  return text;
}

/// Moves a pin to a new object without a moment in which none is there.
Result<> pin_over(int fd, const std::string& path) {
  const std::string fresh = path + "_new";
  ::unlink(fresh.c_str());
  if (bpf_obj_pin(fd, fresh.c_str()) != 0) return sys_error(errno, "pin " + fresh);
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return sys_error(errno, "pin " + path);
  return Ok{};
}

}  // namespace

std::vector<Attachment> Attacher::attach(const std::vector<std::string>& interfaces,
                                         AttachChoice choice) {
  std::vector<Attachment> wanted;
  for (const std::string& name : interfaces) wanted.push_back(attach_one(name, choice));
  // Nothing of what is wanted could be attached: what is there is better than nothing.
  if (std::ranges::any_of(wanted, &Attachment::attached)) remove_all_but(wanted);
  hold_pins();
  attachments_ = std::move(wanted);
  return attachments_;
}

Attachment Attacher::attach_one(const std::string& name, AttachChoice choice) {
  Attachment result{.interface = name};
  const auto fail = [&](const Error& error) {
    result.note = error.message;
    return result;
  };
  const auto facts = interface_facts(name);
  if (!facts) return fail(facts.error());
  result.ifindex = facts->ifindex;

  const auto links = pinned_links(links_dir_);
  const auto old_xdp = find_link(links, Kind::xdp, facts->ifindex);
  const auto old_tc = find_link(links, Kind::tc, facts->ifindex);
  const bool want_xdp = choice == AttachChoice::xdp || choice == AttachChoice::xdp_generic;
  const bool want_tc = choice == AttachChoice::tc;

  // What an earlier run attached is kept, unless the configuration names the other hook.
  for (const auto& old : {old_xdp, old_tc}) {
    if (!old || (old->kind == Kind::xdp && want_tc) || (old->kind == Kind::tc && want_xdp))
      continue;
    if (attached_program(*old) == 0) continue;
    if (const auto adopted = adopt(*old, *facts); !adopted) return fail(adopted.error());
    result.adopted = true;
    describe(links_dir_, result);
    return result;
  }
  // The pin is gone, and the program is there all the same, since we hold it.
  if (const auto held = held_attachment(facts->ifindex);
      held && !(held->first.kind == Kind::xdp ? want_tc : want_xdp)) {
    const auto swapped =
        held->first.kind == Kind::xdp
            ? swap_xdp(held->second, name)
            : attach_filter(facts->ifindex, held->first.priority, tc_program(*facts), true);
    if (!swapped) return fail(swapped.error());
    result.adopted = true;
    describe_now(result);
    return result;
  }
  // A pin of a link that is dead blocks the name.
  if (old_xdp && attached_program(*old_xdp) == 0) remove(*old_xdp);

  if (choice == AttachChoice::automatic) {
    std::string why = !facts->has_ethernet ? "the interface has no Ethernet header"
                      : driver_keeps_link(facts->driver)
                          ? ""
                          : "driver " + (facts->driver.empty() ? "unknown" : facts->driver) +
                                " may reset the link on an XDP attach";
    if (why.empty()) {
      const auto attached = attach_xdp(*facts, false);
      if (attached) {
        describe(links_dir_, result);
        return result;
      }
      why = attached.error().message;
    }
    result.note = "tc, since " + why;
  }
  const auto attached =
      want_xdp ? attach_xdp(*facts, choice == AttachChoice::xdp_generic) : attach_tc(*facts);
  if (!attached) return fail(attached.error());
  // The new hook is in place: only now may the old one go.
  if (want_xdp && old_tc) remove(*old_tc);
  if (want_tc && old_xdp) remove(*old_xdp);
  describe(links_dir_, result);
  return result;
}

Result<> Attacher::adopt(const PinnedLink& link, const InterfaceFacts& facts) {
  if (link.kind == Kind::xdp) {
    const UniqueFd fd(bpf_obj_get(link.path.c_str()));
    if (!fd.valid()) return sys_error(errno, "open " + link.path);
    return swap_xdp(fd.get(), facts.name);
  }
  if (auto replaced = attach_filter(facts.ifindex, link.priority, tc_program(facts), true);
      !replaced)
    return replaced;
  return pin_over(tc_program(facts), link.path);
}

Result<> Attacher::swap_xdp(int link_fd, const std::string& interface) {
  if (bpf_link_update(link_fd, programs_.xdp_fd, nullptr) != 0)
    return sys_error(errno, "swap the XDP program of " + interface);
  return Ok{};
}

Result<> Attacher::attach_xdp(const InterfaceFacts& facts, bool generic) {
  if (!facts.has_ethernet)
    return Error{EOPNOTSUPP, facts.name + " has no Ethernet header: set attach = \"tc\""};
  bpf_link_create_opts opts{};
  opts.sz = sizeof(opts);
  // A mode is always named: without one the kernel falls back to generic silently.
  opts.flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
  const UniqueFd link(
      bpf_link_create(programs_.xdp_fd, static_cast<int>(facts.ifindex), BPF_XDP, &opts));
  if (!link.valid()) {
    const int cause = errno;
    const std::string what = std::string("attach xdp to ") + facts.name;
    if (const std::string other = other_xdp_program(facts.ifindex); !other.empty())
      return Error{cause, what + ": " + other + "; it stays. attach = \"tc\" works beside it"};
    if (cause == ERANGE)
      return Error{cause, what + ": the MTU is too large for native XDP on this driver"};
    if (cause == ENOSPC)
      return Error{cause, what + ": this end of the veth has fewer queues than its peer"};
    if (cause == EOPNOTSUPP)
      return Error{cause, what + ": driver " + facts.driver + " has no native XDP"};
    return sys_error(cause, what);
  }
  const std::string path = link_path(links_dir_, {.kind = Kind::xdp, .ifindex = facts.ifindex});
  if (bpf_obj_pin(link.get(), path.c_str()) != 0) return sys_error(errno, "pin " + path);
  return Ok{};
}

Result<> Attacher::attach_tc(const InterfaceFacts& facts) {
  bpf_tc_hook hook{.sz = sizeof(bpf_tc_hook),
                   .ifindex = static_cast<int>(facts.ifindex),
                   .attach_point = BPF_TC_INGRESS,
                   .parent = 0};
  const int program = tc_program(facts);
  // -EEXIST: somebody else made the clsact qdisc; sharing it is fine.
  const int made = bpf_tc_hook_create(&hook);
  if (made != 0 && made != -EEXIST) return sys_error(made, "create clsact on " + facts.name);
  if (made == 0) {
    const std::string path =
        link_path(links_dir_, {.kind = Kind::clsact, .ifindex = facts.ifindex});
    if (auto pinned = pin_over(programs_.marker_fd, path); !pinned) return pinned;
  }

  // A pin left by a filter that somebody removed tells the priority to take again.
  const auto old = find_link(pinned_links(links_dir_), Kind::tc, facts.ifindex);
  if (old) ::unlink(old->path.c_str());
  // A priority belongs to one kind of filter: where another kind sits, the next one is ours.
  Result<> attached = Ok{};
  for (unsigned priority = 1; priority <= kMostPriorities; ++priority) {
    // The pin first: a filter without one would be nobody's after a crash.
    const std::string path =
        link_path(links_dir_, {.kind = Kind::tc, .ifindex = facts.ifindex, .priority = priority});
    if (auto pinned = pin_over(program, path); !pinned) return pinned;
    attached = attach_filter(facts.ifindex, priority, program, false);
    if (attached) return attached;
    ::unlink(path.c_str());
  }
  return attached;
}

void Attacher::remove(const PinnedLink& link) {
  pins_.release(link.path);
  (void)remove_link(link);
}

/// An unmount of bpffs would destroy a link that nobody holds, at once.
void Attacher::hold_pins() {
  for (const PinnedLink& link : pinned_links(links_dir_)) pins_.hold(link.path);
}

std::optional<std::pair<PinnedLink, int>> Attacher::held_attachment(unsigned ifindex) const {
  for (const auto& [path, fd] : pins_.fds()) {
    const auto link = parse_link_path(path);
    if (link && link->ifindex == ifindex && attached_program(*link, fd) != 0)
      return std::pair(*link, fd);
  }
  return std::nullopt;
}

void Attacher::remove_all_but(const std::vector<Attachment>& wanted) {
  const auto links = pinned_links(links_dir_);
  // clsact last: its filters must be gone first.
  for (const bool clsact : {false, true}) {
    for (const PinnedLink& link : links) {
      const bool is_wanted = std::ranges::any_of(
          wanted, [&](const Attachment& each) { return each.ifindex == link.ifindex; });
      if (!is_wanted && (link.kind == Kind::clsact) == clsact) remove(link);
    }
  }
}

std::vector<Attachment> Attacher::check() {
  for (Attachment& each : attachments_) {
    if (each.ifindex == 0) continue;
    describe_now(each);
    // It may have been renamed: the link stays with its index.
    if (const std::string name = interface_name(each.ifindex); !name.empty()) each.interface = name;
    if (!each.attached) each.note = "the program is not attached any more";
  }
  return attachments_;
}

/// By its pin, or by what we hold if the pin is gone. Another program in our place is none.
void Attacher::describe_now(Attachment& attachment) {
  describe(links_dir_, attachment);
  if (const auto held = held_attachment(attachment.ifindex); held && !attachment.attached) {
    attachment.attached = true;
    attachment.program_id = attached_program(held->first, held->second);
  }
  if (!attachment.attached) return;
  for (const int ours : {programs_.xdp_fd, programs_.tc_fd, programs_.tc_ip_fd}) {
    const auto info = program_info(ours);
    if (!info) return;
    if (info->id != attachment.program_id) continue;
    // By the id only CAP_SYS_ADMIN could ask for it.
    attachment.tag = tag_text(*info);
    return;
  }
  attachment.attached = false;
}

}  // namespace mailweir
