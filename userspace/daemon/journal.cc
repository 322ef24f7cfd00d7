// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/journal.h"

#include "base/time_text.h"

namespace mailweir {
namespace {

constexpr std::size_t kKept = 2000;
constexpr std::uint64_t kShownAtFirst = 100;

}  // namespace

void Journal::add(WallTime time, std::string kind, std::string source, std::string text) {
  entries_.push_back({next_++, time, std::move(kind), std::move(source), std::move(text)});
  if (entries_.size() > kKept) entries_.pop_front();
}

nlohmann::json Journal::read(std::optional<std::uint64_t> after) const {
  const std::uint64_t from = after.value_or(last() > kShownAtFirst ? last() - kShownAtFirst : 0);
  nlohmann::json events = nlohmann::json::array();
  for (const Entry& entry : entries_) {
    // A reader from before our restart counts from another start: it gets what there is.
    if (entry.seq <= from && from <= last()) continue;
    events.push_back({{"seq", entry.seq},
                      {"time", rfc3339(entry.time)},
                      {"kind", entry.kind},
                      {"source", entry.source},
                      {"text", entry.text}});
  }
  return {{"events", std::move(events)}, {"next", last()}};
}

}  // namespace mailweir
