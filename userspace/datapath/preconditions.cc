// SPDX-License-Identifier: GPL-2.0-or-later
// What must hold before anything is loaded: the kernel, capabilities, a bpf filesystem to pin on.
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "datapath/kernel_datapath.h"

namespace mailweir {

Result<> check_kernel() {
  // bpf_loop; atomics with a result came before.
  constexpr std::pair kOldest{5U, 17U};
  utsname running{};
  std::pair release{0U, 0U};
  if (::uname(&running) != 0 ||
      std::sscanf(running.release, "%u.%u", &release.first, &release.second) != 2)
    return Ok{};  // the verifier will tell
  if (release >= kOldest) return Ok{};
  return Error{ENOSYS, "Linux 5.17 or newer is needed, and this is " +
                           std::string(running.release) + "; Debian 12's own kernel (6.1) will do"};
}

Result<> check_privileges() {
  struct Needed {
    unsigned bit;
    const char* name;
    const char* what_for;
  };
  static constexpr Needed kNeeded[] = {
      {CAP_NET_ADMIN, "CAP_NET_ADMIN", "attach it, and write iptables rules"},
      {CAP_BPF, "CAP_BPF", "load the kernel program"},
      {CAP_PERFMON, "CAP_PERFMON", "load a program that computes with packet pointers"}};

  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3]{};
  if (::syscall(SYS_capget, &header, sets) != 0) return sys_error(errno, "read own capabilities");
  const auto has = [&](unsigned bit) { return (sets[bit / 32].effective >> (bit % 32) & 1) != 0; };
  // CAP_SYS_ADMIN has always included the two younger ones.
  for (const Needed& needed : kNeeded)
    if (!has(needed.bit) && !(needed.bit != CAP_NET_ADMIN && has(CAP_SYS_ADMIN)))
      return Error{EPERM, std::string("not permitted: ") + needed.name + " is missing (needed to " +
                              needed.what_for + "); run as root, or by the systemd unit"};
  return Ok{};
}

namespace {

/// The last directory on the way up that is still of the same filesystem.
std::string mount_point(std::filesystem::path path) {
  struct stat here {
  }, above{};
  while (path.has_relative_path() && ::stat(path.c_str(), &here) == 0 &&
         ::stat(path.parent_path().c_str(), &above) == 0 && here.st_dev == above.st_dev)
    path = path.parent_path();
  return path.string();
}

}  // namespace

Result<> check_bpffs(const std::string& bpffs_dir) {
  std::filesystem::path existing = bpffs_dir;
  std::error_code ignored;
  while (!std::filesystem::exists(existing, ignored) && existing.has_relative_path())
    existing = existing.parent_path();

  // bpffs takes no dot in a name.
  if (const auto missing = std::filesystem::path(bpffs_dir).lexically_relative(existing).string();
      existing.string() != bpffs_dir && missing.find('.') != std::string::npos)
    return Error{EINVAL, "bpffs_dir " + bpffs_dir + ": a bpf filesystem allows no dot in a name"};
  struct statfs found {};
  if (::statfs(existing.c_str(), &found) != 0) return sys_error(errno, "look at " + bpffs_dir);
  if (static_cast<unsigned long>(found.f_type) != BPF_FS_MAGIC)
    return Error{ENOTDIR, "bpffs_dir " + bpffs_dir + ": no bpf filesystem is mounted there; " +
                              "mount -t bpf bpf /sys/fs/bpf"};
  if ((static_cast<unsigned long>(found.f_flags) & ST_RDONLY) != 0)
    return Error{EROFS, "bpffs_dir " + bpffs_dir + ": the bpf filesystem is read-only; " +
                            "mount -o remount,rw " + mount_point(existing)};
  return Ok{};
}

}  // namespace mailweir
