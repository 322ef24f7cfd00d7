// SPDX-License-Identifier: GPL-2.0-or-later
// A server's address and port as people write them: 192.0.2.53, 192.0.2.53:5353, [2001:db8::53]:53.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/address.h"

namespace mailweir {

struct Endpoint {
  mw_addr address{};
  std::uint16_t port = 53;
  bool operator==(const Endpoint&) const = default;
};

[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);
/// The port always: "192.0.2.53:53", "[2001:db8::53]:53".
[[nodiscard]] std::string to_string(const Endpoint& endpoint);

/// "ns1.example.net", or "ns1.example.net=192.0.2.53": a name, and the address if it is told.
struct NameServer {
  std::string name;
  std::string address;  ///< empty, or what parse_endpoint() takes
};
[[nodiscard]] NameServer parse_name_server(std::string_view text);

}  // namespace mailweir
