// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel and libbpf objects as owned values, and errors in the operator's words.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "bpf/abi.h"
// After abi.h: the skeleton's .rodata names our types.
#include "mailweir.skel.h"

namespace mailweir {

template <auto Function>
struct CallFn {
  template <typename T>
  void operator()(T* object) const {
    Function(object);
  }
};

/// The skeleton's functions are static: a type that names one would be another in each file.
struct DestroySkeleton {
  void operator()(mailweir_bpf* skeleton) const { mailweir_bpf__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<mailweir_bpf, DestroySkeleton>;
using RingBuffer = std::unique_ptr<ring_buffer, CallFn<ring_buffer__free>>;

enum class ObjectKind : std::uint8_t { map, program, link, other };

/// Of a descriptor of bpf(2): an info call on the wrong kind answers nonsense, and succeeds.
[[nodiscard]] inline ObjectKind object_kind(int fd) {
  char target[64] = {};
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  if (::readlink(path.c_str(), target, sizeof(target) - 1) < 0) return ObjectKind::other;
  const std::string_view name(target);
  if (name == "anon_inode:bpf-map") return ObjectKind::map;
  if (name == "anon_inode:bpf-prog") return ObjectKind::program;
  // Of a new link, and of one that was opened again.
  if (name == "anon_inode:bpf_link" || name == "anon_inode:bpf-link") return ObjectKind::link;
  return ObjectKind::other;
}

/// What the kernel says of the program behind this descriptor.
[[nodiscard]] inline Result<bpf_prog_info> program_info(int fd) {
  bpf_prog_info found{};
  __u32 size = sizeof(found);
  if (bpf_obj_get_info_by_fd(fd, &found, &size) != 0) return sys_error(errno, "read program info");
  return found;
}

[[nodiscard]] inline Result<bpf_link_info> link_info(int fd) {
  bpf_link_info found{};
  __u32 size = sizeof(found);
  if (bpf_obj_get_info_by_fd(fd, &found, &size) != 0) return sys_error(errno, "read link info");
  return found;
}

[[nodiscard]] inline Result<bpf_map_info> map_info(int fd) {
  bpf_map_info found{};
  __u32 size = sizeof(found);
  if (bpf_obj_get_info_by_fd(fd, &found, &size) != 0) return sys_error(errno, "read map info");
  return found;
}

}  // namespace mailweir
