// SPDX-License-Identifier: GPL-2.0-or-later
// A DNS message as it came over the wire, read. Anything may be in it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/address.h"

namespace mailweir {

enum class RecordType : std::uint16_t { a = 1, ns = 2, cname = 5, soa = 6, ptr = 12, aaaa = 28 };

/// One record of a type above; others are passed over.
struct Record {
  std::string owner;  ///< canonical
  RecordType type = RecordType::a;
  std::string target;  ///< NS, CNAME, PTR: canonical, special characters as \DDD
  mw_addr address{};
  std::uint32_t serial = 0;
};

enum class Rcode : std::uint8_t { no_error = 0, serv_fail = 2, nx_domain = 3, refused = 5 };

struct Message {
  Rcode rcode = Rcode::no_error;  ///< or another number
  bool authoritative = false;
  std::vector<Record> answers;
  std::vector<Record> authority;
};

[[nodiscard]] Result<Message> parse_message(std::span<const unsigned char> bytes);

/// "SERVFAIL", "REFUSED", "RCODE 9".
[[nodiscard]] std::string to_string(Rcode rcode);

/// Where the CNAMEs of the answers lead from `name`; `name` itself without one.
[[nodiscard]] std::string end_of_aliases(const Message& message, const std::string& name);
/// The answers about `owner` of one type.
[[nodiscard]] std::vector<Record> answers_about(const Message& message, const std::string& owner,
                                                RecordType type);

}  // namespace mailweir
