// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/master_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <tuple>

#include "dns/name.h"

namespace mailweir {
namespace {

/// One entry, whatever lines it is spread over.
struct Entry {
  unsigned line = 0;
  bool same_owner = false;  ///< it begins with a blank
  std::vector<std::string> words;
};

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return result;
}

std::optional<std::uint32_t> whole(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// "3600", "1h", "1W2D".
bool is_ttl(std::string_view word) {
  return !word.empty() && word[0] >= '0' && word[0] <= '9' &&
         word.find_first_not_of("0123456789smhdwSMHDW") == std::string_view::npos;
}

/// Cuts the text into entries: comments, quotes and parentheses are gone after it.
class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  Result<std::vector<Entry>> split() {
    for (; at_ < text_.size(); ++at_) {
      if (auto stepped = step(text_[at_]); !stepped) return std::move(stepped).error();
    }
    if (depth_ > 0) return wrong("a '(' is not closed");
    end_entry();
    return std::move(entries_);
  }

 private:
  Result<> step(char c) {
    if (c == '"') return quoted();
    if (c == ';') {
      end_word();
      at_ = std::min(text_.find('\n', at_), text_.size()) - 1;
    } else if (c == '(') {
      end_word();
      ++depth_;
    } else if (c == ')') {
      end_word();
      if (--depth_ < 0) return wrong("a ')' without its '('");
    } else if (c == '\n') {
      ++line_;
      end_word();
      if (depth_ == 0) end_entry();
    } else if (c == ' ' || c == '\t' || c == '\r') {
      if (entry_.words.empty() && word_.empty() && depth_ == 0) entry_.same_owner = true;
      end_word();
    } else {
      if (entry_.words.empty() && word_.empty()) entry_.line = line_;
      word_ += c;
      if (c == '\\' && at_ + 1 < text_.size()) word_ += text_[++at_];
    }
    return Ok{};
  }

  Result<> quoted() {
    const auto end = text_.find('"', at_ + 1);
    if (end == std::string_view::npos) return wrong("a '\"' is not closed");
    word_ += text_.substr(at_, end - at_ + 1);
    line_ += static_cast<unsigned>(std::ranges::count(text_.substr(at_, end - at_), '\n'));
    at_ = end;
    return Ok{};
  }

  void end_word() {
    if (!word_.empty()) entry_.words.push_back(std::move(word_));
    word_.clear();
  }
  void end_entry() {
    end_word();
    if (!entry_.words.empty()) entries_.push_back(std::move(entry_));
    entry_ = {};
  }
  [[nodiscard]] Error wrong(std::string_view what) const {
    return {EINVAL, std::to_string(line_) + ": " + std::string(what)};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  unsigned line_ = 1;
  int depth_ = 0;
  std::string word_;
  Entry entry_;
  std::vector<Entry> entries_;
};

/// "$" and "${OFFSET,WIDTH,BASE}" of a $GENERATE line.
std::string filled(std::string_view pattern, std::uint32_t number) {
  std::string text;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size() && pattern[i + 1] == '$') {
      text += pattern[++i];
      continue;
    }
    if (pattern[i] != '$') {
      text += pattern[i];
      continue;
    }
    long offset = 0;
    int width = 0;
    char base = 'd';
    if (i + 1 < pattern.size() && pattern[i + 1] == '{') {
      const std::size_t end = std::min(pattern.find('}', i), pattern.size() - 1);
      const std::string inside(pattern.substr(i + 2, end - i - 2));
      (void)std::sscanf(inside.c_str(), "%ld,%d,%c", &offset, &width, &base);
      i = end;
    }
    std::array<char, 64> digits{};
    const auto value = static_cast<std::uint32_t>(number + offset);
    const char* form = base == 'x' ? "%0*x" : base == 'X' ? "%0*X" : base == 'o' ? "%0*o" : "%0*u";
    std::snprintf(digits.data(), digits.size(), form, std::clamp(width, 0, 40), value);
    text += digits.data();
  }
  return text;
}

class Parser {
 public:
  explicit Parser(const std::string& origin) : origin_(canonical_name(origin)) {}

  Result<ZoneFile> parse(std::string_view text) {
    auto entries = Splitter(text).split();
    if (!entries) return std::move(entries).error();
    for (Entry& entry : *entries)
      if (auto taken = take(entry); !taken)
        return std::move(taken).error().in(std::to_string(entry.line));
    std::ranges::sort(file_.records);
    file_.records.erase(std::unique(file_.records.begin(), file_.records.end()),
                        file_.records.end());
    return std::move(file_);
  }

 private:
  Result<> take(Entry& entry) {
    auto& words = entry.words;
    if (words[0][0] != '$') return record(entry);
    const std::string directive = upper(words[0]);
    if (directive == "$TTL") return Ok{};
    if (directive == "$GENERATE") return generate(words);
    if (directive != "$ORIGIN" || words.size() < 2)
      return Error{EINVAL, "'" + words[0] + "' is not followed; put all into one file"};
    origin_ = absolute(words[1]);
    return Ok{};
  }

  Result<> generate(const std::vector<std::string>& words) {
    const Error wrong{EINVAL,
                      "$GENERATE is not understood: it has the form FIRST-LAST[/STEP] "
                      "OWNER TYPE VALUE"};
    if (words.size() < 5) return wrong;
    const std::string_view range = words[1];
    const auto dash = range.find('-');
    const auto slash = std::min(range.find('/'), range.size());
    if (dash == std::string_view::npos || slash < dash) return wrong;
    const auto first = whole(range.substr(0, dash));
    const auto last = whole(range.substr(dash + 1, slash - dash - 1));
    const auto step = slash == range.size() ? 1 : whole(range.substr(slash + 1)).value_or(0);
    if (!first || !last || step == 0 || *last > 65535) return wrong;
    for (std::uint32_t i = *first; i <= *last; i += step) {
      Entry entry;
      for (std::size_t w = 2; w < words.size(); ++w) entry.words.push_back(filled(words[w], i));
      if (auto taken = record(entry); !taken) return taken;
    }
    return Ok{};
  }

  Result<> record(const Entry& entry) {
    std::size_t at = 0;
    if (!entry.same_owner) owner_ = absolute(entry.words[at++]);
    while (at < entry.words.size() && (is_ttl(entry.words[at]) || upper(entry.words[at]) == "IN"))
      ++at;
    if (at >= entry.words.size()) return Error{EINVAL, "no type of record"};
    ZoneRecord record{owner_, upper(entry.words[at++]), ""};
    std::vector<std::string> value(entry.words.begin() + static_cast<std::ptrdiff_t>(at),
                                   entry.words.end());
    if (value.empty()) return Error{EINVAL, record.type + " without a value"};
    if (record.type == "SOA") {
      if (auto taken = soa(value); !taken) return taken;
    }
    const bool is_name = record.type == "NS" || record.type == "PTR" || record.type == "CNAME" ||
                         record.type == "MX";
    if (is_name) value.back() = absolute(value.back()) + ".";
    for (const std::string& word : value) record.value += (record.value.empty() ? "" : " ") + word;
    file_.records.push_back(std::move(record));
    return Ok{};
  }

  /// Takes the serial out.
  Result<> soa(std::vector<std::string>& value) {
    if (value.size() != 7) return Error{EINVAL, "SOA has 7 values"};
    file_.serial = whole(value[2]);
    if (!file_.serial) return Error{EINVAL, "'" + value[2] + "' is no serial"};
    file_.zone = owner_;
    value.erase(value.begin() + 2);
    value[0] = absolute(value[0]) + ".";
    value[1] = absolute(value[1]) + ".";
    return Ok{};
  }

  [[nodiscard]] std::string absolute(const std::string& name) const {
    if (name == "@") return origin_;
    if (name.ends_with('.') || origin_.empty()) return canonical_name(name);
    return canonical_name(name) + "." + origin_;
  }

  std::string origin_;
  std::string owner_;
  ZoneFile file_;
};

/// From the right, numbers by value: 9.100.51.198 before 10.100.51.198.
bool goes_before(const ZoneRecord& a, const ZoneRecord& b) {
  const auto left = labels_of(a.owner);
  const auto right = labels_of(b.owner);
  const auto label_before = [](std::string_view x, std::string_view y) {
    const auto number_x = whole(x);
    const auto number_y = whole(y);
    return number_x && number_y ? *number_x < *number_y : x < y;
  };
  if (a.owner == b.owner) return std::tie(a.type, a.value) < std::tie(b.type, b.value);
  return std::lexicographical_compare(left.rbegin(), left.rend(), right.rbegin(), right.rend(),
                                      label_before);
}

}  // namespace

Result<ZoneFile> parse_zone(std::string_view text, const std::string& origin) {
  return Parser(origin).parse(text);
}

std::vector<std::string> zone_diff(const ZoneFile& before, const ZoneFile& after) {
  std::vector<std::pair<ZoneRecord, char>> changes;
  for (const ZoneRecord& record : before.records)
    if (!std::ranges::binary_search(after.records, record)) changes.emplace_back(record, '-');
  for (const ZoneRecord& record : after.records)
    if (!std::ranges::binary_search(before.records, record)) changes.emplace_back(record, '+');
  std::ranges::sort(changes, [](const auto& a, const auto& b) {
    if (a.first.owner == b.first.owner && a.second != b.second) return a.second == '-';
    return goes_before(a.first, b.first);
  });
  std::vector<std::string> lines;
  for (const auto& [record, sign] : changes)
    lines.push_back(std::string(1, sign) + " " + record.owner + ". " + record.type + " " +
                    record.value);
  return lines;
}

}  // namespace mailweir
