// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace mailweir {
namespace {

constexpr unsigned char kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

bool is_ipv4(const mw_addr& addr) {
  return std::memcmp(addr.bytes, kMappedPrefix, sizeof(kMappedPrefix)) == 0;
}

Result<mw_addr> parse_address(std::string_view text) {
  const std::string terminated(text);
  // To inet_pton a NUL byte is the end; what stands after it must not be overlooked.
  const bool whole = text.find('\0') == std::string_view::npos;
  mw_addr addr{};
  in_addr ipv4{};
  if (whole && ::inet_pton(AF_INET, terminated.c_str(), &ipv4) == 1) {
    std::memcpy(addr.bytes, kMappedPrefix, sizeof(kMappedPrefix));
    std::memcpy(addr.bytes + sizeof(kMappedPrefix), &ipv4, sizeof(ipv4));
    return addr;
  }
  if (whole && ::inet_pton(AF_INET6, terminated.c_str(), addr.bytes) == 1) return addr;
  return Error{EINVAL, "'" + terminated + "' is not an IP address"};
}

std::string to_string(const mw_addr& addr) {
  char text[INET6_ADDRSTRLEN] = {};
  if (is_ipv4(addr))
    ::inet_ntop(AF_INET, addr.bytes + sizeof(kMappedPrefix), text, sizeof(text));
  else
    ::inet_ntop(AF_INET6, addr.bytes, text, sizeof(text));
  return text;
}

mw_addr mask_of(std::uint8_t bits) {
  mw_addr mask{};
  for (int i = 0; i < 16; ++i) {
    const int ones = std::clamp(bits - i * 8, 0, 8);
    mask.bytes[i] = static_cast<__u8>(0xff00 >> ones);
  }
  return mask;
}

mw_addr masked(mw_addr addr, std::uint8_t bits) {
  const mw_addr mask = mask_of(bits);
  for (int i = 0; i < 16; ++i) addr.bytes[i] &= mask.bytes[i];
  return addr;
}

bool Prefix::contains(const mw_addr& other) const {
  return masked(other, bits) == addr;
}

std::uint64_t Prefix::size() const {
  return std::uint64_t{1} << std::min(128 - bits, 63);
}

Result<Prefix> parse_prefix(std::string_view text) {
  const auto slash = text.find('/');
  auto addr = parse_address(text.substr(0, slash));
  if (!addr)
    return Error{EINVAL,
                 "'" + std::string(text) + "' is not an address or a prefix such as 172.16.0.0/12"};

  const int most = is_ipv4(*addr) ? 32 : 128;
  int length = most;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (failed != std::errc{} || end != digits.data() + digits.size() || length < 0 ||
        length > most)
      return Error{EINVAL, "'" + std::string(text) + "': the prefix length must be 0 to " +
                               std::to_string(most)};
  }

  const Prefix prefix{*addr, static_cast<std::uint8_t>(length + (128 - most))};
  if (const Prefix meant{masked(*addr, prefix.bits), prefix.bits}; meant.addr != prefix.addr)
    return Error{EINVAL, "'" + std::string(text) + "' has host bits set (did you mean '" +
                             to_string(meant) + "'?)"};
  return prefix;
}

std::string to_string(const Prefix& prefix) {
  std::string text = to_string(prefix.addr);
  if (prefix.bits != 128) text += "/" + std::to_string(prefix.length());
  return text;
}

}  // namespace mailweir
