// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/zeek_session.h"

#include <algorithm>
#include <charconv>

#include "replay/stamp.h"

namespace mailweir {
namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

constexpr std::uint16_t kSmtpsPort = 465;
/// A server's first line.
constexpr std::uint64_t kGreetingBytes = 100;
/// What a client sends before the server has said most of what it says: EHLO, MAIL and RCPT; or
/// EHLO, STARTTLS and the ClientHello. Both as docs/message-bytes.md measured them.
constexpr std::uint64_t kHelloBytes = 150;
constexpr std::uint64_t kTlsHelloBytes = 550;
/// More is not mail but a sequence number that was misread.
constexpr std::uint64_t kMostSent = std::uint64_t{1} << 30;
/// The dialogue is held within the first seconds, well before anybody would give it up.
constexpr int kSteps = 8;
constexpr nanoseconds kLongestStep = 1s;

constexpr std::string_view kEstablished[] = {"SF", "S1", "S2", "S3", "RSTO", "RSTR"};

Error wrong(std::string_view field, std::string_view text, std::string_view what) {
  return {EINVAL, std::string(field) + ": '" + std::string(text) + "' is not " + std::string(what)};
}

template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// A JSON writer may have passed a count through a double: "5000.0".
std::optional<std::uint64_t> bytes_in(std::string_view text) {
  if (const auto whole = number_in<std::uint64_t>(text)) return whole;
  const auto counted = number_in<double>(text);
  if (!counted || !(*counted >= 0 && *counted < 1e18)) return std::nullopt;
  return static_cast<std::uint64_t>(*counted);
}

/// Zeek's default, or ISO 8601 where JSON was set up so. Zeek has microseconds; a JSON writer may
/// have passed them through a double.
std::optional<WallTime> time_in(std::string_view text) {
  if (text.find('-') == 4) {
    auto time = take_iso_time(text);
    return text.empty() ? time : std::nullopt;
  }
  const auto since_epoch = parse_seconds(text);
  if (!since_epoch) return std::nullopt;
  return WallTime(std::chrono::round<std::chrono::microseconds>(*since_epoch));
}

Result<Endpoints> endpoints_of(const ZeekRow& row) {
  Endpoints ends;
  const std::pair<ZeekField, mw_addr*> addresses[] = {{ZeekField::orig_h, &ends.client},
                                                      {ZeekField::resp_h, &ends.server}};
  for (const auto& [field, to] : addresses) {
    const auto parsed = parse_address(row[field]);
    if (!parsed) return parsed.error();
    *to = *parsed;
  }
  if (is_ipv4(ends.client) != is_ipv4(ends.server))
    return Error{EINVAL, to_string(ends.client) + " and " + to_string(ends.server) +
                             " are of different families"};
  const auto port = number_in<std::uint16_t>(row[ZeekField::orig_p]);
  if (!port) return wrong("id.orig_p", row[ZeekField::orig_p], "a port");
  ends.client_port = *port;
  return ends;
}

/// Capital letters of the history are the client's. '^': Zeek saw the server's answer first, and
/// turned the connection round.
bool is_from_its_beginning(std::string_view state, std::string_view history) {
  if (state == "OTH") return false;
  if (history.empty()) return !state.empty();
  if (history[0] == '^') return history.find_first_of("hS") != std::string_view::npos;
  return history[0] == 'S';
}

bool has_any(std::string_view history, std::string_view letters) {
  return history.find_first_of(letters) != std::string_view::npos;
}

/// By the client's own packets, where they were noted: a scanner answers SYN-ACK by a RST.
bool is_answered(std::string_view state, std::string_view history) {
  if (history.empty()) return std::ranges::find(kEstablished, state) != std::end(kEstablished);
  return has_any(history, "AD") || (has_any(history, "h") && has_any(history, "F"));
}

Connection::End end_of(std::string_view state, std::string_view history) {
  const auto fin = history.find('F');
  const auto rst = history.find('R');
  if (rst < fin || (history.empty() && state == "RSTO")) return Connection::End::rst;
  if (fin != std::string_view::npos || (history.empty() && (state == "SF" || state == "S2")))
    return Connection::End::fin;
  return Connection::End::open;
}

/// orig_bytes and resp_bytes come of sequence numbers, which a RST can throw far off; the bytes of
/// IP were counted. 'D' (data) or 'G' (a gap where data must have been) precede any.
Result<std::uint64_t> bytes_of(std::string_view name, std::string_view counted,
                               std::string_view ip_counted, std::string_view history,
                               std::string_view letters, bool& is_mended) {
  const auto bytes = bytes_in(counted);
  if (!counted.empty() && !bytes) return wrong(name, counted, "a number of bytes");
  if (!history.empty() && !has_any(history, letters)) {
    is_mended = is_mended || bytes.value_or(0) > 0;
    return std::uint64_t{0};
  }
  const auto on_wire = bytes_in(ip_counted);
  // None of them is not zero bytes: an honest client would be taken for one that sent nothing.
  if (!bytes && !on_wire)
    return Error{EINVAL, std::string(name) + " is not logged: what was sent is unknown"};
  std::uint64_t most = kMostSent;
  if (on_wire && *on_wire > 0) most = std::min(most, *on_wire);
  is_mended = is_mended || bytes.value_or(0) > most;
  return std::min(bytes.value_or(most), most);
}

/// Adds packets of one connection, and keeps its numbers.
class Plan {
 public:
  explicit Plan(const Connection& connection)
      : connection_(connection),
        seq_(sequence_of(connection.ends, std::uint64_t{connection.number} * 2)),
        ack_(sequence_of(connection.ends, std::uint64_t{connection.number} * 2 + 1)) {}

  void syn() {
    add(0ns, {.flags = ClientPacket::syn, .seq = seq_++});
    ++ack_;
  }
  void acknowledge(nanoseconds after, std::uint64_t bytes) {
    ack_ += static_cast<std::uint32_t>(bytes);
    add(after, packet(0));
  }
  void send(nanoseconds after, std::uint64_t bytes) {
    while (bytes > 0) {
      const auto sent = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, kMostPayload));
      add(after, packet(0, sent));
      seq_ += sent;
      bytes -= sent;
    }
  }
  void end(nanoseconds after, std::uint8_t flag) { add(after, packet(flag)); }

  std::vector<PlannedPacket> take() { return std::move(packets_); }

 private:
  [[nodiscard]] ClientPacket packet(std::uint8_t flag, std::uint32_t payload = 0) const {
    return {static_cast<std::uint8_t>(ClientPacket::ack | flag), seq_, ack_, payload};
  }
  void add(nanoseconds after, const ClientPacket& packet) {
    packets_.push_back({connection_.start + after, packet});
  }

  const Connection& connection_;
  std::uint32_t seq_, ack_;
  std::vector<PlannedPacket> packets_;
};

}  // namespace

Result<ReadRow> read_row(const ZeekRow& row, const std::vector<std::uint16_t>& mail_ports) {
  ReadRow read;
  if (row[ZeekField::proto] != "tcp") return read;
  const auto port = number_in<std::uint16_t>(row[ZeekField::resp_p]);
  if (!port) return wrong("id.resp_p", row[ZeekField::resp_p], "a port");
  if (std::ranges::find(mail_ports, *port) == mail_ports.end()) return read;

  const std::string_view state = row[ZeekField::conn_state];
  const std::string_view history = row[ZeekField::history];
  if (!is_from_its_beginning(state, history)) {
    read.kind = ReadRow::Kind::midstream;
    return read;
  }
  Connection& connection = read.connection;
  const auto start = time_in(row[ZeekField::ts]);
  if (!start) return wrong("ts", row[ZeekField::ts], "a time");
  connection.start = *start;
  auto ends = endpoints_of(row);
  if (!ends) return std::move(ends).error();
  connection.ends = *ends;
  connection.ends.server_port = *port;
  if (const std::string_view text = row[ZeekField::duration]; !text.empty()) {
    const auto duration = parse_seconds(text);
    if (!duration) return wrong("duration", text, "a number of seconds");
    connection.duration = *duration;
  }

  connection.is_answered = is_answered(state, history);
  if (connection.is_answered) {
    const auto sent = bytes_of("orig_bytes", row[ZeekField::orig_bytes],
                               row[ZeekField::orig_ip_bytes], history, "DG", read.is_mended);
    if (!sent) return sent.error();
    const auto heard = bytes_of("resp_bytes", row[ZeekField::resp_bytes],
                                row[ZeekField::resp_ip_bytes], history, "dg", read.is_mended);
    if (!heard) return heard.error();
    connection.sent_bytes = *sent;
    connection.heard_bytes = *heard;
    connection.end = end_of(state, history);
  }
  const std::string_view service = row[ZeekField::service];
  connection.is_encrypted =
      service.empty() || service.find("ssl") != std::string_view::npos || *port == kSmtpsPort;
  read.kind = ReadRow::Kind::connection;
  return read;
}

std::vector<PlannedPacket> plan_packets(const Connection& connection) {
  Plan plan(connection);
  plan.syn();
  if (!connection.is_answered) return plan.take();

  const nanoseconds step = std::min(connection.duration / kSteps, kLongestStep);
  plan.acknowledge(1 * step, 0);
  const std::uint64_t greeting = std::min(connection.heard_bytes, kGreetingBytes);
  const std::uint64_t answer = connection.heard_bytes - greeting;
  const std::uint64_t hello =
      answer == 0
          ? 0
          : std::min(connection.sent_bytes, connection.is_encrypted ? kTlsHelloBytes : kHelloBytes);
  if (greeting > 0) plan.acknowledge(2 * step, greeting);
  plan.send(3 * step, hello);
  if (answer > 0) plan.acknowledge(4 * step, answer);
  plan.send(5 * step, connection.sent_bytes - hello);
  if (connection.end != Connection::End::open)
    plan.end(connection.duration,
             connection.end == Connection::End::rst ? ClientPacket::rst : ClientPacket::fin);
  return plan.take();
}

}  // namespace mailweir
