// SPDX-License-Identifier: GPL-2.0-or-later
// Addresses and prefixes as people write them, to and from the 16-byte keys of bpf/abi.h.
#pragma once

#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "bpf/abi.h"

// In the namespace of mw_addr, so that containers find them.
inline bool operator==(const mw_addr& a, const mw_addr& b) {
  return std::memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}
/// Numeric order: IPv4 (v4-mapped) before all IPv6 in use, 172.16.9.1 before 172.16.10.1.
inline std::strong_ordering operator<=>(const mw_addr& a, const mw_addr& b) {
  return std::memcmp(a.bytes, b.bytes, sizeof(a.bytes)) <=> 0;
}

namespace mailweir {

[[nodiscard]] bool is_ipv4(const mw_addr& addr);  ///< v4-mapped

/// "172.16.7.70" or "2001:db8:1:2::5". An error names the text.
[[nodiscard]] Result<mw_addr> parse_address(std::string_view text);
[[nodiscard]] std::string to_string(const mw_addr& addr);

/// A prefix in the 128-bit space of the keys: 172.16.0.0/12 has 108 bits.
struct Prefix {
  mw_addr addr{};
  std::uint8_t bits = 128;

  [[nodiscard]] bool contains(const mw_addr& other) const;
  [[nodiscard]] bool contains(const Prefix& other) const {
    return bits <= other.bits && contains(other.addr);
  }
  [[nodiscard]] bool is_ipv4() const { return mailweir::is_ipv4(addr); }
  /// The number that people write: /12 for 172.16.0.0/12.
  [[nodiscard]] int length() const { return is_ipv4() ? bits - 96 : bits; }
  /// 2^(128-bits), saturated at 2^63.
  [[nodiscard]] std::uint64_t size() const;
  auto operator<=>(const Prefix&) const = default;
};

/// "172.16.0.0/12", "2001:db8::/32", or an address alone (/32, /128). Host bits that are set are an
/// error that names the prefix that was probably meant.
[[nodiscard]] Result<Prefix> parse_prefix(std::string_view text);
/// Without the length where it is the whole address: "172.16.7.70", "172.16.0.0/12".
[[nodiscard]] std::string to_string(const Prefix& prefix);

[[nodiscard]] mw_addr masked(mw_addr addr, std::uint8_t bits);
/// The mask itself, as settings.ipv6_mask wants it.
[[nodiscard]] mw_addr mask_of(std::uint8_t bits);

/// The key that the kernel program uses for this source: IPv6 masked to `ipv6_prefix` bits.
[[nodiscard]] inline mw_addr source_key(const mw_addr& addr, int ipv6_prefix) {
  return is_ipv4(addr) ? addr : masked(addr, static_cast<std::uint8_t>(ipv6_prefix));
}
/// What that key stands for: a /32, or an IPv6 prefix.
[[nodiscard]] inline Prefix source_prefix(const mw_addr& key, int ipv6_prefix) {
  return {key, is_ipv4(key) ? std::uint8_t{128} : static_cast<std::uint8_t>(ipv6_prefix)};
}

struct AddressHash {
  std::size_t operator()(const mw_addr& addr) const {
    return std::hash<std::string_view>{}(
        {reinterpret_cast<const char*>(addr.bytes), sizeof(addr.bytes)});
  }
};

}  // namespace mailweir
