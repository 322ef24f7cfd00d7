// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/zeek_log.h"

#include <algorithm>
#include <optional>

#include "replay/zeek_row.h"
#include "replay/zeek_session.h"

namespace mailweir {
namespace {

class ZeekLogReader final : public FrameReader {
 public:
  explicit ZeekLogReader(std::vector<std::uint16_t> mail_ports)
      : mail_ports_(std::move(mail_ports)) {}

  [[nodiscard]] Result<> load(InputFile file);

  [[nodiscard]] Result<bool> next(ReplayFrame& frame) override;
  [[nodiscard]] std::vector<std::string> notes() const override { return notes_; }
  [[nodiscard]] double progress() const override {
    return connections_.empty()
               ? 1
               : static_cast<double>(begun_) / static_cast<double>(connections_.size());
  }
  [[nodiscard]] bool knows_outcomes() const override { return true; }

 private:
  /// A connection that has begun, and what its client is still to send.
  struct Session {
    std::size_t connection;
    std::vector<PlannedPacket> packets;
    std::size_t sent = 0;

    [[nodiscard]] WallTime time() const { return packets[sent].time; }
  };
  static bool is_after(const Session& a, const Session& b) {
    return std::pair(a.time(), a.connection) > std::pair(b.time(), b.connection);
  }

  [[nodiscard]] Result<> meet(const LineReader& lines, std::string_view line);
  void keep(ReadRow& read);
  void write_notes(const LineReader& lines);
  void drop_doubles();

  std::vector<std::uint16_t> mail_ports_;
  std::string name_;
  ZeekParser parser_;
  std::vector<Connection> connections_;  ///< by their start
  std::size_t begun_ = 0;
  std::vector<Session> sessions_;  ///< a heap, the next to send on top
  std::vector<std::string> notes_;

  std::uint64_t rows_ = 0;
  std::uint64_t others_ = 0;
  std::uint64_t midstream_ = 0;
  std::uint64_t mended_ = 0;
  std::uint64_t doubles_ = 0;
  std::uint64_t unreadable_ = 0;
  std::string first_unreadable_;
  bool is_cut_off_ = false;
};

Result<> ZeekLogReader::load(InputFile file) {
  name_ = file.name();
  LineReader lines(std::move(file));
  std::string_view line;
  for (;;) {
    const auto more = lines.next(line);
    if (!more) return Error(more.error()).in("line " + std::to_string(lines.number() + 1));
    if (!*more) break;
    if (auto met = meet(lines, line); !met) return met;
  }
  if (rows_ == 0 && unreadable_ > 0)
    return Error{
        0, name_ + ": no line of it is a connection of Zeek's conn.log; " + first_unreadable_};
  if (rows_ == 0) return Error{0, name_ + ": a Zeek log without a row"};
  std::ranges::stable_sort(connections_, {}, &Connection::start);
  drop_doubles();
  write_notes(lines);
  return Ok{};
}

Result<> ZeekLogReader::meet(const LineReader& lines, std::string_view line) {
  ZeekRow row;
  auto parsed = parser_.parse(line, row);
  if (parsed && !*parsed) return Ok{};
  std::optional<Error> failed;
  if (!parsed) {
    failed = std::move(parsed).error();
  } else {
    auto read = read_row(row, mail_ports_);
    if (read)
      keep(*read);
    else
      failed = std::move(read).error();
  }
  if (!failed) return Ok{};
  const std::string place = "line " + std::to_string(lines.number());
  if (parser_.is_fatal()) return std::move(*failed).in(name_ + ", " + place);
  if (lines.is_unfinished()) {
    is_cut_off_ = true;
    return Ok{};
  }
  if (unreadable_++ == 0) first_unreadable_ = place + ": " + failed->message;
  return Ok{};
}

void ZeekLogReader::keep(ReadRow& read) {
  ++rows_;
  if (read.kind == ReadRow::Kind::other) ++others_;
  if (read.kind == ReadRow::Kind::midstream) ++midstream_;
  if (read.kind != ReadRow::Kind::connection) return;
  if (read.is_mended) ++mended_;
  read.connection.number = static_cast<std::uint32_t>(rows_);
  connections_.push_back(read.connection);
}

/// Two sensors, or a row that stands before and after a rotation: of one connection the fuller row.
/// A second one would be another connection to its server, and hide what came of the first.
void ZeekLogReader::drop_doubles() {
  const auto is_same = [](const Connection& a, const Connection& b) {
    return a.start == b.start && a.ends == b.ends;
  };
  std::vector<Connection> kept;
  for (const Connection& each : connections_) {
    const auto same = std::find_if(kept.rbegin(), kept.rend(), [&](const Connection& before) {
      return before.start != each.start || is_same(before, each);
    });
    if (same == kept.rend() || !is_same(*same, each)) {
      kept.push_back(each);
      continue;
    }
    ++doubles_;
    if (each.sent_bytes > same->sent_bytes) *same = each;
  }
  connections_ = std::move(kept);
}

void ZeekLogReader::write_notes(const LineReader& lines) {
  notes_ = lines.file().notes();
  const auto note = [&](std::uint64_t number, std::string_view singular, std::string_view plural,
                        const std::string& what) {
    if (number > 0) notes_.push_back(name_ + ": " + counted(number, singular, plural) + what);
  };
  std::string ports;
  for (const std::uint16_t port : mail_ports_)
    ports += (ports.empty() ? "" : ", ") + std::to_string(port);
  note(others_, "connection is", "connections are",
       " not TCP to a mail port (" + ports + "): left out");
  note(midstream_, "connection was", "connections were", " not seen from the beginning: left out");
  note(doubles_, "connection stands", "connections stand", " there twice: counted once");
  note(unreadable_, "line", "lines", " could not be read (" + first_unreadable_ + "): left out");
  note(mended_, "connection counts", "connections count",
       " more bytes than its packets can have carried: taken as what they can");
  if (is_cut_off_) notes_.push_back(name_ + " ends in the middle of a line: cut off");
}

Result<bool> ZeekLogReader::next(ReplayFrame& frame) {
  const bool begins = begun_ < connections_.size() &&
                      (sessions_.empty() || connections_[begun_].start <= sessions_.front().time());
  if (begins) {
    sessions_.push_back({begun_, plan_packets(connections_[begun_])});
    ++begun_;
  } else if (sessions_.empty()) {
    return false;
  } else {
    std::ranges::pop_heap(sessions_, is_after);
  }
  Session& session = sessions_.back();
  const PlannedPacket& planned = session.packets[session.sent++];
  frame.time = planned.time;
  write_packet(connections_[session.connection].ends, planned.packet, frame);
  if (session.sent < session.packets.size())
    std::ranges::push_heap(sessions_, is_after);
  else
    sessions_.pop_back();
  return true;
}

}  // namespace

Result<std::unique_ptr<FrameReader>> open_zeek_log(InputFile file,
                                                   const std::vector<std::uint16_t>& mail_ports) {
  auto reader = std::make_unique<ZeekLogReader>(mail_ports);
  if (auto loaded = reader->load(std::move(file)); !loaded) return std::move(loaded).error();
  return std::unique_ptr<FrameReader>(std::move(reader));
}

}  // namespace mailweir
