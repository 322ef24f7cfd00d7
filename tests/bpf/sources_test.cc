// SPDX-License-Identifier: GPL-2.0-or-later
// The table of sources: read in batches, and flooded beyond its size.
#include <map>
#include <random>
#include <set>

#include "datapath/map.h"
#include "program_fixture.h"

namespace mailweir {
namespace {

constexpr std::uint32_t kCapacity = 65536;

class SourcesTest : public ProgramFixture {
 protected:
  SourcesTest() : ProgramFixture(kCapacity) {}

  static std::string address(std::uint32_t number) {
    return "172." + std::to_string(16 + (number >> 16 & 15)) + "." +
           std::to_string(number >> 8 & 255) + "." + std::to_string(number & 255);
  }
  void send_syn(const std::string& source) const {
    repeat(Program::xdp, Packet{}.eth().ipv4(source, "198.18.1.25").tcp(25).syn(), 1);
  }
};

TEST_F(SourcesTest, EverySourceIsReadExactlyOnceWhateverTheSizeOfABatch) {
  constexpr std::uint32_t kSources = 6000;
  std::map<std::string, int> once;
  for (std::uint32_t i = 0; i < kSources; ++i) {
    send_syn(address(i * 151));
    once[address(i * 151)] = 1;
  }
  ASSERT_EQ(kSources, once.size());

  std::map<std::string, int> visits;
  const auto visit = [&](const mw_addr& key, const mw_source& source) {
    ++visits[to_string(key)];
    EXPECT_EQ(1U, source.syns);
  };
  ASSERT_TRUE(datapath().each_source(visit));
  EXPECT_EQ(once, visits);

  const auto sources = Map<mw_addr, mw_source>::wrap(map_fd("sources"));
  ASSERT_TRUE(sources) << sources.error().message;
  for (const std::uint32_t batch : {1U, 2U, 7U, 100U, 5999U, 6000U, 100'000U}) {
    visits.clear();
    ASSERT_TRUE(sources->each(visit, batch));
    EXPECT_EQ(once, visits) << "batches of " << batch;
  }
}

TEST_F(SourcesTest, InPiecesTooEverySourceIsReadExactlyOnce) {
  constexpr std::uint32_t kSources = 6000;
  for (std::uint32_t i = 0; i < kSources; ++i) send_syn(address(i * 151));
  for (const std::uint32_t piece : {1U, 500U, 6000U}) {
    std::set<std::string> met;
    std::size_t visits = 0;
    std::size_t pieces = 0;
    std::optional<std::uint32_t> cursor;
    do {
      std::size_t here = 0;
      const auto next =
          datapath().some_sources(cursor, piece, [&](const mw_addr& key, const mw_source&) {
            met.insert(to_string(key));
            ++here;
          });
      ASSERT_TRUE(next) << next.error().message;
      EXPECT_LE(here, std::max(piece, 64U)) << "a bucket is not cut";
      visits += here;
      ++pieces;
      cursor = *next;
    } while (cursor);
    EXPECT_EQ(kSources, met.size());
    EXPECT_EQ(kSources, visits);
    EXPECT_GE(pieces, kSources / std::max(piece, 64U));
  }
}

TEST_F(SourcesTest, AnEmptyTableIsReadAsEmpty) {
  int visits = 0;
  ASSERT_TRUE(datapath().each_source([&](const mw_addr&, const mw_source&) { ++visits; }));
  EXPECT_EQ(0, visits);
}

TEST_F(SourcesTest, AMapOfAnotherLayoutIsRefused) {
  const auto wrong = Map<mw_addr, mw_block>::wrap(map_fd("sources"));
  ASSERT_FALSE(wrong);
  EXPECT_EQ("map sources: layout differs from abi.h", wrong.error().message);
  EXPECT_TRUE((Map<mw_addr, mw_block>::wrap(map_fd("blocklist"))));
}

TEST_F(SourcesTest, AFloodOfSourcesBeyondTheTableUnblocksNobodyAndBlocksNobody) {
  constexpr std::size_t kFlood = 70'000;
  constexpr std::uint32_t kBlocked = 50;
  std::set<std::string> blocked;
  for (std::uint32_t i = 0; i < kBlocked; ++i) {
    blocked.insert(address(i));
    block(*parse_address(address(i)), 1h, i % 2 == 0 ? MW_REASON_MANUAL : MW_REASON_EVIDENCE);
  }
  std::mt19937 random(2010);
  std::set<std::uint32_t> flood;
  while (flood.size() < kFlood) {
    const std::uint32_t number = kBlocked + random() % ((1U << 20) - kBlocked);
    if (!flood.insert(number).second) continue;
    send_syn(address(number));
    if (flood.size() % 200 == 0) send_syn(address(flood.size() / 200 % kBlocked));
  }
  EXPECT_EQ(kFlood, counters(1).passed.enforced);
  EXPECT_EQ(kFlood / 200, counters(1).blocked.enforced);
  for (const std::string& source : blocked)
    EXPECT_EQ(drop("blocked"),
              run(Program::tc, Packet{}.eth().ipv4(source, "198.18.1.25").tcp(25).syn()));

  std::set<std::string> blocked_after;
  const auto blocks = datapath().blocks();
  ASSERT_TRUE(blocks);
  for (const auto& [source, entry] : *blocks) blocked_after.insert(to_string(source));
  EXPECT_EQ(blocked, blocked_after);

  std::size_t tracked = 0;
  ASSERT_TRUE(datapath().each_source([&](const mw_addr&, const mw_source&) { ++tracked; }));
  EXPECT_LE(tracked, kCapacity);
  EXPECT_GE(tracked, kCapacity * 3 / 4) << "the table forgets no more than it must";
  send_syn(address(1'000'003 & 0xfffff));
  EXPECT_TRUE(source(*parse_address(address(1'000'003 & 0xfffff)))) << "a newcomer gets its place";
}

}  // namespace
}  // namespace mailweir
