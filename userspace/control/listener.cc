// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/listener.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <optional>
#include <vector>

namespace mailweir {
namespace {

constexpr mode_t kSocketMode = 0660;
constexpr int kBacklog = 1024;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t most = sizeof(address.sun_path) - 1;
  if (path.empty() || path.size() > most)
    return Error{ENAMETOOLONG, "socket path '" + path + "' has " + std::to_string(path.size()) +
                                   " bytes, a Unix socket's has 1 to " + std::to_string(most) +
                                   ": change `socket` in the configuration"};
  path.copy(address.sun_path, most);
  return address;
}

Result<> make_directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return Ok{};
  const std::string directory = path.substr(0, slash);
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return sys_error(errno, "make the socket's directory " + directory);
  return Ok{};
}

Error another_daemon(const std::string& path, std::optional<pid_t> pid) {
  const std::string number = pid ? " (pid " + std::to_string(*pid) + ")" : "";
  return {EADDRINUSE, "another mailweir" + number + " has " + path +
                          ": stop it first (systemctl stop mailweir" +
                          (pid ? ", or kill " + std::to_string(*pid) : "") + ")"};
}

/// The pid that stands in the lock file; none while its owner has not yet written it.
std::optional<pid_t> pid_in(int lock) {
  char text[16] = {};
  const ssize_t length = ::pread(lock, text, sizeof(text) - 1, 0);
  pid_t pid = 0;
  if (length <= 0 || std::from_chars(text, text + length, pid).ec != std::errc{} || pid <= 0)
    return std::nullopt;
  // A pid that an owner before this one left.
  if (::kill(pid, 0) != 0 && errno == ESRCH) return std::nullopt;
  return pid;
}

Error lock_is_held(const std::string& path, int lock) {
  // The winner of a race writes its pid a moment after it has the lock.
  std::optional<pid_t> pid = pid_in(lock);
  for (int tries = 0; !pid && tries < 50; ++tries) {
    ::poll(nullptr, 0, 10);
    pid = pid_in(lock);
  }
  return another_daemon(path, pid);
}

bool same_file(const std::string& path, int fd) {
  struct stat opened {};
  struct stat there {};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &there) == 0 &&
         opened.st_dev == there.st_dev && opened.st_ino == there.st_ino;
}

Result<UniqueFd> take_lock(const std::string& path) {
  const std::string name = path + ".lock";
  for (;;) {
    UniqueFd lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock.valid()) return sys_error(errno, "open " + name);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return lock_is_held(path, lock.get());
      return sys_error(errno, "lock " + name);
    }
    // Its last owner may have removed the file after we opened it: then it guards nothing.
    if (!same_file(name, lock.get())) continue;

    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(lock.get(), 0) != 0 ||
        ::pwrite(lock.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
      return sys_error(errno, "write " + name);
    return lock;
  }
}

/// Removes a socket file that a crash left; refuses to touch anything else.
Result<> clear_stale(const std::string& path, const sockaddr_un& address) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return Ok{};
    return sys_error(errno, "look at " + path);
  }
  if (!S_ISSOCK(found.st_mode))
    return Error{EEXIST, path + " exists and is not a socket: move it away"};

  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    ucred listener{};
    socklen_t size = sizeof(listener);
    if (::getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &listener, &size) != 0 ||
        listener.pid == 0)
      return another_daemon(path, std::nullopt);
    return another_daemon(path, listener.pid);
  }
  // EAGAIN: somebody listens, with a full backlog.
  if (errno == EAGAIN) return another_daemon(path, std::nullopt);
  if (errno != ECONNREFUSED) return sys_error(errno, "connect to " + path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return sys_error(errno, "remove the stale socket " + path);
  return Ok{};
}

gid_t group_or_own(const std::string& name) {
  std::vector<char> buffer(16384);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr)
    return found->gr_gid;
  return ::geteuid() == 0 ? 0 : ::getegid();
}

}  // namespace

Result<Listener> Listener::open(const std::string& path, const std::string& group) {
  auto address = address_of(path);
  if (!address) return std::move(address).error();
  if (auto made = make_directory_of(path); !made) return std::move(made).error();
  auto lock = take_lock(path);
  if (!lock) return std::move(lock).error();

  Listener listener(path, std::move(*lock));
  if (auto cleared = clear_stale(path, *address); !cleared) return std::move(cleared).error();
  if (auto bound = listener.bind_and_listen(group); !bound) return std::move(bound).error();
  return listener;
}

Result<> Listener::bind_and_listen(const std::string& group) {
  auto address = address_of(path_);
  if (!address) return std::move(address).error();
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return sys_error(errno, "make the socket " + path_);

  // Linux gives the file the mode of the descriptor, so it is never more open than this; and until
  // listen() nobody can connect.
  if (::fchmod(socket.get(), kSocketMode) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0)
    return sys_error(errno, "bind " + path_);
  struct stat made {};
  if (::lstat(path_.c_str(), &made) != 0) return sys_error(errno, "look at " + path_);
  device_ = made.st_dev;
  inode_ = made.st_ino;

  group_ = group_or_own(group);
  if (::lchown(path_.c_str(), static_cast<uid_t>(-1), group_) != 0)
    return sys_error(errno, "give " + path_ + " to the group " + group);
  // A strict umask may have taken the group's bits away.
  if (::chmod(path_.c_str(), kSocketMode) != 0) return sys_error(errno, "set the mode of " + path_);
  if (::listen(socket.get(), kBacklog) != 0) return sys_error(errno, "listen on " + path_);
  socket_ = std::move(socket);
  return Ok{};
}

Listener::~Listener() {
  if (!lock_.valid()) return;
  struct stat there {};
  if (inode_ != 0 && ::lstat(path_.c_str(), &there) == 0 && there.st_dev == device_ &&
      there.st_ino == inode_)
    ::unlink(path_.c_str());
  const std::string lock = path_ + ".lock";
  if (same_file(lock, lock_.get())) ::unlink(lock.c_str());
}

Result<bool> remove_stale_socket(const std::string& path) {
  auto address = address_of(path);
  if (!address) return std::move(address).error();
  if (::access(path.c_str(), F_OK) != 0 && ::access((path + ".lock").c_str(), F_OK) != 0)
    return false;
  auto lock = take_lock(path);
  if (!lock) return std::move(lock).error();
  const Listener owner(path, std::move(*lock));  // its end removes the lock
  if (auto cleared = clear_stale(path, *address); !cleared) return std::move(cleared).error();
  return true;
}

Result<Peer> peer_of(int fd, gid_t group) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return sys_error(errno, "ask who connected");
  Peer peer{credentials.pid, credentials.uid, credentials.gid, false};

  std::vector<gid_t> groups(32);
  size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  int failed = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  if (failed != 0 && errno == ERANGE) {
    groups.resize(size / sizeof(gid_t));
    failed = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  }
  groups.resize(failed == 0 ? size / sizeof(gid_t) : 0);
  peer.may_change = peer.uid == 0 || peer.gid == group ||
                    std::find(groups.begin(), groups.end(), group) != groups.end();
  return peer;
}

}  // namespace mailweir
