// SPDX-License-Identifier: GPL-2.0-or-later
// `replay`: recordings through the real program and policy, and what would have happened.
#include "replay/replay.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <ostream>

#include "base/time_text.h"
#include "cli/body.h"
#include "cli/verbs.h"
#include "replay/frames.h"
#include "replay/plot.h"

namespace mailweir {
namespace {

using nlohmann::json;

/// In the picture.
constexpr std::size_t kMostPanels = 5;

const std::vector<CsvColumn> kReplayColumns = {
    {"source"},           {"recorded"},   {"verdict"}, {"blocked"},  {"syns_before_block"},
    {"seconds_to_block"}, {"syns"},       {"leaked"},  {"contacts"}, {"answered"},
    {"finished"},         {"no_message"}, {"score"},   {"braked"},   {"limited"},
    {"dropped_packets"},  {"first_seen"}};

std::string verdict_of(const SourceReplay& source) {
  if (source.block) return "blocked";
  if (source.would) return "would_block";
  if (source.braked > 0) return "braked";
  return source.limited > 0 ? "limited" : "passed";
}

double seconds_to_block(const SourceReplay& source) {
  return std::chrono::duration<double>(source.block->since - source.first_seen).count();
}

std::string name_of(const SourceReplay& source, const Config& config) {
  return to_string(source_prefix(source.key, config.networks.ipv6_prefix));
}

json source_json(const SourceReplay& source, const Config& config) {
  const auto rounded = [](double value, double per) { return std::floor(value * per) / per; };
  const bool blocked = source.block.has_value();
  const Decision* decision = blocked ? &*source.block : source.would ? &*source.would : nullptr;
  return {
      {"source", name_of(source, config)},
      {"recorded", to_string(source.recorded)},
      {"verdict", verdict_of(source)},
      {"blocked", blocked},
      {"syns_before_block", blocked ? json(source.syns) : json()},
      {"seconds_to_block", blocked ? json(rounded(seconds_to_block(source), 1000)) : json()},
      {"syns", source.syns},
      {"leaked", source.syns - source.held},
      {"contacts", source.contacts},
      {"answered", source.answered},
      {"finished", source.finished},
      {"no_message", source.no_message},
      {"score", rounded(source.score_256ths / 256.0, 100)},
      {"braked", source.braked},
      {"limited", source.limited},
      {"dropped_packets", source.dropped},
      {"first_seen", rfc3339(source.first_seen)},
      {"because",
       decision != nullptr && decision->evidence ? json(decision->evidence->sentence()) : json()}};
}

/// Blocked ones in the order of their blocks, then who sent most.
std::vector<const SourceReplay*> in_order(const ReplayResult& result) {
  std::vector<const SourceReplay*> order;
  for (const auto& [key, source] : result.sources)
    if (source.syns > 0 || source.block) order.push_back(&source);
  std::ranges::sort(order, [](const SourceReplay* a, const SourceReplay* b) {
    if (a->block.has_value() != b->block.has_value()) return a->block.has_value();
    if (a->block) return a->block->since < b->block->since;
    return std::tuple(b->score_256ths, b->syns, a->key) <
           std::tuple(a->score_256ths, a->syns, b->key);
  });
  return order;
}

void print_table(const Console& console, const std::vector<const SourceReplay*>& order,
                 const Config& config, const ReplayOrder& order_given) {
  Table table({{"SOURCE"},
               {"VERDICT"},
               {"AFTER", true},
               {"SYN", true},
               {"LEAKED", true},
               {"CONTACTS", true},
               {"ANSWERED", true},
               {"NO MAIL", true},
               {"SCORE", true}});
  const std::size_t rows = order_given.all ? order.size() : std::min<std::size_t>(order.size(), 20);
  for (std::size_t i = 0; i < rows; ++i) {
    const SourceReplay& source = *order[i];
    std::string name = name_of(source, config);
    if (source.recorded != source.key) name += " (" + to_string(source.recorded) + ")";
    const std::string verdict = verdict_of(source);
    table.add(
        {name,
         {verdict == "would_block" ? "would block" : verdict, source.block          ? Tone::bad
                                                              : verdict == "passed" ? Tone::good
                                                                                    : Tone::warn},
         source.block ? fmt::format("{:.1f} s", seconds_to_block(source)) : "-",
         grouped(source.syns),
         grouped(source.syns - source.held),
         grouped(source.contacts),
         grouped(source.answered),
         source.finished == 0 ? "-" : fmt::format("{}/{}", source.no_message, source.finished),
         score_text(source.score_256ths)});
  }
  table.print(console.out, console.style, console.width);
  if (rows < order.size())
    console.err << fmt::format("{} more sources; --all shows them\n", order.size() - rows);
  for (const SourceReplay* source : order)
    if (source->block && source->block->evidence)
      console.out << fmt::format(
                         "\n{} would have been blocked at {}, {:.1f} s after its first SYN\n",
                         name_of(*source, config), local_text(source->block->since),
                         seconds_to_block(*source))
                  << "  because " << source->block->evidence->sentence() << '\n';
}

void print_summary(const Console& console, const ReplayResult& result, const ReplayOrder& order,
                   bool knows_outcomes, std::size_t shown) {
  const double seconds = std::chrono::duration<double>(result.took).count();
  console.err << fmt::format(
      "{} frames, {} runs of the kernel program, in {:.1f} s ({} a second)\n",
      grouped(result.frames), grouped(result.runs), seconds,
      grouped(static_cast<std::uint64_t>(static_cast<double>(result.frames) /
                                         std::max(seconds, 1e-3))));
  if (result.refused_frames > 0)
    console.err << grouped(result.refused_frames)
                << " frames were too short for an Ethernet header\n";
  if (!knows_outcomes)
    console.err
        << "of log lines the outcome is unknown: contacts, gate, limit and brake only; nobody "
           "can be blocked on evidence\n";
  if (result.froze)
    console.err << "for a time most contacts went unanswered: taken for an outage, not scored\n";
  if (shown == 0 && result.outside > 0)
    console.err << fmt::format(
        "{} packets came from sources that are not in [networks] inside; --as 172.16.0.0/12 puts "
        "their senders there\n",
        grouped(result.outside));
  if (!order.plot.empty()) console.err << "picture: " << order.plot << '\n';
}

/// The policy: of --config, of the file where the daemon's is, or the defaults for all sources.
Result<Config> policy_of(const Console& console) {
  const std::string& file = console.globals.config_file;
  if (!console.globals.config_given && ::access(file.c_str(), R_OK) != 0) {
    Config config;
    config.networks.inside = {*parse_prefix("0.0.0.0/0"), *parse_prefix("::/0")};
    config.node = "replay";
    return config;
  }
  Loaded loaded = load_config(file);
  for (const Problem& problem : loaded.problems) console.err << problem.to_string() << '\n';
  if (!loaded.usable()) return Error{ENOEXEC, file + ": not a configuration to replay with"};
  return std::move(loaded.config);
}

/// A file that cannot be read says nothing about a daemon, whatever its errno.
int fail_here(const Console& console, Error error) {
  if (error.code != EPERM) error.code = 0;
  return fail(console, error);
}

Result<> write_picture(const std::string& path, const std::string& svg) {
  std::ofstream file(path, std::ios::trunc);
  file << svg;
  file.close();
  return file ? Result<>(Ok{}) : Result<>(Error{EIO, "write " + path + ": it cannot be written"});
}

}  // namespace

int run_replay(const Console& console, const ReplayOrder& order) {
  if (!console.globals.verbose) spdlog::set_level(spdlog::level::off);
  auto policy = policy_of(console);
  if (!policy) return fail(console, policy.error());
  ReplayOptions options{.config = std::move(*policy)};
  options.with_timeline = !order.plot.empty();
  if (order.seed != 0) options.seed = order.seed;
  if (!order.as.empty()) {
    const auto prefix = parse_prefix(order.as);
    if (!prefix) return fail(console, prefix.error());
    if (!prefix->is_ipv4() && prefix->bits > 63)
      return fail_here(console, {EINVAL, order.as + " has no room: an IPv6 client is a /64; give a "
                                                    "shorter prefix, such as 2001:db8::/32"});
    options.as = *prefix;
  }
  std::vector<std::unique_ptr<FrameReader>> readers;
  bool knows_outcomes = true;
  for (const std::string& file : order.files) {
    auto reader = open_frames(file, options.config.smtp.judge);
    if (!reader) return fail_here(console, reader.error());
    knows_outcomes = knows_outcomes && (*reader)->knows_outcomes();
    readers.push_back(std::move(*reader));
  }
  const auto frames = merge_frames(std::move(readers));

  const bool shows_progress = !console.globals.quiet && ::isatty(STDERR_FILENO) != 0;
  const auto done = replay(*frames, options, [&](double part) {
    if (shows_progress) console.err << fmt::format("\r{:3.0f} %", part * 100) << std::flush;
  });
  if (shows_progress) console.err << "\r      \r";
  if (!done) return fail_here(console, done.error());
  const auto list = in_order(*done);
  if (!order.plot.empty()) {
    std::vector<const SourceReplay*> drawn(
        list.begin(),
        list.begin() + static_cast<std::ptrdiff_t>(std::min(list.size(), kMostPanels)));
    if (auto written =
            write_picture(order.plot, timeline_svg(drawn, *done, options.config.block.score));
        !written)
      return fail_here(console, written.error());
  }

  json body = {{"frames", done->frames},
               {"runs", done->runs},
               {"seconds", std::chrono::duration<double>(done->took).count()},
               {"first", done->first ? json(rfc3339(*done->first)) : json()},
               {"last", done->last ? json(rfc3339(*done->last)) : json()},
               {"knows_outcomes", knows_outcomes},
               {"frozen", done->froze},
               {"outside", done->outside},
               {"notes", frames->notes()},
               {"sources", json::array()}};
  for (const SourceReplay* source : list)
    body["sources"].push_back(source_json(*source, options.config));
  if (!print_for_machines(console, body, "sources", kReplayColumns)) {
    if (list.empty())
      console.out << "nobody sent a SYN to a judged port\n";
    else
      print_table(console, list, options.config, order);
  }
  if (!console.globals.quiet) {
    for (const std::string& note : frames->notes()) console.err << note << '\n';
    print_summary(console, *done, order, knows_outcomes, list.size());
  }
  return kDone;
}

}  // namespace mailweir
