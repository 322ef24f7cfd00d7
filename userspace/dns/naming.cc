// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/naming.h"

#include <unordered_map>

#include "dns/name.h"

namespace mailweir {
namespace {

/// Error{ENOEXEC}: the configuration is what must be changed.
Result<std::string> value_of(std::string_view word, const mw_addr& addr, const Naming& naming) {
  if (word == "domain") {
    if (naming.domain.empty())
      return Error{ENOEXEC,
                   "[pool] domain is not set, and the pattern asks for it\nset it, such as domain "
                   "= \"example.net\", or give --domain example.net"};
    return naming.domain;
  }
  if (word == "hex") return hex_of(addr);
  const bool is_octet = word.size() == 1 && word[0] >= 'a' && word[0] <= 'd';
  if (is_octet && is_ipv4(addr)) return octet(addr, word[0] - 'a');
  return Error{ENOEXEC, "{" + std::string(word) + "} says nothing of " + to_string(addr) +
                            "\nuse {a} {b} {c} {d} (IPv4), {hex} and {domain}"};
}

Result<std::string> name_of(const mw_addr& addr, const Naming& naming) {
  const std::string& pattern = is_ipv4(addr) ? naming.ipv4 : naming.ipv6;
  std::string name;
  for (std::size_t at = 0; at < pattern.size();) {
    const std::size_t open = std::min(pattern.find('{', at), pattern.size());
    name += pattern.substr(at, open - at);
    if (open == pattern.size()) break;
    const std::size_t close = pattern.find('}', open);
    if (close == std::string::npos)
      return Error{ENOEXEC, "pattern \"" + pattern + "\": a '{' is not closed"};
    auto value =
        value_of(std::string_view(pattern).substr(open + 1, close - open - 1), addr, naming);
    if (!value) return std::move(value).error().in("pattern \"" + pattern + "\"");
    name += *value;
    at = close + 1;
  }
  name = canonical_name(name);
  if (!is_host_name(name))
    return Error{ENOEXEC, "pattern \"" + pattern + "\" makes '" + name + "' of " + to_string(addr) +
                              ", which no host can be called\nuse letters, digits and inner "
                              "hyphens, and end it with .{domain}"};
  return name;
}

/// What tells them apart must be in the pattern.
std::string hint(const mw_addr& a, const mw_addr& b) {
  if (!is_ipv4(a) || !is_ipv4(b)) return "add {hex}";
  for (int i = 0; i < 4; ++i)
    if (octet(a, i) != octet(b, i))
      return std::string("add {") + static_cast<char>('a' + i) + "}, as in \"nat-{" +
             static_cast<char>('a' + i) + (i == 3 ? "}.{domain}\"" : "}-{d}.{domain}\"");
  return "add {d}";
}

}  // namespace

Result<std::vector<std::string>> names_of(const std::vector<mw_addr>& addresses,
                                          const Naming& naming) {
  std::vector<std::string> names;
  names.reserve(addresses.size());
  std::unordered_map<std::string, mw_addr> owners;
  for (const mw_addr& addr : addresses) {
    auto name = name_of(addr, naming);
    if (!name) return std::move(name).error();
    if (const auto [owner, is_new] = owners.emplace(*name, addr); !is_new)
      return Error{ENOEXEC, "pattern \"" + (is_ipv4(addr) ? naming.ipv4 : naming.ipv6) +
                                "\": " + to_string(owner->second) + " and " + to_string(addr) +
                                " would both be " + *name + "\n" + hint(owner->second, addr)};
    names.push_back(std::move(*name));
  }
  return names;
}

}  // namespace mailweir
