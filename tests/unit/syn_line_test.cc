// SPDX-License-Identifier: GPL-2.0-or-later
// Lines of the SYN log, against the rules of the kernel's own; tests/e2e/story_log.sh compares with
// lines that the kernel wrote.
#include "daemon/syn_line.h"

#include <gmock/gmock.h>

#include <cstring>

#include "local_zone.h"

namespace mailweir {
namespace {

template <std::size_t N>
void put(__u8 (&to)[N], std::initializer_list<int> bytes) {
  std::size_t at = 0;
  for (const int byte : bytes) to[at++] = static_cast<__u8>(byte);
}

mw_logged_syn ipv4_syn() {
  mw_logged_syn syn{};
  syn.has_ethernet = 1;
  put(syn.ethernet, {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0xab, 0x08, 0x00});
  put(syn.network, {0x45, 0x00, 0x00, 0x3c, 0xd4, 0x31, 0x40, 0x00, 63,  6,
                    0,    0,    172,  16,   7,    70,   203,  0,    113, 5});
  put(syn.tcp, {0xc8, 0xde, 0x00, 25, 0, 0, 0, 1, 0, 0, 0, 0, 0xa0, 0x02, 0xfa, 0xf0, 0, 0, 0, 0});
  return syn;
}

TEST(SynLine, AnIpv4SynReadsAsTheKernelWritesIt) {
  EXPECT_EQ(
      syn_line(ipv4_syn(), "eth1"),
      "MAILWEIR IN=eth1 OUT= MAC=02:00:00:00:00:01:02:00:00:00:00:ab:08:00 SRC=172.16.7.70 "
      "DST=203.0.113.5 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=54321 DF PROTO=TCP SPT=51422 DPT=25 "
      "WINDOW=64240 RES=0x00 SYN URGP=0 ");
}

TEST(SynLine, EveryFieldThatCanDifferIsWritten) {
  mw_logged_syn syn = ipv4_syn();
  syn.network[1] = 0xb8;  // PREC 0xa0, TOS 0x18
  syn.network[6] = 0xa0;  // CE, MF
  syn.tcp[12] = 0xaf;     // all reserved bits
  syn.tcp[13] = 0xeb;     // CWR ECE URG PSH SYN FIN
  syn.tcp[18] = 0x01;
  EXPECT_THAT(syn_line(syn, "eth1"),
              testing::HasSubstr("TOS=0x18 PREC=0xA0 TTL=63 ID=54321 CE MF PROTO=TCP"));
  EXPECT_THAT(syn_line(syn, "eth1"),
              testing::HasSubstr("RES=0x3c CWR ECE URG PSH SYN FIN URGP=256 "));
}

TEST(SynLine, TagsAreNotPartOfTheMacHeader) {
  mw_logged_syn syn = ipv4_syn();
  syn.ethernet[12] = 0x81;
  EXPECT_THAT(syn_line(syn, "eth1"), testing::HasSubstr(":ab:08:00 SRC="));
  syn.has_ethernet = 0;
  EXPECT_THAT(syn_line(syn, "tun0"), testing::HasSubstr("IN=tun0 OUT= MAC= SRC="));
}

TEST(SynLine, AnIpv6SynReadsAsTheKernelWritesIt) {
  mw_logged_syn syn = ipv4_syn();
  syn.is_ipv6 = 1;
  put(syn.network, {0x6a, 0xb1, 0x23, 0x45, 0, 40, 6, 64, 0x20, 0x01, 0x0d, 0xb8, 0,    1,
                    0,    7,    0,    0,    0, 0,  0, 0,  0,    5,    0x20, 0x01, 0x0d, 0xb8,
                    0,    9,    0,    0,    0, 0,  0, 0,  0,    0,    0,    0x25});
  EXPECT_EQ(
      syn_line(syn, "eth1"),
      "MAILWEIR IN=eth1 OUT= MAC=02:00:00:00:00:01:02:00:00:00:00:ab:86:dd "
      "SRC=2001:0db8:0001:0007:0000:0000:0000:0005 DST=2001:0db8:0009:0000:0000:0000:0000:0025 "
      "LEN=80 TC=171 HOPLIMIT=64 FLOWLBL=74565 PROTO=TCP SPT=51422 DPT=25 WINDOW=64240 "
      "RES=0x00 SYN URGP=0 ");
}

TEST(SynLine, TheHeadIsSyslogs) {
  const LocalZone zone("CET-1CEST,M3.5.0,M10.5.0/3");
  const Now now{boot_time(12345'678901'234ULL), WallTime(std::chrono::seconds(1795528988))};
  EXPECT_EQ(line_head(now, "nat1"), "Nov 24 15:03:08 nat1 kernel: [12345.678901] ");
  const Now early{boot_time(5'000'123'000ULL),
                  WallTime(std::chrono::seconds(1795528988 - 20 * 86400))};
  EXPECT_EQ(line_head(early, "nat1"), "Nov  4 15:03:08 nat1 kernel: [    5.000123] ");
}

}  // namespace
}  // namespace mailweir
