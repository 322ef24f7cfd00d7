// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/generic.h"

#include <algorithm>
#include <array>
#include <vector>

#include "dns/name.h"

namespace mailweir {
namespace {

constexpr std::array<std::string_view, 37> kWords = {
    "adsl", "broadband", "cable",  "catv",     "client",   "clients",     "cpe",        "cust",
    "dhcp", "dial",      "dialin", "dialup",   "dsl",      "dyn",         "dynamic",    "dynip",
    "ftth", "fttx",      "gprs",   "home",     "mobile",   "modem",       "pool",       "pools",
    "ppp",  "pppoe",     "resid",  "user",     "users",    "residential", "unassigned", "vdsl",
    "wifi", "wlan",      "xdsl",   "customer", "customers"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Runs of letters, and runs of digits without leading zeros.
std::vector<std::string> tokens_of(std::string_view text) {
  std::vector<std::string> tokens;
  for (std::size_t at = 0; at < text.size();) {
    const bool digits = is_digit(text[at]);
    const bool letters = text[at] >= 'a' && text[at] <= 'z';
    std::size_t end = at + 1;
    while ((digits && end < text.size() && is_digit(text[end])) ||
           (letters && end < text.size() && text[end] >= 'a' && text[end] <= 'z'))
      ++end;
    std::string token(text.substr(at, end - at));
    if (digits) token.erase(0, std::min(token.find_first_not_of('0'), token.size() - 1));
    if (digits || letters) tokens.push_back(std::move(token));
    at = end;
  }
  return tokens;
}

bool has_whole_address(std::string_view host, const std::vector<std::string>& tokens,
                       const mw_addr& addr) {
  if (!is_ipv4(addr)) return false;  // of IPv6 every name by pattern has it
  std::vector<std::string> octets;
  std::string padded;
  for (int i = 0; i < 4; ++i) {
    octets.push_back(octet(addr, i));
    padded += std::string(3 - octets.back().size(), '0') + octets.back();
  }
  const auto in_a_row = [&tokens](const std::vector<std::string>& wanted) {
    return std::search(tokens.begin(), tokens.end(), wanted.begin(), wanted.end()) != tokens.end();
  };
  return in_a_row(octets) || in_a_row({octets.rbegin(), octets.rend()}) ||
         host.find(padded) != std::string_view::npos ||
         host.find(hex_of(addr)) != std::string_view::npos;
}

}  // namespace

std::optional<std::string> why_generic(std::string_view name, const mw_addr& addr) {
  // Not the last two labels: a provider may be called cable.example.
  const auto labels = labels_of(name);
  if (labels.size() <= 2) return std::nullopt;
  const std::string_view host =
      name.substr(0, name.size() - labels.back().size() - labels[labels.size() - 2].size() - 2);
  const auto tokens = tokens_of(host);
  for (const std::string& token : tokens)
    if (std::ranges::find(kWords, token) != kWords.end()) return "has the word '" + token + "'";
  if (has_whole_address(host, tokens, addr)) return "has the whole address in it";
  return std::nullopt;
}

}  // namespace mailweir
