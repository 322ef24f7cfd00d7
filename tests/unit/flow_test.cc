// SPDX-License-Identifier: GPL-2.0-or-later
// bpf/flow.h on the host: what a client's packets tell of its flow's outcome. What time tells:
// flow_due_test.cc. Slots and retries: flow_slot_test.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "flow_fixture.h"

namespace mailweir {
namespace {

/// Each sentence from several initial sequence numbers: a stream may begin anywhere in 2^32.
class FlowTest : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  /// Answered, and `sent` and `heard` bytes on.
  static Flow open(std::uint32_t sent = 0, std::uint32_t heard = 0) {
    Flow flow = asked();
    EXPECT_EQ(kAnswered, flow.ack(0));
    if (sent != 0 || heard != 0) {
      EXPECT_EQ(kNothing, flow.data(0, sent, heard));
    }
    return flow;
  }
  static Flow asked() { return {GetParam(), ~GetParam() + 77}; }
};
INSTANTIATE_TEST_SUITE_P(, FlowTest,
                         ::testing::Values(0U, 1000U, 0x7fffffffU, 0x80000000U, 0xfffffc18U,
                                           0xffffff9cU, 0xfffffffeU, 0xffffffffU),
                         [](const auto& isn) { return "isn_" + std::to_string(isn.param); });

TEST_P(FlowTest, IsAnsweredByItsFirstAckAndOverByItsFin) {
  Flow flow = asked();
  EXPECT_EQ(kAnswered, flow.ack(0));
  EXPECT_EQ(kNothing, flow.ack(0)) << "told once";
  EXPECT_TRUE(mw_flow_is_contact(flow.word()));
  EXPECT_EQ(kNothing, flow.ack(0, 45));
  EXPECT_EQ(kNothing, flow.data(0, 20, 45));
  EXPECT_EQ(kNothing, flow.data(20, 54, 200));
  EXPECT_EQ(over(74, 260), flow.fin(74, 260));
  EXPECT_EQ(MW_FLOW_FREE, flow.state());
  EXPECT_EQ(kNothing, flow.fin(74, 260)) << "sent again";
  EXPECT_EQ(kNothing, flow.ack(75, 261));
}

TEST_P(FlowTest, IsOverByARstThatLiesWhereItsDataEnds) {
  Flow flow = open(80, 200);
  for (const std::int64_t at : {0, 60, 79, 81, 100}) EXPECT_EQ(kNothing, flow.rst(at)) << at;
  EXPECT_EQ(over(80, 200), flow.rst(80));
  EXPECT_EQ(MW_FLOW_FREE, flow.state());
}

TEST_P(FlowTest, IsUnansweredIfItIsGivenUpBeforeItsFirstAck) {
  for (const std::int64_t at : {-1, 0}) {
    Flow flow = asked();
    EXPECT_EQ(kRefused, flow.rst(at));
    EXPECT_EQ(MW_FLOW_FREE, flow.state());
    EXPECT_EQ(kNothing, flow.ack(0));
  }
}

TEST_P(FlowTest, IsNotOpenedByWhatCannotFollowItsSyn) {
  Flow flow = asked();
  const mw_source before = flow.source();
  mw_segment no_ack = flow.segment(0, 20, 0);
  no_ack.is_ack = 0;
  EXPECT_EQ(kNothing, flow.take(no_ack));
  EXPECT_EQ(kNothing, flow.ack(-1)) << "a SYN-ACK of its own";
  for (const std::int64_t at : {-2L, -5000L, 65536L, 1L << 20, 1L << 31}) {
    EXPECT_EQ(kNothing, flow.ack(at)) << at;
    EXPECT_EQ(kNothing, flow.fin(at)) << at;
    EXPECT_EQ(kNothing, flow.rst(at)) << at;
  }
  EXPECT_EQ(0, std::memcmp(&before, &flow.source(), sizeof(before)));
  EXPECT_EQ((Told{MW_NEWS_ANSWERED | MW_NEWS_ENOUGH, 65535, 0}), flow.ack(65535))
      << "the furthest that is believed: a segment before it was lost";
}

TEST_P(FlowTest, MayCarryDataItsEndOrAMessageInItsFirstAck) {
  EXPECT_EQ(kAnswered, asked().data(0, 100));
  EXPECT_EQ((Told{MW_NEWS_ANSWERED | MW_NEWS_OVER, 0, 0}), asked().fin(0));
  EXPECT_EQ((Told{MW_NEWS_ANSWERED | MW_NEWS_OVER, 74, 0}), asked().fin(0, 0, 74));
  EXPECT_EQ(kAnswered, asked().data(0, 4095));
  EXPECT_EQ((Told{MW_NEWS_ANSWERED | MW_NEWS_ENOUGH, 4096, 0}), asked().data(0, 4096));

  Flow late = asked();
  EXPECT_EQ(kAnswered, late.data(40, 60)) << "two segments before it were lost";
  EXPECT_EQ(over(100, 5), late.fin(100, 5));
}

TEST_P(FlowTest, CountsTheDataOfATcpFastOpen) {
  Flow accepted = asked();
  EXPECT_EQ(kAnswered, accepted.ack(100)) << "100 bytes came with the SYN";
  EXPECT_EQ(over(120, 9), accepted.fin(100, 9, 20));
  Flow ignored = asked();
  EXPECT_EQ(kAnswered, ignored.data(0, 100)) << "the server took the SYN only";
  EXPECT_EQ(over(100, 9), ignored.fin(100, 9));
}

TEST_P(FlowTest, CountsWhatIsSentOutOfOrderOrAgainOnce) {
  Flow flow = open();
  EXPECT_EQ(kNothing, flow.data(50, 20, 10));
  EXPECT_EQ(kNothing, flow.data(0, 50, 30));
  EXPECT_EQ(kNothing, flow.data(50, 20, 10)) << "again, with an older acknowledgement";
  EXPECT_EQ(kNothing, flow.data(0, 70, 20)) << "both in one";
  EXPECT_EQ(over(70, 30), flow.fin(70, 25));
}

TEST_P(FlowTest, IsOverByAFinThatLiesWhereItsDataEndsAndByNoOther) {
  Flow flow = open(80, 10);
  EXPECT_EQ(kNothing, flow.fin(79));
  EXPECT_EQ(kNothing, flow.fin(40, 0, 39)) << "with data";
  EXPECT_EQ(kNothing, flow.fin(40, 0, 40)) << "a guess with much data would hit the end as well";
  EXPECT_EQ(MW_FLOW_OPEN, flow.state());
  EXPECT_EQ(over(80, 10), flow.fin(80));

  Flow early = open(80, 10);
  EXPECT_EQ(kNothing, early.fin(120)) << "it came before the data between";
  EXPECT_EQ(kNothing, early.data(80, 40));
  EXPECT_EQ(over(120, 10), early.fin(120)) << "sent again";
}

TEST_P(FlowTest, IsNotMovedByKeepAlives) {
  Flow flow = open(80, 10);
  EXPECT_EQ(kNothing, flow.ack(79, 10));
  EXPECT_EQ(kNothing, flow.data(79, 1, 10)) << "with a byte of rubbish";
  EXPECT_EQ(kNothing, flow.ack(80, 10));
  EXPECT_EQ(over(80, 10), flow.fin(80, 10));
}

TEST_P(FlowTest, IsNotMovedByWhatLiesOutsideTheWindow) {
  constexpr std::int64_t kWindow = MW_SEQ_WINDOW;
  Flow flow = open(80, 10);
  const mw_source before = flow.source();
  for (const std::int64_t at : {80 + kWindow + 1, 80 - kWindow - 1, 80 + (1L << 31)}) {
    EXPECT_EQ(kNothing, flow.data(at, 0, 5000)) << at;
    EXPECT_EQ(kNothing, flow.fin(at, 5000)) << at;
    EXPECT_EQ(kNothing, flow.rst(at)) << at;
  }
  EXPECT_EQ(kNothing, flow.data(80 + kWindow, 1, 5000));
  EXPECT_EQ(0, std::memcmp(&before, &flow.source(), sizeof(before)));

  EXPECT_EQ(kNothing, flow.data(80 - kWindow, 0, 20)) << "the edge behind";
  EXPECT_EQ((Told{MW_NEWS_ENOUGH, 80 + MW_SEQ_WINDOW, 30}), flow.data(80, MW_SEQ_WINDOW, 30))
      << "the edge ahead";
}

TEST_P(FlowTest, HearsTheServerByItsAcknowledgementsOnly) {
  Flow flow = open();
  mw_segment no_ack = flow.segment(0, 10, 500);
  no_ack.is_ack = 0;
  EXPECT_EQ(kNothing, flow.take(no_ack));
  EXPECT_EQ(0, flow.first_words());
  EXPECT_EQ(kNothing, flow.ack(10, 300));
  EXPECT_EQ(kNothing, flow.ack(10, 299)) << "none is taken back";
  EXPECT_EQ(kNothing, flow.ack(10, 400));
  EXPECT_EQ(1, flow.first_words()) << "told once";
  EXPECT_EQ(over(10, 400), flow.fin(10, 0));
}

TEST_P(FlowTest, IsLostIfItAcknowledgesMoreThanAnyServerSays) {
  for (const std::uint32_t heard : {MW_HEARD_MOST + 1, 1U << 31, -MW_HEARD_MOST - 1}) {
    Flow flow = open(80, 10);
    EXPECT_EQ(Told{MW_NEWS_FORGED}, flow.ack(80, heard)) << heard;
    EXPECT_EQ(MW_FLOW_JUDGED, flow.state());
    EXPECT_EQ(kNothing, flow.ack(80, heard)) << "told once";
  }
  Flow flow = open(80, 10);
  EXPECT_EQ(kNothing, flow.ack(80, MW_HEARD_MOST));
  EXPECT_EQ(over(0, MW_HEARD_MOST), flow.fin(80)) << "nothing after so many words";
}

TEST_P(FlowTest, CountsWhatItSendsAnewOnceTheServerHasSaidAThousandBytes) {
  Flow refused = open(600, 999);
  EXPECT_EQ(MW_FLOW_OPEN, refused.state());
  EXPECT_EQ(kNothing, refused.ack(600, 1000));
  EXPECT_EQ(MW_FLOW_TLS, refused.state());
  EXPECT_TRUE(mw_flow_is_contact(refused.word()));
  EXPECT_EQ(kNothing, refused.data(600, 449, 3000));
  EXPECT_EQ(over(449, 3000), refused.fin(1049, 3000));

  Flow delivered = open(600, 500);
  EXPECT_EQ((Told{MW_NEWS_ENOUGH, 450, 1000}), delivered.data(600, 450, 1000))
      << "the segment that turns it counts";

  Flow large = open(4095, 500);
  EXPECT_EQ((Told{MW_NEWS_ENOUGH, 4096, 1000}), large.data(4095, 1, 1000)) << "a message already";
}

TEST_P(FlowTest, CountsNoHelloThatIsSentAgainOnceTheServerHasSaidAThousandBytes) {
  Flow flow = open(1600, 100);
  EXPECT_EQ(kNothing, flow.data(0, 1600, 1170));
  EXPECT_EQ(over(346, 1500), flow.fin(1600, 1500, 346));
}

TEST_P(FlowTest, HasSentNothingByARstThatLiesAheadOfItsData) {
  Flow flow = open(20, 100);
  mw_segment reset = flow.segment(40, 0, 1170);
  reset.is_rst = 1;
  EXPECT_EQ(kNothing, flow.take(reset));
  EXPECT_NE(MW_FLOW_JUDGED, flow.state());
}

TEST_P(FlowTest, IsToldOnceWhenItSentEnoughAndItsEndIsSilent) {
  for (const bool by_rst : {false, true})
    for (const std::uint32_t after : {0, 100, 20'000'000}) {
      Flow flow = open(4095, 100);
      EXPECT_EQ((Told{MW_NEWS_ENOUGH, 4096, 100}), flow.data(4095, 1, 100));
      EXPECT_EQ(MW_FLOW_JUDGED, flow.state());
      std::uint32_t at = 4096;
      for (; at < 4096 + after; at += 100) EXPECT_EQ(kNothing, flow.data(at, 100, 130));
      EXPECT_EQ(kNothing, by_rst ? flow.rst(at) : flow.fin(at, 160));
      if (after == 0) {
        EXPECT_EQ(MW_FLOW_FREE, flow.state());
      }
      EXPECT_EQ(kNothing, by_rst ? flow.rst(at) : flow.fin(at, 160)) << "again, after " << after;
    }
}

TEST_P(FlowTest, IsOverByItsFinThatSentEnough) {
  Flow flow = open(500, 100);
  EXPECT_EQ(over(5500, 100), flow.fin(500, 100, 5000)) << "one outcome, not two";
}

TEST_P(FlowTest, EndsOnceWhenBothSidesCloseAtOnce) {
  Flow flow = open(80, 10);
  EXPECT_EQ(over(80, 40), flow.fin(80, 40)) << "the server's FIN is under way";
  EXPECT_EQ(kNothing, flow.ack(81, 41)) << "and is acknowledged";
  EXPECT_EQ(MW_FLOW_FREE, flow.state());
}

TEST_P(FlowTest, IsNotTouchedByTheFlowBeforeItOnTheSamePorts) {
  const Flow before(GetParam() - 50'000'000, ~GetParam());
  for (const auto state : {MW_FLOW_SENT, MW_FLOW_OPEN, MW_FLOW_TLS}) {
    Flow flow = state == MW_FLOW_SENT ? asked() : open(80, state == MW_FLOW_TLS ? 1000 : 10);
    ASSERT_EQ(state, flow.state());
    const mw_source kept = flow.source();
    mw_segment late = before.segment(700, 100, 5000);
    EXPECT_EQ(kNothing, flow.take(late));
    late.is_fin = 1;
    EXPECT_EQ(kNothing, flow.take(late));
    late.is_rst = 1;
    EXPECT_EQ(kNothing, flow.take(late));
    EXPECT_EQ(0, std::memcmp(&kept, &flow.source(), sizeof(kept))) << state;
  }
}

TEST_P(FlowTest, TellsWhatWasSentHoweverItsSegmentsTravel) {
  std::mt19937 random(2010);
  for (int session = 0; session < 2000; ++session) {
    Flow flow = open();
    const std::uint32_t total = 1 + random() % (MW_ENOUGH_BYTES - 1);
    std::vector<mw_segment> segments;
    for (std::uint32_t at = 0; at < total;) {
      const std::uint32_t bytes = std::min(total - at, static_cast<std::uint32_t>(random() % 300));
      segments.push_back(flow.segment(at, bytes, at / 8));
      if (random() % 4 == 0) segments.push_back(segments[random() % segments.size()]);
      at += bytes;
    }
    std::shuffle(segments.begin(), segments.end(), random);
    for (const mw_segment& segment : segments) ASSERT_EQ(kNothing, flow.take(segment));
    ASSERT_EQ(over(total, total / 8), flow.fin(total, total / 8)) << "session " << session;
    ASSERT_LE(flow.first_words(), 1);
  }
}

using Word = __u64 mw_flow::*;
constexpr Word kWords[] = {&mw_flow::ack_first, &mw_flow::ack_last, &mw_flow::seq_end};

TEST_P(FlowTest, LosesItsOutcomeIfAnotherFlowWroteIntoItsSlot) {
  for (const Word word : kWords) {
    Flow flow = open(80, 10);
    flow.slot().*word = std::uint64_t{kOther} << 32 | 4711;
    EXPECT_EQ(kNothing, flow.data(80, 20, 30));
    EXPECT_EQ(kNothing, flow.fin(100, 30));
    EXPECT_EQ(MW_FLOW_OPEN, flow.state());
    EXPECT_EQ(MW_DUE_LOST, flow.due(0));
  }
  Flow flow = open(80, 10);
  flow.word() = mw_flow_word(kOther, kNow, 0, MW_FLOW_OPEN);
  EXPECT_EQ(kNothing, flow.fin(80)) << "the slot itself is another's";
  EXPECT_EQ(MW_FLOW_OPEN, flow.state());
}

TEST_P(FlowTest, TellsTheTruthOrNothingWhateverIsWrittenIntoItsSlot) {
  std::mt19937 random(2010);
  int told = 0;
  for (int session = 0; session < 5000; ++session) {
    Flow flow = asked();
    std::uint32_t sent = 0;
    for (int i = 0; i < 6; ++i) {
      if (random() % 12 == 0)
        flow.slot().*kWords[random() % 3] = std::uint64_t{kOther} << 32 | std::uint32_t(random());
      const bool is_last = i == 5;
      const Told news = is_last ? flow.fin(sent, sent) : flow.data(sent, 50, sent);
      if (!is_last) sent += 50;
      if ((news.news & MW_NEWS_OVER) == 0) continue;
      ++told;
      ASSERT_EQ(over(250, 250), news);
    }
  }
  EXPECT_GT(told, 1000);
  EXPECT_LT(told, 4500);
}

}  // namespace
}  // namespace mailweir
