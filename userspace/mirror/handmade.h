// SPDX-License-Identifier: GPL-2.0-or-later
// Rules that a person wrote into FORWARD to block a spammer: -s ADDR -p tcp --dport 25
// -m comment --comment "SPAM_09_01_2021" -j DROP. Pure: runs nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace mailweir {

inline constexpr std::string_view kHandmadePrefix = "SPAM_";

struct HandmadeRule {
  std::vector<std::string> spec;  ///< its words behind "-A FORWARD": what -D needs
  std::string comment;
  std::string date;  ///< "2021-01-09", of SPAM_09_01_2021 (day first); empty: it names none
  std::optional<Prefix> source;
  std::string obstacle;  ///< why it is no block of mailweir's; empty: it is one
};

/// The rules of FORWARD whose comment begins with kHandmadePrefix, in order. `listing`: of
/// `iptables -S FORWARD`; `judged`: the ports that a block of mailweir's drops. One that drops more
/// or less than such a block has an obstacle. mailweir's own comments are left out.
[[nodiscard]] std::vector<HandmadeRule> parse_handmade(std::string_view listing,
                                                       const std::vector<std::uint16_t>& judged);

}  // namespace mailweir
