// SPDX-License-Identifier: GPL-2.0-or-later
// The Datapath seam: all that the controller asks of the kernel. No libbpf in sight.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/result.h"
#include "bpf/abi.h"

namespace mailweir {

enum class Hook : std::uint8_t { xdp, xdp_generic, tc };
[[nodiscard]] std::string_view to_string(Hook hook);

/// How an interface is to be guarded. `automatic`: native XDP where the driver is known not to
/// reset the link, else tc; what an earlier run attached is kept.
enum class AttachChoice : std::uint8_t { automatic, xdp, xdp_generic, tc };

struct Attachment {
  std::string interface;
  unsigned ifindex = 0;
  Hook hook = Hook::tc;
  std::uint32_t program_id = 0;
  std::string tag;
  WallTime since;        ///< when it was first attached
  bool adopted = false;  ///< found in place; the program was swapped without a gap
  bool attached = false;
  std::string note;  ///< why this hook, or why it is not attached
};

/// All that the kernel program is told; applied as a whole.
struct Ruleset {
  std::map<mw_addr, mw_scope> hosts;
  std::map<Prefix, mw_scope> networks;
  std::vector<mw_group> groups;  ///< at least one: the default
  std::vector<std::uint16_t> judged_ports;
  std::vector<std::uint16_t> watched_ports;
  std::vector<std::uint16_t> shielded_ports;
  mw_rate brake{};
  mw_mode mode = MW_MODE_OBSERVE;
  int ipv6_prefix = 64;
  bool has_servers = false;
  std::uint32_t message_bytes = 300;
  std::uint32_t message_bytes_tls = 450;
  std::chrono::nanoseconds dead_man{0};  ///< 0: never
};

/// Which SYNs the program logs. The end is the program's own business: it needs no controller.
struct LogRules {
  BootTime until;                 ///< BootTime{}: nothing is logged; BootTime::max(): no end
  mw_quota limit{};               ///< of one source
  mw_quota total{};               ///< of all
  std::optional<mw_addr> source;  ///< a key: of this one only
};

/// Does the gateway's connection tracking know a flow as one that both ends have spoken in?
enum class Confirmation : std::uint8_t { confirmed, unknown, unavailable };

/// Not thread-safe: one owner, one thread.
class Datapath {
 public:
  virtual ~Datapath() = default;

  [[nodiscard]] virtual Result<> apply(const Ruleset& rules) = 0;
  /// Tells the program that the controller lives.
  [[nodiscard]] virtual Result<> beat(BootTime now) = 0;
  [[nodiscard]] virtual std::uint32_t last_decision() const = 0;
  [[nodiscard]] virtual Result<> set_last_decision(std::uint32_t number) = 0;

  [[nodiscard]] virtual Result<> put_block(const mw_addr& source, const mw_block& block) = 0;
  [[nodiscard]] virtual Result<> remove_block(const mw_addr& source) = 0;  ///< also if it is gone
  [[nodiscard]] virtual Result<std::vector<std::pair<mw_addr, mw_block>>> blocks() = 0;
  [[nodiscard]] virtual Result<mw_drops> drops(const mw_addr& source) = 0;  ///< zeros if none
  [[nodiscard]] virtual Result<> forget_drops(const mw_addr& source) = 0;

  [[nodiscard]] virtual Result<std::optional<mw_source>> source(const mw_addr& key) = 0;
  /// A live table: an entry that moves meanwhile may be missed or met twice.
  [[nodiscard]] virtual Result<> each_source(
      const std::function<void(const mw_addr&, const mw_source&)>& visit) = 0;
  /// The same in pieces of about `most` sources: begins at `cursor`, and returns where to go on;
  /// nothing after the last piece.
  [[nodiscard]] virtual Result<std::optional<std::uint32_t>> some_sources(
      std::optional<std::uint32_t> cursor, std::uint32_t most,
      const std::function<void(const mw_addr&, const mw_source&)>& visit) = 0;
  [[nodiscard]] virtual Result<std::map<unsigned, mw_counters>> counters() = 0;  ///< by ifindex
  [[nodiscard]] virtual Result<std::optional<mw_score>> score(const mw_addr& source) = 0;
  [[nodiscard]] virtual Result<> put_score(const mw_addr& source, const mw_score& score) = 0;
  [[nodiscard]] virtual Result<> remove_score(const mw_addr& source) = 0;
  [[nodiscard]] virtual Result<std::vector<std::pair<mw_addr, mw_score>>> scores() = 0;

  /// Judges by time: contacts that nobody answered, servers that say nothing.
  [[nodiscard]] virtual Result<> sweep_flows() = 0;
  /// Of all sources, since the map was made; `lost` includes what was evicted by the last sweep.
  [[nodiscard]] virtual Result<mw_contacts> contacts() = 0;
  /// At the last sweep: in the table, and of these with a SYN in the last 10 minutes.
  [[nodiscard]] virtual std::uint64_t tracked_sources() const = 0;
  [[nodiscard]] virtual std::uint64_t active_sources() const = 0;
  /// The flow of an outcome, in the network namespace that we run in.
  [[nodiscard]] virtual Confirmation confirm(const mw_event& outcome) = 0;
  /// The controller's note on the last outage: since, until. Outlives it.
  [[nodiscard]] virtual std::pair<BootTime, BootTime> frozen() const = 0;
  [[nodiscard]] virtual Result<> set_frozen(BootTime since, BootTime until) = 0;

  [[nodiscard]] virtual Result<> set_log(const LogRules& rules) = 0;
  /// What the program goes by now: the order of an earlier run, if it has not ended.
  [[nodiscard]] virtual LogRules log() const = 0;
  /// Is told by read_events() of each SYN that the program logs.
  virtual void when_logged(std::function<void(const mw_logged_syn&)> told) = 0;
  /// The sources that the log met lately, with what it suppressed of them.
  [[nodiscard]] virtual Result<> each_logged(
      const std::function<void(const mw_addr&, const mw_logged&)>& visit) = 0;
  [[nodiscard]] virtual Result<mw_log_counts> log_counts() = 0;

  [[nodiscard]] virtual std::uint32_t source_capacity() const = 0;
  [[nodiscard]] virtual std::uint32_t block_capacity() const = 0;

  [[nodiscard]] virtual int events_fd() const = 0;  ///< readable: call read_events()
  virtual void read_events(const std::function<void(const mw_event&)>& visit) = 0;
  [[nodiscard]] virtual std::uint64_t events_lost() const = 0;

  /// Guards these interfaces and no others. An interface that fails is reported in its
  /// Attachment; the rest is attached all the same.
  virtual std::vector<Attachment> attach(const std::vector<std::string>& interfaces,
                                         AttachChoice choice) = 0;
  /// Looks whether all is still in place, and says so in the attachments. What lost its pin is
  /// pinned again.
  virtual std::vector<Attachment> check_attached() = 0;
  /// What the last check found wrong with the pins, in one line; or nothing.
  [[nodiscard]] virtual std::string pin_problem() const = 0;
};

}  // namespace mailweir
