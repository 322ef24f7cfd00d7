// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/sampler.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/log.h"

namespace mailweir {
namespace {

constexpr std::chrono::seconds kWalkEvery{10};
/// With four pieces a second a walk takes eight seconds at most.
constexpr std::uint32_t kPieces = 32;
constexpr std::uint32_t kLeastPiece = 512;
constexpr std::size_t kDropsAPiece = 4096;

/// A quarter more than the kernel's table: room for those that it forgot within the hour.
std::size_t most_remembered(const Datapath& datapath) {
  const std::size_t capacity = datapath.source_capacity();
  return capacity + capacity / 4;
}

}  // namespace

Sampler::Sampler(const Controller& controller, Datapath& datapath, const Clock& clock)
    : controller_(controller),
      datapath_(datapath),
      clock_(clock),
      book_(clock.now().boot, most_remembered(datapath)) {}

void Sampler::begin_walk(BootTime now) {
  begun_ = now;
  walking_ = true;
  cursor_.reset();
  blocks_.clear();
  controller_.each_block(
      [this](const Decision& block) { blocks_.emplace_back(block.source, block.since); });
}

void Sampler::take_drops(std::size_t most, const Now& now) {
  for (; most > 0 && !blocks_.empty(); --most) {
    const auto [source, since] = blocks_.back();
    blocks_.pop_back();
    if (const auto drops = datapath_.drops(source))
      book_.take_drops(source, drops->packets, now.boot_of(since), now.boot);
  }
}

void Sampler::step() {
  const Now now = clock_.now();
  if (!walking_ && blocks_.empty()) {
    if (begun_ && now.boot - *begun_ < kWalkEvery) return;
    begin_walk(now.boot);
  }
  take_drops(kDropsAPiece, now);
  if (!walking_) return;
  const std::uint32_t piece = std::max(kLeastPiece, datapath_.source_capacity() / kPieces);
  const auto next = datapath_.some_sources(
      cursor_, piece,
      [&](const mw_addr& key, const mw_source& source) { book_.take(key, source, now.boot); });
  if (!next) spdlog::warn("traffic failed={}", log_value(next.error().message));
  cursor_ = next ? *next : std::nullopt;
  if (cursor_) return;
  walking_ = false;
  book_.tidy(now.boot);
}

Result<> Sampler::take_all() {
  const Now now = clock_.now();
  begin_walk(now.boot);
  take_drops(blocks_.size(), now);
  walking_ = false;
  return datapath_.each_source(
      [&](const mw_addr& key, const mw_source& source) { book_.take(key, source, now.boot); });
}

}  // namespace mailweir
