// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/name.h"

#include <algorithm>

namespace mailweir {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";
constexpr int kIpv4At = 12;

bool is_host_label(std::string_view label) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
  return !label.empty() && label.size() <= 63 && !label.starts_with('-') && !label.ends_with('-') &&
         label.find_first_not_of(kAllowed) == std::string_view::npos;
}

}  // namespace

std::string canonical_name(std::string_view name) {
  if (name.ends_with('.') && !name.ends_with("\\.")) name.remove_suffix(1);
  std::string lower(name);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

std::vector<std::string_view> labels_of(std::string_view name) {
  std::vector<std::string_view> labels;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t dot = std::min(name.find('.', at), name.size());
    labels.push_back(name.substr(at, dot - at));
    at = dot + 1;
  }
  return labels;
}

std::string octet(const mw_addr& ipv4, int index) {
  return std::to_string(ipv4.bytes[kIpv4At + index]);
}

std::string hex_of(const mw_addr& addr) {
  std::string digits;
  for (int i = is_ipv4(addr) ? kIpv4At : 0; i < 16; ++i) {
    digits += kHexDigits[addr.bytes[i] >> 4];
    digits += kHexDigits[addr.bytes[i] & 0xf];
  }
  return digits;
}

std::string reverse_name(const mw_addr& addr) {
  std::string name;
  if (is_ipv4(addr)) {
    for (int i = 3; i >= 0; --i) name += octet(addr, i) + ".";
    return name + "in-addr.arpa";
  }
  const std::string digits = hex_of(addr);
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) {
    name += *digit;
    name += '.';
  }
  return name + "ip6.arpa";
}

bool is_host_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  const auto labels = labels_of(name);
  return name.size() <= 253 && labels.size() >= 2 && std::ranges::all_of(labels, is_host_label);
}

bool is_within(std::string_view name, std::string_view domain) {
  return name == domain || domain.empty() ||
         (name.size() > domain.size() && name.ends_with(domain) &&
          name[name.size() - domain.size() - 1] == '.');
}

}  // namespace mailweir
