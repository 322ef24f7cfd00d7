// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/traces.h"

#include <algorithm>
#include <filesystem>

#include "evaluate/trial.h"
#include "replay/replay.h"

namespace mailweir::evaluate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBot = "spambot-2010.smtp-hdrs.pcap";

Result<ReplayResult> judge(const std::string& file, std::uint64_t seed) {
  ReplayOptions options{.config = default_policy()};
  options.config.networks.inside = {*parse_prefix("0.0.0.0/0"), *parse_prefix("::/0")};
  // One file has IPv6 clients, which no IPv4 prefix has room for.
  if (file.ends_with(kBot)) options.as = *parse_prefix("172.16.0.0/12");
  options.seed = seed;
  auto frames = open_frames(file);
  if (!frames) return std::move(frames).error();
  return replay(**frames, options, [](double) {});
}

Result<> judge_bot(const std::string& file, std::size_t seeds, Traces& traces) {
  traces.bot.seeds = seeds;
  for (std::size_t seed = 1; seed <= seeds; ++seed) {
    const auto result = judge(file, seed);
    if (!result) return result.error();
    traces.frames += result->frames;
    traces.runs += result->runs;
    for (const auto& [key, source] : result->sources) {
      if (!source.block) continue;
      traces.bot.syns.push_back(static_cast<double>(source.syns));
      traces.bot.leaked.push_back(static_cast<double>(source.syns - source.held));
      traces.bot.seconds.push_back(
          std::chrono::duration<double>(source.block->since - source.first_seen).count());
    }
  }
  return Ok{};
}

void judge_other(const fs::path& file, Traces& traces) {
  OtherCapture other{.name = (file.parent_path().filename() / file.filename()).string()};
  const auto result = judge(file, 1);
  if (!result) {
    // It names the file by its path, which is nobody's business.
    const std::string& why = result.error().message;
    other.refused = why.starts_with(file.string()) ? why.substr(file.string().size() + 2) : why;
    traces.others.push_back(std::move(other));
    return;
  }
  traces.frames += result->frames;
  traces.runs += result->runs;
  other.frames = result->frames;
  for (const auto& [key, source] : result->sources) {
    if (source.syns == 0 && !source.block) continue;
    ++other.sources;
    other.syns += source.syns;
    other.blocked += source.block.has_value();
    other.held += source.braked + source.limited > 0;
  }
  traces.others.push_back(std::move(other));
}

}  // namespace

Result<Traces> judge_traces(const std::string& folder, std::size_t seeds) {
  Traces traces;
  if (auto done = judge_bot(folder + "/bot/" + kBot, seeds, traces); !done)
    return std::move(done).error();
  std::vector<fs::path> files;
  std::error_code failed;
  for (const char* part : {"legit", "other"})
    for (const auto& entry : fs::directory_iterator(folder + "/" + part, failed))
      files.push_back(entry.path());
  if (failed) return sys_error(failed.value(), "read " + folder);
  std::ranges::sort(files);
  for (const fs::path& file : files) judge_other(file, traces);
  return traces;
}

}  // namespace mailweir::evaluate
