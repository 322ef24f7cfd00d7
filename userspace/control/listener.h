// SPDX-License-Identifier: GPL-2.0-or-later
// The socket file: its lock, owner and mode, and who is at the other end. No HTTP.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "control/http.h"

namespace mailweir {

/// A listening Unix socket, mode 0660, owned by a group. One process at a time has it: a lock file
/// beside it (PATH.lock, with the pid) is held as long as this lives.
class Listener {
 public:
  /// Makes the socket's directory if it is missing. Replaces a socket file that nobody listens on.
  /// EADDRINUSE: another daemon has it, and the error names its pid.
  [[nodiscard]] static Result<Listener> open(const std::string& path, const std::string& group);
  Listener(Listener&&) noexcept = default;
  Listener& operator=(Listener&&) = delete;
  ~Listener();  ///< removes both files, if they are still ours

  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] gid_t group() const { return group_; }

 private:
  friend Result<bool> remove_stale_socket(const std::string& path);
  Listener(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  [[nodiscard]] Result<> bind_and_listen(const std::string& group);

  std::string path_;
  UniqueFd lock_;
  UniqueFd socket_;
  gid_t group_ = 0;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

/// Removes what a killed daemon left at `path`: socket and lock. False: there was nothing.
/// EADDRINUSE: a daemon has it.
[[nodiscard]] Result<bool> remove_stale_socket(const std::string& path);

/// Who connected. Members of `group` by their first or any other group may change things.
[[nodiscard]] Result<Peer> peer_of(int fd, gid_t group);

}  // namespace mailweir
