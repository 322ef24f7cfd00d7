// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/replay.h"

#include <algorithm>

#include "daemon/controller.h"
#include "datapath/kernel_datapath.h"
#include "replay/rewrite.h"

namespace mailweir {
namespace {

using std::chrono::nanoseconds;

/// The program reads headers, and lengths out of headers: what follows need not be copied.
constexpr std::size_t kHeaderBytes = 256;
/// Of a link header for frames that have none; the program is attached to an Ethernet here.
constexpr std::size_t kEthernetBytes = 14;
constexpr std::uint32_t kBlocks = 4096;
/// Evidence looks back: the recording must not begin at the kernel's zero.
constexpr BootTime kStart{std::chrono::hours(1)};
/// After so long without a frame nothing is left that time could judge: the rest of a gap is
/// skipped.
constexpr auto kNothingOpen = 15min;
constexpr std::uint64_t kTellEvery = 4096;

class ReplayClock final : public Clock {
 public:
  [[nodiscard]] Now now() const override { return now_; }
  void start(WallTime first) { now_ = {kStart, first}; }
  void set(BootTime boot) {
    now_.wall += std::chrono::duration_cast<WallTime::duration>(boot - now_.boot);
    now_.boot = boot;
  }

 private:
  Now now_;
};

/// The daemon's timers, on recorded time.
class Timers {
 public:
  explicit Timers(Controller& controller) : controller_(controller) {}

  void start(BootTime now) { tick_ = watch_ = review_ = now; }
  [[nodiscard]] unsigned sweeps() const { return sweeps_; }
  [[nodiscard]] BootTime next() const { return std::min({tick_, watch_, review_}); }
  /// A gap in which nothing happens.
  void skip_to(BootTime now) { tick_ = watch_ = review_ = now; }
  void run(BootTime now) {
    if (tick_ <= now) {
      controller_.tick();
      tick_ = now + 1s;
    }
    if (watch_ <= now) {
      controller_.watch();
      ++sweeps_;
      watch_ = now + 2s;
    }
    if (review_ <= now) {
      controller_.review();
      review_ = now + 60s;
    }
  }

 private:
  Controller& controller_;
  BootTime tick_, watch_, review_;
  unsigned sweeps_ = 0;
};

}  // namespace

class Replay::Engine {
 public:
  Engine(const ReplayOptions& options, std::unique_ptr<KernelDatapath> datapath)
      : options_(options),
        datapath_(std::move(datapath)),
        controller_(judging(options.config), *datapath_, clock_, nullptr),
        timers_(controller_) {
    if (options.as)
      rewriter_.emplace(*options.as, options.config.smtp.judge,
                        options.config.networks.ipv6_prefix);
    controller_.when_ended([this](const Decision& ended) {
      if (!ended.would) noted(ended.source).dropped += ended.dropped_packets;
    });
  }

  Result<bool> meet(ReplayFrame& frame);
  ReplayResult finish();
  [[nodiscard]] const ReplayResult& result() const { return result_; }
  [[nodiscard]] bool is_blocked(const mw_addr& source) const {
    const Decision* const known = controller_.find_active(source);
    return known != nullptr && !known->would;
  }

 private:
  static Config judging(Config config) {
    config.mode = Mode::block;
    config.block.confirm = Confirm::none;  // a recording has no conntrack
    config.mirror.backend = MirrorBackend::none;
    return config;
  }
  Result<> begin(WallTime first);
  void pass_time(BootTime until);
  void take_events();
  void note_outcome(const mw_event& event);
  void note_score(const mw_addr& key);
  void note_decisions();
  void note_timeline();
  SourceReplay& noted(const mw_addr& key);

  const ReplayOptions& options_;
  ReplayClock clock_;
  std::unique_ptr<KernelDatapath> datapath_;
  Controller controller_;
  Timers timers_;
  std::optional<Rewriter> rewriter_;
  std::vector<std::uint8_t> bytes_;
  std::uint64_t journal_seen_ = 0;
  std::uint32_t decided_ = 0;
  BootTime next_point_;
  struct Counted {
    std::uint64_t syns = 0, held = 0, by_block = 0;
    bool operator==(const Counted&) const = default;
  };
  std::map<mw_addr, Counted> last_point_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  ReplayResult result_;
};

Result<> Replay::Engine::begin(WallTime first) {
  clock_.start(first);
  if (options_.seed)
    if (auto seeded = datapath_->set_hash_seed(*options_.seed); !seeded) return seeded;
  if (auto set = datapath_->set_virtual_now(clock_.now().boot); !set) return set;
  if (auto started = controller_.start(); !started) return std::move(started).error();
  timers_.start(clock_.now().boot);
  next_point_ = clock_.now().boot + 1s;
  result_.first = first;
  return Ok{};
}

Result<bool> Replay::Engine::meet(ReplayFrame& frame) {
  if (!result_.first)
    if (auto begun = begin(frame.time); !begun) return std::move(begun).error();
  ++result_.frames;
  const WallTime time = std::max(frame.time, clock_.now().wall);
  result_.last = time;
  pass_time(clock_.now().boot_of(time));
  if (rewriter_ && !rewriter_->rewrite(frame))
    return Error{E2BIG, to_string(*options_.as) + " has no room for so many clients"};

  const std::size_t link_bytes = frame.link == ReplayFrame::Link::ip ? kEthernetBytes : 0;
  const std::size_t taken = std::min(frame.bytes.size(), kHeaderBytes);
  bytes_.assign(link_bytes + taken, 0);
  std::copy_n(frame.bytes.begin(), taken, bytes_.begin() + static_cast<std::ptrdiff_t>(link_bytes));
  if (link_bytes != 0 && taken != 0) {
    const bool is_ipv6 = frame.bytes[0] >> 4 == 6;
    bytes_[12] = is_ipv6 ? 0x86 : 0x08;
    bytes_[13] = is_ipv6 ? 0xdd : 0x00;
  }
  if (bytes_.size() < kEthernetBytes) {
    ++result_.refused_frames;
    return true;
  }
  if (auto set = datapath_->set_virtual_now(clock_.now().boot); !set) return std::move(set).error();
  auto passed = datapath_->test_run(bytes_);
  if (!passed) return passed;
  ++result_.runs;
  take_events();
  return passed;
}

/// The daemon's timers fire as they would have, each at its own time, as long as time can tell
/// something: not once a sweep found no contact open, or after kNothingOpen (flows that are no
/// contacts). A picture has a point each second of that time.
void Replay::Engine::pass_time(BootTime until) {
  const BootTime quiet_since = clock_.now().boot;
  const unsigned swept_before = timers_.sweeps();
  while (timers_.next() < until) {
    const bool is_told = timers_.sweeps() != swept_before && datapath_->contacts_pending() == 0;
    if (is_told || timers_.next() - quiet_since > kNothingOpen) {
      timers_.skip_to(until);
      break;
    }
    clock_.set(timers_.next());
    (void)datapath_->set_virtual_now(clock_.now().boot);
    timers_.run(clock_.now().boot);
    take_events();
    if (options_.with_timeline && clock_.now().boot >= next_point_) note_timeline();
  }
  clock_.set(until);
  // After a gap the controller must not look dead.
  timers_.run(until);
}

void Replay::Engine::take_events() {
  datapath_->read_events([this](const mw_event& event) {
    note_outcome(event);
    controller_.on_kernel_event(event);
    if (event.kind >= MW_EVENT_UNANSWERED) note_score(event.source);
  });
  if (const auto last = controller_.journal().last(); last != journal_seen_) {
    journal_seen_ = last;
    note_decisions();
  }
  result_.froze = result_.froze || controller_.scoring().is_frozen();
}

SourceReplay& Replay::Engine::noted(const mw_addr& key) {
  const auto [found, is_new] = result_.sources.try_emplace(key);
  if (is_new) {
    found->second.key = key;
    found->second.recorded = rewriter_ ? rewriter_->recorded(key) : key;
  }
  return found->second;
}

/// First contacts only. What is still open at the end is in no count.
void Replay::Engine::note_outcome(const mw_event& event) {
  SourceReplay& source = noted(event.source);
  if (source.block) return;
  if (event.kind == MW_EVENT_UNANSWERED) source.contacts += event.count;
  const bool is_end = event.kind == MW_EVENT_UNPRODUCTIVE || event.kind == MW_EVENT_PRODUCTIVE;
  if (!is_end || event.is_contact == 0) return;
  ++source.contacts;
  ++source.answered;
  ++source.finished;
  if (event.kind == MW_EVENT_UNPRODUCTIVE) ++source.no_message;
}

void Replay::Engine::note_score(const mw_addr& key) {
  SourceReplay& source = noted(key);
  if (source.block) return;
  const std::uint32_t score = controller_.scoring().score(key).score;
  source.score_256ths = std::max(source.score_256ths, score);
  if (source.would || score < options_.config.block.score * MW_SCORE_ONE) return;
  const auto counted = datapath_->source(key);
  if (!counted || !*counted) return;
  // Below the gate nobody waits: that is the rule itself.
  const Evidence evidence = controller_.evidence(key, **counted);
  if (evidence.networks >= options_.config.block.servers)
    source.waits_for = controller_.waits_for(key, evidence);
}

void Replay::Engine::note_decisions() {
  for (const Decision& decision : controller_.active()) {
    if (decision.number <= decided_) continue;
    decided_ = decision.number;
    SourceReplay& source = noted(decision.source);
    if (!decision.would) ++source.blocks;
    auto& first = decision.would ? source.would : source.block;
    if (first) continue;
    first = decision;
    if (decision.would) continue;
    if (const auto& evidence = decision.evidence) {
      source.contacts = evidence->networks;
      source.answered = evidence->answered;
      source.finished = evidence->finished;
      source.no_message = evidence->no_message;
      source.score_256ths = evidence->score_256ths;
    }
    if (const auto counted = datapath_->source(decision.source); counted && *counted) {
      source.first_seen = clock_.now().wall_of(boot_time((*counted)->first_ns));
      source.syns = (*counted)->syns;
      source.held = (*counted)->dropped;
    }
  }
}

void Replay::Engine::note_timeline() {
  const BootTime now = clock_.now().boot;
  next_point_ = now + 1s;
  (void)datapath_->each_source([&](const mw_addr& key, const mw_source& source) {
    Counted& before = last_point_[key];
    Counted counted{source.syns, source.dropped, 0};
    if (const auto drops = datapath_->drops(key)) counted.by_block = drops->packets;
    const std::uint32_t score = controller_.scoring().score(key).score;
    auto& timeline = noted(key).timeline;
    if (counted != before || (!timeline.empty() && timeline.back().score_256ths != score))
      timeline.push_back({std::chrono::floor<std::chrono::seconds>(now - kStart),
                          static_cast<std::uint32_t>(counted.syns - before.syns),
                          static_cast<std::uint32_t>(counted.held - before.held),
                          // A block that ended took its count with it.
                          static_cast<std::uint32_t>(counted.by_block -
                                                     std::min(before.by_block, counted.by_block)),
                          score});
    before = counted;
  });
}

ReplayResult Replay::Engine::finish() {
  result_.took = std::chrono::steady_clock::now() - began_;
  if (!result_.first) return std::move(result_);
  timers_.run(clock_.now().boot);
  take_events();
  if (options_.with_timeline) note_timeline();
  std::size_t entries = 0;
  (void)datapath_->each_source([&](const mw_addr& key, const mw_source& counted) {
    ++entries;
    if (counted.syns == 0) return;
    SourceReplay& source = noted(key);
    source.braked = counted.braked;
    source.limited = counted.limited;
    if (!source.block) source.first_seen = clock_.now().wall_of(boot_time(counted.first_ns));
    if (const auto drops = datapath_->drops(key)) source.dropped += drops->packets;
    if (source.block) return;
    source.syns = counted.syns;
    source.held = counted.dropped;
    // Contacts that are still open have an answer at most.
    const Evidence evidence = controller_.evidence(key, counted);
    source.contacts = std::max<std::uint64_t>(source.contacts, evidence.networks);
    source.answered = std::max<std::uint64_t>(source.answered, evidence.answered);
  });
  if (const auto counters = datapath_->counters())
    for (const auto& [ifindex, counted] : *counters) {
      result_.outside += counted.not_inside.enforced + counted.not_inside.would;
      result_.unjudged +=
          counted.truncated.enforced + counted.malformed.enforced + counted.encapsulation.enforced;
    }
  // An LRU gives up entries before the last one is taken.
  result_.was_full = entries >= options_.sources - options_.sources / 20;
  if (rewriter_) result_.other_family = rewriter_->other_family();
  result_.took = std::chrono::steady_clock::now() - began_;
  return std::move(result_);
}

Replay::Replay(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}
Replay::~Replay() = default;

Result<std::unique_ptr<Replay>> Replay::open(const ReplayOptions& options) {
  if (auto new_enough = check_kernel(); !new_enough) return std::move(new_enough).error();
  if (auto permitted = check_privileges(); !permitted) return std::move(permitted).error();
  auto datapath = KernelDatapath::load(
      {.bpffs_dir = "", .sources = options.sources, .blocks = kBlocks, .virtual_clock = true});
  if (!datapath) return std::move(datapath).error();
  return std::unique_ptr<Replay>(
      new Replay(std::make_unique<Engine>(options, std::move(*datapath))));
}

Result<bool> Replay::meet(ReplayFrame& frame) {
  return engine_->meet(frame);
}
ReplayResult Replay::finish() {
  return engine_->finish();
}
const ReplayResult& Replay::result() const {
  return engine_->result();
}
bool Replay::is_blocked(const mw_addr& source) const {
  return engine_->is_blocked(source);
}

Result<ReplayResult> replay(FrameReader& frames, const ReplayOptions& options,
                            const std::function<void(double)>& progress) {
  auto engine = Replay::open(options);
  if (!engine) return std::move(engine).error();
  ReplayFrame frame;
  for (;;) {
    const auto more = frames.next(frame);
    if (!more && (*engine)->result().frames == 0) return more.error();
    if (!more || !*more) {
      ReplayResult done = (*engine)->finish();
      if (!more) done.broken = more.error();
      return done;
    }
    if (auto met = (*engine)->meet(frame); !met) return std::move(met).error();
    if ((*engine)->result().frames % kTellEvery == 0) progress(frames.progress());
  }
}

}  // namespace mailweir
