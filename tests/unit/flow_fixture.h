// SPDX-License-Identifier: GPL-2.0-or-later
// For the tests of bpf/flow.h: a client's flow in a slot, and what is told of it.
#pragma once

#include <cstdint>
#include <ostream>

#include "bpf/flow.h"

namespace mailweir {

inline constexpr std::uint64_t kSecond = 1'000'000'000;
inline constexpr std::uint64_t kNow = 1000 * kSecond;
inline constexpr std::uint32_t kIndex = 10;
inline constexpr std::uint32_t kTag = 0xabc5, kOther = 0x1235;
inline constexpr mw_settings kSettings{.message_bytes = 300, .message_bytes_tls = 450};

struct Told {
  std::uint32_t news = 0;
  std::uint32_t sent = 0;
  std::uint32_t heard = 0;
  bool operator==(const Told&) const = default;
};
inline void PrintTo(const Told& told, std::ostream* out) {
  *out << "news " << told.news << ", sent " << told.sent << ", heard " << told.heard;
}

/// A client's flow in a slot. Positions in its stream count from 0, whatever the numbers are.
class Flow {
 public:
  Flow(std::uint32_t isn, std::uint32_t server_isn) : isn_(isn), server_isn_(server_isn) { syn(); }

  /// As the program keeps a SYN that passed.
  void syn() {
    slot().start_ticks = MW_TICKS(kNow);
    slot().isn = isn_;
    word() = mw_flow_word(kTag, kNow, 0, MW_FLOW_SENT | MW_FLOW_CONTACT);
  }
  mw_segment segment(std::int64_t at, std::uint32_t bytes, std::uint32_t heard) const {
    return {.seq = isn_ + 1 + static_cast<std::uint32_t>(at),
            .ack = server_isn_ + 1 + heard,
            .payload_bytes = bytes,
            .is_ack = 1};
  }
  Told take(const mw_segment& segment) {
    mw_flow_measure measure{};
    __u64 before = 0;
    std::uint32_t news =
        mw_flow_take(&source_, kIndex, kTag, &segment, &kSettings, &measure, &before);
    if ((news & MW_NEWS_HEARD) != 0) ++first_words_;
    news &= ~std::uint32_t{MW_NEWS_HEARD};
    if ((news & (MW_NEWS_OVER | MW_NEWS_ENOUGH)) == 0) return {news};
    return {news, measure.sent_bytes, measure.heard_bytes};
  }
  Told ack(std::int64_t at, std::uint32_t heard = 0) { return take(segment(at, 0, heard)); }
  Told data(std::int64_t at, std::uint32_t bytes, std::uint32_t heard = 0) {
    return take(segment(at, bytes, heard));
  }
  Told fin(std::int64_t at, std::uint32_t heard = 0, std::uint32_t bytes = 0) {
    mw_segment last = segment(at, bytes, heard);
    last.is_fin = 1;
    return take(last);
  }
  Told rst(std::int64_t at) {
    mw_segment last = segment(at, 0, 0);
    last.is_ack = 0;
    last.is_rst = 1;
    return take(last);
  }
  enum mw_flow_due due(std::uint64_t after_ns) {
    mw_flow_measure measure{};
    return mw_flow_due(&slot(), word(), kNow + after_ns, &measure);
  }

  /// As the sweep marks a flow that has said nothing since the one before.
  void mark_quiet(std::uint64_t after_ns) {
    word() = mw_flow_word(kTag, kNow + after_ns, MW_FLOW_QUIET, word() & 0xf);
  }

  mw_flow& slot() { return source_.flows[kIndex]; }
  __u64& word() { return source_.flow_words[kIndex]; }
  enum mw_flow_state state() { return mw_flow_state(word()); }
  mw_source& source() { return source_; }
  int first_words() const { return first_words_; }  ///< times that MW_NEWS_HEARD was told

 private:
  mw_source source_{};
  std::uint32_t isn_;
  std::uint32_t server_isn_;
  int first_words_ = 0;
};

inline constexpr Told kNothing{};
inline constexpr Told kAnswered{MW_NEWS_ANSWERED};
inline constexpr Told kRefused{MW_NEWS_REFUSED};
constexpr Told over(std::uint32_t sent, std::uint32_t heard) {
  return {MW_NEWS_OVER, sent, heard};
}

}  // namespace mailweir
