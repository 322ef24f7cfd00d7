// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/syntax.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "base/unique_fd.h"

namespace mailweir {
namespace {

constexpr std::size_t kLargestFile = 1 << 20;
constexpr unsigned kMostDots = 16;

/// Past the string that starts at `at`; a string that is not closed ends with its line or the text.
std::size_t skip_string(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const bool many_lines = text.substr(at, 3) == std::string(3, quote);
  const std::string_view close = text.substr(at, many_lines ? 3 : 1);
  for (at += close.size(); at < text.size(); ++at) {
    if (text[at] == '\\' && quote == '"')
      ++at;
    else if (text[at] == '\n' && !many_lines)
      return at;
    else if (text.substr(at, close.size()) == close)
      return at + close.size();
  }
  return text.size();
}

/// toml++ limits the depth of values, but not of keys: it builds, and takes down, a.a.a.a...=1 by
/// recursion, and some 50,000 levels end the stack. Returns the line of such a key; 0: none.
unsigned line_of_deep_key(std::string_view text) {
  unsigned line = 1, dots = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    switch (text[at]) {
      case '\n':
        ++line;
        dots = 0;
        break;
      case '.':
        if (++dots > kMostDots) return line;
        break;
      case '#':
        at = std::min(text.find('\n', at), text.size()) - 1;
        break;
      case '"':
      case '\'': {
        const std::size_t end = skip_string(text, at);
        line += static_cast<unsigned>(std::count(text.begin() + static_cast<std::ptrdiff_t>(at),
                                                 text.begin() + static_cast<std::ptrdiff_t>(end),
                                                 '\n'));
        at = end - 1;
        break;
      }
      default:
        break;
    }
  }
  return 0;
}

}  // namespace

Result<std::string> read_text(const std::string& file) {
  // Non-blocking: opening a FIFO that nobody writes to would hang a reload.
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return sys_error(errno, "cannot be read");
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return sys_error(errno, "cannot be read");
  if (!S_ISREG(status.st_mode)) return Error{EINVAL, "is not a regular file"};

  std::string text;
  char chunk[16384];
  while (text.size() <= kLargestFile) {
    const ssize_t got = ::read(fd.get(), chunk, sizeof(chunk));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error(errno, "cannot be read");
    if (got == 0) break;
    text.append(chunk, static_cast<std::size_t>(got));
  }
  if (text.size() > kLargestFile)
    return Error{EFBIG, fmt::format("is larger than 1 MiB ({} bytes): is it the right file?",
                                    status.st_size)};
  if (text.find('\0') != std::string::npos)
    return Error{EINVAL, "is a binary file (it has NUL bytes), not UTF-8 text"};
  return text;
}

std::optional<toml::table> parse_toml(const std::string& file, const std::string& text,
                                      Findings& findings) {
  if (const unsigned line = line_of_deep_key(text); line != 0) {
    findings.error({file, line, 1},
                   fmt::format("more than {} dots outside quotes: no key is nested so deep; "
                               "addresses and names are written in quotes",
                               kMostDots));
    return std::nullopt;
  }
  try {
    return toml::parse(text, file);
  } catch (const toml::parse_error& wrong) {
    constexpr std::string_view kIn = "Error while parsing ";
    std::string_view what = wrong.description();
    const bool names_part = what.starts_with(kIn);
    if (names_part) what.remove_prefix(kIn.size());
    findings.error({file, wrong.source().begin.line, wrong.source().begin.column},
                   fmt::format("syntax error{}{}", names_part ? " in " : ": ", what));
    return std::nullopt;
  }
}

}  // namespace mailweir
