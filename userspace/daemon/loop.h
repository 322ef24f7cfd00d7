// SPDX-License-Identifier: GPL-2.0-or-later
// sd-event as owned values: file descriptors, timers, signals, and one turn of the loop.
#pragma once

#include <systemd/sd-event.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"

namespace mailweir {

class Loop {
 public:
  using Call = std::function<void()>;

  [[nodiscard]] static Result<Loop> open();

  [[nodiscard]] Result<> on_readable(int fd, Call call);
  /// The signal must be blocked in every thread.
  [[nodiscard]] Result<> on_signal(int signal, Call call);
  /// First after one period.
  [[nodiscard]] Result<> every(std::chrono::milliseconds period, Call call);

  /// Waits for at most `most` and runs what is due.
  [[nodiscard]] Result<> turn(std::optional<std::chrono::milliseconds> most);

 private:
  struct Timer {
    std::chrono::microseconds period;
    Call call;
  };
  struct Unref {
    void operator()(sd_event* event) const { sd_event_unref(event); }
  };
  explicit Loop(sd_event* event) : event_(event) {}

  std::unique_ptr<sd_event, Unref> event_;
  // On the heap: sd-event keeps their addresses.
  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<std::unique_ptr<Timer>> timers_;
};

}  // namespace mailweir
