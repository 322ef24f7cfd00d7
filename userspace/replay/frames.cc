// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/frames.h"

#include <algorithm>
#include <numeric>

#include "replay/capture.h"
#include "replay/input_file.h"
#include "replay/kernel_log.h"
#include "replay/zeek_log.h"
#include "replay/zeek_row.h"

namespace mailweir {
namespace {

struct Packer {
  std::string_view magic;
  std::string_view command;
};
constexpr Packer kPackers[] = {{"\x28\xb5\x2f\xfd", "unzstd"},
                               {"\xfd"
                                "7zXZ",
                                "unxz"},
                               {"BZh", "bunzip2"},
                               {"PK\x03\x04", "unzip"}};

class MergedReader final : public FrameReader {
 public:
  explicit MergedReader(std::vector<std::unique_ptr<FrameReader>> readers)
      : readers_(std::move(readers)), frames_(readers_.size()), behind_(readers_.size()) {
    std::iota(behind_.begin(), behind_.end(), std::size_t{0});
  }

  [[nodiscard]] Result<bool> next(ReplayFrame& frame) override;
  [[nodiscard]] std::vector<std::string> notes() const override;
  [[nodiscard]] double progress() const override;
  [[nodiscard]] bool knows_outcomes() const override {
    return std::ranges::all_of(readers_, &FrameReader::knows_outcomes);
  }

 private:
  /// The next frames of those that have none here, into the heap.
  [[nodiscard]] Result<> advance();
  [[nodiscard]] bool is_after(std::size_t a, std::size_t b) const {
    return std::pair(frames_[a].time, a) > std::pair(frames_[b].time, b);
  }

  std::vector<std::unique_ptr<FrameReader>> readers_;
  std::vector<ReplayFrame> frames_;  ///< one of each reader
  std::vector<std::size_t> heap_;    ///< readers that have one, the earliest on top
  std::vector<std::size_t> behind_;  ///< readers whose next frame was not asked for yet
};

Result<> MergedReader::advance() {
  for (const std::size_t reader : std::exchange(behind_, {})) {
    const auto more = readers_[reader]->next(frames_[reader]);
    if (!more) return more.error();
    if (!*more) continue;
    heap_.push_back(reader);
    std::ranges::push_heap(heap_, [this](auto a, auto b) { return is_after(a, b); });
  }
  return Ok{};
}

/// Advances before and not after: a frame is not lost to an error that comes behind it.
Result<bool> MergedReader::next(ReplayFrame& frame) {
  if (auto advanced = advance(); !advanced) return std::move(advanced).error();
  if (heap_.empty()) return false;
  std::ranges::pop_heap(heap_, [this](auto a, auto b) { return is_after(a, b); });
  const std::size_t reader = heap_.back();
  heap_.pop_back();
  std::swap(frame, frames_[reader]);
  behind_.push_back(reader);
  return true;
}

std::vector<std::string> MergedReader::notes() const {
  std::vector<std::string> notes;
  for (const auto& reader : readers_) std::ranges::copy(reader->notes(), std::back_inserter(notes));
  return notes;
}

double MergedReader::progress() const {
  if (readers_.empty()) return 1;
  const auto sum = std::accumulate(
      readers_.begin(), readers_.end(), 0.0,
      [](double before, const auto& reader) { return before + reader->progress(); });
  return sum / static_cast<double>(readers_.size());
}

}  // namespace

Result<std::unique_ptr<FrameReader>> open_frames(const std::string& path,
                                                 const std::vector<std::uint16_t>& mail_ports) {
  auto file = InputFile::open(path);
  if (!file) return std::move(file).error();
  const std::string_view beginning = file->beginning();
  if (is_capture(beginning)) return open_capture(*std::move(file));
  if (ZeekParser::recognises(without_byte_order_mark(beginning)))
    return open_zeek_log(*std::move(file), mail_ports);
  for (const auto& [magic, command] : kPackers)
    if (beginning.starts_with(magic))
      return Error{EINVAL, file->name() + " is compressed, and not by gzip: " +
                               std::string(command) + " it first"};
  if (beginning.find('\0') != std::string_view::npos)
    return Error{EINVAL,
                 file->name() + " is no pcap, no pcapng, no Zeek conn.log and no kernel log"};
  return open_kernel_log(*std::move(file));
}

std::unique_ptr<FrameReader> merge_frames(std::vector<std::unique_ptr<FrameReader>> readers) {
  if (readers.size() == 1) return std::move(readers.front());
  return std::make_unique<MergedReader>(std::move(readers));
}

}  // namespace mailweir
