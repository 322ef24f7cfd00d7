// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/pin_keeper.h"

#include <spdlog/fmt/fmt.h>

#include <filesystem>

#include "datapath/handles.h"

namespace mailweir {
namespace {

namespace fs = std::filesystem;

/// 0 if the kernel does not say.
std::uint32_t object_id(PinKeeper::Kind kind, int fd) {
  switch (kind) {
    case PinKeeper::Kind::map: {
      const auto found = map_info(fd);
      return found ? found->id : 0;
    }
    case PinKeeper::Kind::program: {
      const auto found = program_info(fd);
      return found ? found->id : 0;
    }
    case PinKeeper::Kind::link: {
      const auto found = link_info(fd);
      return found ? found->id : 0;
    }
  }
  return 0;
}

}  // namespace

void PinKeeper::hold(Kind kind, const std::string& path) {
  UniqueFd fd(bpf_obj_get(path.c_str()));
  if (!fd.valid()) return;
  const std::uint32_t id = object_id(kind, fd.get());
  held_[path] = {kind, std::move(fd), id};
}

int PinKeeper::fd(const std::string& path) const {
  const auto found = held_.find(path);
  return found == held_.end() ? -1 : found->second.fd.get();
}

std::string PinKeeper::restore() {
  for (const auto& [path, held] : held_) {
    const UniqueFd pinned(bpf_obj_get(path.c_str()));
    const int cause = errno;
    if (pinned.valid()) {
      if (object_id(held.kind, pinned.get()) == held.id) continue;
      return path + " holds something else than what is in use; move it away, then restart";
    }
    // A directory or a foreign object answers otherwise, and stays.
    if (cause != ENOENT) return sys_error(cause, "look at " + path).message;
    std::error_code ignored;
    fs::create_directories(fs::path(path).parent_path(), ignored);
    if (bpf_obj_pin(held.fd.get(), path.c_str()) == 0) continue;
    return fmt::format(
        "its pins are gone and cannot be made again ({}): the program goes on while the controller "
        "runs, a stop of it lets everything pass; mount -t bpf bpf /sys/fs/bpf",
        sys_error(errno, "pin " + path).message);
  }
  return "";
}

}  // namespace mailweir
