// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel and libbpf objects as owned values, and errors in the operator's words.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <memory>

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

using Skeleton = std::unique_ptr<mailweir_bpf, CallFn<mailweir_bpf__destroy>>;
using RingBuffer = std::unique_ptr<ring_buffer, CallFn<ring_buffer__free>>;

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
