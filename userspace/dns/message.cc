// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/message.h"

#include <ares.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "dns/name.h"

namespace mailweir {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr int kLongestAliasChain = 16;

/// Steps over a message; every step is checked against its end.
class Reader {
 public:
  explicit Reader(std::span<const unsigned char> bytes) : bytes_(bytes) {}

  std::optional<std::uint16_t> u16() {
    if (bytes_.size() - at_ < 2) return std::nullopt;
    const unsigned value = bytes_[at_] << 8U | bytes_[at_ + 1];
    at_ += 2;
    return static_cast<std::uint16_t>(value);
  }
  std::optional<std::uint32_t> u32() {
    const auto high = u16();
    const auto low = u16();
    if (!high || !low) return std::nullopt;
    return static_cast<std::uint32_t>(*high) << 16 | *low;
  }
  std::optional<std::string> name() {
    char* text = nullptr;
    long length = 0;
    if (at_ >= bytes_.size() ||
        ares_expand_name(bytes_.data() + at_, bytes_.data(), static_cast<int>(bytes_.size()), &text,
                         &length) != ARES_SUCCESS)
      return std::nullopt;
    const std::unique_ptr<char, decltype(&ares_free_string)> owned(
        text, [](void* string) { ares_free_string(string); });
    at_ += static_cast<std::size_t>(length);
    return canonical_name(text);
  }
  std::span<const unsigned char> take(std::size_t count) {
    const auto taken = bytes_.subspan(at_, std::min(count, bytes_.size() - at_));
    at_ += taken.size();
    return taken;
  }
  void go_to(std::size_t at) { at_ = std::min(at, bytes_.size()); }
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

 private:
  std::span<const unsigned char> bytes_;
  std::size_t at_ = 0;
};

/// False: it is broken.
bool read_value(Reader& reader, std::size_t length, Record& record) {
  const auto read_name = [&reader](std::string& into) {
    auto name = reader.name();
    if (name) into = std::move(*name);
    return name.has_value();
  };
  switch (record.type) {
    case RecordType::ns:
    case RecordType::cname:
    case RecordType::ptr:
      return read_name(record.target);
    case RecordType::soa: {
      std::string mailbox;
      if (!read_name(record.target) || !read_name(mailbox)) return false;
      const auto serial = reader.u32();
      record.serial = serial.value_or(0);
      return serial.has_value();
    }
    case RecordType::a:
    case RecordType::aaaa: {
      const std::size_t wanted = record.type == RecordType::a ? 4 : 16;
      const auto bytes = reader.take(length);
      if (length != wanted || bytes.size() != wanted) return false;
      if (wanted == 4) record.address.bytes[10] = record.address.bytes[11] = 0xff;
      std::ranges::copy(bytes, record.address.bytes + 16 - wanted);
      return true;
    }
  }
  return true;
}

bool is_known(std::uint16_t type) {
  constexpr std::uint16_t kKnown[] = {1, 2, 5, 6, 12, 28};
  return std::ranges::find(kKnown, type) != std::end(kKnown);
}

bool read_records(Reader& reader, unsigned count, std::vector<Record>& into) {
  for (unsigned i = 0; i < count; ++i) {
    auto owner = reader.name();
    const auto type = reader.u16();
    const auto dns_class = reader.u16();
    const auto ttl = reader.u32();
    const auto length = reader.u16();
    if (!owner || !type || !dns_class || !ttl || !length || reader.left() < *length) return false;
    const std::size_t end = reader.at() + *length;
    if (*dns_class == 1 && is_known(*type)) {
      Record record{.owner = std::move(*owner), .type = static_cast<RecordType>(*type)};
      if (!read_value(reader, *length, record) || reader.at() > end) return false;
      into.push_back(std::move(record));
    }
    reader.go_to(end);
  }
  return true;
}

}  // namespace

Result<Message> parse_message(std::span<const unsigned char> bytes) {
  const Error broken{EBADMSG, "a broken answer"};
  if (bytes.size() < kHeaderBytes) return broken;
  Reader reader(bytes);
  reader.go_to(2);
  const unsigned flags = reader.u16().value_or(0);
  const unsigned questions = reader.u16().value_or(0);
  const unsigned answers = reader.u16().value_or(0);
  const unsigned authority = reader.u16().value_or(0);
  reader.go_to(kHeaderBytes);
  Message message;
  message.rcode = static_cast<Rcode>(flags & 0xf);
  message.authoritative = (flags & 0x0400) != 0;
  for (unsigned i = 0; i < questions; ++i)
    if (!reader.name() || !reader.u32()) return broken;
  if (!read_records(reader, answers, message.answers) ||
      !read_records(reader, authority, message.authority))
    return broken;
  return message;
}

std::string to_string(Rcode rcode) {
  switch (rcode) {
    case Rcode::no_error:
      return "NOERROR";
    case Rcode::serv_fail:
      return "SERVFAIL";
    case Rcode::nx_domain:
      return "NXDOMAIN";
    case Rcode::refused:
      return "REFUSED";
  }
  return "RCODE " + std::to_string(static_cast<int>(rcode));
}

std::string end_of_aliases(const Message& message, const std::string& name) {
  std::string at = name;
  for (int step = 0; step < kLongestAliasChain; ++step) {
    const auto alias = std::ranges::find_if(message.answers, [&at](const Record& record) {
      return record.type == RecordType::cname && record.owner == at;
    });
    if (alias == message.answers.end()) break;
    at = alias->target;
  }
  return at;
}

std::vector<Record> answers_about(const Message& message, const std::string& owner,
                                  RecordType type) {
  std::vector<Record> found;
  for (const Record& record : message.answers)
    if (record.owner == owner && record.type == type) found.push_back(record);
  return found;
}

}  // namespace mailweir
