// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/allow_files.h"

#include <glob.h>
#include <spdlog/fmt/fmt.h>

#include <map>
#include <set>
#include <string_view>

#include "config/forms.h"
#include "config/syntax.h"

namespace mailweir {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// A directory that is not there has no lists; one that cannot be read may hide some.
int stop_unless_missing(const char* /*path*/, int code) {
  return code == ENOENT ? 0 : 1;
}

/// The files that a pattern names, sorted. A path without wildcards names itself, there or not.
Result<std::vector<std::string>> files_of(const std::string& pattern) {
  if (pattern.find_first_of("*?[") == std::string::npos) return std::vector{pattern};

  glob_t found{};
  errno = 0;
  const int failed = ::glob(pattern.c_str(), 0, stop_unless_missing, &found);
  const int code = errno;
  std::vector<std::string> files(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (failed != 0 && failed != GLOB_NOMATCH)
    return sys_error(code == 0 ? ENOMEM : code, "look for '" + pattern + "'");
  return files;
}

class ListReader {
 public:
  explicit ListReader(Draft& draft) : draft_(draft) {
    for (const AllowEntry& entry : draft.config.allow.networks)
      origins_.emplace(entry.prefix, entry.origin);
  }

  void read(const std::string& file, const Place& named_at) {
    if (!read_.insert(file).second) return;
    draft_.findings.reading(file);
    const auto text = read_text(file);
    if (!text) {
      if (text.error().code == ENOENT)
        draft_.findings.error(named_at, fmt::format("[allow] files: '{}' does not exist", file));
      else
        draft_.findings.error({file}, text.error().message);
      return;
    }
    unsigned line = 0;
    for (std::string_view rest = *text; !rest.empty();) {
      const auto end = rest.find('\n');
      read_line(rest.substr(0, end), {file, ++line});
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
  }

 private:
  void read_line(std::string_view line, Place place) {
    const std::string_view text = trimmed(line.substr(0, line.find('#')));
    if (text.empty()) return;
    place.column = static_cast<unsigned>(text.data() - line.data()) + 1;
    if (text.find_first_of(kBlanks) != std::string_view::npos) {
      draft_.findings.error(place, fmt::format("'{}': one address or prefix a line; a comment "
                                               "starts with #",
                                               text));
      return;
    }
    const auto network = parse_network(text);
    if (!network) {
      draft_.findings.error(place, network.error().message);
      return;
    }
    const std::string origin = fmt::format("{}:{}", place.file, place.line);
    if (const auto [first, is_new] = origins_.emplace(*network, origin); !is_new)
      draft_.findings.warning(
          place, fmt::format("{} is allowed already by {}", to_string(*network), first->second));
    else
      draft_.config.allow.networks.push_back({*network, origin, true});
  }

  Draft& draft_;
  std::map<Prefix, std::string> origins_;
  std::set<std::string> read_;
};

}  // namespace

void read_allow_files(Draft& draft) {
  ListReader lists(draft);
  const std::vector<std::string> patterns = draft.config.allow.files;
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    const Place place = draft.places.of({element("allow.files", i)});
    const auto files = files_of(patterns[i]);
    if (!files) {
      draft.findings.error(place, "[allow] files: " + files.error().message);
      continue;
    }
    for (const std::string& file : *files) lists.read(file, place);
  }
}

}  // namespace mailweir
