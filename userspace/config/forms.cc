// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/forms.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "base/time_text.h"
#include "config/rate.h"
#include "config/wording.h"

namespace mailweir {
namespace {

std::string_view type_word(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a floating-point number";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

/// The string of the node through `parse`.
template <typename T>
Result<T> read_string(const toml::node& node, std::string_view noun,
                      Result<T> (*parse)(std::string_view)) {
  const auto* text = node.as_string();
  if (text == nullptr) return must_be(noun, node);
  return parse(text->get());
}

}  // namespace

Error must_be(std::string_view noun, const toml::node& node) {
  return {EINVAL, fmt::format("must be {}, not {}", noun, type_word(node))};
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f)
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out + '"';
}

std::vector<std::string_view> words(Mode) {
  return {to_string(Mode::observe), to_string(Mode::throttle), to_string(Mode::block)};
}
std::vector<std::string_view> words(Attach) {
  return {"auto", "xdp", "xdp-generic", "tc"};
}
std::vector<std::string_view> words(OnStop) {
  return {"keep", "pass"};
}
std::vector<std::string_view> words(Missing) {
  return {"refuse", "wait"};
}
std::vector<std::string_view> words(Confirm) {
  return {"conntrack", "none"};
}
std::vector<std::string_view> words(MirrorBackend) {
  return {"iptables", "none"};
}

Result<std::size_t> read_word(const toml::node& node, const std::vector<std::string_view>& words) {
  const auto* text = node.as_string();
  if (text == nullptr) return must_be("one of " + listed(words) + " in quotes", node);
  const auto found = std::find(words.begin(), words.end(), text->get());
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());

  const std::string meant = closest(text->get(), words);
  return Error{EINVAL, fmt::format("'{}' is not one of {}{}", text->get(), listed(words),
                                   meant.empty() ? "" : " (did you mean '" + meant + "'?)")};
}

Result<std::int64_t> read_whole(const toml::node& node, std::string_view noun, std::int64_t least,
                                std::int64_t most) {
  const std::string wanted = fmt::format("{} from {} to {}", noun, least, most);
  const auto* number = node.as_integer();
  if (number == nullptr) return must_be(wanted, node);
  if (number->get() < least || number->get() > most)
    return Error{EINVAL, fmt::format("must be {}, not {}", wanted, number->get())};
  return number->get();
}

Result<double> Positive::read(const toml::node& node) const {
  const auto number = node.is_number() ? node.value<double>() : std::nullopt;
  const std::string wanted = fmt::format("a number above 0, at most {}", most);
  if (!number) return must_be(wanted, node);
  // Written so that nan fails too.
  if (!(*number > 0 && *number <= most))
    return Error{EINVAL, fmt::format("must be {}, not {}", wanted, *number)};
  return *number;
}

std::string Positive::write(double value) const {
  return fmt::format("{}", value);
}

Result<bool> Flag::read(const toml::node& node) const {
  if (const auto* flag = node.as_boolean()) return flag->get();
  return must_be("true or false, without quotes", node);
}

Result<Rate> RateText::read(const toml::node& node) const {
  return read_string<Rate>(node, "a rate in quotes, such as \"600/min\"", parse_rate);
}

std::string RateText::write(const Rate& value) const {
  return toml_string(to_string(value));
}

Result<std::chrono::seconds> Duration::read(const toml::node& node) const {
  auto duration = read_string<std::chrono::seconds>(
      node, "a duration in quotes, such as \"90s\" or \"24h\"", parse_duration);
  if (duration && (*duration < least || *duration > most))
    return Error{EINVAL, fmt::format("must be from {} to {}, not {}", exact_text(least),
                                     exact_text(most), exact_text(*duration))};
  return duration;
}

std::string Duration::write(std::chrono::seconds value) const {
  return toml_string(exact_text(value));
}

Result<std::uint64_t> Size::read(const toml::node& node) const {
  auto size = read_string<std::uint64_t>(node, "a size in quotes, such as \"512MiB\"", parse_size);
  if (size && (*size < least || *size > most))
    return Error{EINVAL, fmt::format("must be from {} to {}, not {}", size_text(least),
                                     size_text(most), size_text(*size))};
  return size;
}

std::string Size::write(std::uint64_t value) const {
  return toml_string(size_text(value));
}

Result<Prefix> parse_network(std::string_view text) {
  auto network = parse_prefix(text);
  if (network && !network->is_ipv4() && network->contains(Prefix{*parse_address("0.0.0.0"), 96}))
    return Error{EINVAL, fmt::format("'{}' also covers all of IPv4: write 2000::/3 for the IPv6 "
                                     "internet, 0.0.0.0/0 for IPv4",
                                     text)};
  return network;
}

Result<Prefix> Network::read(const toml::node& node) const {
  return read_string<Prefix>(node, "a network in quotes, such as \"172.16.0.0/12\"", parse_network);
}

std::string Network::write(const Prefix& value) const {
  return toml_string(to_string(value));
}

Result<std::string> Text::read(const toml::node& node) const {
  const auto* text = node.as_string();
  if (text == nullptr) return must_be(noun, node);
  if (const auto fit = check(text->get()); !fit) return fit.error();
  return text->get();
}

}  // namespace mailweir
