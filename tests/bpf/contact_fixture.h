// SPDX-License-Identifier: GPL-2.0-or-later
// For the tests of outcomes: a client's session with a server, and what the program tells of it.
#pragma once

#include <arpa/inet.h>
#include <spdlog/fmt/fmt.h>

#include <map>

#include "program_fixture.h"

namespace mailweir {

/// A client's TCP connection to port 25: what the client sends of it. Positions count from 0.
class Session {
 public:
  Session(const Path& path, std::string client, std::string server, std::uint16_t source_port)
      : path_(path),
        client_(std::move(client)),
        server_(std::move(server)),
        port_(source_port),
        isn_(source_port * 2'654'435'761U) {}

  [[nodiscard]] Packet syn() const { return segment(-1).syn(); }
  [[nodiscard]] Packet ack(std::uint32_t at = 0, std::uint32_t heard = 0) const {
    return segment(at, heard).ack();
  }
  [[nodiscard]] Packet data(std::uint32_t at, std::size_t bytes, std::uint32_t heard = 0) const {
    return ack(at, heard).payload(bytes);
  }
  /// So much that it is a message whatever comes yet. The frame itself is short: what GRO made of
  /// many tells its length in its headers.
  [[nodiscard]] Packet message(std::uint32_t at = 0, std::uint32_t heard = 0) const {
    return data(at, MW_ENOUGH_BYTES, heard).truncate(200);
  }
  /// All that it sends, and its end, in one segment.
  [[nodiscard]] Packet end(std::size_t bytes, std::uint32_t heard = 0) const {
    return fin(0, heard).payload(bytes);
  }
  [[nodiscard]] Packet fin(std::uint32_t at, std::uint32_t heard = 0) const {
    return segment(at, heard).fin();
  }
  [[nodiscard]] Packet rst(std::uint32_t at) const { return segment(at).rst(); }
  /// The same ports again, with an initial sequence number of its own.
  [[nodiscard]] Session reused() const {
    Session again = *this;
    again.isn_ += 0x20000000;
    return again;
  }

  /// An outcome, as ContactFixture::told() writes it.
  [[nodiscard]] std::string outcome(const std::string& what, std::size_t sent,
                                    std::size_t heard = 0) const {
    return fmt::format("{} {}:{} > {}:25, sent {} heard {}", what, client_, port_, server_, sent,
                       heard);
  }

 private:
  [[nodiscard]] Packet segment(std::int64_t at, std::uint32_t heard = 0) const {
    return path_.ip(client_, server_)
        .tcp(25, port_)
        .isn(isn_ + 1 + static_cast<std::uint32_t>(at))
        .ack_number(4'000'000'001U + heard);
  }

  Path path_;
  std::string client_;
  std::string server_;
  std::uint16_t port_;
  std::uint32_t isn_;
};

/// message_bytes 300, message_bytes_tls 450, and a brake that holds nobody.
class ContactFixture : public PathTest {
 protected:
  void SetUp() override {
    PathTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    rules_.brake = kNoLimit;
    apply(rules_);
    // Evictions by the tests before are not this one's.
    sweep();
    before_ = counted_in_all();
  }

  [[nodiscard]] Session session(int client, int server) {
    return {path(), path().client(client), path().server(server), ++last_port_};
  }
  [[nodiscard]] Session session_of(const std::string& client, const std::string& server) {
    return {path(), client, server, ++last_port_};
  }

  void expect_pass(const Packet& packet) { EXPECT_FALSE(sent(packet).dropped); }
  /// SYN and handshake; the server has said `heard` bytes since.
  void open(const Session& session, std::uint32_t heard = 0) {
    expect_pass(session.syn());
    expect_pass(session.ack());
    if (heard != 0) expect_pass(session.ack(0, heard));
  }
  /// A whole connection with so many bytes in one segment.
  void run_to_end(const Session& session, std::uint32_t bytes, std::uint32_t heard = 100) {
    open(session, heard);
    if (bytes != 0) expect_pass(session.data(0, bytes, heard));
    expect_pass(session.fin(bytes, heard));
  }

  /// What was told since the last time, hints left out.
  [[nodiscard]] std::vector<std::string> told() const {
    std::vector<std::string> lines;
    for (const mw_event& event : events()) {
      if (event.kind == MW_EVENT_UNANSWERED)
        lines.push_back(fmt::format("{} unanswered {}", event.count, to_string(event.source)));
      if (event.kind != MW_EVENT_PRODUCTIVE && event.kind != MW_EVENT_UNPRODUCTIVE) continue;
      EXPECT_EQ(now_ns(), event.time_ns);
      EXPECT_EQ(source_key(event.client, 64), event.source);
      lines.push_back(fmt::format("{}{} {}:{} > {}:{}, sent {} heard {}",
                                  event.kind == MW_EVENT_PRODUCTIVE ? "productive" : "unproductive",
                                  event.is_contact != 0 ? "" : " again", to_string(event.client),
                                  ntohs(event.src_port_be), to_string(event.destination),
                                  ntohs(event.dst_port_be), event.sent_bytes, event.heard_bytes));
    }
    return lines;
  }

  using Lines = std::vector<std::string>;
  using Counts = std::map<std::string, std::uint64_t>;

  /// First contacts of all sources since the test began; zeros are left out.
  [[nodiscard]] Counts counted() const {
    const mw_contacts now = counted_in_all();
    return without_zeros({{"opened", now.opened - before_.opened},
                          {"answered", now.answered - before_.answered},
                          {"unanswered", now.unanswered - before_.unanswered},
                          {"finished", now.finished - before_.finished},
                          {"lost", now.lost - before_.lost}});
  }
  /// The same of one client, from its slices.
  [[nodiscard]] Counts counted_of(int client) const {
    const mw_source of = evidence(client);
    const mw_slice& a = of.slices[0];
    const mw_slice& b = of.slices[1];
    return without_zeros({{"opened", a.contacts + b.contacts},
                          {"answered", a.answered + b.answered},
                          {"unanswered", a.unanswered + b.unanswered},
                          {"finished", a.finished + b.finished},
                          {"no message", a.no_message + b.no_message},
                          {"lost", of.lost}});
  }

  Ruleset rules_ = default_rules();

 private:
  [[nodiscard]] mw_contacts counted_in_all() const {
    const auto counts = datapath().contacts();
    EXPECT_TRUE(counts);
    return counts ? *counts : mw_contacts{};
  }
  static Counts without_zeros(Counts counts) {
    std::erase_if(counts, [](const auto& entry) { return entry.second == 0; });
    return counts;
  }

  mw_contacts before_{};
  std::uint16_t last_port_ = 30000;
};

}  // namespace mailweir
