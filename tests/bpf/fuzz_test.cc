// SPDX-License-Identifier: GPL-2.0-or-later
// Frames that no stack would send: the program and the oracle must agree on each, on every hook.
#include <random>

#include "oracle.h"
#include "program_fixture.h"

namespace mailweir {
namespace {

constexpr int kFrames = 20'000;
constexpr int kPacketsOnTun = 4'000;

class FuzzTest : public ProgramFixture {
 protected:
  void SetUp() override {
    ProgramFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Ruleset rules = default_rules();
    rules.brake = kNoLimit;
    apply(rules);
    for (const Family family : {Family::ipv4, Family::ipv6}) block(Path{.family = family}.key(7));
  }

  std::size_t below(std::size_t limit) { return random_() % limit; }
  bool one_in(std::size_t n) { return below(n) == 0; }

  Packet packet(const Path& path) {
    const std::string sources[] = {path.client(7), path.client(7), path.client(8), path.foreigner(),
                                   "::ffff:172.16.0.7"};
    const std::string& source = sources[below(path.family == Family::ipv4 ? 4 : 5)];
    constexpr std::uint16_t kPorts[] = {25, 25, 465, 443};
    Packet made = path.ip(source, path.server(static_cast<int>(below(200)))).tcp(kPorts[below(4)]);
    made.flags(static_cast<std::uint8_t>(below(256)));
    return made.payload(below(64));
  }

  void mutate(std::vector<std::uint8_t>& frame) {
    constexpr std::uint8_t kTelling[] = {0,    6,    17,   43,   44,   51,   59,   60,
                                         0x08, 0x21, 0x45, 0x4f, 0x57, 0x60, 0x81, 0x86,
                                         0x88, 0xa8, 0xdd, 0x64, 0xff, 0x50, 0x40, 25};
    for (std::size_t n = below(4); n > 0; --n) {
      const std::size_t at = below(std::min<std::size_t>(frame.size(), 120));
      frame[at] =
          one_in(2) ? kTelling[below(std::size(kTelling))] : static_cast<std::uint8_t>(random_());
    }
    if (one_in(4)) frame.resize(below(frame.size()) + 1);
    if (one_in(8)) {
      const auto at = static_cast<std::ptrdiff_t>(below(frame.size()));
      const std::uint8_t tag[] = {0x81, 0, 0, 7};
      frame.insert(frame.begin() + at, std::begin(tag), std::end(tag));
    }
  }

  std::vector<std::uint8_t> noise() {
    std::vector<std::uint8_t> frame(14 + below(150));
    for (auto& byte : frame) byte = static_cast<std::uint8_t>(random_());
    constexpr std::uint16_t kTypes[] = {0x0800, 0x86dd, 0x8100, 0x88a8, 0x8864};
    const std::uint16_t type = kTypes[below(5)];
    frame[12] = static_cast<std::uint8_t>(type >> 8);
    frame[13] = static_cast<std::uint8_t>(type);
    return frame;
  }

  /// The rules of SetUp(), applied to what the oracle read.
  static Outcome expected(const Reading& reading) {
    if (!reading.segment) return pass(reading.verdict);
    const Segment& segment = *reading.segment;
    const bool is_syn =
        (segment.flags & (tcp_flag::kSyn | tcp_flag::kAck | tcp_flag::kRst)) == tcp_flag::kSyn;
    const bool is_watched = segment.port == 465 || segment.port == 587;
    if (segment.port != 25 && !(is_watched && is_syn)) return uncounted();
    if (segment.is_ipv6 && is_ipv4(segment.source)) return pass("mapped_source");
    const mw_addr key = source_key(segment.source, 64);
    const auto lies_in = [&](const char* prefix) { return parse_prefix(prefix)->contains(key); };
    if (!lies_in("172.16.0.0/12") && !lies_in("2001:db8:1::/48")) return pass("not_inside");
    if (is_watched) return pass("watched");
    if (lies_in("172.16.0.7/32") || lies_in("2001:db8:1:7::/64")) return drop("blocked");
    return pass(is_syn ? "passed" : "flow");
  }

  std::mt19937 random_{2010};
};

std::string hex(const std::vector<std::uint8_t>& frame) {
  std::string text;
  for (const std::uint8_t byte : frame) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

TEST_F(FuzzTest, BothHooksAgreeWithTheOracleOnFramesThatNoStackSends) {
  auto paths = all_paths();
  std::erase_if(paths, [](const Path& path) { return path.program != Program::xdp; });
  std::map<std::string, int> seen;
  for (int i = 0; i < kFrames && !HasFailure(); ++i) {
    auto frame = one_in(10) ? noise() : packet(paths[below(paths.size())]).bytes();
    mutate(frame);
    if (frame.size() < 14) continue;  // the kernel's test run refuses them
    const Outcome outcome = expected(read_ethernet(frame));
    ++seen[outcome.counted];
    EXPECT_EQ(outcome, run(Program::xdp, frame)) << "xdp, frame " << i << ": " << hex(frame);
    EXPECT_EQ(outcome, run(Program::tc, frame)) << "tc, frame " << i << ": " << hex(frame);
  }
  for (const char* verdict : {"", "blocked", "passed", "flow", "watched", "not_inside", "truncated",
                              "malformed", "fragment", "encapsulation", "mapped_source"})
    EXPECT_GE(seen[verdict], 30) << "the frames try '" << verdict << "' often enough";
}

TEST_F(FuzzTest, TheHookWithoutEthernetAgreesWithTheOracle) {
  auto paths = all_paths();
  std::erase_if(paths, [](const Path& path) { return path.program != Program::tc_ip; });
  for (int i = 0; i < kPacketsOnTun && !HasFailure(); ++i) {
    auto bytes = packet(paths[below(paths.size())]).bytes();
    mutate(bytes);
    const std::uint16_t ethertype = bytes[0] >> 4 == 6 ? 0x86dd : 0x0800;
    EXPECT_EQ(expected(read_packet(bytes, ethertype)), run(Program::tc_ip, bytes))
        << "packet " << i << ": " << hex(bytes);
  }
}

}  // namespace
}  // namespace mailweir
