// SPDX-License-Identifier: GPL-2.0-or-later
// iptables in a thread of its own: a lock that somebody holds or a command that hangs must not
// hold up the event loop. One job waits at most; a newer one takes its place.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/unique_fd.h"
#include "mirror/iptables.h"

namespace mailweir {

class MirrorWorker {
 public:
  struct Report {
    enum class What : std::uint8_t {
      written,
      matches,
      drifted,
      failed,
      shielded,  ///< the shield's chain is as it should be; `text`: what was repaired
      shield_failed
    } what = What::failed;
    std::size_t rules = 0;  ///< in both families
    std::string text;       ///< of a failure or a drift; `written` has one at the start only
    std::string backend;    ///< "nft" or "legacy"; empty while iptables cannot be used
    std::string other;      ///< once: the other backend holds rules too
  };

  MirrorWorker();
  ~MirrorWorker();
  MirrorWorker(const MirrorWorker&) = delete;
  MirrorWorker& operator=(const MirrorWorker&) = delete;

  void write(MirrorTable table);
  void shield(ShieldTable table);
  void check();  ///< compares the chains with what was written last

  [[nodiscard]] int report_fd() const { return report_fd_.get(); }  ///< readable: take_reports()
  [[nodiscard]] std::vector<Report> take_reports();

 private:
  void work();
  Result<> open();
  Report write_now(const MirrorTable& table);
  Report check_now();
  Report shield_now(const ShieldTable& table);
  [[nodiscard]] std::string drift_at_start(const MirrorTable& table) const;
  void report(Report report);

  const UniqueFd report_fd_;
  std::mutex mutex_;
  std::condition_variable wanted_;
  std::optional<MirrorTable> to_write_;  // guarded by mutex_, as all that follows
  std::optional<ShieldTable> to_shield_;
  bool to_check_ = false;
  bool stop_ = false;
  std::vector<Report> reports_;
  std::optional<Iptables> iptables_;  // from here on the worker's own
  std::optional<MirrorTable> written_;
  std::optional<ShieldTable> shield_;  ///< as it was asked for last
  std::string other_;
  bool is_failing_ = false;
  std::thread thread_;
};

}  // namespace mailweir
