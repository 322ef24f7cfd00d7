// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/pin_keeper.h"

#include <spdlog/fmt/fmt.h>

#include <filesystem>

#include "datapath/handles.h"

namespace mailweir {
namespace {

namespace fs = std::filesystem;

/// 0 if the kernel does not say.
std::uint32_t object_id(int fd) {
  switch (object_kind(fd)) {
    case ObjectKind::map: {
      const auto found = map_info(fd);
      return found ? found->id : 0;
    }
    case ObjectKind::program: {
      const auto found = program_info(fd);
      return found ? found->id : 0;
    }
    case ObjectKind::link: {
      const auto found = link_info(fd);
      return found ? found->id : 0;
    }
    case ObjectKind::other:
      break;
  }
  return 0;
}

bool is_same(int a, int b) {
  return object_kind(a) == object_kind(b) && object_id(a) == object_id(b);
}

}  // namespace

void PinKeeper::hold(const std::string& path) {
  UniqueFd fd(bpf_obj_get(path.c_str()));
  if (fd.valid()) held_[path] = {std::move(fd)};
}

std::map<std::string, int> PinKeeper::fds() const {
  std::map<std::string, int> found;
  for (const auto& [path, held] : held_) found[path] = held.fd.get();
  return found;
}

std::string PinKeeper::restore() {
  for (const auto& [path, held] : held_) {
    const UniqueFd pinned(bpf_obj_get(path.c_str()));
    const int cause = errno;
    if (pinned.valid()) {
      if (is_same(held.fd.get(), pinned.get())) continue;
      return path + " holds something else than what is in use; move it away, then restart";
    }
    // A directory or a foreign object answers otherwise, and stays.
    if (cause != ENOENT) return sys_error(cause, "look at " + path).message;
    std::error_code ignored;
    fs::create_directories(fs::path(path).parent_path(), ignored);
    if (bpf_obj_pin(held.fd.get(), path.c_str()) == 0) continue;
    return fmt::format(
        "its pins are gone and cannot be made again ({}): the program goes on while the controller "
        "runs, a stop of it lets everything pass; mount the bpf filesystem there again "
        "(mount -t bpf bpf DIRECTORY)",
        sys_error(errno, "pin " + path).message);
  }
  return "";
}

}  // namespace mailweir
