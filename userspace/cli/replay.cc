// SPDX-License-Identifier: GPL-2.0-or-later
// `replay`: recordings through the real program and policy, and what would have happened.
#include "replay/replay.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <random>

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
    {"dropped_packets"},  {"first_seen"}, {"blocks"},  {"decided"},  {"waits_for"}};

std::string verdict_of(const SourceReplay& source) {
  if (source.block) return "blocked";
  if (source.would) return "would_block";
  if (!source.waits_for.empty()) return "waiting";
  // Of an allowed source, or in a group that observes, nothing is held.
  const bool is_held = source.held > 0;
  if (source.braked > 0) return is_held ? "braked" : "would_brake";
  if (source.limited > 0) return is_held ? "limited" : "would_limit";
  return "passed";
}

double seconds_to_block(const SourceReplay& source) {
  return std::chrono::duration<double>(source.block->since - source.first_seen).count();
}

std::string after_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  return duration_text(std::chrono::seconds(static_cast<std::int64_t>(seconds)));
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
      {"blocks", source.blocks},
      {"decided", decision != nullptr ? json(rfc3339(decision->since)) : json()},
      {"waits_for", source.waits_for.empty() ? json() : json(source.waits_for)},
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

std::string words_of(std::string verdict) {
  std::ranges::replace(verdict, '_', ' ');
  return verdict;
}

std::size_t rows_of(const std::vector<const SourceReplay*>& order, const ReplayOrder& order_given) {
  return order_given.all ? order.size() : std::min<std::size_t>(order.size(), 20);
}

void print_table(const Console& console, const std::vector<const SourceReplay*>& order,
                 const Config& config, const ReplayOrder& order_given) {
  const bool is_rewritten = !order_given.as.empty();
  std::vector<Column> columns = {{"SOURCE"},    {"VERDICT"},      {"AFTER", true},
                                 {"SYN", true}, {"LEAKED", true}, {"CONTACTS", true}};
  // Both addresses and all counts are more than 80 columns.
  columns.push_back(is_rewritten ? Column{"RECORDED AS"} : Column{"ANSWERED", true});
  columns.push_back({"NO MAIL", true});
  columns.push_back({"SCORE", true});
  Table table(std::move(columns));
  const std::size_t rows = rows_of(order, order_given);
  for (std::size_t i = 0; i < rows; ++i) {
    const SourceReplay& source = *order[i];
    const std::string verdict = verdict_of(source);
    table.add(
        {name_of(source, config),
         {words_of(verdict), source.block          ? Tone::bad
                             : verdict == "passed" ? Tone::good
                                                   : Tone::warn},
         source.block ? after_text(seconds_to_block(source)) : "-",
         grouped(source.syns),
         grouped(source.syns - source.held),
         grouped(source.contacts),
         is_rewritten ? to_string(source.recorded) : grouped(source.answered),
         source.finished == 0 ? "-" : fmt::format("{}/{}", source.no_message, source.finished),
         score_text(source.score_256ths)});
  }
  table.print(console.out, console.style, console.width);
  if (rows < order.size() && !console.globals.quiet)
    console.err << fmt::format("{} more sources; --all shows them\n", order.size() - rows);
}

/// Of each source that would have been blocked: when, and why.
void print_sentences(const Console& console, std::vector<const SourceReplay*> order,
                     const Config& config, std::size_t rows) {
  order.resize(std::min(rows, order.size()));
  for (const SourceReplay* source : order)
    if (!source->block && !source->would && !source->waits_for.empty()) {
      console.out << fmt::format("\n{} would not have been blocked, although its score says so\n",
                                 name_of(*source, config));
      print_labelled(console.out, "waits for", source->waits_for, console.width);
    }
  const auto print_because = [&](const Evidence& evidence) {
    print_labelled(console.out, "because", evidence.sentence(), console.width);
  };
  for (const SourceReplay* source : order)
    if (!source->block && source->would && source->would->evidence) {
      console.out << fmt::format(
          "\n{} would have been blocked at {}, but for the mode of its group or the allowlist\n",
          name_of(*source, config), local_text(source->would->since));
      print_because(*source->would->evidence);
    }
  for (const SourceReplay* source : order)
    if (source->block && source->block->evidence) {
      console.out << fmt::format("\n{} would have been blocked at {}, {} after its first SYN\n",
                                 name_of(*source, config), local_text(source->block->since),
                                 after_text(seconds_to_block(*source)));
      print_because(*source->block->evidence);
    }
}

void print_summary(const Console& console, const ReplayResult& result, const ReplayOrder& order,
                   std::size_t shown, std::uint64_t seed) {
  const double seconds = std::chrono::duration<double>(result.took).count();
  console.err << fmt::format(
      "{} frames, {} runs of the kernel program, in {:.1f} s ({} a second)\n",
      grouped(result.frames), grouped(result.runs), seconds,
      grouped(static_cast<std::uint64_t>(static_cast<double>(result.frames) /
                                         std::max(seconds, 1e-3))));
  if (result.refused_frames > 0)
    console.err << grouped(result.refused_frames)
                << " frames were too short for an Ethernet header\n";
  if (result.froze)
    console.err << "for a time most contacts went unanswered: taken for an outage, not scored\n";
  if (result.outside > 0)
    console.err << fmt::format(
        "{} packets came from sources that are not in [networks] inside, and were not judged{}\n",
        grouped(result.outside),
        shown > 0          ? ""
        : order.as.empty() ? "; --as PREFIX, with a prefix that is, puts their senders there"
                           : "; nor is what --as gave them");
  console.err << fmt::format("once more the same: --seed {}\n", seed);
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

/// What is there is written over only if it is a picture. Asked before the work begins.
Result<> may_write_picture(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code failed;
  if (path == "-" || fs::is_directory(path, failed))
    return Error{0, path + " is no file that a picture can be written to"};
  if (const fs::path folder = fs::path(path).parent_path();
      !folder.empty() && !fs::is_directory(folder, failed))
    return Error{0, "write " + path + ": there is no folder " + folder.string()};
  // A pipe or a device has nothing to lose, and reading it would wait for ever.
  if (!fs::is_regular_file(path, failed)) return Ok{};
  std::ifstream file(path);
  if (!file.is_open()) return Ok{};
  std::string start(4, '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  if (file.gcount() == 0 || start == "<svg") return Ok{};
  return Error{0, path + " is there, and is no picture of this program\nname another file"};
}

/// A number that a hash takes as its key.
std::optional<std::uint64_t> parse_seed(const std::string& text) {
  std::uint64_t seed = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return seed;
}

Result<> write_picture(const std::string& path, const std::string& svg) {
  std::ofstream file(path, std::ios::trunc);
  file << svg;
  file.close();
  return file ? Result<>(Ok{}) : Result<>(Error{EIO, "write " + path + ": it cannot be written"});
}

Result<ReplayOptions> options_of(Config policy, const ReplayOrder& order) {
  ReplayOptions options{.config = std::move(policy)};
  options.with_timeline = !order.plot.empty();
  if (!order.seed.empty()) {
    options.seed = parse_seed(order.seed);
    if (!options.seed) return Error{EINVAL, "--seed " + order.seed + " is not a whole number"};
  } else {
    options.seed = std::random_device{}();
  }
  if (!order.plot.empty())
    if (auto may = may_write_picture(order.plot); !may) return std::move(may).error();
  if (order.as.empty()) return options;
  const auto prefix = parse_prefix(order.as);
  if (!prefix) return prefix.error();
  if (prefix->is_ipv4() && prefix->bits > 96 + 30)
    return Error{EINVAL, order.as +
                             " has no room for clients; give a shorter prefix, such as "
                             "172.16.0.0/12"};
  if (const int client = options.config.networks.ipv6_prefix;
      !prefix->is_ipv4() && prefix->bits >= client)
    return Error{EINVAL, fmt::format("{} has no room: an IPv6 client is a /{}; give a shorter "
                                     "prefix, such as 2001:db8::/32",
                                     order.as, client)};
  options.as = *prefix;
  return options;
}

Result<> draw(const std::string& path, const std::vector<const SourceReplay*>& list,
              const ReplayResult& result, double score) {
  const std::size_t panels = std::min(list.size(), kMostPanels);
  const std::vector<const SourceReplay*> drawn(list.begin(),
                                               list.begin() + static_cast<std::ptrdiff_t>(panels));
  return write_picture(path, timeline_svg(drawn, result, score));
}

}  // namespace

int run_replay(const Console& console, const ReplayOrder& order) {
  if (!console.globals.verbose) spdlog::set_level(spdlog::level::off);
  auto policy = policy_of(console);
  if (!policy) return fail(console, policy.error());
  const auto asked = options_of(std::move(*policy), order);
  if (!asked) return fail(console, asked.error());
  const ReplayOptions& options = *asked;
  std::vector<std::unique_ptr<FrameReader>> readers;
  bool knows_outcomes = true;
  std::string logs;  // of kernel LOG lines
  std::size_t logs_in_all = 0;
  const std::size_t readers_in_all = order.files.size();
  if (std::ranges::count(order.files, "-") > 1)
    return fail(console, {EINVAL, "- is given twice: there is one standard input"});
  for (const std::string& file : order.files) {
    auto reader = open_frames(file, options.config.smtp.judge);
    if (!reader) return fail_here(console, reader.error());
    if (!(*reader)->knows_outcomes()) {
      knows_outcomes = false;
      ++logs_in_all;
      logs += (logs.empty() ? "" : ", ") + file;
    }
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
  std::vector<std::string> notes = frames->notes();
  if (!knows_outcomes)
    notes.push_back(logs +
                    ": of log lines the outcome is unknown: contacts, gate, limit and brake "
                    "only; nobody can be blocked on their evidence");
  if (!knows_outcomes && readers_in_all > logs_in_all)
    notes.push_back(
        "log lines beside recordings with outcomes: where both hold the same connections, the "
        "log's "
        "hide what came of them; replay them apart");
  if (const auto waiting = std::ranges::count_if(
          list, [](const SourceReplay* each) { return verdict_of(*each) == "waiting"; });
      waiting > 0)
    notes.push_back(
        fmt::format("{} more are over the score and were not blocked (verdict waiting): "
                    "the sentence of each, or waits_for in the JSON, says why",
                    waiting));
  if (done->unjudged > 0)
    notes.push_back(
        fmt::format("{} packets could not be judged: their headers are cut off (capture "
                    "with a snap length of 128 or more), contradict themselves, or have "
                    "more tags than are followed",
                    grouped(done->unjudged)));
  if (done->was_full)
    notes.push_back(
        fmt::format("the table of {} sources was full: those that were quiet longest "
                    "are forgotten, and not in this list",
                    grouped(options.sources)));
  if (done->other_family > 0)
    notes.push_back(
        fmt::format("{} packets are of the other address family: --as {} left them as "
                    "they are",
                    grouped(done->other_family), order.as));
  json body = {{"frames", done->frames},
               {"runs", done->runs},
               {"seed", *options.seed},
               {"seconds", std::chrono::duration<double>(done->took).count()},
               {"first", done->first ? json(rfc3339(*done->first)) : json()},
               {"last", done->last ? json(rfc3339(*done->last)) : json()},
               {"knows_outcomes", knows_outcomes},
               {"frozen", done->froze},
               {"outside", done->outside},
               {"notes", notes},
               {"broken", done->broken ? json(done->broken->message) : json()},
               {"sources", json::array()}};
  for (const SourceReplay* source : list)
    body["sources"].push_back(source_json(*source, options.config));
  if (!print_for_machines(console, body, "sources", kReplayColumns)) {
    if (list.empty()) {
      console.out << "nobody inside sent a SYN to a judged port\n";
    } else {
      print_table(console, list, options.config, order);
      print_sentences(console, list, options.config, rows_of(list, order));
    }
  }
  if (!console.globals.quiet) {
    for (const std::string& note : notes) console.err << note << '\n';
    print_summary(console, *done, order, list.size(), *options.seed);
  }
  if (!order.plot.empty()) {
    if (auto written = draw(order.plot, list, *done, options.config.block.score); !written)
      return fail_here(console, written.error());
    if (!console.globals.quiet) console.err << "picture: " << order.plot << '\n';
  }
  if (!done->broken) return kDone;
  Error broken = *done->broken;
  broken.message += "\nwhat stands above is what came before it";
  return fail_here(console, std::move(broken));
}

}  // namespace mailweir
