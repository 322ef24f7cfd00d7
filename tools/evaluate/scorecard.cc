// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/scorecard.h"

#include <algorithm>

namespace mailweir::evaluate {
namespace {

constexpr double kGoodMailing = 0.9;

}  // namespace

void ClassScore::add(const Judged& judged) {
  const SourceDay& day = judged.day;
  ++sources;
  blocked += judged.blocked.has_value();
  blocks += judged.blocks;
  held += day.was_held;
  connections += day.tried;
  deliveries += day.deliveries;
  lost += day.lost;
  delayed += day.delayed;
  longest_delay = std::max(longest_delay, day.longest_delay);
  leaks.push_back(static_cast<double>(day.leaked(judged.blocked)));
  kilobytes.push_back(static_cast<double>(day.bytes) / 1000);
  if (judged.blocked) seconds.push_back(in_seconds(*judged.blocked - *day.first_syn));
}

void ClassScore::add(const ClassScore& other) {
  sources += other.sources;
  blocked += other.blocked;
  blocks += other.blocks;
  held += other.held;
  connections += other.connections;
  deliveries += other.deliveries;
  lost += other.lost;
  delayed += other.delayed;
  longest_delay = std::max(longest_delay, other.longest_delay);
  leaks.insert(leaks.end(), other.leaks.begin(), other.leaks.end());
  kilobytes.insert(kilobytes.end(), other.kilobytes.begin(), other.kilobytes.end());
  seconds.insert(seconds.end(), other.seconds.begin(), other.seconds.end());
}

void Scorecard::add(const Trial& trial) {
  detector = trial.detector;
  ++days;
  frames += trial.frames;
  runs += trial.runs;
  for (const Judged& judged : trial.sources) {
    const bool is_poor = judged.day.kind == Class::mailing && judged.day.productive < kGoodMailing;
    (is_poor ? poor_mailings : classes[static_cast<std::size_t>(judged.day.kind)]).add(judged);
  }
}

ClassScore Scorecard::honest() const {
  ClassScore sum;
  for (std::size_t i = 0; i < kClasses; ++i)
    if (traits(static_cast<Class>(i)).label == Label::honest) sum.add(classes[i]);
  return sum;
}

ClassScore Scorecard::fast_bots() const {
  ClassScore sum;
  for (std::size_t i = 0; i < kClasses; ++i) {
    const ClassTraits& of = traits(static_cast<Class>(i));
    if (of.label == Label::bot && of.is_bound) sum.add(classes[i]);
  }
  return sum;
}

ClassScore Scorecard::spammers() const {
  ClassScore sum;
  for (std::size_t i = 0; i < kClasses; ++i)
    if (is_spam(traits(static_cast<Class>(i)).label) && static_cast<Class>(i) != Class::churn_bot)
      sum.add(classes[i]);
  return sum;
}

std::pair<std::uint64_t, std::uint64_t> Scorecard::right_of_all() const {
  const std::uint64_t right = spammers().blocked;
  const std::uint64_t wrong = honest().blocked + poor_mailings.blocked +
                              classes[static_cast<std::size_t>(Class::no_ptr)].blocked;
  return {right, right + wrong};
}

Interval Scorecard::precision() const {
  const auto [right, all] = right_of_all();
  return exact_interval(right, all);
}

double Scorecard::precision_share() const {
  const auto [right, all] = right_of_all();
  return all == 0 ? 0 : static_cast<double>(right) / static_cast<double>(all);
}

void add(Margins& margins, const Trial& trial) {
  for (const Judged& judged : trial.sources)
    margins[{judged.day.servers, judged.day.productive}].add(judged);
}

}  // namespace mailweir::evaluate
