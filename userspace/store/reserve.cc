// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace mailweir {
namespace {

constexpr off_t kReserveBytes = 1 << 20;

/// Taking the last free space for the reserve would make the shortage that it is kept for.
bool has_room(const std::string& directory) {
  struct statvfs disk {};
  return ::statvfs(directory.c_str(), &disk) == 0 &&
         disk.f_bavail * disk.f_frsize >= 2 * kReserveBytes;
}

bool make(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640));
  if (file.valid() && ::posix_fallocate(file.get(), 0, kReserveBytes) == 0) return true;
  ::unlink(path.c_str());
  return false;
}

}  // namespace

bool Reserve::hold() {
  struct stat status {};
  held_ = (::stat(path_.c_str(), &status) == 0 && status.st_blocks * 512 >= kReserveBytes) ||
          (has_room(path_.substr(0, path_.rfind('/'))) && make(path_));
  return held_;
}

bool Reserve::spend() {
  held_ = false;
  return ::unlink(path_.c_str()) == 0;
}

}  // namespace mailweir
