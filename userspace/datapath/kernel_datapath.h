// SPDX-License-Identifier: GPL-2.0-or-later
// The Datapath that the product uses: loads the object, adopts the pinned maps, typed access.
#pragma once

#include <memory>
#include <string>

#include "datapath/datapath.h"

namespace mailweir {

struct LoadOptions {
  std::string bpffs_dir;  ///< empty: nothing is pinned (replay, tests of the program)
  std::uint32_t sources = 65536;
  std::uint32_t blocks = 131072;
  bool virtual_clock = false;  ///< time is what set_virtual_now() says; never with pins
};

enum class Program : std::uint8_t { xdp, tc, tc_ip };

class KernelDatapath final : public Datapath {
 public:
  /// Loads the program. Maps that are pinned under bpffs_dir are adopted with all they hold; maps
  /// of another layout are refused and left as they are.
  [[nodiscard]] static Result<std::unique_ptr<KernelDatapath>> load(const LoadOptions& options);
  ~KernelDatapath() override;

  Result<> apply(const Ruleset& rules) override;
  Result<> beat(BootTime now) override;
  std::uint32_t last_decision() const override;
  Result<> set_last_decision(std::uint32_t number) override;
  Result<> put_block(const mw_addr& source, const mw_block& block) override;
  Result<> remove_block(const mw_addr& source) override;
  Result<std::vector<std::pair<mw_addr, mw_block>>> blocks() override;
  Result<mw_drops> drops(const mw_addr& source) override;
  Result<> forget_drops(const mw_addr& source) override;
  Result<std::optional<mw_source>> source(const mw_addr& key) override;
  Result<> each_source(const std::function<void(const mw_addr&, const mw_source&)>& visit) override;
  Result<std::optional<std::uint32_t>> some_sources(
      std::optional<std::uint32_t> cursor, std::uint32_t most,
      const std::function<void(const mw_addr&, const mw_source&)>& visit) override;
  Result<std::map<unsigned, mw_counters>> counters() override;
  Result<std::optional<mw_score>> score(const mw_addr& source) override;
  Result<> put_score(const mw_addr& source, const mw_score& score) override;
  Result<> remove_score(const mw_addr& source) override;
  Result<std::vector<std::pair<mw_addr, mw_score>>> scores() override;
  Result<> sweep_flows() override;
  Result<mw_contacts> contacts() override;
  std::uint64_t tracked_sources() const override;
  std::uint64_t active_sources() const override;
  Confirmation confirm(const mw_event& outcome) override;
  std::pair<BootTime, BootTime> frozen() const override;
  Result<> set_frozen(BootTime since, BootTime until) override;
  Result<> set_log(const LogRules& rules) override;
  LogRules log() const override;
  void when_logged(std::function<void(const mw_logged_syn&)> told) override;
  Result<> each_logged(const std::function<void(const mw_addr&, const mw_logged&)>& visit) override;
  Result<mw_log_counts> log_counts() override;
  std::uint32_t source_capacity() const override;
  std::uint32_t block_capacity() const override;
  int events_fd() const override;
  void read_events(const std::function<void(const mw_event&)>& visit) override;
  std::uint64_t events_lost() const override;
  std::vector<Attachment> attach(const std::vector<std::string>& interfaces,
                                 AttachChoice choice) override;
  std::vector<Attachment> check_attached() override;
  std::string pin_problem() const override;

  /// Swaps this program into all that is attached there; other pins are not touched.
  std::vector<Attachment> take_over(const std::string& links_dir);

  /// Warnings of the load: a map that kept its size though the configuration asks for another.
  [[nodiscard]] const std::vector<std::string>& notes() const;
  Result<> set_virtual_now(BootTime now);
  /// Contacts that waited for their outcome when sweep_flows() last looked.
  [[nodiscard]] std::uint64_t contacts_pending() const;
  /// Only before the first packet: what was counted stands under the old seed.
  Result<> set_hash_seed(std::uint64_t seed);
  /// One Ethernet frame of at least 14 bytes through the XDP program (BPF_PROG_TEST_RUN). True: it
  /// passes.
  [[nodiscard]] Result<bool> test_run(const std::vector<std::uint8_t>& frame);
  [[nodiscard]] int program_fd(Program program) const;  ///< for BPF_PROG_TEST_RUN

 private:
  struct Impl;
  explicit KernelDatapath(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// One line naming the kernel that is too old, with errno ENOSYS.
[[nodiscard]] Result<> check_kernel();

/// One line naming the first capability that is missing, with errno EPERM.
[[nodiscard]] Result<> check_privileges();

/// Is the directory, or where it would be made, on a bpf filesystem that can be written?
[[nodiscard]] Result<> check_bpffs(const std::string& bpffs_dir);

}  // namespace mailweir
