// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/config.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "config/allow_files.h"
#include "config/checks.h"
#include "config/draft.h"
#include "config/forms.h"
#include "config/reader.h"

namespace mailweir {
namespace {

namespace fs = std::filesystem;

/// conf.d/*.toml beside the file, in name order; hidden files are an editor's.
std::vector<std::string> additions_to(const std::string& file, Findings& findings) {
  const fs::path directory = fs::path(file).parent_path() / "conf.d";
  std::vector<std::string> files;
  std::error_code failed;
  for (fs::directory_iterator entry(directory, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const fs::path& path = entry->path();
    if (path.extension() == ".toml" && !path.filename().string().starts_with('.'))
      files.push_back(path.string());
  }
  if (failed && failed != std::errc::no_such_file_or_directory)
    findings.error({directory.string()}, sys_error(failed.value(), "cannot be read").message);
  std::sort(files.begin(), files.end());
  return files;
}

/// The hostname as part of decision ids: its first label if the whole is too long, and '-' for what
/// a node name may not have.
std::string node_of_host() {
  char host[256] = {};
  if (::gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0') return "localhost";
  std::string node = host;
  constexpr std::size_t kLongest = 32;
  if (node.size() > kLongest) node = node.substr(0, node.find('.')).substr(0, kLongest);
  for (char& c : node)
    if (!check_node(std::string_view(&c, 1))) c = '-';
  return node;
}

}  // namespace

std::string Problem::to_string() const {
  std::string where = file;
  if (line > 0) where += fmt::format(":{}", line);
  if (line > 0 && column > 0) where += fmt::format(":{}", column);
  return fmt::format("{}: {}: {}", where, severity == Severity::error ? "error" : "warning", text);
}

bool Loaded::usable() const {
  return errors() == 0;
}

std::size_t Loaded::errors() const {
  return static_cast<std::size_t>(std::count_if(
      problems.begin(), problems.end(),
      [](const Problem& problem) { return problem.severity == Problem::Severity::error; }));
}

Loaded load_config(const std::string& file) {
  Draft draft(file);
  const bool main_read = read_file(file, draft);
  bool complete = main_read;
  for (const std::string& addition : additions_to(file, draft.findings))
    complete = read_file(addition, draft) && complete;
  if (main_read) read_allow_files(draft);
  resolve_groups(draft);
  // With a file missing, complaints about what it may have said would only mislead.
  if (complete) check(draft);
  if (draft.config.node.empty()) draft.config.node = node_of_host();
  return {std::move(draft.config), draft.findings.sorted()};
}

}  // namespace mailweir
