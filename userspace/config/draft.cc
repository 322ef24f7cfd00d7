// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/draft.h"

#include <algorithm>
#include <tuple>

#include "config/wording.h"

namespace mailweir {
namespace {

/// A list file that is something else altogether would bury the one line that says so.
constexpr std::size_t kMostProblems = 100;

}  // namespace

void Findings::add(Kind& kind, Problem problem) {
  if (kind.problems.size() < kMostProblems)
    kind.problems.push_back(std::move(problem));
  else
    ++kind.unlisted;
}

void Findings::error(const Place& place, std::string_view text) {
  add(errors_, {Problem::Severity::error, place.file, place.line, place.column, one_line(text)});
}

void Findings::warning(const Place& place, std::string_view text) {
  add(warnings_,
      {Problem::Severity::warning, place.file, place.line, place.column, one_line(text)});
}

std::vector<Problem> Findings::sorted() const {
  std::vector<Problem> all = errors_.problems;
  all.insert(all.end(), warnings_.problems.begin(), warnings_.problems.end());
  const auto rank = [this](const Problem& problem) {
    const auto file = std::find(files_.begin(), files_.end(), problem.file);
    return std::tuple(file - files_.begin(), problem.line, problem.column);
  };
  std::stable_sort(all.begin(), all.end(),
                   [&rank](const Problem& a, const Problem& b) { return rank(a) < rank(b); });
  for (const Kind* kind : {&errors_, &warnings_}) {
    if (kind->unlisted == 0) continue;
    Problem rest = kind->problems.back();
    rest.line = rest.column = 0;
    rest.text = "and " + std::to_string(kind->unlisted) + " more";
    all.push_back(std::move(rest));
  }
  return all;
}

Place Places::of(std::initializer_list<std::string> keys) const {
  for (const std::string& key : keys)
    if (const auto found = places_.find(key); found != places_.end()) return found->second;
  return {main_file_, 0, 0};
}

}  // namespace mailweir
