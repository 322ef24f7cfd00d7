// SPDX-License-Identifier: GPL-2.0-or-later
#include "mirror/comment.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "base/time_text.h"

namespace mailweir {
namespace {

constexpr std::string_view kHead = "SPAM_";
constexpr std::size_t kDateBytes = std::string_view("2026-11-24").size();
// However long a node's or a user's name is: id, by and until are always there.
constexpr std::size_t kIdBytes = 96;
constexpr std::size_t kByBytes = 64;
static_assert(kHead.size() + kDateBytes + std::string_view(" id= by= until=").size() + kIdBytes +
                  kByBytes + std::string_view("2026-11-24T14:03:11Z").size() <=
              kCommentBytes);
constexpr char kShortened = '~';

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/// Stands for itself in a value. % and + are in the alphabet too, but mean something.
bool is_plain(char c) {
  return is_alphanumeric(c) || std::string_view("_.:/=@,~-").find(c) != std::string_view::npos;
}

bool starts_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;  // not a UTF-8 continuation
}

/// At most `room` bytes; cut between two characters, never inside a %XX. Empty: nothing fits.
std::string encode_value(std::string_view text, std::size_t room) {
  std::string encoded;
  std::size_t cut = 0;
  for (const char c : text) {
    if (starts_character(c) && encoded.size() < room) cut = encoded.size();
    if (c == ' ')
      encoded += '+';
    else if (is_plain(c))
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  if (encoded.size() <= room) return encoded;
  if (cut == 0) return {};
  encoded.resize(cut);
  return encoded + kShortened;
}

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

std::optional<std::string> decode_value(std::string_view encoded) {
  std::string text;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] == '%') {
      if (encoded.size() - i < 3) return std::nullopt;
      const auto high = hex_digit(encoded[i + 1]);
      const auto low = hex_digit(encoded[i + 2]);
      if (!high || !low) return std::nullopt;
      text += static_cast<char>(*high * 16 + *low);
      i += 2;
    } else {
      text += encoded[i] == '+' ? ' ' : encoded[i];
    }
  }
  // One spelling for each text: this refuses bytes outside the alphabet, and needless escapes.
  if (encode_value(text, kCommentBytes) != encoded) return std::nullopt;
  return text;
}

/// Appends " key=value" if as much of the value fits as `room` allows, else nothing.
bool append(std::string& comment, std::string_view key, std::string_view value,
            std::size_t room = kCommentBytes) {
  const std::size_t taken = comment.size() + key.size() + std::string_view(" =").size();
  if (taken >= kCommentBytes) return false;
  const std::string encoded = encode_value(value, std::min(room, kCommentBytes - taken));
  if (encoded.empty()) return false;
  comment += fmt::format(" {}={}", key, encoded);
  return true;
}

/// A count that was shortened would be another count.
bool append_count(std::string& comment, std::string_view key, std::uint32_t count) {
  if (count == 0) return true;
  const std::string field = fmt::format(" {}={}", key, count);
  if (comment.size() + field.size() > kCommentBytes) return false;
  comment += field;
  return true;
}

bool is_date(std::string_view date) {
  const auto time = parse_rfc3339(std::string(date) + "T00:00:00Z");
  return time && date_text(*time) == date;
}

bool is_key(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(),
                                     [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

}  // namespace

std::string encode_comment(const Decision& decision) {
  std::string_view by = decision.by;
  if (decision.origin == Origin::automatic || by.empty()) by = to_string(decision.origin);

  std::string comment = std::string(kHead) + date_text(decision.since);
  append(comment, "id", decision.id(), kIdBytes);
  append(comment, "by", by, kByBytes);
  append(comment, "until", decision.until ? rfc3339(*decision.until) : "forever");
  if (const auto& counted = decision.evidence) {
    const bool all = append_count(comment, "conns", counted->syns) &&
                     append_count(comment, "servers", counted->networks) &&
                     append_count(comment, "answered", counted->answered);
    if (!all) return comment;
    // Whole or not at all, as the counts: "8/8", "10.0".
    append(comment, "nomail", fmt::format("{}/{}", counted->no_message, counted->finished));
    append(comment, "score", score_text(counted->score_256ths));
  }
  append(comment, "reason", decision.reason);
  return comment;
}

std::optional<std::string_view> CommentFields::value(std::string_view key) const {
  for (const auto& [name, text] : values)
    if (name == key) return text;
  return std::nullopt;
}

std::optional<CommentFields> decode_comment(std::string_view comment) {
  if (comment.size() > kCommentBytes || !comment.starts_with(kHead)) return std::nullopt;
  comment.remove_prefix(kHead.size());

  CommentFields fields;
  fields.date = comment.substr(0, kDateBytes);
  if (!is_date(fields.date)) return std::nullopt;
  comment.remove_prefix(kDateBytes);

  while (!comment.empty()) {
    if (comment.front() != ' ') return std::nullopt;
    comment.remove_prefix(1);
    const std::string_view field = comment.substr(0, comment.find(' '));
    comment.remove_prefix(field.size());

    const auto equals = field.find('=');
    if (equals == std::string_view::npos || equals + 1 == field.size()) return std::nullopt;
    const std::string_view key = field.substr(0, equals);
    auto value = decode_value(field.substr(equals + 1));
    if (!is_key(key) || !value || fields.value(key)) return std::nullopt;
    fields.values.emplace_back(key, *std::move(value));
  }
  // Admins write SPAM_ comments by hand, too: only an id makes it one of ours.
  if (fields.values.empty() || fields.values.front().first != "id") return std::nullopt;
  return fields;
}

}  // namespace mailweir
