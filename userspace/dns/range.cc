// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/range.h"

#include <algorithm>
#include <limits>

namespace mailweir {
namespace {

std::uint64_t half(const mw_addr& addr, int from) {
  std::uint64_t value = 0;
  for (int i = from; i < from + 8; ++i) value = value << 8 | addr.bytes[i];
  return value;
}

/// Addresses from first to last, saturated.
std::uint64_t count_of(const Range& range) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  if (half(range.first, 0) != half(range.last, 0)) return kMost;
  const std::uint64_t between = half(range.last, 8) - half(range.first, 8);
  return between == kMost ? kMost : between + 1;
}

mw_addr next(mw_addr addr) {
  for (int i = 15; i >= 0; --i)
    if (++addr.bytes[i] != 0) break;
  return addr;
}

std::string text_of(const Range& range) {
  if (range.prefix) return to_string(*range.prefix);
  return to_string(range.first) + "-" + to_string(range.last);
}

Error too_many(const Range& range) {
  std::string message = text_of(range) + ": more than the 65,536 addresses of a /16";
  message += is_ipv4(range.first)
                 ? ", which are walked at most; name a part of it"
                 : ", which are walked at most (an IPv6 /112); name the part that the NAT uses";
  return {EINVAL, message};
}

}  // namespace

Range range_of(const Prefix& prefix) {
  Range range{prefix.addr, prefix.addr, std::nullopt};
  const mw_addr mask = mask_of(prefix.bits);
  for (int i = 0; i < 16; ++i) range.last.bytes[i] |= static_cast<__u8>(~mask.bytes[i]);
  if (prefix.bits < 128) range.prefix = prefix;
  return range;
}

Result<Range> parse_range(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) {
    const auto prefix = parse_prefix(text);
    if (!prefix) return prefix.error();
    return range_of(*prefix);
  }
  const auto first = parse_address(text.substr(0, dash));
  const auto last = parse_address(text.substr(dash + 1));
  if (!first || !last)
    return Error{EINVAL, "'" + std::string(text) +
                             "' is no range of addresses such as 198.51.100.7-198.51.100.9"};
  if (is_ipv4(*first) != is_ipv4(*last))
    return Error{EINVAL, "'" + std::string(text) + "' begins and ends in different families"};
  if (*last < *first)
    return Error{EINVAL, "'" + std::string(text) + "' ends before it begins (did you mean '" +
                             to_string(*last) + "-" + to_string(*first) + "'?)"};
  return Range{*first, *last, std::nullopt};
}

Result<std::vector<mw_addr>> addresses_of(std::vector<Range> ranges) {
  std::ranges::sort(ranges, [](const Range& a, const Range& b) { return a.first < b.first; });
  std::vector<mw_addr> addresses;
  for (const Range& range : ranges) {
    if (count_of(range) > kMostAddresses) return too_many(range);
    for (mw_addr at = range.first;; at = next(at)) {
      if (addresses.empty() || addresses.back() < at) addresses.push_back(at);
      if (at == range.last) break;
    }
    if (addresses.size() > kMostAddresses)
      return Error{EINVAL,
                   "the ranges together have more than 65,536 addresses, which are walked at "
                   "most; name fewer of them"};
  }
  return addresses;
}

}  // namespace mailweir
