// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/kernel_log.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/time_text.h"
#include "replay/client_packet.h"
#include "replay/stamp.h"

namespace mailweir {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;
using namespace std::chrono_literals;

constexpr std::string_view kLookedFor = "SRC= DST= PROTO=TCP SPT= DPT= SYN";
/// A zone that this host does not know of, and clocks that differ.
constexpr auto kAhead = 24h;
/// A line may stand behind one of the next month, not of the month after it.
constexpr int kOutOfOrderMonths = 1;
constexpr int kFromJanuaryToDecember = 11;
/// Lines of several CPUs may stand in the wrong order; more is another boot.
constexpr nanoseconds kSameBoot = 10s;
/// 29 February comes at least once in so many years.
constexpr int kYearsToTry = 9;

struct Syn {
  Endpoints ends;
  std::uint32_t seq = 0;
};

struct Entry {
  Syn syn;
  std::int16_t year_offset = 0;  ///< since the first line, where its own is not told
  bool is_whole_second = false;
  bool has_year = true;
  YearlessTime yearless;
  WallTime time;
  nanoseconds since_boot{-1};  ///< negative: not told
};

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc{} && end == text.data() + text.size() && !text.empty();
}

bool read_address(std::string_view text, mw_addr& addr) {
  const auto parsed = parse_address(text);
  if (parsed) addr = *parsed;
  return static_cast<bool>(parsed);
}

/// The words of one logged packet: "SRC=172.16.7.70 DST=198.18.7.25 ... PROTO=TCP SPT=40000 ...".
std::optional<Syn> parse_packet(std::string_view words) {
  Syn syn;
  bool source = false, destination = false, sport = false, dport = false, sequence = false;
  bool is_tcp = false, has_syn = false;
  while (!words.empty()) {
    const auto blank = words.find(' ');
    const std::string_view word = words.substr(0, blank);
    words.remove_prefix(blank == std::string_view::npos ? words.size() : blank + 1);
    // In brackets stands the packet that an ICMP error is about.
    if (word.starts_with('[')) break;
    const auto equals = word.find('=');
    const std::string_view key = word.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
    if (equals == std::string_view::npos) {
      if (word == "ACK" || word == "RST" || word == "FIN") return std::nullopt;
      has_syn = has_syn || word == "SYN";
    } else if (key == "SRC") {
      source = read_address(value, syn.ends.client);
    } else if (key == "DST") {
      destination = read_address(value, syn.ends.server);
    } else if (key == "PROTO") {
      if (value != "TCP") return std::nullopt;
      is_tcp = true;
    } else if (key == "SPT") {
      sport = read_number(value, syn.ends.client_port);
    } else if (key == "DPT") {
      dport = read_number(value, syn.ends.server_port);
    } else if (key == "SEQ") {
      sequence = read_number(value, syn.seq);
    }
  }
  if (!source || !destination || !sport || !dport || !is_tcp || !has_syn ||
      is_ipv4(syn.ends.client) != is_ipv4(syn.ends.server))
    return std::nullopt;
  if (!sequence) syn.seq = sequence_of(syn.ends, 0);
  return syn;
}

class KernelLogReader final : public FrameReader {
 public:
  [[nodiscard]] Result<> load(InputFile file);

  [[nodiscard]] Result<bool> next(ReplayFrame& frame) override;
  [[nodiscard]] std::vector<std::string> notes() const override { return notes_; }
  [[nodiscard]] double progress() const override {
    return static_cast<double>(next_) / static_cast<double>(entries_.size());
  }
  [[nodiscard]] bool knows_outcomes() const override { return false; }

 private:
  void meet(std::string_view line);
  [[nodiscard]] std::int16_t year_offset_of(const YearlessTime& time);
  void find_years(WallTime modified);
  void count_from_boot();
  void refine_seconds();
  void write_notes(const LineReader& lines);

  std::string name_;
  std::vector<Entry> entries_;
  std::size_t next_ = 0;
  std::vector<std::string> notes_;

  std::optional<YearlessTime> last_yearless_;
  std::int16_t year_offset_ = 0;
  std::pair<std::int16_t, YearlessTime> latest_;
  std::set<std::int16_t> leap_offsets_;  ///< of the lines of a 29 February
  std::uint64_t others_ = 0;
  std::uint64_t untimed_ = 0;
  std::uint64_t boots_ = 0;
  bool is_since_boot_ = false;
};

Result<> KernelLogReader::load(InputFile file) {
  name_ = file.name();
  const WallTime modified = file.modified();
  LineReader lines(std::move(file));
  std::string_view line;
  for (;;) {
    const auto more = lines.next(line);
    if (!more) return Error(more.error()).in("line " + std::to_string(lines.number() + 1));
    if (!*more) break;
    meet(line);
  }
  if (entries_.empty() && untimed_ > 0)
    return Error{0, name_ +
                        ": its SYNs have no time before them (looked for 'Nov 24 14:03:08', "
                        "'2026-11-24T14:03:08+01:00' and '[12345.678901]')"};
  if (entries_.empty())
    return Error{0, name_ +
                        ": no capture, no Zeek conn.log, and no SYN that the kernel logged in " +
                        counted(lines.number(), "line", "lines") + " (looked for " +
                        std::string(kLookedFor) + ")"};
  find_years(modified);
  count_from_boot();
  refine_seconds();
  std::ranges::stable_sort(entries_, {}, &Entry::time);
  write_notes(lines);
  return Ok{};
}

void KernelLogReader::meet(std::string_view line) {
  const auto journal = line.starts_with('{') ? parse_journal(line) : std::nullopt;
  if (journal) line = journal->message;
  const auto at = line.find("SRC=");
  const auto syn = at == std::string_view::npos ? std::nullopt : parse_packet(line.substr(at));
  if (!syn) {
    ++others_;
    return;
  }
  Stamp stamp = journal ? Stamp{} : parse_stamp(line.substr(0, at));
  if (journal) stamp.wall = journal->time;
  if (!stamp.wall && !stamp.yearless && !stamp.since_boot) {
    ++untimed_;
    return;
  }
  Entry entry{.syn = *syn, .is_whole_second = stamp.is_whole_second};
  if (stamp.wall) entry.time = *stamp.wall;
  if (stamp.since_boot) entry.since_boot = *stamp.since_boot;
  entry.has_year = !stamp.yearless;
  if (stamp.yearless) {
    entry.yearless = *stamp.yearless;
    entry.year_offset = year_offset_of(*stamp.yearless);
  } else if (!stamp.wall) {
    is_since_boot_ = true;
    entry.time = WallTime::min();
  }
  entries_.push_back(entry);
}

/// Counted from the first line's. Behind lines of January may stand a late one of December.
std::int16_t KernelLogReader::year_offset_of(const YearlessTime& time) {
  if (last_yearless_) {
    const int ahead = time.month - last_yearless_->month;
    if (ahead < -kOutOfOrderMonths) ++year_offset_;
    if (ahead == kFromJanuaryToDecember) --year_offset_;
  }
  const std::pair here(year_offset_, time);
  latest_ = last_yearless_ ? std::max(latest_, here) : here;
  last_yearless_ = time;
  if (time.month == 2 && time.day == 29) leap_offsets_.insert(year_offset_);
  return year_offset_;
}

/// The latest year in which every day exists and no line lies ahead of the file's own time.
void KernelLogReader::find_years(WallTime modified) {
  if (!last_yearless_) return;
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(modified + kAhead));
  const auto fits = [&](int year) {
    const auto end = local_time(year + latest_.first, latest_.second);
    return end && *end <= modified + kAhead &&
           std::ranges::all_of(leap_offsets_, [&](std::int16_t offset) {
             return std::chrono::year(year + offset).is_leap();
           });
  };
  int year = static_cast<int>(date.year()) - latest_.first;
  for (int tries = 0; tries < kYearsToTry && !fits(year); ++tries) --year;
  for (Entry& entry : entries_)
    if (!entry.has_year)
      entry.time = local_time(year + entry.year_offset, entry.yearless).value_or(WallTime{});
}

/// Each boot begins where the one before it ends. With dates in other lines there is no telling
/// where these belong.
void KernelLogReader::count_from_boot() {
  if (!is_since_boot_) return;
  const auto is_undated = [](const Entry& entry) { return entry.time == WallTime::min(); };
  if (!std::ranges::all_of(entries_, is_undated)) {
    untimed_ += static_cast<std::uint64_t>(std::erase_if(entries_, is_undated));
    is_since_boot_ = false;
    return;
  }
  nanoseconds boot{0}, last{0}, latest{0};
  for (Entry& entry : entries_) {
    if (entry.since_boot + kSameBoot < last) {
      ++boots_;
      boot = latest;
    }
    last = entry.since_boot;
    latest = std::max(latest, boot + entry.since_boot);
    entry.time = WallTime(boot + entry.since_boot);
    entry.is_whole_second = false;
  }
}

/// Where syslog wrote whole seconds and the kernel microseconds since boot, the latter tell how far
/// apart two lines were. Syslog's second is right within one.
void KernelLogReader::refine_seconds() {
  std::optional<WallTime> boot;
  for (Entry& entry : entries_) {
    if (!entry.is_whole_second || entry.since_boot < 0ns) continue;
    if (!boot || std::chrono::abs(*boot + entry.since_boot - entry.time) > 1s)
      boot = entry.time - entry.since_boot;
    entry.time = *boot + entry.since_boot;
  }
}

void KernelLogReader::write_notes(const LineReader& lines) {
  notes_ = lines.file().notes();
  if (others_ > 0)
    notes_.push_back(name_ + ": " + counted(others_, "line is", "lines are") +
                     " not a SYN that the kernel logged: left out");
  if (untimed_ > 0)
    notes_.push_back(name_ + ": " + counted(untimed_, "SYN has", "SYNs have") +
                     " no date: left out");
  if (last_yearless_) {
    const auto dates = local_text(entries_.front().time).substr(0, 10) + " to " +
                       local_text(entries_.back().time).substr(0, 10);
    notes_.push_back(name_ + ": its lines tell no year: taken as " + dates);
  }
  if (is_since_boot_)
    notes_.push_back(name_ + ": its lines tell only the time since boot: counted from " +
                     date_text(WallTime{}) + ", so its dates mean nothing");
  if (boots_ > 0)
    notes_.push_back(name_ + ": the time since boot begins anew " +
                     counted(boots_, "time", "times") + ": put one after the other");
}

Result<bool> KernelLogReader::next(ReplayFrame& frame) {
  if (next_ == entries_.size()) return false;
  const Entry& entry = entries_[next_++];
  frame.time = entry.time;
  write_packet(entry.syn.ends, {.flags = ClientPacket::syn, .seq = entry.syn.seq}, frame);
  return true;
}

}  // namespace

Result<std::unique_ptr<FrameReader>> open_kernel_log(InputFile file) {
  auto reader = std::make_unique<KernelLogReader>();
  if (auto loaded = reader->load(std::move(file)); !loaded) return std::move(loaded).error();
  return std::unique_ptr<FrameReader>(std::move(reader));
}

}  // namespace mailweir
