// SPDX-License-Identifier: GPL-2.0-or-later
// What a packet costs: the real program under BPF_PROG_TEST_RUN, verdict by verdict, against a
// program that only returns. Maps of its own; no interface is touched.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <netinet/tcp.h>
#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "datapath/handles.h"
#include "datapath/kernel_datapath.h"
#include "frame.h"

namespace mailweir {
namespace {

using Frame = std::vector<std::uint8_t>;

constexpr std::uint32_t kHotRepeats = 500'000;
constexpr std::uint32_t kSamples = 20'000;
constexpr std::uint16_t kMail = 25, kWatched = 465, kTransit = 443;
constexpr mw_rate kNoLimit{};
constexpr mw_rate kNothing{3600ULL * 1'000'000'000, 0};  ///< one an hour

[[noreturn]] void give_up(const std::string& what) {
  throw std::runtime_error(what);
}

mw_addr address(std::uint32_t ipv4) {
  mw_addr addr{};
  addr.bytes[10] = addr.bytes[11] = 0xff;
  for (int i = 0; i < 4; ++i) addr.bytes[12 + i] = static_cast<__u8>(ipv4 >> (24 - 8 * i));
  return addr;
}
mw_addr client(std::uint32_t number) {
  return address((172U << 24 | 16U << 16) + number);
}
/// Each in a /24 of its own.
mw_addr server(std::uint32_t number) {
  return address((198U << 24 | 18U << 16) + (number % 512) * 256 + 25);
}

struct Flow {
  mw_addr from{}, to{};
  std::uint16_t source_port = 40000, destination_port = kMail;

  [[nodiscard]] Frame frame(std::uint8_t flags, std::uint32_t sequence) const {
    FrameShape shape;
    shape.tcp_flags = flags;
    Frame bytes;
    build_frame(shape, {from, to, source_port, destination_port, sequence}, bytes);
    return bytes;
  }
  [[nodiscard]] Frame syn() const { return frame(TH_SYN, 1000); }
  [[nodiscard]] Frame ack() const { return frame(TH_ACK, 1001); }
  [[nodiscard]] Frame fin() const { return frame(TH_FIN | TH_ACK, 1101); }
};

/// Nanoseconds of one run, as the kernel measures them; `repeat` runs of the same packet.
double run_ns(int program, const Frame& frame, std::uint32_t repeat = 1) {
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
              .data_size_in = static_cast<__u32>(frame.size()), .repeat = static_cast<int>(repeat));
  if (bpf_prog_test_run_opts(program, &options) != 0) give_up("BPF_PROG_TEST_RUN failed");
  return options.duration;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// XDP_PASS and nothing else: what the test run itself costs.
UniqueFd empty_program() {
  const bpf_insn code[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = XDP_PASS},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  UniqueFd fd(bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "GPL", code, std::size(code), nullptr));
  if (!fd.valid()) give_up("load the empty program: run as root");
  return fd;
}

Ruleset open_rules() {
  Ruleset rules;
  rules.networks[*parse_prefix("172.16.0.0/12")] = {MW_SCOPE_INSIDE, 0};
  rules.groups = {{.limit = kNoLimit, .mode = MW_MODE_INHERIT, .pad = 0}};
  rules.judged_ports = {kMail};
  rules.watched_ports = {kWatched};
  rules.mode = MW_MODE_BLOCK;
  rules.message_bytes_tls = 1200;
  return rules;
}

struct Case {
  std::string name;
  std::function<void(Ruleset&)> rules = [](Ruleset&) {};
  /// What is sent of each source before; its cost is not counted.
  std::function<std::vector<Frame>(std::uint32_t source)> before = [](std::uint32_t) {
    return std::vector<Frame>{};
  };
  std::function<Frame(std::uint32_t source, std::uint32_t sample)> packet;
  bool is_blocked = false;
  bool can_repeat = true;  ///< the same packet again and again gives the same verdict
  bool new_sources = false;
  std::uint32_t log_lines = 0;  ///< of one source in an hour; 0: the log is off
};

std::vector<Case> cases() {
  const auto flow = [](std::uint32_t source, std::uint32_t to = 0, std::uint16_t port = 40000) {
    return Flow{client(source), server(to), port, kMail};
  };
  const auto opened = [flow](std::uint32_t source) {
    return std::vector<Frame>{flow(source).syn(), flow(source).ack()};
  };
  const auto other_port = [flow](std::uint32_t source, std::uint32_t sample) {
    return flow(source, 0, static_cast<std::uint16_t>(1024 + sample % 60000)).syn();
  };
  std::vector<Case> all;
  all.push_back({.name = "transit (tcp/443)", .packet = [](auto source, auto) {
                   return Flow{client(source), server(0), 40000, kTransit}.syn();
                 }});
  all.push_back({.name = "not_inside", .packet = [](auto source, auto) {
                   return Flow{address((10U << 24) + source), server(0), 40000, kMail}.syn();
                 }});
  all.push_back({.name = "watched (SYN to 465)", .packet = [](auto source, auto) {
                   return Flow{client(source), server(0), 40000, kWatched}.syn();
                 }});
  all.push_back({.name = "blocked",
                 .before = [flow](auto source) { return std::vector<Frame>{flow(source).syn()}; },
                 .packet = other_port,
                 .is_blocked = true});
  all.push_back({.name = "flow (a data packet of a contact)",
                 .before = opened,
                 .packet = [flow](auto source, auto) { return flow(source).ack(); }});
  all.push_back({.name = "passed (SYN, network known)", .before = opened, .packet = other_port});
  all.push_back({.name = "  log on: beyond its limit",
                 .before = opened,
                 .packet = other_port,
                 .log_lines = 1});
  all.push_back({.name = "  log on: the line is told",
                 .before = opened,
                 .packet = other_port,
                 .can_repeat = false,
                 .log_lines = 1'000'000});
  all.push_back(
      {.name = "passed (SYN, new network)",
       .before = opened,
       .packet = [flow](auto source, auto sample) { return flow(source, 1 + sample % 500).syn(); },
       .can_repeat = false});
  all.push_back({.name = "passed (SYN of a new source)",
                 .packet = [flow](auto source, auto) { return flow(source).syn(); },
                 .can_repeat = false,
                 .new_sources = true});
  all.push_back({.name = "over (FIN, an outcome is told)",
                 .before = opened,
                 .packet = [flow](auto source, auto) { return flow(source).fin(); },
                 .can_repeat = false});
  all.push_back({.name = "limited",
                 .rules = [](Ruleset& rules) { rules.groups[0].limit = kNothing; },
                 .before = [flow](auto source) { return std::vector<Frame>{flow(source).syn()}; },
                 .packet = other_port});
  all.push_back({.name = "braked",
                 .rules = [](Ruleset& rules) { rules.brake = kNothing; },
                 .before = [flow](auto source) { return std::vector<Frame>{flow(source).syn()}; },
                 .packet = [flow](auto source,
                                  auto sample) { return flow(source, 1 + sample % 500).syn(); }});
  return all;
}

class Bench {
 public:
  explicit Bench(std::uint32_t sources) : sources_(sources), empty_(empty_program()) {
    LoadOptions options;
    options.sources = std::max(4096U, sources + sources / 4);
    options.blocks = options.sources;
    auto loaded = KernelDatapath::load(options);
    if (!loaded) give_up(loaded.error().message);
    datapath_ = std::move(*loaded);
    program_ = datapath_->program_fd(Program::xdp);
  }

  /// Above the empty program: the same packet over and over.
  std::optional<double> hot_ns(const Case& tested) {
    if (!tested.can_repeat) return std::nullopt;
    prepare(tested, 1);
    const Frame frame = tested.packet(0, 0);
    run_ns(program_, frame, kHotRepeats / 10);
    std::vector<double> found;
    for (int i = 0; i < 5; ++i)
      found.push_back(run_ns(program_, frame, kHotRepeats) -
                      run_ns(empty_.get(), frame, kHotRepeats));
    return median(found);
  }

  /// Above the empty program: each packet of another source, in random order, run once.
  std::optional<double> spread_ns(const Case& tested) {
    if (!tested.can_repeat && sources_ == 1) return std::nullopt;
    prepare(tested, sources_);
    std::vector<std::uint32_t> order(sources_);
    std::iota(order.begin(), order.end(), 0U);
    std::shuffle(order.begin(), order.end(), std::mt19937(1));
    std::vector<double> ours;
    std::vector<double> empty;
    const std::uint32_t samples = tested.can_repeat ? kSamples : std::min(kSamples, sources_);
    for (std::uint32_t i = 0; i < samples; ++i) {
      const std::uint32_t source = order[i % sources_] + (tested.new_sources ? sources_ * 2 : 0);
      const Frame frame = tested.packet(source, i);
      empty.push_back(run_ns(empty_.get(), frame));
      ours.push_back(run_ns(program_, frame));
      if (i % 500 == 0) datapath_->read_events([](const mw_event&) {});
    }
    return median(ours) - median(empty);
  }

  double sweep_ms() {
    std::vector<double> found;
    for (int i = 0; i < 5; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      if (auto swept = datapath_->sweep_flows(); !swept) give_up(swept.error().message);
      found.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
              .count());
    }
    return median(found);
  }

 private:
  void prepare(const Case& tested, std::uint32_t sources) {
    Ruleset rules = open_rules();
    tested.rules(rules);
    if (auto applied = datapath_->apply(rules); !applied) give_up(applied.error().message);
    constexpr __u64 kHourNs = 3'600'000'000'000;
    LogRules log{.limit = {kHourNs, tested.log_lines, 0}, .total = {kHourNs, 1'000'000, 0}};
    if (tested.log_lines > 0) log.until = BootTime::max();
    if (auto set = datapath_->set_log(log); !set) give_up(set.error().message);
    for (std::uint32_t source = 0; source < sources; ++source) {
      const auto changed = tested.is_blocked ? datapath_->put_block(client(source), mw_block{})
                                             : datapath_->remove_block(client(source));
      if (!changed) give_up(changed.error().message);
      for (const Frame& frame : tested.before(source)) run_ns(program_, frame);
      if (source % 500 == 0) datapath_->read_events([](const mw_event&) {});
    }
  }

  std::uint32_t sources_;
  UniqueFd empty_;
  std::unique_ptr<KernelDatapath> datapath_;
  int program_ = -1;
};

/// The verifier's last word on a program: "stack depth 112+296", a number for each function.
std::string stack_of(const std::string& log) {
  constexpr std::string_view kWord = "stack depth ";
  const auto at = log.find(kWord);
  if (at == std::string::npos) return "?";
  const auto begin = at + kWord.size();
  return log.substr(begin, log.find('\n', begin) - begin);
}

void print_sizes() {
  const Skeleton skeleton(mailweir_bpf__open());
  if (!skeleton) give_up("open the kernel program");
  for (bpf_map* map : {skeleton->maps.sources, skeleton->maps.blocklist, skeleton->maps.drops})
    bpf_map__set_max_entries(map, 1024);
  std::vector<std::string> logs;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj) logs.emplace_back(1 << 16, '\0');
  auto log = logs.begin();
  bpf_object__for_each_program(program, skeleton->obj) {
    bpf_program__set_log_level(program, 4);  // BPF_LOG_STATS
    bpf_program__set_log_buf(program, log->data(), log->size());
    ++log;
  }
  if (mailweir_bpf__load(skeleton.get()) != 0) give_up("load the kernel program: run as root");

  fmt::print("{:<14} {:>12} {:>12} {:>16} {:>14}\n", "program", "instructions", "machine code",
             "verified", "stack, bytes");
  log = logs.begin();
  bpf_object__for_each_program(program, skeleton->obj) {
    const auto info = program_info(bpf_program__fd(program));
    if (info)
      fmt::print("{:<14} {:>12} {:>10} B {:>16} {:>14}\n", bpf_program__name(program),
                 info->xlated_prog_len / sizeof(bpf_insn), info->jited_prog_len,
                 info->verified_insns, stack_of(*log));
    ++log;
  }
}

/// What a larger value costs when a table is full: a new entry by syscall, evicting an old one.
double lru_insert_ns(std::uint32_t value_bytes, std::uint32_t entries) {
  UniqueFd map(
      bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "lru", sizeof(mw_addr), value_bytes, entries, nullptr));
  if (!map.valid()) give_up("create an LRU");
  const std::vector<std::uint8_t> value(value_bytes);
  std::uint32_t next = 0;
  const auto insert = [&](std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const mw_addr key = client(next++);
      bpf_map_update_elem(map.get(), &key, value.data(), BPF_NOEXIST);
    }
  };
  insert(entries * 2);
  const auto begin = std::chrono::steady_clock::now();
  insert(entries);
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin)
             .count() /
         entries;
}

int bench(const std::vector<std::uint32_t>& sizes) {
  std::vector<std::unique_ptr<Bench>> benches;
  for (const std::uint32_t size : sizes) benches.push_back(std::make_unique<Bench>(size));
  print_sizes();

  fmt::print(
      "\nns above a program that only returns: hot (one packet over and over), and of so many "
      "sources in random order\n{:<36} {:>8}",
      "verdict", "hot");
  for (const std::uint32_t size : sizes) fmt::print(" {:>9}", size);
  fmt::print("\n");
  for (const Case& tested : cases()) {
    const auto hot = benches.front()->hot_ns(tested);
    fmt::print("{:<36} {:>8}", tested.name, hot ? fmt::format("{:.0f}", *hot) : "-");
    for (const auto& each : benches) {
      const auto spread = each->spread_ns(tested);
      fmt::print(" {:>9}", spread ? fmt::format("{:.0f}", *spread) : "-");
    }
    fmt::print("\n");
  }
  fmt::print("{:<36} {:>8}", "sweep of all sources, ms", "");
  for (const auto& each : benches) fmt::print(" {:>9.2f}", each->sweep_ms());
  fmt::print("\n\nnew entry in a full LRU of 65 536, by syscall, ns:");
  for (const std::uint32_t bytes : {64U, 736U, static_cast<std::uint32_t>(sizeof(mw_source))})
    fmt::print("  {} B: {:.0f}", bytes, lru_insert_ns(bytes, 65536));
  fmt::print("\n");
  return 0;
}

}  // namespace
}  // namespace mailweir

int main(int argc, char** argv) {
  CLI::App app{"What a packet costs, verdict by verdict, in the kernel."};
  std::vector<std::uint32_t> sizes{1, 10'000, 100'000};
  app.add_option("--sources", sizes, "sizes of the table of sources")->delimiter(',');
  CLI11_PARSE(app, argc, argv);
  try {
    return mailweir::bench(sizes);
  } catch (const std::exception& failed) {
    fmt::print(stderr, "mailweir-bench: {}\n", failed.what());
    return 1;
  }
}
