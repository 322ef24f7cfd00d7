// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/decision.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <span>

#include "base/time_text.h"

namespace mailweir {
namespace {

template <typename E>
struct Word {
  E value;
  std::string_view word;
};

constexpr Word<Mode> kModes[] = {
    {Mode::observe, "observe"}, {Mode::throttle, "throttle"}, {Mode::block, "block"}};
constexpr Word<Origin> kOrigins[] = {
    {Origin::automatic, "auto"}, {Origin::manual, "manual"}, {Origin::bpftool, "bpftool"}};
constexpr Word<EndCause> kEndCauses[] = {
    {EndCause::expired, "expired"},   {EndCause::unblocked, "unblocked"},
    {EndCause::allowed, "allowed"},   {EndCause::mode, "mode"},
    {EndCause::replaced, "replaced"}, {EndCause::removed, "removed"},
    {EndCause::outside, "outside"},   {EndCause::outage, "outage"},
    {EndCause::failed, "failed"}};

template <typename E>
std::string_view word_of(std::span<const Word<E>> words, E value) {
  for (const auto& known : words)
    if (known.value == value) return known.word;
  return "?";
}

template <typename E>
std::optional<E> value_of(std::span<const Word<E>> words, std::string_view text) {
  for (const auto& known : words)
    if (known.word == text) return known.value;
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Mode mode) {
  return word_of<Mode>(kModes, mode);
}
std::optional<Mode> parse_mode(std::string_view text) {
  return value_of<Mode>(kModes, text);
}
mw_mode to_abi(Mode mode) {
  return mode == Mode::block      ? MW_MODE_BLOCK
         : mode == Mode::throttle ? MW_MODE_THROTTLE
                                  : MW_MODE_OBSERVE;
}

std::string_view to_string(Origin origin) {
  return word_of<Origin>(kOrigins, origin);
}
std::optional<Origin> parse_origin(std::string_view text) {
  return value_of<Origin>(kOrigins, text);
}

std::string_view to_string(EndCause cause) {
  return word_of<EndCause>(kEndCauses, cause);
}
std::optional<EndCause> parse_end_cause(std::string_view text) {
  return value_of<EndCause>(kEndCauses, text);
}

std::string score_text(std::uint32_t score_256ths) {
  return fmt::format("{}.{}", score_256ths / 256, score_256ths % 256 * 10 / 256);
}

std::string Evidence::sentence() const {
  // However long the source is known: what was counted lies in the last two slices.
  constexpr auto window = std::chrono::nanoseconds(2 * MW_SLICE_NS);
  const auto span = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::clamp<std::chrono::nanoseconds>(last_seen - first_seen, {}, window));
  const std::string time = span < std::chrono::seconds(1) ? fmt::format("{} ms", span.count())
                           : span < std::chrono::seconds(60)
                               ? fmt::format("{:.1f} s", static_cast<double>(span.count()) / 1000)
                               : duration_text(std::chrono::floor<std::chrono::seconds>(span));
  std::string said = fmt::format("{} connection{} to {} mail server{} in {}", syns,
                                 syns == 1 ? "" : "s", networks, networks == 1 ? "" : "s", time);
  if (answered > 0) said += fmt::format("; {} answered", answered);
  if (finished > 0)
    said += fmt::format("; {} finished, {}{} without a message (< {} B sent)", finished,
                        finished == no_message ? "all " : "", no_message, message_bytes);
  if (braked > 0) said += fmt::format("; {} held by the brake", braked);
  if (limited > 0) said += fmt::format("; {} over the limit", limited);
  return said + fmt::format("; score {} {} {}", score_text(score_256ths),
                            score_256ths >= threshold_256ths ? ">=" : "<",
                            score_text(threshold_256ths));
}

}  // namespace mailweir
