// SPDX-License-Identifier: GPL-2.0-or-later
// Several recordings in time order, and recordings of real traffic.
#include "recorded_files.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

/// Gives frames of these times, one byte each to tell whose they are; then an error, if there is
/// one.
class ListedFrames final : public FrameReader {
 public:
  ListedFrames(char name, std::vector<std::chrono::seconds> times, std::string error = "",
               bool knows_outcomes = true)
      : name_(name),
        times_(std::move(times)),
        error_(std::move(error)),
        knows_outcomes_(knows_outcomes) {}

  [[nodiscard]] Result<bool> next(ReplayFrame& frame) override {
    if (next_ == times_.size()) {
      if (!error_.empty()) return Error{0, error_};
      return false;
    }
    frame.time = kRecorded + times_[next_++];
    frame.bytes = {static_cast<std::uint8_t>(name_)};
    return true;
  }
  [[nodiscard]] std::vector<std::string> notes() const override {
    return {std::string(1, name_) + ": a note"};
  }
  [[nodiscard]] double progress() const override {
    return static_cast<double>(next_) / static_cast<double>(times_.size());
  }
  [[nodiscard]] bool knows_outcomes() const override { return knows_outcomes_; }

 private:
  char name_;
  std::vector<std::chrono::seconds> times_;
  std::size_t next_ = 0;
  std::string error_;
  bool knows_outcomes_;
};

template <typename... Readers>
std::unique_ptr<FrameReader> merged(Readers... readers) {
  std::vector<std::unique_ptr<FrameReader>> list;
  (list.push_back(std::make_unique<Readers>(std::move(readers))), ...);
  return merge_frames(std::move(list));
}

std::string names(const Drained& drained) {
  std::string names;
  for (const ReplayFrame& frame : drained.frames) names += text_of(frame.bytes);
  return names;
}

TEST(MergedFrames, ComeInTimeOrderAndAtTheSameTimeInThatOfTheList) {
  const auto reader = merged(ListedFrames('a', {1s, 4s, 4s, 9s}), ListedFrames('b', {0s, 4s, 5s}),
                             ListedFrames('c', {4s}), ListedFrames('d', {}));
  const Drained drained = drain(*reader);
  EXPECT_EQ(names(drained), "baaabcba");
  EXPECT_TRUE(drained.is_in_order);
  EXPECT_THAT(drained.notes, ElementsAre("a: a note", "b: a note", "c: a note", "d: a note"));
}

TEST(MergedFrames, AnErrorOfOneComesAfterTheFramesBeforeIt) {
  const auto reader = merged(ListedFrames('a', {1s, 4s}), ListedFrames('b', {2s}, "b is broken"));
  const Drained drained = drain(*reader);
  EXPECT_EQ(names(drained), "ab");
  EXPECT_EQ(drained.error, "b is broken");
}

TEST(MergedFrames, OfNoneOrOneAreNothingOrThatOne) {
  EXPECT_EQ(names(drain(*merged())), "");
  EXPECT_EQ(merged()->progress(), 1);
  EXPECT_EQ(names(drain(*merged(ListedFrames('a', {1s, 2s})))), "aa");
}

TEST(MergedFrames, KnowOutcomesOnlyIfAllOfThemDo) {
  EXPECT_TRUE(merged(ListedFrames('a', {1s}), ListedFrames('b', {1s}))->knows_outcomes());
  EXPECT_FALSE(
      merged(ListedFrames('a', {1s}), ListedFrames('b', {1s}, "", false))->knows_outcomes());
}

TEST(MergedFrames, ProgressIsThatOfAllOfThem) {
  const auto reader = merged(ListedFrames('a', {1s, 2s}), ListedFrames('b', {3s, 4s}));
  EXPECT_EQ(reader->progress(), 0);
  ReplayFrame frame;
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(*reader->next(frame));
  EXPECT_EQ(reader->progress(), 0.75) << "of b one was read ahead";
  drain(*reader);
  EXPECT_EQ(reader->progress(), 1);
}

TEST(MergedFrames, OfACaptureAndALogAreOneRecording) {
  const RecordedFiles files;
  std::vector<std::unique_ptr<FrameReader>> readers;
  for (const std::string& path :
       {files.write("a", pcap({{0s, ethernet_frame()}, {2s, ethernet_frame()}})),
        files.write("b",
                    "2026-11-24T14:03:09Z gw kernel: SRC=172.16.7.70 DST=198.18.7.25 PROTO=TCP "
                    "SPT=40000 DPT=25 SYN\n")}) {
    auto reader = open_frames(path);
    ASSERT_TRUE(reader) << reader.error().message;
    readers.push_back(*std::move(reader));
  }
  const Drained drained = drain(*merge_frames(std::move(readers)));
  ASSERT_EQ(drained.frames.size(), 3U);
  EXPECT_EQ(drained.frames[0].link, ReplayFrame::Link::ethernet);
  EXPECT_EQ(drained.frames[1].link, ReplayFrame::Link::ip);
  EXPECT_TRUE(drained.is_in_order);
}

bool requires_traces() {
  const char* required = std::getenv("MW_REQUIRE");
  return required != nullptr &&
         ("," + std::string(required) + ",").find(",traces,") != std::string::npos;
}

/// Recordings stand beside their description, tables made of them, and logs of other kinds.
bool is_to_be_refused(const std::string& name) {
  return name.ends_with(".md") || name.ends_with(".csv") || name.ends_with("zeek-smtp.log.gz");
}

TEST(RecordedTraffic, OpensAndComesInTimeOrder) {
  const char* root = std::getenv("MAILWEIR_TRACES");
  if (root == nullptr || !std::filesystem::is_directory(root)) {
    if (requires_traces())
      FAIL() << "MW_REQUIRE names traces, but MAILWEIR_TRACES names no directory of them";
    GTEST_SKIP() << "MAILWEIR_TRACES names no directory of recorded traffic";
  }
  std::size_t read = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const std::string path = entry.path().string();
    SCOPED_TRACE(path);
    const auto reader = open_frames(path);
    if (is_to_be_refused(path)) {
      EXPECT_FALSE(reader);
      continue;
    }
    ASSERT_TRUE(reader) << reader.error().message;
    const Drained drained = drain(**reader);
    EXPECT_EQ(drained.error, "");
    EXPECT_FALSE(drained.frames.empty());
    EXPECT_TRUE(drained.is_in_order);
    EXPECT_EQ((*reader)->progress(), 1);
    ++read;
  }
  EXPECT_GT(read, 0U);
}

}  // namespace
}  // namespace mailweir
