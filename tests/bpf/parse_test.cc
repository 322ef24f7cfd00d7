// SPDX-License-Identifier: GPL-2.0-or-later
// What cannot be judged passes, and is counted under its reason; what is a SYN; tags and headers
// as a real interface hands them over.
#include <algorithm>

#include "program_fixture.h"

namespace mailweir {
namespace {

using ParseTest = PathTest;
INSTANTIATE_TEST_SUITE_P(, ParseTest, ::testing::ValuesIn(all_paths()), path_name);

TEST_P(ParseTest, ATruncatedFramePassesUntilTheTcpHeaderIsComplete) {
  block(path().key(7));
  const Packet whole = flow(7).syn().payload(20);
  // The kernel's test run wants an Ethernet header; without one, a byte tells the family.
  for (std::size_t size = path().program == Program::tc_ip ? 1 : 14; size <= whole.bytes().size();
       ++size)
    EXPECT_EQ(size < whole.headers_end() ? pass("truncated") : drop("blocked"),
              sent(Packet(whole).truncate(size)))
        << size << " of " << whole.bytes().size() << " bytes";
}

TEST_P(ParseTest, AnotherProtocolOrAFragmentWithoutAHeaderIsNotJudged) {
  block(path().key(7));
  const auto ip = [&] { return path().ip(path().client(7), path().server(1)); };
  EXPECT_EQ(drop("blocked"), sent(ip().tcp(25).syn()));
  EXPECT_EQ(pass("malformed"), sent(ip().tcp(25).syn().tcp_byte(12, 4 << 4)));
  EXPECT_EQ(drop("blocked"), sent(ip().tcp(25).syn().tcp_byte(12, 15 << 4)))
      << "TCP options are not looked at";
  EXPECT_EQ(drop("blocked"), sent(ip().fragment(0, true).tcp(25).syn())) << "the first fragment";
  EXPECT_EQ(pass("fragment"), sent(ip().fragment(1, true).tcp(25).syn()));
  EXPECT_EQ(pass("fragment"), sent(ip().fragment(0x1000, true).tcp(25).syn()));
  EXPECT_EQ(pass("fragment"), sent(ip().fragment(0x1fff, false).tcp(25).syn()));
  EXPECT_EQ(uncounted(), sent(ip().tcp(25).protocol(17)));
  EXPECT_EQ(uncounted(), sent(ip().fragment(1, true).tcp(25).protocol(17)));
}

TEST_P(ParseTest, AnIpHeaderThatContradictsItselfIsMalformed) {
  block(path().key(7));
  const Packet whole = flow(7).syn();
  for (int version = 0; version < 16; ++version) {
    const bool is_ipv4 = path().family == Family::ipv4;
    if (version == (is_ipv4 ? 4 : 6)) continue;
    // On a tun device the version is what tells the family.
    if (path().program == Program::tc_ip && (version == 6 || !is_ipv4)) continue;
    const auto first = static_cast<std::uint8_t>(version << 4 | (is_ipv4 ? 5 : 0));
    EXPECT_EQ(pass("malformed"), sent(Packet(whole).network_byte(0, first))) << version;
  }
  if (path().family == Family::ipv6) return;
  for (std::uint8_t words = 0; words < 5; ++words)
    EXPECT_EQ(pass("malformed"), sent(Packet(whole).network_byte(0, 0x40 | words))) << +words;
}

class FlagTest : public PathTest {};
INSTANTIATE_TEST_SUITE_P(, FlagTest, ::testing::ValuesIn(plain_paths()), path_name);

/// By SYN, ACK and RST; FIN, PSH, URG, ECE and CWR change nothing.
struct FlagRow {
  std::uint8_t bits;
  bool is_syn;
};
constexpr FlagRow kFlagTable[] = {
    {0, false},
    {tcp_flag::kSyn, true},
    {tcp_flag::kAck, false},
    {tcp_flag::kRst, false},
    {tcp_flag::kSyn | tcp_flag::kAck, false},
    {tcp_flag::kSyn | tcp_flag::kRst, false},
    {tcp_flag::kAck | tcp_flag::kRst, false},
    {tcp_flag::kSyn | tcp_flag::kAck | tcp_flag::kRst, false},
};

TEST_P(FlagTest, ASynIsWhatHasSynAndNeitherAckNorRst) {
  constexpr std::uint8_t kTelling = tcp_flag::kSyn | tcp_flag::kAck | tcp_flag::kRst;
  block(path().key(7));
  int syns = 0;
  for (int flags = 0; flags < 256; ++flags) {
    const auto* row = std::ranges::find(kFlagTable, flags & kTelling, &FlagRow::bits);
    ASSERT_NE(row, std::end(kFlagTable));
    const auto bits = static_cast<std::uint8_t>(flags);
    EXPECT_EQ(pass(row->is_syn ? "passed" : "flow"), sent(flow(8).flags(bits))) << flags;
    EXPECT_EQ(drop("blocked"), sent(flow(7).flags(bits))) << flags;
    EXPECT_EQ(row->is_syn ? pass("watched") : uncounted(), sent(flow(7, 1, 465).flags(bits)));
    EXPECT_EQ(uncounted(), sent(flow(7, 1, 443).flags(bits))) << flags;
    syns += row->is_syn;
  }
  EXPECT_EQ(32, syns);
  EXPECT_EQ(32U, evidence(8).syns);
}

TEST_P(FlagTest, DataAndTheReservedBitsDoNotMakeASynSomethingElse) {
  EXPECT_EQ(pass("passed"), sent(syn(7).payload(500))) << "TCP Fast Open";
  EXPECT_EQ(pass("passed"), sent(syn(7).tcp_byte(12, 0x5f))) << "accurate ECN, reserved";
  EXPECT_EQ(2U, evidence(7).syns);
}

class FrameTest : public ProgramFixture {
 protected:
  void SetUp() override {
    ProgramFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    for (const Family family : {Family::ipv4, Family::ipv6}) block(Path{.family = family}.key(7));
  }
  /// On both hooks that see Ethernet.
  void expect_on_both(const Outcome& outcome, const Packet& packet, const std::string& what) {
    EXPECT_EQ(outcome, run(Program::xdp, packet)) << what;
    EXPECT_EQ(outcome, run(Program::tc, packet)) << what;
  }
  static Packet mail(Packet packet) {
    return packet.ipv4("172.16.0.7", "198.18.1.25").tcp(25).syn();
  }
  static Packet mail6(Packet packet) { return packet.ipv6("2001:db8:1:7::5", "2001:db8:f001::25"); }
};

TEST_F(FrameTest, TwoTagsAreFollowedAndAThirdIsNot) {
  expect_on_both(drop("blocked"), mail(Packet{}.eth().vlan(1).vlan(2)), "two tags");
  expect_on_both(pass("encapsulation"), mail(Packet{}.eth().vlan(1).vlan(2).vlan(3)), "three");
  expect_on_both(pass("encapsulation"), mail(Packet{}.eth().service_vlan(1).vlan(2).vlan(3)),
                 "802.1ad, then two");
  expect_on_both(drop("blocked"), mail(Packet{}.eth().vlan(0)), "a priority tag");
  expect_on_both(drop("blocked"), mail(Packet{}.eth().vlan(0xffff)), "all of the tag's bits set");
}

TEST_F(FrameTest, OnlyIpInsideOfPppoeIsFollowed) {
  const Packet whole = mail(Packet{}.eth().pppoe());
  expect_on_both(drop("blocked"), whole, "a session");
  auto frame = whole.bytes();
  frame[20] = 0xc0;
  frame[21] = 0x21;
  EXPECT_EQ(uncounted(), run(Program::xdp, frame)) << "LCP";
  EXPECT_EQ(uncounted(), run(Program::tc, frame)) << "LCP";
  frame = whole.bytes();
  frame[13] = 0x63;
  EXPECT_EQ(uncounted(), run(Program::xdp, frame)) << "discovery";
  EXPECT_EQ(uncounted(), run(Program::tc, frame)) << "discovery";
}

TEST_F(FrameTest, SixIpv6HeadersAreFollowedAndASeventhIsNot) {
  Packet packet = mail6(Packet{}.eth());
  for (int i = 0; i < 6; ++i) packet.destination_options();
  expect_on_both(drop("blocked"), Packet(packet).tcp(25).syn(), "six");
  expect_on_both(pass("encapsulation"), packet.destination_options().tcp(25).syn(), "seven");
}

TEST_F(FrameTest, AHeaderOfSomebodyElseEndsTheChain) {
  for (const int number : {1, 4, 17, 41, 47, 50, 58, 59, 132, 135, 139, 140, 253}) {
    const auto other = static_cast<std::uint8_t>(number);
    expect_on_both(uncounted(), mail6(Packet{}.eth()).tcp(25).syn().protocol(other),
                   "IPv6, " + std::to_string(number));
    expect_on_both(uncounted(), mail(Packet{}.eth()).protocol(other),
                   "IPv4, " + std::to_string(number));
  }
}

TEST_F(FrameTest, AnExtensionHeaderMayBeAsLongAsItSays) {
  Packet options = mail6(Packet{}.eth()).destination_options();
  std::vector<std::uint8_t> frame = options.bytes();
  frame[54] = 6;
  frame[55] = 255;
  frame.resize(14 + 40 + 256 * 8);
  const auto tcp = Packet{}.tcp(25).syn().bytes();
  frame.insert(frame.end(), tcp.begin(), tcp.end());
  EXPECT_EQ(drop("blocked"), run(Program::xdp, frame));
  EXPECT_EQ(drop("blocked"), run(Program::tc, frame)) << "all of it is in the linear area here";
  frame.resize(frame.size() - 1);
  EXPECT_EQ(pass("truncated"), run(Program::xdp, frame));
  EXPECT_EQ(pass("truncated"), run(Program::tc, frame));
}

TEST_F(FrameTest, AnIpv6SourceThatLooksLikeIpv4NeverTouchesTheIpv4Source) {
  const auto mapped = [](std::uint16_t port) {
    return Packet{}.eth().ipv6("::ffff:172.16.0.7", "2001:db8:f001::25").tcp(port);
  };
  const mw_addr key = *parse_address("172.16.0.7");
  expect_on_both(pass("mapped_source"), mapped(25).syn(), "SYN");
  expect_on_both(pass("mapped_source"), mapped(25).ack(), "ACK");
  expect_on_both(pass("mapped_source"), mapped(465).syn(), "a watched port");
  expect_on_both(uncounted(), mapped(443).syn(), "another port");
  EXPECT_FALSE(source(key));
  EXPECT_EQ(0U, drops(key).packets);
  expect_on_both(drop("blocked"), mail(Packet{}.eth()), "the IPv4 source itself");

  const Packet compatible = Packet{}.eth().ipv6("::172.16.0.7", "2001:db8:f001::25").tcp(25).syn();
  expect_on_both(pass("not_inside"), compatible, "::172.16.0.7 is an address like others");
}

TEST_F(FrameTest, AtTcTheOuterTagMayLieInTheMetadata) {
  // A real interface takes the outer tag off before the program sees the packet.
  const auto live = [&](const Packet& packet) { return run_live(Program::tc, packet.bytes()); };
  EXPECT_EQ(drop("blocked"), live(mail(Packet{}.eth())));
  EXPECT_EQ(drop("blocked"), live(mail(Packet{}.eth().vlan(7))));
  EXPECT_EQ(drop("blocked"), live(mail(Packet{}.eth().vlan(0))));
  EXPECT_EQ(drop("blocked"), live(mail(Packet{}.eth().vlan(7).vlan(8))));
  EXPECT_EQ(drop("blocked"), live(mail(Packet{}.eth().service_vlan(7).vlan(8))));
  EXPECT_EQ(drop("blocked"), live(mail(Packet{}.eth().service_vlan(7).vlan(8).pppoe())));
  EXPECT_EQ(drop("blocked"), live(mail6(Packet{}.eth().vlan(7).vlan(8)).tcp(25).syn()));
  EXPECT_EQ(pass("encapsulation"), live(mail(Packet{}.eth().vlan(7).vlan(8).vlan(9))));
  EXPECT_EQ(uncounted(), live(mail(Packet{}.eth().vlan(7).vlan(8)).tcp_byte(3, 80)));
}

TEST_F(FrameTest, HeadersOutsideTheLinearAreaArePulledIn) {
  const auto big = [](Packet packet) { return packet.payload(6000).bytes(); };
  const Packet blocked = Packet{}.ipv4("172.16.0.7", "198.18.1.25").ip_options(40).tcp(25).syn();
  const Packet other = Packet{}.ipv4("172.16.0.8", "198.18.1.25").ip_options(40).tcp(25).syn();
  for (const std::uint16_t linear : {1, 19, 20, 40, 60, 79, 80, 200}) {
    EXPECT_EQ(drop("blocked"), run_live(Program::tc_ip, big(blocked), linear)) << linear;
    EXPECT_EQ(pass("passed"), run_live(Program::tc_ip, big(other), linear)) << linear;
  }
}

}  // namespace
}  // namespace mailweir
