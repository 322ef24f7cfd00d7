// SPDX-License-Identifier: GPL-2.0-or-later
// The form of one value: how it is written in TOML, and what is refused. Each form has read() and
// write(), so that what `config show` prints is what can be read. Nothing about keys or places.
#pragma once

#include <toml++/toml.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "config/config.h"

namespace mailweir {

/// "must be NOUN, not an integer".
[[nodiscard]] Error must_be(std::string_view noun, const toml::node& node);
/// A TOML string in quotes, with its escapes.
[[nodiscard]] std::string toml_string(std::string_view text);

/// The words of an enum, in the order of its values.
[[nodiscard]] std::vector<std::string_view> words(Mode);
[[nodiscard]] std::vector<std::string_view> words(Attach);
[[nodiscard]] std::vector<std::string_view> words(OnStop);
[[nodiscard]] std::vector<std::string_view> words(Missing);
[[nodiscard]] std::vector<std::string_view> words(Confirm);
[[nodiscard]] std::vector<std::string_view> words(MirrorBackend);

/// The index of the node's word.
[[nodiscard]] Result<std::size_t> read_word(const toml::node& node,
                                            const std::vector<std::string_view>& words);

template <typename E>
struct Word {
  using Value = E;
  [[nodiscard]] Result<E> read(const toml::node& node) const {
    const auto index = read_word(node, words(E{}));
    if (!index) return index.error();
    return static_cast<E>(*index);
  }
  [[nodiscard]] std::string write(E value) const {
    return toml_string(words(value)[static_cast<std::size_t>(value)]);
  }
};

[[nodiscard]] Result<std::int64_t> read_whole(const toml::node& node, std::string_view noun,
                                              std::int64_t least, std::int64_t most);

template <typename T>
struct Whole {
  using Value = T;
  T least = 1;
  T most = std::numeric_limits<T>::max();
  std::string_view noun = "a whole number";

  [[nodiscard]] Result<T> read(const toml::node& node) const {
    const auto number = read_whole(node, noun, least, most);
    if (!number) return number.error();
    return static_cast<T>(*number);
  }
  [[nodiscard]] std::string write(T value) const { return std::to_string(value); }
};

inline constexpr Whole<std::uint16_t> kPort{1, 65535, "a port"};

/// More than 0, at most `most`.
struct Positive {
  using Value = double;
  double most;

  [[nodiscard]] Result<double> read(const toml::node& node) const;
  [[nodiscard]] std::string write(double value) const;
};

struct Flag {
  using Value = bool;
  [[nodiscard]] Result<bool> read(const toml::node& node) const;
  [[nodiscard]] std::string write(bool value) const { return value ? "true" : "false"; }
};

struct RateText {
  using Value = Rate;
  [[nodiscard]] Result<Rate> read(const toml::node& node) const;
  [[nodiscard]] std::string write(const Rate& value) const;
};

struct Duration {
  using Value = std::chrono::seconds;
  std::chrono::seconds least{1};
  std::chrono::seconds most = std::chrono::hours(365 * 24);  ///< seconds::max(): "forever" too

  [[nodiscard]] Result<std::chrono::seconds> read(const toml::node& node) const;
  [[nodiscard]] std::string write(std::chrono::seconds value) const;
};

struct Size {
  using Value = std::uint64_t;
  std::uint64_t least;
  std::uint64_t most;

  [[nodiscard]] Result<std::uint64_t> read(const toml::node& node) const;
  [[nodiscard]] std::string write(std::uint64_t value) const;
};

struct Network {
  using Value = Prefix;
  [[nodiscard]] Result<Prefix> read(const toml::node& node) const;
  [[nodiscard]] std::string write(const Prefix& value) const;
};

/// parse_prefix(), less what would cover IPv4 unseen: in the keys' space ::/0 holds all of it.
[[nodiscard]] Result<Prefix> parse_network(std::string_view text);

struct Text {
  using Value = std::string;
  std::string_view noun;
  Result<> (*check)(std::string_view text);

  [[nodiscard]] Result<std::string> read(const toml::node& node) const;
  [[nodiscard]] std::string write(const std::string& value) const { return toml_string(value); }
};

[[nodiscard]] Result<> check_node(std::string_view text);
[[nodiscard]] Result<> check_group_name(std::string_view text);
[[nodiscard]] Result<> check_interface(std::string_view text);
[[nodiscard]] Result<> check_path(std::string_view text);
[[nodiscard]] Result<> check_log_file(std::string_view text);
[[nodiscard]] Result<> check_socket(std::string_view text);
[[nodiscard]] Result<> check_domain(std::string_view text);
[[nodiscard]] Result<> check_resolver(std::string_view text);
[[nodiscard]] Result<> check_name_server(std::string_view text);
[[nodiscard]] Result<> check_pattern(std::string_view text);

/// A list of such values. Reader and writer take it apart, since each element has its own place.
template <typename F>
struct ListOf {
  F element;
  bool repeats = false;  ///< the same value may stand in it twice
};

}  // namespace mailweir
