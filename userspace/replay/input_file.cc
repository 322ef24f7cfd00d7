// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

namespace mailweir {
namespace {

constexpr std::size_t kRawBytes = std::size_t{256} << 10;
constexpr std::size_t kBeginningBytes = std::size_t{64} << 10;
constexpr std::string_view kGzip = "\x1f\x8b";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
/// zlib: the largest window, gzip header and trailer.
constexpr int kGzipWindow = 15 + 16;

}  // namespace

void InputFile::EndInflate::operator()(z_stream* stream) const {
  ::inflateEnd(stream);
  delete stream;
}

InputFile::InputFile(std::string name, UniqueFd fd)
    : name_(std::move(name)), fd_(std::move(fd)), raw_(kRawBytes) {}

Result<InputFile> InputFile::open(const std::string& path) {
  const bool is_stdin = path == "-";
  UniqueFd fd(is_stdin ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                       : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return sys_error(errno, "open " + (is_stdin ? "standard input" : path));
  InputFile file(is_stdin ? "standard input" : path, std::move(fd));
  if (auto looked = file.look(); !looked) return std::move(looked).error();
  return file;
}

Result<> InputFile::look() {
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) return sys_error(errno, "open " + name_);
  if (S_ISDIR(status.st_mode)) return sys_error(EISDIR, "open " + name_);
  modified_ = std::chrono::system_clock::now();
  if (S_ISREG(status.st_mode)) {
    size_ = static_cast<std::uint64_t>(status.st_size);
    modified_ = WallTime(std::chrono::seconds(status.st_mtim.tv_sec));
  }
  if (auto filled = refill(); !filled) return filled;
  // A pipe may give its first bytes one by one.
  while (left_.size() == 1) {
    const char first = left_[0];
    const auto more = ::read(fd_.get(), raw_.data() + 1, kRawBytes - 1);
    if (more < 0) return sys_error(errno, "read " + name_);
    if (more == 0) break;
    raw_[0] = first;
    left_ = {raw_.data(), static_cast<std::size_t>(more) + 1};
    taken_ += static_cast<std::uint64_t>(more);
  }
  if (left_.empty()) return Error{0, name_ + " is empty"};
  if (left_.starts_with(kGzip)) {
    auto stream = std::make_unique<z_stream>();
    if (::inflateInit2(stream.get(), kGzipWindow) != Z_OK)
      return sys_error(ENOMEM, "decompress " + name_);
    inflate_.reset(stream.release());
  }
  return read_beginning();
}

Result<> InputFile::read_beginning() {
  std::string beginning(kBeginningBytes, '\0');
  std::size_t have = 0;
  while (have < kBeginningBytes) {
    const auto got = read(beginning.data() + have, kBeginningBytes - have);
    if (!got) return got.error();
    if (*got == 0) break;
    have += *got;
  }
  beginning.resize(have);
  beginning_ = std::move(beginning);
  if (beginning_.empty())
    return Error{0, name_ + (is_cut_off_ ? " is cut off before its first byte" : " is empty")};
  return Ok{};
}

/// The next bytes as they lie on disk; none at the end.
Result<> InputFile::refill() {
  for (;;) {
    const auto got = ::read(fd_.get(), raw_.data(), raw_.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error(errno, "read " + name_);
    taken_ += static_cast<std::uint64_t>(got);
    left_ = {raw_.data(), static_cast<std::size_t>(got)};
    return Ok{};
  }
}

Result<std::size_t> InputFile::read(char* into, std::size_t most) {
  if (beginning_taken_ < beginning_.size()) {
    const std::size_t taken = std::min(most, beginning_.size() - beginning_taken_);
    std::copy_n(beginning_.data() + beginning_taken_, taken, into);
    beginning_taken_ += taken;
    return taken;
  }
  return inflate_ ? inflate_some(into, most) : read_plain(into, most);
}

Result<std::size_t> InputFile::read_plain(char* into, std::size_t most) {
  if (left_.empty())
    if (auto filled = refill(); !filled) return std::move(filled).error();
  const std::size_t taken = std::min(most, left_.size());
  std::copy_n(left_.data(), taken, into);
  left_.remove_prefix(taken);
  return taken;
}

Result<bool> InputFile::begin_next_stream() {
  if (left_.empty())
    if (auto filled = refill(); !filled) return std::move(filled).error();
  if (left_.empty()) return false;
  // As gzip itself does: padding by zeros is nothing, anything else is ignored and told.
  if (left_[0] != kGzip[0]) {
    has_trailer_ = left_[0] != '\0';
    return false;
  }
  ::inflateReset(inflate_.get());
  is_between_streams_ = false;
  return true;
}

Result<std::size_t> InputFile::inflate_some(char* into, std::size_t most) {
  for (;;) {
    if (is_cut_off_ || has_trailer_) return std::size_t{0};
    if (is_between_streams_) {
      const auto begun = begin_next_stream();
      if (!begun) return begun.error();
      if (!*begun) return std::size_t{0};
    }
    if (left_.empty())
      if (auto filled = refill(); !filled) return std::move(filled).error();
    const bool is_at_end = left_.empty();

    inflate_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(left_.data()));
    inflate_->avail_in = static_cast<uInt>(left_.size());
    inflate_->next_out = reinterpret_cast<Bytef*>(into);
    inflate_->avail_out = static_cast<uInt>(std::min<std::size_t>(most, kBeginningBytes));
    const uInt room = inflate_->avail_out;
    const int code = ::inflate(inflate_.get(), Z_NO_FLUSH);
    left_.remove_prefix(left_.size() - inflate_->avail_in);
    const std::size_t got = room - inflate_->avail_out;

    if (code == Z_STREAM_END)
      is_between_streams_ = true;
    else if (code != Z_OK && code != Z_BUF_ERROR)
      return Error{
          0, "decompress " + name_ + ": " + (inflate_->msg != nullptr ? inflate_->msg : "damaged")};
    else if (is_at_end && got == 0)
      is_cut_off_ = true;
    if (got > 0) return got;
  }
}

double InputFile::progress() const {
  if (size_ == 0) return 0;
  const std::uint64_t done = taken_ - std::min<std::uint64_t>(taken_, left_.size());
  return std::min(1.0, static_cast<double>(done) / static_cast<double>(size_));
}

std::vector<std::string> InputFile::notes() const {
  if (is_cut_off_) return {name_ + " ends before its compression does: cut off"};
  if (has_trailer_) return {name_ + ": what follows the compressed part was ignored"};
  return {};
}

Result<bool> LineReader::next(std::string_view& line) {
  std::size_t searched = begin_;
  for (;;) {
    const char* const from = buffer_.data() + searched;
    const auto* newline = static_cast<const char*>(std::memchr(from, '\n', end_ - searched));
    if (newline == nullptr && !is_at_end_ && end_ - begin_ < buffer_.size()) {
      std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
                buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
      end_ -= begin_;
      searched = end_;
      begin_ = 0;
      const auto got = file_.read(buffer_.data() + end_, buffer_.size() - end_);
      if (!got) return got.error();
      end_ += *got;
      is_at_end_ = *got == 0;
      continue;
    }
    if (newline == nullptr && begin_ == end_) return false;
    const std::size_t stop =
        newline != nullptr ? static_cast<std::size_t>(newline - buffer_.data()) : end_;
    line = {buffer_.data() + begin_, stop - begin_};
    begin_ = newline != nullptr ? stop + 1 : stop;
    const bool is_rest = std::exchange(is_skipping_, newline == nullptr && !is_at_end_);
    if (is_rest) {
      searched = begin_;
      continue;
    }
    ++number_;
    if (number_ == 1) line = without_byte_order_mark(line);
    is_unfinished_ = newline == nullptr && is_at_end_;
    if (line.ends_with('\r')) line.remove_suffix(1);
    return true;
  }
}

std::string_view without_byte_order_mark(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return text;
}

std::string counted(std::uint64_t number, std::string_view singular, std::string_view plural) {
  return std::to_string(number) + " " + std::string(number == 1 ? singular : plural);
}

}  // namespace mailweir
