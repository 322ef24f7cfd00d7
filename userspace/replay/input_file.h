// SPDX-License-Identifier: GPL-2.0-or-later
// The bytes of a file or of standard input, decompressed if gzip made it. Knows no format beyond.
#pragma once

#include <zlib.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace mailweir {

class InputFile {
 public:
  /// "-": standard input. A directory, an empty file and one that cannot be read are errors.
  [[nodiscard]] static Result<InputFile> open(const std::string& path);

  /// As the operator gave it, or "standard input".
  [[nodiscard]] const std::string& name() const { return name_; }
  /// 0: the end.
  [[nodiscard]] Result<std::size_t> read(char* into, std::size_t most);
  /// Up to 64 KiB from the start, without taking them; only before the first read().
  [[nodiscard]] std::string_view beginning() const { return beginning_; }
  /// Of what lies on disk: 0 to 1; 0 where the length is not known.
  [[nodiscard]] double progress() const;
  /// When it was last written; now, for a pipe.
  [[nodiscard]] WallTime modified() const { return modified_; }
  /// What is wrong with the compression, although all could be read that is there.
  [[nodiscard]] std::vector<std::string> notes() const;
  /// It ends before the compressed stream does.
  [[nodiscard]] bool is_cut_off() const { return is_cut_off_; }

 private:
  struct EndInflate {
    void operator()(z_stream* stream) const;
  };

  InputFile(std::string name, UniqueFd fd);
  [[nodiscard]] Result<> look();
  [[nodiscard]] Result<> read_beginning();
  [[nodiscard]] Result<> refill();
  [[nodiscard]] Result<std::size_t> read_plain(char* into, std::size_t most);
  [[nodiscard]] Result<std::size_t> inflate_some(char* into, std::size_t most);
  /// Another gzip stream may follow the one that has ended.
  [[nodiscard]] Result<bool> begin_next_stream();

  std::string name_;
  UniqueFd fd_;
  std::uint64_t size_ = 0;  ///< 0: not known
  std::uint64_t taken_ = 0;
  WallTime modified_;
  std::vector<char> raw_;
  std::string_view left_;  ///< of raw_
  std::string beginning_;
  std::size_t beginning_taken_ = 0;
  std::unique_ptr<z_stream, EndInflate> inflate_;
  bool is_between_streams_ = false;
  bool is_cut_off_ = false;
  bool has_trailer_ = false;
};

/// The lines of a text, without their ends.
class LineReader {
 public:
  explicit LineReader(InputFile file) : file_(std::move(file)), buffer_(kBufferBytes) {}

  /// False: the end. `line` is valid until the next call. What exceeds 1 MiB is cut off.
  [[nodiscard]] Result<bool> next(std::string_view& line);
  [[nodiscard]] std::uint64_t number() const { return number_; }  ///< of that line, from 1
  /// That line is the last one, and no newline follows: it may be cut off.
  [[nodiscard]] bool is_unfinished() const { return is_unfinished_; }
  [[nodiscard]] const InputFile& file() const { return file_; }

 private:
  static constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

  InputFile file_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::uint64_t number_ = 0;
  bool is_at_end_ = false;
  bool is_unfinished_ = false;
  bool is_skipping_ = false;  ///< the rest of a line that was too long
};

/// Of UTF-8, which some editors put in front.
[[nodiscard]] std::string_view without_byte_order_mark(std::string_view text);

/// "1 frame", "15 frames".
[[nodiscard]] std::string counted(std::uint64_t number, std::string_view singular,
                                  std::string_view plural);

}  // namespace mailweir
