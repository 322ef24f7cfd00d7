// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/day_book.h"

#include <utility>

namespace mailweir {
namespace {

/// About 1 kB each. A gateway has had 10,000 clients, a tenth of them mail.
constexpr std::size_t kMost = 20'000;

}  // namespace

void DayBook::resume(const std::vector<SourceDay>& today) {
  for (const SourceDay& day : today)
    if (watches_.size() < kMost) watches_.try_emplace(day.source, day);
}

DayWatch* DayBook::watch(const mw_addr& source, WallTime now) {
  auto found = watches_.find(source);
  if (found == watches_.end()) {
    if (watches_.size() >= kMost) {
      ++left_out_;
      return nullptr;
    }
    found = watches_.try_emplace(source, source, now).first;
  }
  // The next count turns the day: the old one must not be lost.
  if (found->second.is_over(now) && changed_.contains(source)) over_.push_back(found->second.day());
  changed_.insert(source);
  return &found->second;
}

void DayBook::count(const mw_event& outcome, std::uint32_t networks, const Now& now) {
  if (DayWatch* const found = watch(outcome.source, now.wall)) found->count(outcome, networks, now);
}

void DayBook::count_unanswered(const mw_event& event, WallTime now) {
  if (DayWatch* const found = watch(event.source, now)) found->count_unanswered(event.count, now);
}

std::vector<SourceDay> DayBook::take_changes(WallTime now) {
  std::vector<SourceDay> days = std::exchange(over_, {});
  for (const mw_addr& source : changed_)
    if (const auto found = watches_.find(source); found != watches_.end())
      days.push_back(found->second.day());
  changed_.clear();
  std::erase_if(watches_, [&](const auto& each) { return each.second.is_over(now); });
  return days;
}

}  // namespace mailweir
