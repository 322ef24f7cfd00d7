// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/loop.h"

#include <sys/epoll.h>

namespace mailweir {

Result<Loop> Loop::open() {
  sd_event* event = nullptr;
  if (const int err = sd_event_new(&event); err < 0) return sys_error(err, "make an event loop");
  Loop loop(event);
  // Feeds systemd's watchdog, if the unit has one: a loop that hangs is restarted.
  if (const int err = sd_event_set_watchdog(event, 1); err < 0)
    return sys_error(err, "set up the watchdog");
  return loop;
}

Result<> Loop::on_readable(int fd, Call call) {
  calls_.push_back(std::make_unique<Call>(std::move(call)));
  const int err = sd_event_add_io(
      event_.get(), nullptr, fd, EPOLLIN,
      [](sd_event_source*, int, uint32_t, void* self) {
        (*static_cast<Call*>(self))();
        return 0;
      },
      calls_.back().get());
  if (err < 0) return sys_error(err, "watch a descriptor");
  return Ok{};
}

Result<> Loop::on_signal(int signal, Call call) {
  calls_.push_back(std::make_unique<Call>(std::move(call)));
  const int err = sd_event_add_signal(
      event_.get(), nullptr, signal,
      [](sd_event_source*, const signalfd_siginfo*, void* self) {
        (*static_cast<Call*>(self))();
        return 0;
      },
      calls_.back().get());
  if (err < 0) return sys_error(err, "watch a signal");
  return Ok{};
}

Result<> Loop::every(std::chrono::milliseconds period, Call call) {
  timers_.push_back(std::make_unique<Timer>(Timer{period, std::move(call)}));
  const int err = sd_event_add_time_relative(
      event_.get(), nullptr, CLOCK_MONOTONIC, static_cast<uint64_t>(timers_.back()->period.count()),
      0,
      [](sd_event_source* source, uint64_t, void* self) {
        auto* timer = static_cast<Timer*>(self);
        timer->call();
        sd_event_source_set_time_relative(source, static_cast<uint64_t>(timer->period.count()));
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
      },
      timers_.back().get());
  if (err < 0) return sys_error(err, "set a timer");
  return Ok{};
}

Result<> Loop::turn(std::optional<std::chrono::milliseconds> most) {
  const uint64_t usec =
      most ? static_cast<uint64_t>(
                 std::chrono::microseconds(std::max(*most, std::chrono::milliseconds(0))).count())
           : UINT64_MAX;
  if (const int err = sd_event_run(event_.get(), usec); err < 0)
    return sys_error(err, "run the event loop");
  return Ok{};
}

}  // namespace mailweir
