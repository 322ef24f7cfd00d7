// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/log_file.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <vector>

#include "base/time_text.h"

namespace mailweir {
namespace {

namespace fs = std::filesystem;

/// Of the whole, for one file: what is removed at a time is small.
constexpr std::uint64_t kParts = 8;
constexpr mode_t kMode = 0640;
/// A day ends then: logrotate, which runs in the first hour, goes first where it is set up.
constexpr auto kAfterMidnight = std::chrono::hours(2);

std::string local_stamp(WallTime time, const char* format) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char text[32] = {};
  return {text, std::strftime(text, sizeof(text), format, &local)};
}

std::string day_of(WallTime time) {
  return local_stamp(time - kAfterMidnight, "%Y%m%d");
}

/// "20261124-020308", "20261124-020308-001".
bool is_stamp(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((text[i] == '-') != (i == 8 || i == 15) ||
        (text[i] != '-' && (text[i] < '0' || text[i] > '9')))
      return false;
  return text.size() == 15 || text.size() == 19;
}

WallTime modified(const struct stat& status) {
  return WallTime(std::chrono::seconds(status.st_mtim.tv_sec));
}

struct Old {
  std::string path;
  WallTime time;
  std::uint64_t bytes;
};

/// What rotate() moved aside, the oldest first; nobody else's.
std::vector<Old> moved_aside(const std::string& path) {
  const fs::path file(path);
  const std::string front = file.filename().string() + "-";
  std::vector<Old> found;
  std::error_code failed;
  for (fs::directory_iterator entry(file.parent_path(), failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    const bool is_ours = name.starts_with(front) && is_stamp(name.substr(front.size()));
    struct stat status {};
    if (is_ours && ::lstat(entry->path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
      found.push_back(
          {entry->path().string(), modified(status), static_cast<std::uint64_t>(status.st_size)});
  }
  std::ranges::sort(found, {}, &Old::path);
  return found;
}

}  // namespace

Result<> LogFile::open(WallTime now) {
  const fs::path folder = fs::path(path_).parent_path();
  if (std::error_code failed; !fs::exists(folder, failed)) fs::create_directory(folder, failed);
  fd_ = UniqueFd(::open(
      path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, kMode));
  if (!fd_.valid() && errno == ELOOP)
    return Error{ELOOP, path_ + " is a symbolic link; name the file itself"};
  if (!fd_.valid() && errno == ENXIO) return Error{EINVAL, path_ + " is no regular file"};
  if (!fd_.valid()) return sys_error(errno, "open " + path_);
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) return sys_error(errno, "open " + path_);
  if (!S_ISREG(status.st_mode)) {
    fd_.reset();
    return Error{EINVAL, path_ + " is no regular file"};
  }
  bytes_ = static_cast<std::uint64_t>(status.st_size);
  day_ = day_of(bytes_ == 0 ? now : modified(status));
  return Ok{};
}

bool LogFile::is_due(std::size_t more, WallTime now) const {
  return bytes_ > 0 && (bytes_ + more > limits_.max_bytes / kParts || day_ != day_of(now));
}

Result<> LogFile::write(std::string_view lines, WallTime now) {
  if (!fd_.valid())
    if (auto opened = open(now); !opened) return opened;
  if (is_due(lines.size(), now))
    if (auto rotated = rotate(now); !rotated) return rotated;
  if (bytes_ == 0) day_ = day_of(now);
  const auto written = ::write(fd_.get(), lines.data(), lines.size());
  if (written == static_cast<ssize_t>(lines.size())) {
    bytes_ += lines.size();
    return Ok{};
  }
  const int cause = written < 0 ? errno : ENOSPC;
  struct stat status {};
  if (written > 0 &&
      (::fstat(fd_.get(), &status) != 0 || ::ftruncate(fd_.get(), status.st_size - written) != 0))
    return sys_error(errno, "write " + path_);
  return sys_error(cause, "write " + path_);
}

Result<> LogFile::reopen(WallTime now) {
  fd_.reset();
  return open(now);
}

Result<> LogFile::look(WallTime now) {
  struct stat named {
  }, ours{};
  const bool is_there = ::lstat(path_.c_str(), &named) == 0;
  if (!fd_.valid() || !is_there || ::fstat(fd_.get(), &ours) != 0 || named.st_ino != ours.st_ino ||
      named.st_dev != ours.st_dev)
    if (auto opened = reopen(now); !opened) return opened;
  // Emptied in place: logrotate's copytruncate.
  if (::fstat(fd_.get(), &ours) == 0) bytes_ = static_cast<std::uint64_t>(ours.st_size);
  if (is_due(0, now))
    if (auto rotated = rotate(now); !rotated) return rotated;
  prune(now);
  return Ok{};
}

Result<> LogFile::rotate(WallTime now) {
  std::string aside = path_ + "-" + local_stamp(now, "%Y%m%d-%H%M%S");
  std::error_code failed;
  for (int i = 1; fs::exists(aside, failed); ++i)
    aside = fmt::format("{}-{}-{:03}", path_, local_stamp(now, "%Y%m%d-%H%M%S"), i);
  if (::rename(path_.c_str(), aside.c_str()) != 0 && errno != ENOENT)
    return sys_error(errno, "move " + path_ + " aside");
  if (auto opened = reopen(now); !opened) return opened;
  prune(now);
  return Ok{};
}

void LogFile::prune(WallTime now) const {
  std::vector<Old> files = moved_aside(path_);
  std::uint64_t sum = limits_.max_bytes / kParts;  // what the open file may become
  for (const Old& file : files) sum += file.bytes;
  std::error_code failed;
  for (const Old& file : files) {
    const bool is_old = limits_.keep != kForever && file.time + limits_.keep < now;
    if (!is_old && sum <= limits_.max_bytes) continue;
    if (fs::remove(file.path, failed)) sum -= file.bytes;
  }
}

}  // namespace mailweir
