// SPDX-License-Identifier: GPL-2.0-or-later
// Recordings of a test, in a directory of their own; and the headers of the frames that come out.
#pragma once

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "local_zone.h"
#include "replay/frames.h"

namespace mailweir {

/// 2026-11-24T14:03:08Z
inline constexpr WallTime kRecorded{std::chrono::seconds(1795528988)};

inline std::string gzipped(std::string_view text) {
  z_stream stream{};
  EXPECT_EQ(::deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(::deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  ::deflateEnd(&stream);
  return packed;
}

class RecordedFiles {
 public:
  RecordedFiles() {
    std::string name =
        (std::filesystem::temp_directory_path() / "mailweir-recorded-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "cannot make " << name;
    root_ = name;
  }
  RecordedFiles(const RecordedFiles&) = delete;
  RecordedFiles& operator=(const RecordedFiles&) = delete;
  ~RecordedFiles() { std::filesystem::remove_all(root_); }

  [[nodiscard]] std::string path(std::string_view name) const { return (root_ / name).string(); }
  std::string write(std::string_view name, std::string_view text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  /// The error without the directory of the test, or "" if the file opens.
  [[nodiscard]] std::string refusal(std::string_view text) const {
    const auto opened = open_frames(write("it", text));
    return opened ? "" : without_root(opened.error().message);
  }
  [[nodiscard]] std::string without_root(std::string text) const {
    const std::string here = root_.string() + "/";
    for (auto at = text.find(here); at != std::string::npos; at = text.find(here))
      text.erase(at, here.size());
    return text;
  }

 private:
  std::filesystem::path root_;
};

/// What a reader gave, to its end.
struct Drained {
  std::vector<ReplayFrame> frames;
  std::vector<std::string> notes;
  std::string error;
  bool is_in_order = true;
};

inline Drained drain(FrameReader& reader) {
  Drained drained;
  ReplayFrame frame;
  for (;;) {
    const auto more = reader.next(frame);
    if (!more) drained.error = more.error().message;
    if (!more || !*more) break;
    if (!drained.frames.empty() && frame.time < drained.frames.back().time)
      drained.is_in_order = false;
    drained.frames.push_back(frame);
  }
  drained.notes = reader.notes();
  return drained;
}

inline Drained drain(const RecordedFiles& files, std::string_view text) {
  const auto reader = open_frames(files.write("it", text));
  if (!reader) return {.error = files.without_root(reader.error().message)};
  Drained drained = drain(**reader);
  for (std::string& note : drained.notes) note = files.without_root(note);
  drained.error = files.without_root(drained.error);
  return drained;
}

/// The headers of a raw IP frame, read without any code of the product.
struct Headers {
  std::string source, destination;
  unsigned source_port = 0, destination_port = 0;
  std::uint32_t seq = 0, ack = 0;
  unsigned flags = 0;
  unsigned ip_bytes = 0;  ///< in all, as the IP header says
  unsigned payload_bytes = 0;

  auto operator<=>(const Headers&) const = default;
};

inline constexpr unsigned kFin = 0x01, kSyn = 0x02, kRst = 0x04, kAck = 0x10;

inline Headers headers_of(const ReplayFrame& frame) {
  Headers headers;
  const auto& b = frame.bytes;
  const auto get16 = [&](std::size_t at) { return unsigned{b.at(at)} << 8 | b.at(at + 1); };
  const auto get32 = [&](std::size_t at) {
    return static_cast<std::uint32_t>(get16(at)) << 16 | get16(at + 2);
  };
  const bool is_v4 = b.at(0) >> 4 == 4;
  char text[INET6_ADDRSTRLEN];
  std::size_t tcp = is_v4 ? std::size_t{4} * (b.at(0) & 15) : 40;
  EXPECT_EQ(b.at(is_v4 ? 9 : 6), IPPROTO_TCP);
  headers.ip_bytes = is_v4 ? get16(2) : 40 + get16(4);
  const int family = is_v4 ? AF_INET : AF_INET6;
  headers.source = ::inet_ntop(family, &b.at(is_v4 ? 12 : 8), text, sizeof(text));
  headers.destination = ::inet_ntop(family, &b.at(is_v4 ? 16 : 24), text, sizeof(text));
  headers.source_port = get16(tcp);
  headers.destination_port = get16(tcp + 2);
  headers.seq = get32(tcp + 4);
  headers.ack = get32(tcp + 8);
  headers.flags = b.at(tcp + 13);
  headers.payload_bytes =
      headers.ip_bytes - static_cast<unsigned>(tcp) - 4U * (b.at(tcp + 12) >> 4);
  return headers;
}

// Capture files, byte by byte.

struct Record {
  std::chrono::nanoseconds at;  ///< since kRecorded
  std::string bytes;
};

/// Numbers in the byte order of whoever wrote the file.
class Writer {
 public:
  explicit Writer(bool is_big_endian = false) : is_big_endian_(is_big_endian) {}
  Writer& u16(std::uint32_t value) { return put(value, 2); }
  Writer& u32(std::uint64_t value) { return put(value, 4); }
  Writer& text(std::string_view bytes) {
    text_ += bytes;
    return *this;
  }
  [[nodiscard]] const std::string& str() const { return text_; }

 private:
  Writer& put(std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i)
      text_ += static_cast<char>(value >> 8 * (is_big_endian_ ? bytes - 1 - i : i));
    return *this;
  }

  bool is_big_endian_;
  std::string text_;
};

struct PcapForm {
  std::uint32_t link = 1;
  bool is_nanoseconds = false;
  bool is_big_endian = false;
};

inline std::string pcap(const std::vector<Record>& records, const PcapForm& form = {}) {
  Writer file(form.is_big_endian);
  file.u32(form.is_nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4).u16(2).u16(4).u32(0).u32(0);
  file.u32(262144).u32(form.link);
  for (const auto& [at, bytes] : records) {
    const auto time = kRecorded.time_since_epoch() + at;
    file.u32(static_cast<std::uint64_t>(time / std::chrono::seconds(1)));
    file.u32(static_cast<std::uint64_t>((time % std::chrono::seconds(1)).count() /
                                        (form.is_nanoseconds ? 1 : 1000)));
    file.u32(bytes.size()).u32(bytes.size()).text(bytes);
  }
  return file.str();
}

inline std::string pcapng_block(std::uint32_t type, std::string body) {
  body.resize((body.size() + 3) / 4 * 4);
  return Writer().u32(type).u32(body.size() + 12).text(body).u32(body.size() + 12).str();
}

struct Interface {
  std::uint32_t link = 1;
  std::uint32_t snap_bytes = 262144;
};

inline std::string pcapng_start() {
  return pcapng_block(0x0a0d0d0a, Writer().u32(0x1a2b3c4d).u16(1).u16(0).u32(~0U).u32(~0U).str());
}
inline std::string pcapng_interface(const Interface& interface) {
  return pcapng_block(1, Writer().u16(interface.link).u16(0).u32(interface.snap_bytes).str());
}
inline std::string pcapng_packet(std::uint32_t interface, const Record& record) {
  const auto us = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                                 kRecorded.time_since_epoch() + record.at)
                                                 .count());
  return pcapng_block(6, Writer()
                             .u32(interface)
                             .u32(us >> 32)
                             .u32(us & 0xffffffff)
                             .u32(record.bytes.size())
                             .u32(record.bytes.size())
                             .text(record.bytes)
                             .str());
}

/// IPv4, TCP from 172.16.7.70:40000 to 198.18.7.25:25, SYN.
inline std::string ip_packet() {
  using namespace std::string_literals;
  return "\x45\x00\x00\x28\x00\x01\x40\x00\x40\x06\x00\x00\xac\x10\x07\x46\xc6\x12\x07\x19"s
         "\x9c\x40\x00\x19\x00\x00\x03\xe8\x00\x00\x00\x00\x50\x02\xff\xff\x00\x00\x00\x00"s;
}
inline std::string ipv6_packet() {
  using namespace std::string_literals;
  return "\x60\x00\x00\x00\x00\x14\x06\x40\x20\x01\x0d\xb8\x00\x01\x00\x02"s +
         "\x00\x00\x00\x00\x00\x00\x00\x05\x20\x01\x0d\xb8\x00\x09\x00\x09"s +
         "\x00\x00\x00\x00\x00\x00\x00\x19"s + ip_packet().substr(20);
}
inline std::string ethernet_frame(const std::string& payload = ip_packet()) {
  using namespace std::string_literals;
  return "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00"s + payload;
}

inline std::string text_of(const std::vector<std::uint8_t>& bytes) {
  return {bytes.begin(), bytes.end()};
}

}  // namespace mailweir
