// SPDX-License-Identifier: GPL-2.0-or-later
// Other people's rules, for comparison. Each is told the truth about every connection the moment
// it is true, which no gateway is; an alarm stands for the rest of the day.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "evaluate/day.h"

namespace mailweir::evaluate {

/// One rule over one source. Each returns whether it alarms now.
class Baseline {
 public:
  virtual ~Baseline() = default;
  virtual bool opened(Time, const Connection&) { return false; }
  virtual bool answered(Time, const Connection&) { return false; }
  virtual bool unanswered(Time, const Connection&) { return false; }
  virtual bool closed(Time, const Connection&, bool /*message_taken*/) { return false; }
};

struct BaselineKind {
  std::string name;
  std::string rule;
  std::unique_ptr<Baseline> (*make)();
};
[[nodiscard]] const std::vector<BaselineKind>& baseline_kinds();

/// All of them, over all sources of a day.
class Baselines final : public Witness {
 public:
  void opened(Time now, const Connection& connection) override;
  void answered(Time now, const Connection& connection) override;
  void unanswered(Time now, const Connection& connection) override;
  void closed(Time now, const Connection& connection, bool message_taken) override;

  /// By source, of the baseline with this number.
  [[nodiscard]] std::optional<Time> alarm(std::size_t kind, std::uint32_t source) const;

 private:
  struct Watched {
    std::vector<std::unique_ptr<Baseline>> rules;
    std::vector<std::optional<Time>> alarms;
  };
  template <typename Tell>
  void tell(Time now, const Connection& connection, Tell tell);

  std::vector<Watched> sources_;
};

}  // namespace mailweir::evaluate
