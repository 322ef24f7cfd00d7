// SPDX-License-Identifier: GPL-2.0-or-later
// SYNs out of kernel log lines, and the times that stand before them.
#include <fcntl.h>
#include <sys/stat.h>

#include "base/time_text.h"
#include "recorded_files.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kPacket =
    "IN=eth1 OUT=eth0 MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 SRC=172.16.7.70 "
    "DST=198.18.7.25 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=4711 DF PROTO=TCP SPT=40000 DPT=25 "
    "WINDOW=64240 RES=0x00 SYN URGP=0";

std::string line(std::string_view before, std::string_view packet = kPacket) {
  return std::string(before) + std::string(packet) + "\n";
}

class KernelLogTest : public testing::Test {
 protected:
  /// The times of all frames as text, of a file that was last written at `modified`.
  std::vector<std::string> times(const std::string& text, WallTime modified = kRecorded + 1h) {
    const std::string path = files_.write("it", text);
    const timespec stamp{std::chrono::system_clock::to_time_t(modified), 0};
    const timespec both[] = {stamp, stamp};
    ::utimensat(AT_FDCWD, path.c_str(), both, 0);
    const auto reader = open_frames(path);
    if (!reader) return {files_.without_root(reader.error().message)};
    const Drained drained = drain(**reader);
    EXPECT_TRUE(drained.is_in_order);
    notes_.clear();
    for (const std::string& note : drained.notes) notes_.push_back(files_.without_root(note));
    std::vector<std::string> times;
    for (const ReplayFrame& frame : drained.frames) {
      const auto us =
          std::chrono::floor<std::chrono::microseconds>(frame.time.time_since_epoch()) % 1s;
      times.push_back(rfc3339(frame.time) + "." + std::to_string(us.count() + 1000000).substr(1));
    }
    return times;
  }

  RecordedFiles files_;
  std::vector<std::string> notes_;
};

TEST_F(KernelLogTest, ALoggedSynIsASynFrame) {
  const auto reader = open_frames(files_.write("it", line("2026-11-24T14:03:08Z gw kernel: ")));
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_FALSE((*reader)->knows_outcomes());
  const Drained drained = drain(**reader);
  ASSERT_EQ(drained.frames.size(), 1U);
  EXPECT_EQ(drained.frames[0].time, kRecorded);
  EXPECT_EQ(drained.frames[0].link, ReplayFrame::Link::ip);
  Headers headers = headers_of(drained.frames[0]);
  headers.seq = 0;
  EXPECT_EQ(headers, (Headers{"172.16.7.70", "198.18.7.25", 40000, 25, 0, 0, kSyn, 40, 0}));
  EXPECT_EQ((*reader)->progress(), 1);
}

TEST_F(KernelLogTest, IPv6AndAnyPrefixAndAnyPort) {
  const auto drained =
      drain(files_, line("2026-11-24T14:03:08Z gw kernel: [12345.678901] MAILWEIR limit: ",
                         "IN=eth1 OUT= MAC=x SRC=2001:0db8:0001:0002:0000:0000:0000:0005 "
                         "DST=2001:0db8:0009:0009:0000:0000:0000:0025 LEN=80 TC=0 HOPLIMIT=64 "
                         "FLOWLBL=1 PROTO=TCP SPT=1025 DPT=2525 SEQ=4000000000 ACK=0 WINDOW=64800 "
                         "RES=0x00 CWR ECE SYN URGP=0 OPT (020405A0) "));
  ASSERT_EQ(drained.frames.size(), 1U) << drained.error;
  EXPECT_EQ(headers_of(drained.frames[0]), (Headers{"2001:db8:1:2::5", "2001:db8:9:9::25", 1025,
                                                    2525, 4000000000, 0, kSyn, 60, 0}));
}

TEST_F(KernelLogTest, ARepeatedSynHasTheSequenceNumberOfTheFirst) {
  std::string other(kPacket);
  other.replace(other.find("SPT=40000"), 9, "SPT=40001");
  const auto drained = drain(files_, line("2026-11-24T14:03:08Z ") + line("2026-11-24T14:03:09Z ") +
                                         line("2026-11-24T14:03:10Z ", other));
  ASSERT_EQ(drained.frames.size(), 3U);
  EXPECT_EQ(drained.frames[0].bytes, drained.frames[1].bytes);
  EXPECT_NE(headers_of(drained.frames[0]).seq, headers_of(drained.frames[2]).seq);
}

TEST_F(KernelLogTest, LinesOfOtherKindsAreCounted) {
  const auto with = [](std::string_view from, std::string_view to) {
    std::string packet(kPacket);
    packet.replace(packet.find(from), from.size(), to);
    return line("2026-11-24T14:03:08Z gw kernel: ", packet);
  };
  const std::string others[] = {
      "2026-11-24T14:03:08Z gw postfix/smtpd[71]: connect from unknown\n",
      "\n",
      with("SYN", "ACK SYN"),
      with("SYN", "SYN RST"),
      with("SYN", "SYN FIN"),
      with("SYN ", ""),
      with("PROTO=TCP", "PROTO=UDP"),
      with("SRC=172.16.7.70", "SRC=172.16.7"),
      with("DST=198.18.7.25", "DST=2001:db8::1"),
      with("DPT=25", "DPT=99999"),
      with("DPT=25 ", ""),
      with("SRC=172.16.7.70 ", ""),
      "2026-11-24T14:03:08Z gw kernel: IN=eth1 SRC=198.18.7.25 DST=172.16.7.70 PROTO=ICMP TYPE=3 "
      "CODE=1 [SRC=172.16.7.70 DST=198.18.7.25 PROTO=TCP SPT=40000 DPT=25 SYN ]\n",
      with("PROTO=TCP", "[PROTO=TCP"),
  };
  for (const std::string& other : others) {
    const auto drained = drain(files_, other + line("2026-11-24T14:03:08Z ") + other);
    EXPECT_EQ(drained.frames.size(), 1U) << other;
    EXPECT_THAT(drained.notes,
                ElementsAre("it: 2 lines are not a SYN that the kernel logged: left out"))
        << other;
  }
}

TEST_F(KernelLogTest, ReadsTheTimesOfSyslogJournalAndDmesg) {
  const LocalZone zone("CET-1CEST,M3.5.0,M10.5.0/3");
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"2026-11-24T14:03:08.123456+01:00 gw kernel: ", "2026-11-24T13:03:08Z.123456"},
      {"2026-11-24T14:03:08Z gw kernel: ", "2026-11-24T14:03:08Z.000000"},
      {"2026-11-24T14:03:08-0330 gw kernel: ", "2026-11-24T17:33:08Z.000000"},
      {"2026-11-24T14:03:08,5+01:00 ", "2026-11-24T13:03:08Z.500000"},
      {"2026-11-24 14:03:08 gw kernel: ", "2026-11-24T13:03:08Z.000000"},
      {"2026-07-24 14:03:08 gw kernel: ", "2026-07-24T12:03:08Z.000000"},
      {"<4>1 2026-11-24T14:03:08Z gw kernel - - - ", "2026-11-24T14:03:08Z.000000"},
      {"1795528988.123456 gw kernel: ", "2026-11-24T14:03:08Z.123456"},
      {"[Tue Nov 24 14:03:08 2026] ", "2026-11-24T13:03:08Z.000000"},
      {"Nov 24 14:03:08 gw kernel: ", "2026-11-24T13:03:08Z.000000"},
      {"<4>Nov 24 14:03:08 gw kernel: ", "2026-11-24T13:03:08Z.000000"},
      {"Nov  4 14:03:08 gw kernel: ", "2026-11-04T13:03:08Z.000000"},
      {"Nov 4 14:03:08 gw kernel: ", "2026-11-04T13:03:08Z.000000"},
      {"Nov 24 14:03:08.123456 gw kernel: ", "2026-11-24T13:03:08Z.123456"},
      {"Jul 24 14:03:08 gw kernel: ", "2026-07-24T12:03:08Z.000000"},
      {"[12345.678901] ", "1970-01-01T03:25:45Z.678901"},
      {"[    5.000123] MAILWEIR ", "1970-01-01T00:00:05Z.000123"},
      {"<6>[    5.000123] ", "1970-01-01T00:00:05Z.000123"},
      {"kern  :warn  : [Tue Nov 24 14:03:08 2026] ", "2026-11-24T13:03:08Z.000000"},
      {"kern  :warn  : [    5.000123] ", "1970-01-01T00:00:05Z.000123"},
      {"Tue 2026-11-24 14:03:08 CET gw kernel: ", "2026-11-24T13:03:08Z.000000"},
      {"Tue 2026-11-24 14:03:08.5 UTC gw kernel: ", "2026-11-24T14:03:08Z.500000"},
      {"\xef\xbb\xbf"
       "2026-11-24T14:03:08Z gw kernel: ",
       "2026-11-24T14:03:08Z.000000"},
  };
  for (const auto& [before, time] : cases)
    EXPECT_THAT(times(line(before)), ElementsAre(time)) << before;
}

TEST_F(KernelLogTest, ReadsTheJournalAsJson) {
  const auto entry = [](std::string_view time, std::string_view message) {
    return R"({"_TRANSPORT":"kernel","__REALTIME_TIMESTAMP":")" + std::string(time) +
           R"(","MESSAGE":")" + std::string(message) + "\"}\n";
  };
  EXPECT_THAT(times(entry("1795528988500000", kPacket)),
              ElementsAre("2026-11-24T14:03:08Z.500000"));
  EXPECT_THAT(times(entry("1795528988000000", "usb 1-1: new device") +
                    entry("1795528989000000", kPacket) + entry("yesterday", kPacket)),
              ElementsAre("2026-11-24T14:03:09Z.000000"));
  EXPECT_THAT(notes_,
              ElementsAre(HasSubstr("1 line is not a SYN"), HasSubstr("1 SYN has no date")));
}

TEST_F(KernelLogTest, WithoutATimeThereIsNothingToReplay) {
  for (const std::string_view before :
       {"", "gw kernel: ", "Nov 31 14:03:08 ", "Feb 30 14:03:08 ", "Nov 24 24:03:08 ",
        "2026-02-29T14:03:08Z ", "2026-13-01T14:03:08Z ", "Noy 24 14:03:08 ", "[123] "})
    EXPECT_THAT(times(line(before)),
                ElementsAre("it: its SYNs have no time before them (looked for 'Nov 24 14:03:08', "
                            "'2026-11-24T14:03:08+01:00' and '[12345.678901]')"))
        << before;
  EXPECT_EQ(times(line("2026-11-24T14:03:08Z ") + line("")).size(), 1U);
  EXPECT_THAT(notes_, ElementsAre("it: 1 SYN has no date: left out"));
}

TEST_F(KernelLogTest, TheYearIsTheLastThatIsNotAheadOfTheFile) {
  const LocalZone zone("UTC0");
  const auto at = [](int year, int month, int day) {
    return WallTime(std::chrono::sys_days(std::chrono::year(year) / month / day));
  };
  const std::tuple<std::string_view, WallTime, std::string_view> cases[] = {
      {"Nov 24 14:03:08 ", at(2026, 11, 24) + 15h, "2026-11-24T14:03:08Z.000000"},
      {"Nov 24 14:03:08 ", at(2026, 11, 24) + 14h, "2026-11-24T14:03:08Z.000000"},
      {"Nov 24 14:03:08 ", at(2026, 11, 23), "2025-11-24T14:03:08Z.000000"},
      {"Nov 24 14:03:08 ", at(2027, 1, 2), "2026-11-24T14:03:08Z.000000"},
      {"Dec 31 23:59:59 ", at(2027, 1, 1), "2026-12-31T23:59:59Z.000000"},
      {"Jan  1 00:00:01 ", at(2026, 12, 31) + 12h, "2027-01-01T00:00:01Z.000000"},
      {"Feb 29 14:03:08 ", at(2026, 11, 24), "2024-02-29T14:03:08Z.000000"},
      {"Feb 29 14:03:08 ", at(2024, 2, 20), "2020-02-29T14:03:08Z.000000"},
  };
  for (const auto& [before, modified, time] : cases)
    EXPECT_THAT(times(line(before), modified), ElementsAre(time)) << before;
  EXPECT_THAT(notes_, ElementsAre("it: its lines tell no year: taken as 2020-02-29 to 2020-02-29"));
}

TEST_F(KernelLogTest, AfterDecemberComesTheNextYear) {
  const LocalZone zone("UTC0");
  EXPECT_THAT(times(line("Dec 30 10:00:00 ") + line("Dec 31 23:59:59 ") + line("Jan  1 00:00:01 ") +
                    line("Dec 31 23:59:58 ") + line("Jan  2 00:00:00 ") + line("Nov 24 10:00:00 ") +
                    line("Jan  3 10:00:00 ")),
              ElementsAre("2024-12-30T10:00:00Z.000000", "2024-12-31T23:59:58Z.000000",
                          "2024-12-31T23:59:59Z.000000", "2025-01-01T00:00:01Z.000000",
                          "2025-01-02T00:00:00Z.000000", "2025-11-24T10:00:00Z.000000",
                          "2026-01-03T10:00:00Z.000000"));
  EXPECT_THAT(notes_, ElementsAre("it: its lines tell no year: taken as 2024-12-30 to 2026-01-03"));
}

TEST_F(KernelLogTest, KernelStampsTellHowFarApartLinesOfOneSecondWere) {
  const LocalZone zone("UTC0");
  EXPECT_THAT(times(line("Nov 24 14:03:08 gw kernel: [100.250000] ") +
                    line("Nov 24 14:03:08 gw kernel: [100.750000] ") +
                    line("Nov 24 14:03:09 gw kernel: [101.000000] ") +
                    line("Nov 24 14:03:20 gw kernel: [  5.000000] ") +
                    line("Nov 24 14:03:20 gw kernel: [  5.100000] ")),
              ElementsAre("2026-11-24T14:03:08Z.000000", "2026-11-24T14:03:08Z.500000",
                          "2026-11-24T14:03:08Z.750000", "2026-11-24T14:03:20Z.000000",
                          "2026-11-24T14:03:20Z.100000"));
}

TEST_F(KernelLogTest, TimesSinceBootHaveAnArbitraryBeginningAndANoteSaysSo) {
  EXPECT_THAT(times(line("[  100.000000] ") + line("[  101.500000] ") + line("[  101.400000] ") +
                    line("[    3.000000] ")),
              ElementsAre("1970-01-01T00:01:40Z.000000", "1970-01-01T00:01:41Z.400000",
                          "1970-01-01T00:01:41Z.500000", "1970-01-01T00:01:44Z.500000"));
  EXPECT_THAT(notes_, ElementsAre("it: its lines tell only the time since boot: counted from "
                                  "1970-01-01, so its dates mean nothing",
                                  "it: the time since boot begins anew 1 time: put one after the "
                                  "other"));
  EXPECT_EQ(times(line("2026-11-24T14:03:08Z ") + line("[100.000000] ")).size(), 1U);
  EXPECT_THAT(notes_, ElementsAre("it: 1 SYN has no date: left out"));
}

TEST_F(KernelLogTest, GzipCutOffAndStrangeLineEndsAreNoMatter) {
  std::string many;
  for (int i = 0; i < 2000; ++i) many += line("2026-11-24T14:03:08Z gw kernel: ");
  EXPECT_EQ(drain(files_, gzipped(many)).frames.size(), 2000U);
  const std::string packed = gzipped(many);
  const auto cut = drain(files_, packed.substr(0, packed.size() / 2));
  EXPECT_GT(cut.frames.size(), 100U);
  ASSERT_FALSE(cut.notes.empty());
  EXPECT_EQ(cut.notes[0], "it ends before its compression does: cut off");
  const std::string one = "2026-11-24T14:03:08Z " + std::string(kPacket);
  EXPECT_EQ(drain(files_, one).frames.size(), 1U);
  EXPECT_EQ(drain(files_, one + "\r\n" + one + "\r\n").frames.size(), 2U);
}

TEST_F(KernelLogTest, AVeryLongLineDoesNotHideTheNextOne) {
  for (const std::size_t length : {std::size_t{1} << 20, (std::size_t{1} << 20) - 1,
                                   (std::size_t{1} << 20) + 1, std::size_t{5} << 20}) {
    const auto drained = drain(files_, line("2026-11-24T14:03:08Z ") + std::string(length, 'x') +
                                           "\n" + line("2026-11-24T14:03:09Z "));
    EXPECT_EQ(drained.frames.size(), 2U) << length;
    EXPECT_THAT(drained.notes,
                ElementsAre("it: 1 line is not a SYN that the kernel logged: left out"))
        << length;
  }
}

TEST_F(KernelLogTest, ALogWithoutASynSaysWhatWasLookedFor) {
  EXPECT_EQ(files_.refusal("Nov 24 14:03:08 gw sshd[7]: hello\nNov 24 14:03:08 gw cron: x\n"),
            "it: no capture, no Zeek conn.log, and no SYN that the kernel logged in 2 lines "
            "(looked for SRC= DST= PROTO=TCP SPT= DPT= SYN)");
}

}  // namespace
}  // namespace mailweir
