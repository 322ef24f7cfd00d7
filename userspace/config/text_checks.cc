// SPDX-License-Identifier: GPL-2.0-or-later
// What names, paths and patterns may look like.
#include <sys/un.h>

#include <algorithm>
#include <charconv>

#include <spdlog/fmt/fmt.h>

#include "config/forms.h"

namespace mailweir {
namespace {

constexpr std::string_view kNameCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-";
constexpr std::size_t kLongestNode = 32;
constexpr std::size_t kLongestInterface = 15;  // IFNAMSIZ, less its end
constexpr std::size_t kLongestDomain = 253;    // RFC 1035, 2.3.4, as text
constexpr std::size_t kLongestPath = 4095;     // PATH_MAX, less its end

Error unfit(std::string_view text, std::string_view why) {
  return {EINVAL, fmt::format("'{}' {}", text, why)};
}

bool only(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == std::string_view::npos;
}

bool printable(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) return false;
  return true;
}

}  // namespace

Result<> check_node(std::string_view text) {
  if (!only(text, kNameCharacters) || text.size() > kLongestNode)
    return unfit(text, "may have only letters, digits, '.' and '-', at most 32 of them");
  return Ok{};
}

Result<> check_group_name(std::string_view text) {
  static const std::string allowed = std::string(kNameCharacters) + "_";
  if (text.empty() || !only(text, allowed) || text.size() > kLongestNode)
    return unfit(text, "is no group name: 1 to 32 letters, digits, '.', '-' and '_'");
  return Ok{};
}

Result<> check_interface(std::string_view text) {
  if (text.empty() || text.size() > kLongestInterface)
    return unfit(text, "is no interface name: it must have 1 to 15 characters");
  if (!printable(text) || text.find_first_of("/ ") != std::string_view::npos || text == "." ||
      text == "..")
    return unfit(text, "is no interface name: it must not have '/' or spaces");
  // [[:digit:]] is a glob; eth0:1 is a label that older tools show.
  if (const auto colon = text.find(':');
      colon != std::string_view::npos && text.find('[') == std::string_view::npos)
    return unfit(text, fmt::format("is an address label, not an interface (did you mean '{}'?)",
                                   text.substr(0, colon)));
  return Ok{};
}

Result<> check_path(std::string_view text) {
  if (!text.starts_with('/')) return unfit(text, "must be an absolute path (starting with /)");
  if (!printable(text)) return unfit(text, "has control characters");
  if (text.size() > kLongestPath) return unfit(text, "is longer than 4095 bytes");
  return Ok{};
}

Result<> check_log_file(std::string_view text) {
  if (text == kLogToSyslog) return Ok{};
  if (!text.starts_with('/'))
    return unfit(text, "must be an absolute path (starting with /), or \"syslog\"");
  return check_path(text);
}

Result<> check_socket(std::string_view text) {
  if (text.size() >= sizeof(sockaddr_un::sun_path))
    return unfit(text, "is longer than the 107 bytes that a Unix socket may have");
  return check_path(text);
}

Result<> check_domain(std::string_view text) {
  if (!only(text, kNameCharacters) || text.starts_with('.') || text.starts_with('-') ||
      text.find("..") != std::string_view::npos || text.size() > kLongestDomain)
    return unfit(text, "is no domain name such as example.net");
  return Ok{};
}

Result<> check_resolver(std::string_view text) {
  const Error wrong =
      unfit(text, "is no resolver: write 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53");
  if (text.empty() || parse_address(text)) return Ok{};

  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong;
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (!parse_address(host) || failed != std::errc{} || end != digits.data() + digits.size() ||
      port == 0)
    return wrong;
  return Ok{};
}

Result<> check_name_server(std::string_view text) {
  const auto equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  if (name.find('.') == std::string_view::npos || !check_domain(name))
    return unfit(text, "is no name server: write ns1.example.net or ns1.example.net=192.0.2.53");
  if (equals == std::string_view::npos) return Ok{};
  const std::string_view address = text.substr(equals + 1);
  return address.empty() ? unfit(text, "has no address after its '='") : check_resolver(address);
}

Result<> check_pattern(std::string_view text) {
  static const std::string allowed = std::string(kNameCharacters) + "{}";
  constexpr std::string_view kWords[] = {"a", "b", "c", "d", "hex", "domain"};
  if (!only(text, allowed) || text.find('{') == std::string_view::npos)
    return unfit(text, "is no pattern of names such as nat-{d}.{domain}");
  for (std::size_t at = text.find_first_of("{}"); at != std::string_view::npos;
       at = text.find_first_of("{}", at)) {
    const std::size_t close = text.find('}', at);
    if (text[at] == '}' || close == std::string_view::npos)
      return unfit(text, "has a '{' or '}' without the other");
    const std::string_view word = text.substr(at + 1, close - at - 1);
    if (std::find(std::begin(kWords), std::end(kWords), word) == std::end(kWords))
      return unfit(text, fmt::format("has {{{}}}; there are {{a}} {{b}} {{c}} {{d}}, {{hex}} and "
                                     "{{domain}}",
                                     word));
    at = close + 1;
  }
  return Ok{};
}

}  // namespace mailweir
