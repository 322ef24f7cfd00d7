// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/endpoint.h"

#include <charconv>

#include "dns/name.h"

namespace mailweir {

Result<Endpoint> parse_endpoint(std::string_view text) {
  const Error wrong{EINVAL, "'" + std::string(text) +
                                "' is no server: write 192.0.2.53, 192.0.2.53:5353 or "
                                "[2001:db8::53]:5353"};
  if (const auto alone = parse_address(text)) return Endpoint{*alone, 53};

  std::string_view host = text;
  Endpoint endpoint;
  if (const auto colon = text.rfind(':'); colon != std::string_view::npos && !text.ends_with(']')) {
    host = text.substr(0, colon);
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
    if (failed != std::errc{} || end != digits.data() + digits.size() || endpoint.port == 0)
      return wrong;
  }
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = parse_address(host);
  if (!address || is_ipv4(*address) == bracketed) return wrong;
  endpoint.address = *address;
  return endpoint;
}

std::string to_string(const Endpoint& endpoint) {
  const std::string host = to_string(endpoint.address);
  return (is_ipv4(endpoint.address) ? host : "[" + host + "]") + ":" +
         std::to_string(endpoint.port);
}

NameServer parse_name_server(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return {canonical_name(text), ""};
  return {canonical_name(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

}  // namespace mailweir
