// SPDX-License-Identifier: GPL-2.0-or-later
// What a client sent, by a row of Zeek's conn.log.
#include <algorithm>
#include <map>

#include "recorded_files.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kHeader =
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"
    "#open\t2026-11-24-14-03-08\n"
    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\t"
    "orig_bytes\tresp_bytes\tconn_state\tlocal_orig\tmissed_bytes\thistory\torig_pkts\t"
    "orig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents\n"
    "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\t"
    "bool\tcount\tstring\tcount\tcount\tcount\tcount\tset[string]\n";

struct Row {
  std::string ts = "1795528988.000000";
  std::string client = "172.16.7.70", client_port = "40000";
  std::string server = "198.18.7.25", server_port = "25";
  std::string proto = "tcp", service = "smtp", duration = "8.000000";
  std::string sent = "5000", heard = "400";
  std::string state = "SF", history = "ShADadFf";
  std::string ip_sent = "-", ip_heard = "-";
};

std::string table_row(const Row& r) {
  std::string line;
  for (const std::string& text : {r.ts,
                                  std::string("CuidA"),
                                  r.client,
                                  r.client_port,
                                  r.server,
                                  r.server_port,
                                  r.proto,
                                  r.service,
                                  r.duration,
                                  r.sent,
                                  r.heard,
                                  r.state,
                                  std::string("-"),
                                  std::string("0"),
                                  r.history,
                                  std::string("9"),
                                  r.ip_sent,
                                  std::string("9"),
                                  r.ip_heard,
                                  std::string("(empty)")})
    line += (line.empty() ? "" : "\t") + text;
  return line + "\n";
}

std::string table(const std::vector<Row>& rows) {
  std::string text(kHeader);
  for (const Row& row : rows) text += table_row(row);
  return text + "#close\t2026-11-24-15-00-00\n";
}

std::string json_row(const Row& r) {
  std::string line = "{\"_path\":\"conn\",\"uid\":\"CuidA\",\"local_orig\":true";
  const auto add = [&line](std::string_view name, const std::string& value, bool is_text) {
    if (value == "-") return;
    const std::string quote = is_text ? "\"" : "";
    line += ",\"" + std::string(name) + "\":" + quote + value + quote;
  };
  add("ts", r.ts, r.ts.find('-') != std::string::npos);
  add("id.orig_h", r.client, true);
  add("id.orig_p", r.client_port, false);
  add("id.resp_h", r.server, true);
  add("id.resp_p", r.server_port, false);
  add("proto", r.proto, true);
  add("service", r.service, true);
  add("duration", r.duration, false);
  add("orig_bytes", r.sent, false);
  add("resp_bytes", r.heard, false);
  add("conn_state", r.state, true);
  add("history", r.history, true);
  add("orig_ip_bytes", r.ip_sent, false);
  add("resp_ip_bytes", r.ip_heard, false);
  return line + "}\n";
}

/// What the kernel program would make of the client's packets.
struct Told {
  std::vector<unsigned> flags;
  std::uint64_t sent = 0, heard = 0;
  std::vector<std::uint64_t> heard_before_data;  ///< at each segment with data
};

Told told_by(const std::vector<ReplayFrame>& frames) {
  Told told;
  std::uint32_t isn = 0, first_ack = 0, next = 0;
  for (const ReplayFrame& frame : frames) {
    const Headers h = headers_of(frame);
    EXPECT_LE(h.ip_bytes, 65000U);
    EXPECT_EQ(frame.link, ReplayFrame::Link::ip);
    if (told.flags.empty()) {
      EXPECT_EQ(h.flags, kSyn) << "the SYN is first, alone";
      EXPECT_EQ(h.ack, 0U);
      isn = h.seq;
      next = isn + 1;
    } else {
      if (told.flags.size() == 1) first_ack = h.ack;
      EXPECT_TRUE(h.flags & kAck);
      EXPECT_EQ(h.seq, next) << "no gap, no overlap";
    }
    next += h.payload_bytes;
    if (h.payload_bytes > 0) told.heard_before_data.push_back(h.ack - first_ack);
    told.sent += h.payload_bytes;
    told.heard = std::max<std::uint64_t>(told.heard, h.ack - first_ack);
    told.flags.push_back(h.flags);
  }
  if (told.flags.size() < 2) told.heard = 0;
  EXPECT_EQ(told.sent, next - isn - 1);
  return told;
}

class ZeekLogTest : public testing::Test {
 protected:
  Drained drain_row(const Row& row) { return drain(files_, table({row})); }
  RecordedFiles files_;
};

TEST_F(ZeekLogTest, AFinishedConnectionIsTheWholeDialogueOfItsClient) {
  const auto drained = drain_row({});
  EXPECT_EQ(drained.error, "");
  EXPECT_THAT(drained.notes, IsEmpty());
  std::vector<std::chrono::nanoseconds> times;
  std::vector<unsigned> payloads, acks;
  ASSERT_EQ(drained.frames.size(), 7U);
  const Headers syn = headers_of(drained.frames[0]);
  const std::uint32_t first_ack = headers_of(drained.frames[1]).ack;
  for (const ReplayFrame& frame : drained.frames) {
    const Headers h = headers_of(frame);
    EXPECT_EQ(frame.bytes.size(), 40U) << "headers alone";
    EXPECT_EQ(h.source, "172.16.7.70");
    EXPECT_EQ(h.destination, "198.18.7.25");
    EXPECT_EQ(h.source_port, 40000U);
    EXPECT_EQ(h.destination_port, 25U);
    times.emplace_back(frame.time - kRecorded);
    payloads.push_back(h.payload_bytes);
    acks.push_back(h.flags == kSyn ? 0 : h.ack - first_ack);
  }
  EXPECT_EQ(headers_of(drained.frames[1]).seq, syn.seq + 1);
  EXPECT_THAT(times, ElementsAre(0s, 1s, 2s, 3s, 4s, 5s, 8s));
  EXPECT_THAT(payloads, ElementsAre(0, 0, 0, 150, 0, 4850, 0));
  EXPECT_THAT(acks, ElementsAre(0, 0, 100, 100, 400, 400, 400));
  EXPECT_EQ(told_by(drained.frames).flags.back(), kFin | kAck);
}

TEST_F(ZeekLogTest, IPv6IsAsIPv4) {
  const auto drained = drain_row({.client = "2001:db8:1:2::5", .server = "2001:db8:9:9::25"});
  const Told told = told_by(drained.frames);
  EXPECT_EQ(told.sent, 5000U);
  EXPECT_EQ(told.heard, 400U);
  EXPECT_EQ(drained.frames[0].bytes.size(), 60U);
  EXPECT_EQ(headers_of(drained.frames[0]).source, "2001:db8:1:2::5");
  EXPECT_EQ(headers_of(drained.frames[0]).destination, "2001:db8:9:9::25");
}

struct StateCase {
  std::string state, history;
  unsigned end;  ///< flags of its last packet; 0: the client does not close it
  bool is_answered;
};

TEST_F(ZeekLogTest, StateAndHistoryTellHowFarItCame) {
  const unsigned fin = kFin | kAck, rst = kRst | kAck;
  const StateCase cases[] = {
      {"SF", "ShADadFf", fin, true},  {"SF", "-", fin, true},     {"SF", "^hADadFf", fin, true},
      {"S1", "ShADad", 0, true},      {"S1", "-", 0, true},       {"S2", "ShADadF", fin, true},
      {"S2", "-", fin, true},         {"S3", "ShADadf", 0, true}, {"S3", "-", 0, true},
      {"RSTO", "ShADadR", rst, true}, {"RSTO", "-", rst, true},   {"RSTO", "ShADadFR", fin, true},
      {"RSTR", "ShADadr", 0, true},   {"RSTR", "-", 0, true},     {"SF", "ShFDadf", fin, true},
      {"S0", "S", 0, false},          {"S0", "-", 0, false},      {"S0", "SSSS", 0, false},
      {"REJ", "Sr", 0, false},        {"REJ", "-", 0, false},     {"RSTOS0", "SR", 0, false},
      {"RSTOS0", "-", 0, false},      {"RSTO", "ShR", 0, false},  {"SH", "SF", 0, false},
      {"SH", "-", 0, false},          {"SHR", "^hf", 0, false},   {"SHR", "-", 0, false},
      {"RSTRH", "^hr", 0, false},     {"RSTRH", "-", 0, false},   {"S1", "Sh", 0, false},
      {"-", "ShADadFf", fin, true},
  };
  for (const StateCase& c : cases) {
    SCOPED_TRACE(c.state + " " + c.history);
    const Told told = told_by(drain_row({.state = c.state, .history = c.history}).frames);
    ASSERT_FALSE(told.flags.empty());
    EXPECT_EQ(told.flags.size(), !c.is_answered ? 1U : c.end != 0 ? 7U : 6U);
    EXPECT_EQ(told.sent, c.is_answered ? 5000U : 0U);
    EXPECT_EQ(told.heard, c.is_answered ? 400U : 0U);
    EXPECT_EQ(told.flags.back(), !c.is_answered ? kSyn : c.end != 0 ? c.end : kAck);
  }
}

TEST_F(ZeekLogTest, ConnectionsThatWereUnderWayAreCountedAndLeftOut) {
  for (const auto& [state, history] :
       std::vector<std::pair<std::string, std::string>>{{"OTH", "DadA"},
                                                        {"OTH", "-"},
                                                        {"SF", "ADadFf"},
                                                        {"S1", "hAdD"},
                                                        {"OTH", "^dADa"},
                                                        {"SF", "^dADaFf"},
                                                        {"-", "-"}}) {
    SCOPED_TRACE(state + " " + history);
    const auto drained = drain(files_, table({{.state = state, .history = history}, {}}));
    EXPECT_EQ(drained.frames.size(), 7U);
    EXPECT_THAT(drained.notes,
                ElementsAre("it: 1 connection was not seen from the beginning: left out"));
  }
}

TEST_F(ZeekLogTest, WhatIsNoMailIsCountedAndLeftOut) {
  const auto drained = drain(files_, table({{.server_port = "443"},
                                            {.proto = "udp"},
                                            {.server_port = "465"},
                                            {.server_port = "587"},
                                            {}}));
  EXPECT_EQ(drained.frames.size(), 21U);
  EXPECT_THAT(drained.notes,
              ElementsAre("it: 2 connections are not TCP to a mail port (25, 465, 587): left out"));
  const auto reader = open_frames(files_.write("it", table({{.server_port = "2525"}, {}})), {2525});
  ASSERT_TRUE(reader);
  const auto other = drain(**reader);
  EXPECT_EQ(headers_of(other.frames.at(0)).destination_port, 2525U);
  EXPECT_THAT(other.notes, ElementsAre(HasSubstr("1 connection is not TCP to a mail port (2525)")));
  EXPECT_THAT(drain(files_, table({{.proto = "udp"}})).frames, IsEmpty()) << "no error";
}

TEST_F(ZeekLogTest, EachByteIsSentAndHeardWhateverTheirNumber) {
  struct Case {
    std::uint64_t sent, heard;
    std::size_t data_frames;
  };
  for (const auto& [sent, heard, data_frames] :
       {Case{0, 0, 0}, Case{1, 0, 1}, Case{0, 1, 0}, Case{6, 54, 1}, Case{150, 100, 1},
        Case{149, 101, 1}, Case{151, 101, 2}, Case{64940, 54, 1}, Case{64941, 54, 2},
        Case{5'000'000, 3000, 78}, Case{300'000'000, 400, 4621}}) {
    SCOPED_TRACE(sent);
    for (const std::string client : {"172.16.7.70", "2001:db8::1"}) {
      const Told told =
          told_by(drain_row({.client = client,
                             .server = client.size() > 11 || client[0] == '2' ? "2001:db8::2"
                                                                              : "198.18.7.25",
                             .sent = std::to_string(sent),
                             .heard = std::to_string(heard)})
                      .frames);
      EXPECT_EQ(told.sent, sent);
      EXPECT_EQ(told.heard, heard);
      EXPECT_EQ(told.heard_before_data.size(), data_frames);
    }
  }
}

TEST_F(ZeekLogTest, WhatPrecedesTheCertificateOfAServerIsNoMessage) {
  struct Case {
    std::string service, port;
    std::uint64_t before;
  };
  for (const auto& [service, port, before] :
       {Case{"smtp", "25", 150}, Case{"smtp,ssl", "25", 550}, Case{"ssl,smtp", "587", 550},
        Case{"ssl", "465", 550}, Case{"-", "25", 550}, Case{"smtp", "465", 550}}) {
    SCOPED_TRACE(service + " " + port);
    const auto drained =
        drain_row({.server_port = port, .service = service, .sent = "864", .heard = "3000"});
    EXPECT_THAT(told_by(drained.frames).heard_before_data, ElementsAre(100, 3000));
    EXPECT_EQ(headers_of(drained.frames[3]).payload_bytes, before);
    EXPECT_EQ(headers_of(drained.frames[5]).payload_bytes, 864 - before);
  }
}

TEST_F(ZeekLogTest, BytesThatNoPacketCarriedAreNotBelieved) {
  struct Case {
    Row row;
    std::uint64_t sent, heard;
  };
  for (const auto& [row, sent, heard] : {
           Case{{.sent = "4294967290", .ip_sent = "300"}, 300, 400},
           Case{{.heard = "4294967290", .ip_heard = "500"}, 5000, 500},
           Case{{.sent = "99", .history = "ShAdF"}, 0, 400},
           Case{{.heard = "99", .history = "ShADF"}, 5000, 0},
           Case{{.sent = "99999999999999"}, std::uint64_t{1} << 30, 400},
       }) {
    const auto drained = drain_row(row);
    const Told told = told_by(drained.frames);
    EXPECT_EQ(told.sent, sent);
    EXPECT_EQ(told.heard, heard);
    EXPECT_THAT(drained.notes, ElementsAre("it: 1 connection counts more bytes than its packets "
                                           "can have carried: taken as what they can"));
  }
  EXPECT_THAT(drain_row({.history = "ShAGaFf", .ip_sent = "5400"}).notes,
              ElementsAre(HasSubstr("more bytes")))
      << "resp: neither d nor g";
  EXPECT_THAT(drain_row({.history = "ShAGagFf"}).notes, IsEmpty()) << "gaps were data";
}

TEST_F(ZeekLogTest, UnsetAndEmptyFieldsAreNothing) {
  const auto drained = drain_row({.service = "(empty)",
                                  .duration = "-",
                                  .sent = "-",
                                  .heard = "-",
                                  .state = "RSTO",
                                  .history = "ShAFf"});
  const Told told = told_by(drained.frames);
  EXPECT_EQ(told.sent + told.heard, 0U);
  EXPECT_THAT(told.flags, ElementsAre(kSyn, kAck, kFin | kAck));
  for (const ReplayFrame& frame : drained.frames) EXPECT_EQ(frame.time, kRecorded);
}

TEST_F(ZeekLogTest, WhatWasNotCountedIsNotTakenForNothingSent) {
  Row row{.sent = "-", .heard = "-", .ip_sent = "6000", .ip_heard = "900"};
  EXPECT_EQ(told_by(drain_row(row).frames).sent, 6000U) << "as many as there were on the wire";
  row = {.sent = "5000.0", .heard = "300.0"};
  EXPECT_EQ(told_by(drain_row(row).frames).sent, 5000U);
  const std::vector<Row> rows = {{.client_port = "1024"}, {.client_port = "1025", .sent = "-"}};
  const auto drained = drain(files_, table(rows));
  EXPECT_EQ(drained.frames.size(), 7U) << "the second row is left out, and said";
}

TEST_F(ZeekLogTest, FramesComeInTimeOrderThoughRowsAreInTheOrderOfTheirEnds) {
  std::vector<Row> rows;
  for (int i = 0; i < 500; ++i)
    rows.push_back({.ts = std::to_string(1795528988 + i * 7919 % 1000) + ".5",
                    .client_port = std::to_string(1024 + i),
                    .duration = std::to_string(i * 13 % 100) + ".25"});
  rows.push_back({.ts = "1795528988.0", .client_port = "999", .duration = "5000"});
  const auto drained = drain(files_, table(rows));
  EXPECT_EQ(drained.frames.size(), 7U * 501);
  EXPECT_TRUE(drained.is_in_order);
  EXPECT_EQ(headers_of(drained.frames.front()).source_port, 999U);
  EXPECT_EQ(headers_of(drained.frames.back()).source_port, 999U);
  std::map<unsigned, std::vector<ReplayFrame>> of_port;
  for (const ReplayFrame& frame : drained.frames)
    of_port[headers_of(frame).source_port].push_back(frame);
  for (const auto& [port, frames] : of_port) EXPECT_EQ(told_by(frames).sent, 5000U) << port;
}

TEST_F(ZeekLogTest, TheSamePortsAgainAreAnotherConnection) {
  const auto drained = drain(files_, table({{}, {.ts = "1795529100.000000"}}));
  ASSERT_EQ(drained.frames.size(), 14U);
  EXPECT_NE(headers_of(drained.frames[0]).seq, headers_of(drained.frames[7]).seq);
  const auto again = drain(files_, table({{}, {.ts = "1795529100.000000"}}));
  EXPECT_EQ(again.frames[7].bytes, drained.frames[7].bytes) << "and the same in every run";
}

TEST_F(ZeekLogTest, JsonLinesGiveTheSameFrames) {
  const std::vector<Row> rows = {
      {},
      {.ts = "1795528990.123456", .duration = "0.25", .sent = "99999"},
      {.client = "2001:db8::1", .server = "2001:db8::2", .state = "S0", .history = "S"},
      {.service = "-", .duration = "-", .sent = "-", .heard = "-", .state = "REJ", .history = "Sr"},
      {.proto = "udp"},
  };
  std::string json;
  for (const Row& row : rows) json += json_row(row);
  const auto of_table = drain(files_, table(rows));
  for (const std::string& text : {json, gzipped(json), "\n" + json}) {
    const auto of_json = drain(files_, text);
    EXPECT_EQ(of_json.error, "");
    ASSERT_EQ(of_json.frames.size(), of_table.frames.size());
    for (std::size_t i = 0; i < of_json.frames.size(); ++i) {
      EXPECT_EQ(of_json.frames[i].bytes, of_table.frames[i].bytes) << i;
      EXPECT_EQ(of_json.frames[i].time, of_table.frames[i].time) << i;
    }
    EXPECT_EQ(of_json.notes, of_table.notes);
  }
}

TEST_F(ZeekLogTest, JsonMayHaveTimesAsTextAndTinyDurations) {
  const auto drained =
      drain(files_, json_row({.ts = "2026-11-24T14:03:08.250000Z", .duration = "8e-06"}));
  ASSERT_EQ(drained.frames.size(), 7U);
  EXPECT_EQ(drained.frames.front().time, kRecorded + 250ms);
  EXPECT_EQ(drained.frames.back().time, kRecorded + 250ms + 8us);
}

TEST_F(ZeekLogTest, AConnectionThatStandsThereTwiceIsCountedOnce) {
  const auto drained = drain(files_, table({{}, {}, {.client_port = "40001"}}) + table({{}}));
  EXPECT_EQ(drained.error, "");
  EXPECT_EQ(drained.frames.size(), 14U);
  EXPECT_THAT(drained.notes, ElementsAre("it: 2 connections stand there twice: counted once"));
}

TEST_F(ZeekLogTest, ALogOfSeveralPartsEachWithItsHeaderIsRead) {
  std::string other(kHeader);
  const auto at = other.find("\tservice");
  other.erase(at, 8);  // #fields without it
  std::string row = table_row({.client_port = "40001"});
  row.erase(row.find("\tsmtp"), 5);
  const auto drained = drain(files_, table({{}}) + other + row + table({{.client_port = "40002"}}));
  EXPECT_EQ(drained.error, "");
  EXPECT_EQ(drained.frames.size(), 21U);
  EXPECT_THAT(drained.notes, IsEmpty());
}

TEST_F(ZeekLogTest, AnotherSeparatorAndWordsForNothingAreAsTheHeaderSays) {
  std::string text = table({{.service = "nix", .duration = "leer"}});
  std::ranges::replace(text, '\t', '|');
  text.replace(text.find("\\x09"), 4, "\\x7c");
  text.replace(text.find("|-\n"), 3, "|nix\n");
  text.replace(text.find("(empty)"), 7, "leer");
  const auto drained = drain(files_, text);
  EXPECT_EQ(drained.error, "");
  EXPECT_EQ(drained.frames.size(), 7U);
}

TEST_F(ZeekLogTest, LinesThatCannotBeReadAreCountedAndTheFirstIsNamed) {
  const std::pair<Row, std::string> cases[] = {
      {{.ts = "yesterday"}, "ts: 'yesterday' is not a time"},
      {{.ts = "-"}, "ts: '' is not a time"},
      {{.ts = "99999999999"}, "ts: '99999999999' is not a time"},
      {{.client = "172.16.7"}, "'172.16.7' is not an IP address"},
      {{.client = "2001:db8::1"}, "2001:db8::1 and 198.18.7.25 are of different families"},
      {{.client_port = "70000"}, "id.orig_p: '70000' is not a port"},
      {{.server_port = "smtp"}, "id.resp_p: 'smtp' is not a port"},
      {{.duration = "-3"}, "duration: '-3' is not a number of seconds"},
      {{.duration = "nan"}, "duration: 'nan' is not a number of seconds"},
  };
  for (const auto& [row, said] : cases) {
    const auto drained = drain(files_, table({{}, row, row}));
    EXPECT_EQ(drained.frames.size(), 7U);
    EXPECT_THAT(drained.notes,
                ElementsAre("it: 2 lines could not be read (line 10: " + said + "): left out"));
  }
  EXPECT_THAT(drain(files_, std::string(kHeader) + "1\t2\n" + table_row({})).notes,
              ElementsAre("it: 1 line could not be read (line 9: has 2 fields, not 20): left out"));
  EXPECT_THAT(
      drain(files_, json_row({}) + "{\"ts\":\n[1]\n" + json_row({.client_port = "40001"})).notes,
      ElementsAre(HasSubstr("it: 2 lines could not be read (line 2: is not a JSON object")));
  EXPECT_THAT(drain(files_, json_row({}) + "{\"_path\":\"dns\"}\n").notes,
              ElementsAre("it: 1 line could not be read (line 2: is of Zeek's dns.log): left out"));
}

TEST_F(ZeekLogTest, CutOffInTheMiddleOfALineTheOthersAreThere) {
  const std::string rows = std::string(kHeader) + table_row({}) + table_row({});
  const auto drained = drain(files_, rows.substr(0, rows.size() - 40));
  EXPECT_EQ(drained.frames.size(), 7U);
  EXPECT_THAT(drained.notes, ElementsAre("it ends in the middle of a line: cut off"));
  const auto json = drain(files_, json_row({}) + json_row({}).substr(0, 100));
  EXPECT_EQ(json.frames.size(), 7U);
  EXPECT_THAT(json.notes, ElementsAre("it ends in the middle of a line: cut off"));
}

TEST_F(ZeekLogTest, OtherLogsAndMissingFieldsAreRefused) {
  std::string smtp(kHeader), no_state(kHeader), no_address(kHeader);
  smtp.replace(smtp.find("\tconn\n"), 6, "\tsmtp\n");
  no_state.erase(no_state.find("\tconn_state"), 11);
  EXPECT_EQ(files_.refusal(no_state + "#close\n"), "it: a Zeek log without a row")
      << "history suffices";
  no_state.erase(no_state.find("\thistory"), 8);
  no_address.replace(no_address.find("id.orig_h"), 9, "src");
  EXPECT_EQ(files_.refusal(smtp),
            "it, line 5: this is Zeek's smtp.log; what became of connections stands in conn.log");
  EXPECT_EQ(files_.refusal(no_state), "it, line 7: #fields lacks conn_state or history");
  EXPECT_EQ(files_.refusal(no_address), "it, line 7: #fields lacks id.orig_h");
  EXPECT_EQ(files_.refusal(table({})), "it: a Zeek log without a row");
  EXPECT_EQ(files_.refusal(table({{.ts = "never"}})),
            "it: no line of it is a connection of Zeek's conn.log; line 9: ts: 'never' is not a "
            "time");
  EXPECT_EQ(files_.refusal("{\"event_type\":\"flow\",\"proto\":\"TCP\"}\n"),
            "it: no line of it is a connection of Zeek's conn.log; line 1: lacks ts, id.orig_h, "
            "id.orig_p, id.resp_h, id.resp_p, conn_state or history");
}

TEST_F(ZeekLogTest, OutcomesAreKnownAndProgressIsTold) {
  const auto reader = open_frames(files_.write("it", table({{}, {}})));
  ASSERT_TRUE(reader);
  EXPECT_TRUE((*reader)->knows_outcomes());
  EXPECT_EQ((*reader)->progress(), 0);
  drain(**reader);
  EXPECT_EQ((*reader)->progress(), 1);
}

}  // namespace
}  // namespace mailweir
