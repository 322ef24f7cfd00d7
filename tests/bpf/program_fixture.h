// SPDX-License-Identifier: GPL-2.0-or-later
// The real object under BPF_PROG_TEST_RUN: loaded once a process, emptied before each test, with
// a clock that stands still until a test moves it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "live_interface.h"
#include "outcome.h"
#include "paths.h"

namespace mailweir {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

/// `burst` at once, then one per interval.
[[nodiscard]] constexpr mw_rate rate(nanoseconds interval, std::uint64_t burst) {
  const auto ns = static_cast<std::uint64_t>(interval.count());
  return {ns, ns * (burst - 1)};
}
inline constexpr mw_rate kNoLimit{};

/// Block mode; clients inside; port 25 judged, 465 and 587 watched; one group without limit; brake
/// of burst 20 and one per 2 s; no dead man.
[[nodiscard]] Ruleset default_rules();

class ProgramFixture : public ::testing::Test {
 protected:
  /// The size of `sources` cannot change while a program is loaded.
  explicit ProgramFixture(std::uint32_t sources = 4096) : sources_(sources) {}

  /// Skips without the privileges, or fails if MW_REQUIRE names this level.
  void SetUp() override;

  [[nodiscard]] KernelDatapath& datapath() const;
  [[nodiscard]] Outcome run(Program program, const std::vector<std::uint8_t>& frame);
  [[nodiscard]] Outcome run(Program program, const Packet& packet) {
    return run(program, packet.bytes());
  }
  /// As if it came in by this interface (xdp and tc).
  [[nodiscard]] Outcome run_on(Program program, unsigned ifindex, const Packet& packet);
  /// Through a real interface (tc and tc_ip), as LiveInterface::send(); waits for the answer.
  [[nodiscard]] Outcome run_live(Program program, const std::vector<std::uint8_t>& frame,
                                 std::uint16_t linear = 0);
  /// Many times in the kernel, without looking at the counters; for threads.
  void repeat(Program program, const Packet& packet, int times) const;

  void apply(const Ruleset& rules);
  void advance(nanoseconds by);
  [[nodiscard]] std::uint64_t now_ns() const { return to_ns(now_); }
  void sweep();  ///< what time alone tells
  void beat();   ///< the controller's heartbeat, at this moment
  void block(const mw_addr& source, std::optional<nanoseconds> lasts = {},
             mw_reason reason = MW_REASON_MANUAL);
  void clear_sources();

  [[nodiscard]] std::optional<mw_source> source(const mw_addr& key) const;
  [[nodiscard]] mw_drops drops(const mw_addr& key) const;
  [[nodiscard]] mw_counters counters(unsigned ifindex) const;
  [[nodiscard]] std::vector<mw_event> events() const;
  [[nodiscard]] int map_fd(const std::string& name) const;
  [[nodiscard]] std::uint64_t hash_seed() const;

 private:
  struct Loaded;
  static std::unique_ptr<Loaded>& loaded();
  static Result<> ensure_loaded(std::uint32_t sources);
  static Result<> load(std::uint32_t sources);
  void empty_maps();
  [[nodiscard]] mw_counters all_counters() const;
  Outcome test_run(Program program, const std::vector<std::uint8_t>& frame, void* context,
                   std::size_t context_size);

  std::uint32_t sources_;
  BootTime now_;
};

/// A sentence that holds on every path of its suite.
class PathTest : public ProgramFixture, public ::testing::WithParamInterface<Path> {
 protected:
  [[nodiscard]] const Path& path() const { return GetParam(); }
  [[nodiscard]] Outcome sent(const Packet& packet) { return run(path().program, packet); }

  /// A new flow each time: its source port and its initial sequence number were not used before.
  [[nodiscard]] Packet flow(int client, int server = 1, std::uint16_t port = 25);
  [[nodiscard]] Packet syn(int client, int server = 1, std::uint16_t port = 25) {
    return flow(client, server, port).syn();
  }
  /// Numbers of servers whose networks do not share a bit of the contact bitmap.
  [[nodiscard]] std::vector<int> distinct_servers(std::size_t count) const;
  [[nodiscard]] mw_source evidence(int client) const;

 private:
  std::uint16_t last_port_ = 20000;
};

}  // namespace mailweir
