// SPDX-License-Identifier: GPL-2.0-or-later
// The SYN log: when it is on, and the lines. The program samples and limits; here they are written.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "config/config.h"
#include "daemon/journal.h"
#include "daemon/log_file.h"
#include "datapath/datapath.h"

namespace mailweir {

/// Where the lines go.
class LogSink {
 public:
  virtual ~LogSink() = default;
  [[nodiscard]] virtual Result<> open(WallTime now) = 0;
  /// A line without its end, and without what syslog puts before it.
  [[nodiscard]] virtual Result<> write(const std::string& line, const Now& time) = 0;
  [[nodiscard]] virtual Result<> reopen(WallTime now) = 0;
  [[nodiscard]] virtual Result<> look(WallTime now) = 0;  ///< now and then
};

class SynLog {
 public:
  struct State {
    bool is_on = false;
    bool is_by_command = false;
    std::optional<WallTime> until;  ///< none: no end
    std::optional<mw_addr> source;
    std::string by;
    std::uint64_t lines = 0;       ///< written
    std::uint64_t lost = 0;        ///< neither written nor told
    std::uint64_t suppressed = 0;  ///< SYNs beyond a limit
    std::string problem;           ///< why no line can be written
  };

  SynLog(Datapath& datapath, const Clock& clock, Journal& journal);

  /// At the start and with each reload. An order that has not ended goes on.
  [[nodiscard]] Result<> configure(const Config& config);
  /// `lasts`: kForever has no end. Refused where no line could be written.
  [[nodiscard]] Result<> turn_on(std::chrono::seconds lasts, std::optional<mw_addr> source,
                                 const std::string& by);
  /// Ends an order by command; what the file says holds again, but for an order to be silent.
  [[nodiscard]] Result<> turn_off(const std::string& by);
  void tick();    ///< each second
  void reopen();  ///< SIGUSR1
  [[nodiscard]] State state() const;

 private:
  void write(const mw_logged_syn& syn);
  void write_suppressed();
  void skip_what_was_told();
  void note(const Result<>& done);
  [[nodiscard]] Result<> apply(BootTime until, std::optional<mw_addr> source);
  [[nodiscard]] bool is_on(BootTime now) const;

  Datapath& datapath_;
  const Clock& clock_;
  Journal& journal_;
  Config config_;
  std::unique_ptr<LogSink> sink_;
  std::string opened_file_;
  LogFileLimits opened_limits_;
  bool is_by_command_ = false;
  std::string by_ = "file";
  BootTime until_;  ///< as the program was told
  BootTime last_summary_;
  mw_log_counts counted_before_{};  ///< in earlier runs
  std::uint64_t lines_ = 0;
  std::uint64_t unwritten_ = 0;
  std::string problem_;
  std::uint64_t unwritten_before_ = 0;  ///< at the last summary
  /// What each source's `suppressed` was at the last summary, and that of all.
  std::unordered_map<mw_addr, std::uint64_t, AddressHash> told_;
  std::uint64_t told_in_all_ = 0;
};

}  // namespace mailweir
