// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/ptr_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/unique_fd.h"
#include "dns/zone_text.h"

namespace mailweir {
namespace {

namespace fs = std::filesystem;

std::string path_of(const std::string& folder, const std::string& name) {
  return (fs::path(folder) / name).string();
}

Result<> write_all(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd.valid()) return sys_error(errno, "write " + path);
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t wrote = ::write(fd.get(), text.data() + at, text.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return sys_error(errno, "write " + path);
    at += static_cast<std::size_t>(wrote);
  }
  if (::fsync(fd.get()) != 0) return sys_error(errno, "write " + path);
  return Ok{};
}

/// Files beside their places; what is not put in place is removed again.
class Pending {
 public:
  Pending() = default;
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  ~Pending() {
    for (const auto& [temporary, path] : files_) ::unlink(temporary.c_str());
  }
  Result<> add(const std::string& path, const std::string& text) {
    files_.emplace_back(path + ".new", path);
    return write_all(files_.back().first, text);
  }
  Result<> put() {
    while (!files_.empty()) {
      const auto& [temporary, path] = files_.back();
      if (::rename(temporary.c_str(), path.c_str()) != 0)
        return sys_error(errno, "put " + path + " in place");
      files_.pop_back();
    }
    return Ok{};
  }

 private:
  std::vector<std::pair<std::string, std::string>> files_;
};

}  // namespace

Result<std::optional<std::string>> existing_file(const std::string& folder,
                                                 const std::string& name) {
  const std::string path = path_of(folder, name);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) return std::optional<std::string>{};
  if (!fd.valid()) return sys_error(errno, "read " + path);
  std::string text;
  char buffer[65536];
  ssize_t got = 0;
  while ((got = ::read(fd.get(), buffer, sizeof(buffer))) > 0)
    text.append(buffer, static_cast<std::size_t>(got));
  if (got < 0) return sys_error(errno, "read " + path);
  if (text.substr(0, text.find('\n')).find(kWrittenBy) == std::string::npos && !text.empty())
    return Error{0, path +
                        " was not written by mailweir, and is left as it is\nmove it away, and go "
                        "on from its serial with --diff FILE"};
  return std::optional(std::move(text));
}

Result<> write_ptr_files(const std::string& folder, std::vector<PtrFile>& files, bool dry_run) {
  std::error_code failed;
  if (!dry_run && !fs::is_directory(folder, failed) && !fs::create_directory(folder, failed))
    return sys_error(failed ? failed.value() : ENOTDIR, "make the folder " + folder);
  Pending pending;
  for (PtrFile& file : files) {
    const auto existing = existing_file(folder, file.name);
    if (!existing) return existing.error();
    file.state = "unchanged";
    if (*existing == file.text) continue;
    file.state = dry_run ? "would be written" : "written";
    if (dry_run) continue;
    if (auto added = pending.add(path_of(folder, file.name), file.text); !added) return added;
  }
  return pending.put();
}

}  // namespace mailweir
