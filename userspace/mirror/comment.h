// SPDX-License-Identifier: GPL-2.0-or-later
// The comment of a mirrored rule: "SPAM_2026-11-24 id=nat1-4821 by=auto until=... key=value ...".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/decision.h"

namespace mailweir {

/// iptables cuts a comment at 255 bytes silently; a longer one never leaves here.
inline constexpr std::size_t kCommentBytes = 255;

/// Important keys first; what does not fit is left out from the end, a free-text reason is
/// shortened and marked. Safe alphabet: letters, digits, and `_ . : / = + @ , % ~ -`; all other
/// bytes of a value are written %XX, a space as +.
[[nodiscard]] std::string encode_comment(const Decision& decision);

/// What a comment of ours says: its date, then keys and values in order, decoded.
struct CommentFields {
  std::string date;  ///< "2026-11-24"
  std::vector<std::pair<std::string, std::string>> values;

  [[nodiscard]] std::optional<std::string_view> value(std::string_view key) const;
};
/// None if the text is not a comment that encode_comment() could have written.
[[nodiscard]] std::optional<CommentFields> decode_comment(std::string_view comment);

}  // namespace mailweir
