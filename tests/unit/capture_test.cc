// SPDX-License-Identifier: GPL-2.0-or-later
// Captures of every form that is read, and of those that are not.
#include <fcntl.h>
#include <sys/stat.h>

#include <thread>

#include "recorded_files.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Link = ReplayFrame::Link;

class CaptureTest : public testing::Test {
 protected:
  RecordedFiles files_;
};

std::vector<std::chrono::nanoseconds> times_of(const Drained& drained) {
  std::vector<std::chrono::nanoseconds> times;
  for (const ReplayFrame& frame : drained.frames) times.emplace_back(frame.time - kRecorded);
  return times;
}

TEST_F(CaptureTest, ReadsBothByteOrdersInMicrosecondsAndNanoseconds) {
  for (const bool is_big_endian : {false, true})
    for (const bool is_nanoseconds : {false, true}) {
      const auto drained = drain(files_, pcap({{0ns, ethernet_frame()}, {1234567ns, ip_packet()}},
                                              {1, is_nanoseconds, is_big_endian}));
      SCOPED_TRACE(testing::Message() << is_big_endian << is_nanoseconds);
      EXPECT_EQ(drained.error, "");
      ASSERT_THAT(times_of(drained), ElementsAre(0ns, is_nanoseconds ? 1234567ns : 1234000ns));
      EXPECT_EQ(text_of(drained.frames[0].bytes), ethernet_frame());
      EXPECT_EQ(drained.frames[0].link, Link::ethernet);
      EXPECT_THAT(drained.notes, IsEmpty());
    }
}

TEST_F(CaptureTest, ReadsPcapng) {
  const auto drained = drain(files_, pcapng_start() + pcapng_interface({}) + pcapng_interface({}) +
                                         pcapng_packet(0, {1ms, ethernet_frame()}) +
                                         pcapng_packet(1, {2ms, ethernet_frame(ipv6_packet())}));
  EXPECT_EQ(drained.error, "");
  ASSERT_THAT(times_of(drained), ElementsAre(1ms, 2ms));
  EXPECT_EQ(text_of(drained.frames[1].bytes), ethernet_frame(ipv6_packet()));
}

TEST_F(CaptureTest, ReadsWhatGzipMadeOfThemInOnePartOrSeveral) {
  const std::string plain = pcap({{0s, ethernet_frame()}, {1s, ethernet_frame()}});
  const std::string ng = pcapng_start() + pcapng_interface({}) + pcapng_packet(0, {0s, "frame"});
  const std::pair<std::string, std::size_t> cases[] = {
      {gzipped(plain), 2},
      {gzipped(ng), 1},
      {gzipped(plain.substr(0, 50)) + gzipped(plain.substr(50)), 2},
      {gzipped(plain) + std::string(512, '\0'), 2},
  };
  for (const auto& [file, frames] : cases) {
    const auto drained = drain(files_, file);
    EXPECT_EQ(drained.error, "");
    EXPECT_EQ(drained.frames.size(), frames);
    EXPECT_THAT(drained.notes, IsEmpty());
  }
  EXPECT_THAT(drain(files_, gzipped(plain) + "rubbish").notes,
              ElementsAre("it: what follows the compressed part was ignored"));
}

TEST_F(CaptureTest, ReadsAPipeThatGivesItsFirstByteAlone) {
  const std::string pipe = files_.path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const bool is_gzip : {false, true}) {
    const std::string plain = pcap({{0s, ethernet_frame()}});
    const std::string file = is_gzip ? gzipped(plain) : plain;
    std::thread writer([&] {
      const int fd = ::open(pipe.c_str(), O_WRONLY);
      for (std::size_t at = 0; at < file.size(); ++at)
        if (::write(fd, file.data() + at, 1) != 1) break;
      ::close(fd);
    });
    const auto reader = open_frames(pipe);
    writer.join();
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ((*reader)->progress(), 0);
    EXPECT_EQ(drain(**reader).frames.size(), 1U);
    EXPECT_EQ((*reader)->progress(), 1);
  }
}

TEST_F(CaptureTest, ReadsStandardInput) {
  const std::string path = files_.write("it", pcap({{0s, ethernet_frame()}}));
  const int saved = ::dup(STDIN_FILENO);
  const int fd = ::open(path.c_str(), O_RDONLY);
  ::dup2(fd, STDIN_FILENO);
  const auto reader = open_frames("-");
  const auto empty = open_frames("-");
  ::dup2(saved, STDIN_FILENO);
  ::close(fd);
  ::close(saved);
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ(drain(**reader).frames.size(), 1U);
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().message, "standard input is empty");
}

struct LinkCase {
  const char* name;
  std::uint32_t link;
  std::string captured;
  Link becomes;
  std::string bytes;
};

TEST_F(CaptureTest, MakesEthernetOrBareIpOfEachLinkType) {
  const std::string v4 = ip_packet(), v6 = ipv6_packet();
  const std::string cooked_mac = "\x02\x00\x00\x00\x00\x07\x00\x00"s;
  const std::string cooked = "\x00\x00\x00\x01\x00\x06"s + cooked_mac;
  const std::string made = "\0\0\0\0\0\0\x02\0\0\0\0\x07"s;
  const std::string tag = "\x81\x00\x00\x0a\x08\x00"s;
  const LinkCase cases[] = {
      {"raw", 101, v4, Link::ip, v4},
      {"raw, BSD's number", 12, v6, Link::ip, v6},
      {"raw, OpenBSD's number", 14, v4, Link::ip, v4},
      {"IPv4", 228, v4, Link::ip, v4},
      {"IPv6", 229, v6, Link::ip, v6},
      {"cooked", 113, cooked + "\x08\x00"s + v4, Link::ethernet, made + "\x08\x00"s + v4},
      {"cooked, IPv6", 113, cooked + "\x86\xdd"s + v6, Link::ethernet, made + "\x86\xdd"s + v6},
      {"cooked, tagged", 113, cooked + tag + v4, Link::ethernet, made + tag + v4},
      {"cooked 2", 276, "\x08\x00\0\0\0\0\0\x02\0\x01\0\x06"s + cooked_mac + v4, Link::ethernet,
       made + "\x08\x00"s + v4},
      {"loopback, little-endian", 0, "\x02\0\0\0"s + v4, Link::ip, v4},
      {"loopback, big-endian IPv6", 0, "\0\0\0\x1e"s + v6, Link::ip, v6},
      {"OpenBSD's loopback", 108, "\0\0\0\x02"s + v4, Link::ip, v4},
      {"PPP", 9, "\x00\x21"s + v4, Link::ip, v4},
      {"PPP as in HDLC", 9, "\xff\x03\x00\x57"s + v6, Link::ip, v6},
      {"PPP, one byte of protocol", 50, "\xff\x03\x21"s + v4, Link::ip, v4},
      {"PPPoE", 51, "\x11\0\0\x01\0\x2a\0\x21"s + v4, Link::ethernet,
       std::string(12, '\0') + "\x88\x64\x11\0\0\x01\0\x2a\0\x21"s + v4},
  };
  for (const LinkCase& c : cases) {
    SCOPED_TRACE(c.name);
    const auto drained = drain(files_, pcap({{0s, c.captured}}, {.link = c.link}));
    EXPECT_EQ(drained.error, "");
    ASSERT_EQ(drained.frames.size(), 1U);
    EXPECT_EQ(drained.frames[0].link, c.becomes);
    EXPECT_EQ(text_of(drained.frames[0].bytes), c.bytes);
  }
}

TEST_F(CaptureTest, PacketsThatAreNotIpAreCountedAndLeftOut) {
  const std::pair<std::uint32_t, std::string> cases[] = {
      {9, "\xc0\x21\x01\x01\x00\x04"s},
      {9, "\xff"s},
      {9, "\xff\x03"s},
      {9, ""},
      {0, "\x07\0\0\0\xff"s},
      {0, "\x02\0\0"s},
      {101, "\x30"s},
      {101, ""},
      {113, std::string(15, '\0')},
      {276, std::string(19, '\0')},
  };
  for (const auto& [link, bytes] : cases) {
    const auto drained = drain(files_, pcap({{0s, bytes}, {1s, bytes}}, {.link = link}));
    EXPECT_EQ(drained.error, "");
    EXPECT_THAT(drained.frames, IsEmpty());
    EXPECT_THAT(drained.notes, ElementsAre("it: 2 packets are not IP: left out"));
  }
}

TEST_F(CaptureTest, AnotherLinkTypeIsNamedAndWhatWouldDo) {
  EXPECT_EQ(files_.refusal(pcap({{0s, "frame"}}, {.link = 127})),
            "it: link type IEEE802_11_RADIO (802.11 plus radiotap header) is not supported; "
            "supported are Ethernet, raw IP, Linux cooked (any), BSD loopback, PPP and PPPoE");
  EXPECT_THAT(files_.refusal(pcap({{0s, "frame"}}, {.link = 4711})),
              HasSubstr("link type 4711 is not supported"));
}

TEST_F(CaptureTest, InterfacesOfDifferentKindsAreRefusedWithAWayOut) {
  const std::pair<Interface, std::string> cases[] = {{{.link = 101}, "link types"},
                                                     {{.snap_bytes = 96}, "snap lengths"}};
  for (const auto& [second, what] : cases) {
    const std::string said = "read it, frame 2: its interfaces have different " + what +
                             ", which libpcap does not read: split it by interface (tshark -r FILE "
                             "-Y frame.interface_id==0 -w ONE)";
    const auto drained =
        drain(files_, pcapng_start() + pcapng_interface({}) + pcapng_packet(0, {0s, "frame"}) +
                          pcapng_interface(second) + pcapng_packet(1, {1s, "frame"}));
    EXPECT_EQ(drained.error, said);
    EXPECT_THAT(files_.refusal(pcapng_start() + pcapng_interface({}) + pcapng_interface(second) +
                               pcapng_packet(0, {0s, "frame"})),
                HasSubstr("its interfaces have different " + what));
  }
}

TEST_F(CaptureTest, CutOffAnywhereAllWholeFramesAreThereAndANoteSaysSo) {
  const std::string whole = pcap({{0s, ethernet_frame()}, {1s, ethernet_frame()}});
  const std::string ng = pcapng_start() + pcapng_interface({}) +
                         pcapng_packet(0, {0s, ethernet_frame()}) +
                         pcapng_packet(0, {1s, ethernet_frame()});
  const std::size_t record = 16 + ethernet_frame().size();
  const std::size_t block = pcapng_packet(0, {1s, ethernet_frame()}).size();
  for (std::size_t cut = 1; cut < record; ++cut) {
    const auto drained = drain(files_, whole.substr(0, whole.size() - cut));
    ASSERT_EQ(drained.error, "") << cut;
    ASSERT_EQ(drained.frames.size(), 1U) << cut;
    ASSERT_THAT(drained.notes, ElementsAre("it ends in the middle of frame 2: cut off")) << cut;
  }
  for (std::size_t cut = 1; cut < block; ++cut) {
    const auto drained = drain(files_, ng.substr(0, ng.size() - cut));
    ASSERT_EQ(drained.error, "") << cut;
    ASSERT_EQ(drained.frames.size(), 1U) << cut;
    ASSERT_THAT(drained.notes, ElementsAre("it ends in the middle of frame 2: cut off")) << cut;
  }
}

TEST_F(CaptureTest, ACompressedFileThatIsCutOffGivesWhatIsThere) {
  std::vector<Record> records;
  for (int i = 0; i < 5000; ++i) {
    std::string noise = ethernet_frame();
    for (int j = 0; j < 20; ++j) noise += static_cast<char>(i * 31 + j * j * 17 + (i >> 3));
    records.push_back({i * 1ms, noise});
  }
  const std::string packed = gzipped(pcap(records));
  const auto drained = drain(files_, packed.substr(0, packed.size() / 2));
  EXPECT_EQ(drained.error, "");
  EXPECT_GT(drained.frames.size(), 1000U);
  EXPECT_LT(drained.frames.size(), 4999U);
  ASSERT_FALSE(drained.notes.empty());
  EXPECT_EQ(drained.notes[0], "it ends before its compression does: cut off");
  EXPECT_EQ(drain(files_, packed.substr(0, packed.size() - 3)).frames.size(), 5000U)
      << "without its checksum all is there";
  EXPECT_EQ(files_.refusal(packed.substr(0, 5)), "it is cut off before its first byte");
}

TEST_F(CaptureTest, DamagedCompressionIsAnError) {
  std::string packed = gzipped(pcap({{0s, ethernet_frame()}}));
  packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 0xff);
  EXPECT_EQ(files_.refusal(packed), "decompress it: incorrect data check");
  EXPECT_THAT(files_.refusal("\x1f\x8b\x08\x00rubbish, no doubt"s), HasSubstr("decompress it: "));
}

TEST_F(CaptureTest, WhatIsNoCaptureSaysSoInOneLine) {
  const std::string header = pcap({});
  const std::pair<std::string, std::string> cases[] = {
      {"", "it is empty"},
      {gzipped(""), "it is empty"},
      {header, "it is a capture without a frame"},
      {pcapng_start() + pcapng_interface({}), "it is a capture without a frame"},
      {header.substr(0, 4), "it is cut off within its header: there is no frame in it"},
      {header.substr(0, 23), "it is cut off within its header: there is no frame in it"},
      {pcapng_start(), "it is cut off within its header: there is no frame in it"},
      {pcap({{0s, "frame"}}).substr(0, 42), "it is cut off within its first frame"},
      {"\x7f"s + "ELF\0\0\0\0"s, "it is no pcap, no pcapng, no Zeek conn.log and no kernel log"},
      {"\x28\xb5\x2f\xfd rest"s, "it is compressed, and not by gzip: unzstd it first"},
      {"\xfd"s + "7zXZ\0"s, "it is compressed, and not by gzip: unxz it first"},
      {"BZh91AY", "it is compressed, and not by gzip: bunzip2 it first"},
      {"a letter\n",
       "it: no capture, no Zeek conn.log, and no SYN that the kernel logged in 1 line (looked for "
       "SRC= DST= PROTO=TCP SPT= DPT= SYN)"},
  };
  for (const auto& [file, said] : cases) EXPECT_EQ(files_.refusal(file), said);
  EXPECT_EQ(files_.refusal(pcap({{0s, "frame"}})), "");
}

TEST_F(CaptureTest, WhatCannotBeOpenedSaysWhy) {
  const auto missing = open_frames("/nonexistent/bot.pcap");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "open /nonexistent/bot.pcap: No such file or directory");
  const auto directory = open_frames("/tmp");
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().message, "open /tmp: Is a directory");
}

TEST_F(CaptureTest, WhatMayNotBeReadSaysSo) {
  const std::string path = files_.write("secret", "x");
  std::filesystem::permissions(path, std::filesystem::perms::none);
  // Root may read everything.
  constexpr uid_t kNobody = 65534;
  const uid_t self = ::geteuid();
  ASSERT_EQ(::seteuid(self == 0 ? kNobody : self), 0);
  const auto secret = open_frames(path);
  ASSERT_EQ(::seteuid(self), 0);
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().message, "open " + path + ": Permission denied");
}

TEST_F(CaptureTest, ADamagedRecordIsAnErrorWithItsNumber) {
  std::string file = pcap({{0s, ethernet_frame()}, {1s, ethernet_frame()}});
  const std::size_t second = 24 + 16 + ethernet_frame().size();
  file[second + 11] = '\x7f';  // the captured length
  const auto drained = drain(files_, file + std::string(4096, 'x'));
  EXPECT_EQ(drained.frames.size(), 1U) << "what precedes it is there";
  EXPECT_THAT(drained.error, HasSubstr("read it, frame 2: invalid packet capture length"));
}

TEST_F(CaptureTest, FramesThatStandBehindALaterOneArePutInOrder) {
  const auto drained = drain(files_, pcap({{0s, "a"}, {500ms, "c"}, {300ms, "b"}, {700ms, "d"}}));
  EXPECT_THAT(times_of(drained), ElementsAre(0ms, 300ms, 500ms, 700ms));
  std::string order;
  for (const ReplayFrame& frame : drained.frames) order += text_of(frame.bytes);
  EXPECT_EQ(order, "abcd");
  EXPECT_THAT(drained.notes, ElementsAre("it: 1 frame stood behind a later one: put in order"));
}

TEST_F(CaptureTest, FramesAtTheSameTimeKeepTheirOrder) {
  std::vector<Record> records;
  for (char c = 'a'; c <= 'z'; ++c) records.push_back({1s, std::string(1, c)});
  std::string order;
  for (const ReplayFrame& frame : drain(files_, pcap(records)).frames)
    order += text_of(frame.bytes);
  EXPECT_EQ(order, "abcdefghijklmnopqrstuvwxyz");
}

TEST_F(CaptureTest, AFrameThatComesTooLateGetsTheTimeOfTheFrameBefore) {
  const auto drained =
      drain(files_, pcap({{0s, "a"}, {1s, "b"}, {10s, "c"}, {500ms, "late"}, {11s, "d"}}));
  EXPECT_THAT(times_of(drained), ElementsAre(0s, 1s, 1s, 10s, 11s));
  EXPECT_THAT(drained.notes, ElementsAre("it: 1 frame came too late to be put in order: given the "
                                         "time of the frame before"));
}

TEST_F(CaptureTest, ALoneTimeInTheFutureDoesNotMoveTheOthers) {
  const auto drained =
      drain(files_, pcap({{0s, "a"}, {600000h, "x"}, {1s, "b"}, {4s, "d"}, {3s, "c"}, {9s, "e"}}));
  EXPECT_THAT(times_of(drained), ElementsAre(0s, 1s, 3s, 4s, 9s, 600000h));
}

TEST_F(CaptureTest, TheReorderBufferIsBoundedInFrames) {
  std::vector<Record> records;
  for (int i = 1; i <= 5000; ++i) records.push_back({i * 1us, "x"});
  records.push_back({10us, "late"});
  const auto drained = drain(files_, pcap(records));
  EXPECT_TRUE(drained.is_in_order);
  EXPECT_EQ(drained.frames.size(), 5001U);
  EXPECT_THAT(drained.notes, ElementsAre(HasSubstr("1 frame came too late")));
}

TEST_F(CaptureTest, AFrameWithoutATimeGetsThatOfTheFrameBefore) {
  const std::string simple = pcapng_block(3, Writer().u32(5).text("frame").str());
  const auto drained = drain(
      files_, pcapng_start() + pcapng_interface({}) + pcapng_packet(0, {1s, "frame"}) + simple);
  EXPECT_THAT(times_of(drained), ElementsAre(1s, 1s));
  EXPECT_THAT(drained.notes,
              ElementsAre("it: 1 frame has no usable time: given the time of the frame before"));
}

TEST_F(CaptureTest, TimesAfter2038AndFractionsOfMoreThanASecondAreNoTrouble) {
  std::string file = pcap({{0s, "a"}, {1s, "b"}});
  file[24 + 16 + 1 + 7] = '\x7f';  // the second frame's microseconds
  EXPECT_THAT(drain(files_, file).notes,
              ElementsAre("it: 1 frame has no usable time: given the time of the frame before"));
  EXPECT_THAT(times_of(drain(files_, pcap({{100000h, "a"}, {200000h, "b"}}))),
              ElementsAre(100000h, 200000h));
}

TEST_F(CaptureTest, OfALongFrameTheHeadersAreKept) {
  const auto drained = drain(files_, pcap({{0s, ethernet_frame() + std::string(60000, 'x')}}));
  ASSERT_EQ(drained.frames.size(), 1U);
  EXPECT_EQ(drained.frames[0].bytes.size(), 2048U);
  EXPECT_EQ(text_of(drained.frames[0].bytes).substr(0, 54), ethernet_frame());
}

TEST_F(CaptureTest, HeadersThatTheSnapLengthCutAwayAreNoReasonToLeaveAFrameOut) {
  for (std::size_t length = 0; length < ethernet_frame().size(); ++length) {
    const auto drained = drain(files_, pcap({{0s, ethernet_frame().substr(0, length)}}));
    ASSERT_EQ(drained.frames.size(), 1U) << length;
    EXPECT_EQ(drained.frames[0].bytes.size(), length);
  }
}

TEST_F(CaptureTest, ProgressRisesFromNoughtToOne) {
  std::vector<Record> records;
  for (int i = 0; i < 20000; ++i) records.push_back({i * 1ms, ethernet_frame()});
  const auto reader = open_frames(files_.write("it", pcap(records)));
  ASSERT_TRUE(reader);
  ReplayFrame frame;
  double before = (*reader)->progress();
  EXPECT_LT(before, 0.5);
  for (bool more = true; more;) {
    const auto got = (*reader)->next(frame);
    ASSERT_TRUE(got);
    more = *got;
    EXPECT_GE((*reader)->progress(), before);
    before = (*reader)->progress();
  }
  EXPECT_EQ(before, 1);
}

}  // namespace
}  // namespace mailweir
