// SPDX-License-Identifier: GPL-2.0-or-later
// What the answers mean: for an address of the pool, and for a reverse zone. Asks nobody.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "dns/message.h"

namespace mailweir {

/// In the order in which one verdict outweighs another.
enum class Grade : std::uint8_t { good, generic, unknown, bad };
[[nodiscard]] std::string to_string(Grade grade);

struct AddressVerdict {
  mw_addr address{};
  std::vector<std::string> names;  ///< of its PTRs, canonical
  std::vector<mw_addr> back;       ///< what the name's A or AAAA say
  Grade grade = Grade::unknown;
  std::string text;    ///< "ok", "missing PTR", "mismatch", "unknown: timed out"
  std::string server;  ///< that was asked directly and said so; empty: the resolver
};

/// By the PTRs alone; nothing: they are as they should be, and the name must be looked up.
[[nodiscard]] std::optional<AddressVerdict> judge_names(const mw_addr& address,
                                                        std::vector<std::string> names);
/// By what the name's addresses are. `answer`: NXDOMAIN or not.
[[nodiscard]] AddressVerdict judge_back(const mw_addr& address, const std::string& name,
                                        std::vector<mw_addr> back, Rcode answer);
[[nodiscard]] AddressVerdict unknown_address(const mw_addr& address, std::vector<std::string> names,
                                             const std::string& reason);
/// Of two servers' verdicts on one address the one that outweighs.
[[nodiscard]] AddressVerdict worse_of(AddressVerdict a, AddressVerdict b);

/// One name server of a zone, asked directly.
struct ServerState {
  enum class Kind : std::uint8_t { serves, lame, unknown };
  std::string server;  ///< name or address
  Kind kind = Kind::unknown;
  std::uint32_t serial = 0;  ///< if it serves
  std::string reason;        ///< if not
  std::string address;       ///< that was asked
};

struct ZoneVerdict {
  std::string zone;
  std::vector<std::string> name_servers;  ///< its NS records
  std::vector<ServerState> servers;       ///< that were asked
  Grade grade = Grade::unknown;
  std::string text;
};

/// Fills grade and text. `is_delegated`: false if the zone is served by no one below the registry.
void judge_zone(ZoneVerdict& zone, bool knows_name_servers);
[[nodiscard]] ZoneVerdict undelegated_zone(const std::string& zone, const std::string& above);

/// The zone that the answer to a SOA question comes from: the SOA's owner, and its serial.
[[nodiscard]] std::optional<Record> zone_of_answer(const Message& message);
/// in-addr.arpa, 198.in-addr.arpa, 0.a.2.ip6.arpa: a registry's own.
[[nodiscard]] bool is_registry_zone(const std::string& zone);
/// A name server that was asked directly does not serve what it was asked about.
[[nodiscard]] bool is_foreign(const Message& message);

}  // namespace mailweir
