// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/capture.h"

#include <pcap/pcap.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "replay/link_layer.h"
#include "replay/reorder.h"

namespace mailweir {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr std::string_view kMagics[] = {
    "\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1",  // pcap, microseconds
    "\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1",  // nanoseconds
    "\xa1\xb2\xcd\x34", "\x34\xcd\xb2\xa1",  // with Kuznetzov's additions
    "\x0a\x0d\x0d\x0a",                      // pcapng
};
constexpr std::size_t kStreamBytes = std::size_t{256} << 10;
/// WallTime lasts until 2262.
constexpr std::int64_t kLastSecond = 9'000'000'000;
constexpr std::int64_t kWrap = std::int64_t{1} << 32;
constexpr std::int64_t kNanosecondsOfOne = 1'000'000'000;

struct ClosePcap {
  void operator()(pcap_t* pcap) const { ::pcap_close(pcap); }
};
struct CloseFile {
  void operator()(std::FILE* file) const { (void)std::fclose(file); }
};

/// libpcap reads from a FILE. This one has the decompressed bytes, and keeps what went wrong.
class Source {
 public:
  explicit Source(InputFile file) : file_(std::move(file)) {}

  [[nodiscard]] std::unique_ptr<std::FILE, CloseFile> stream() {
    const cookie_io_functions_t functions{.read = read};
    std::unique_ptr<std::FILE, CloseFile> stream(::fopencookie(this, "r", functions));
    if (stream) (void)std::setvbuf(stream.get(), nullptr, _IOFBF, kStreamBytes);
    return stream;
  }
  [[nodiscard]] const InputFile& file() const { return file_; }
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }
  /// More was asked for than there is.
  [[nodiscard]] bool is_exhausted() const { return is_exhausted_; }

 private:
  static ssize_t read(void* cookie, char* into, std::size_t most) {
    auto* source = static_cast<Source*>(cookie);
    const auto got = source->file_.read(into, most);
    if (!got) {
      source->failure_ = got.error();
      errno = EIO;
      return -1;
    }
    source->is_exhausted_ = *got == 0;
    return static_cast<ssize_t>(*got);
  }

  InputFile file_;
  std::optional<Error> failure_;
  bool is_exhausted_ = false;
};

/// What libpcap says, in the operator's words where an operator will meet it.
std::string in_words(std::string_view said) {
  if (said.starts_with("an interface has a type"))
    return "its interfaces have different link types, which libpcap does not read: split it by "
           "interface (tshark -r FILE -Y frame.interface_id==0 -w ONE)";
  if (said.starts_with("an interface has a snapshot length"))
    return "its interfaces have different snap lengths, which libpcap does not read: split it by "
           "interface (tshark -r FILE -Y frame.interface_id==0 -w ONE)";
  return std::string(said);
}

std::string link_name(int datalink) {
  const char* name = ::pcap_datalink_val_to_name(datalink);
  const char* description = ::pcap_datalink_val_to_description(datalink);
  if (name == nullptr) return std::to_string(datalink);
  return std::string(name) + (description != nullptr ? " (" + std::string(description) + ")" : "");
}

class CaptureReader final : public FrameReader {
 public:
  explicit CaptureReader(InputFile file) : source_(std::move(file)) {}

  [[nodiscard]] Result<> start();
  [[nodiscard]] Result<bool> next(ReplayFrame& frame) override;
  [[nodiscard]] std::vector<std::string> notes() const override;
  [[nodiscard]] double progress() const override {
    return is_at_end_ && buffer_.is_empty() ? 1 : source_.file().progress();
  }
  [[nodiscard]] bool knows_outcomes() const override { return true; }

 private:
  [[nodiscard]] const std::string& name() const { return source_.file().name(); }
  [[nodiscard]] Error failed_to_open(std::string_view said) const;
  /// One record into the buffer; or the end is noticed.
  [[nodiscard]] Result<> read_record();
  [[nodiscard]] Result<> note_end(int code);
  [[nodiscard]] WallTime time_of(const timeval& stamp);

  Source source_;
  std::unique_ptr<pcap_t, ClosePcap> pcap_;  // ends before the source does
  Unwrap unwrap_ = nullptr;
  ReorderBuffer buffer_;
  ReplayFrame frame_;
  std::uint64_t records_ = 0;
  std::uint64_t not_ip_ = 0;
  std::uint64_t untimed_ = 0;
  WallTime last_;
  std::optional<Error> failed_;  ///< told when the frames before it are
  bool is_at_end_ = false;
  bool is_cut_off_ = false;
};

Error CaptureReader::failed_to_open(std::string_view said) const {
  if (source_.failure()) return *source_.failure();
  if (source_.is_exhausted())
    return {0, name() + " is cut off within its header: there is no frame in it"};
  return {0, "read " + name() + ": " + in_words(said)};
}

Result<> CaptureReader::start() {
  auto stream = source_.stream();
  if (!stream) return sys_error(errno, "read " + name());
  char said[PCAP_ERRBUF_SIZE] = {};
  pcap_.reset(
      ::pcap_fopen_offline_with_tstamp_precision(stream.get(), PCAP_TSTAMP_PRECISION_NANO, said));
  if (!pcap_) return failed_to_open(said);
  (void)stream.release();  // libpcap closes it

  const int datalink = ::pcap_datalink(pcap_.get());
  unwrap_ = unwrap_of(datalink);
  if (unwrap_ == nullptr)
    return Error{EINVAL, name() + ": link type " + link_name(datalink) +
                             " is not supported; supported are " + supported_links()};
  if (auto first = read_record(); !first) return first;
  if (records_ > 0) return Ok{};
  return Error{0, name() + (is_cut_off_ ? " is cut off within its first frame"
                                        : " is a capture without a frame")};
}

Result<bool> CaptureReader::next(ReplayFrame& frame) {
  while (!is_at_end_ && !buffer_.is_due())
    if (auto read = read_record(); !read) failed_ = std::move(read).error();
  if (!buffer_.is_empty()) {
    buffer_.take(frame);
    return true;
  }
  if (failed_) return *failed_;
  return false;
}

Result<> CaptureReader::read_record() {
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  const int code = ::pcap_next_ex(pcap_.get(), &header, &bytes);
  if (code != 1) return note_end(code);
  ++records_;
  frame_.time = time_of(header->ts);
  if (unwrap_({bytes, header->caplen}, frame_))
    buffer_.put(frame_);
  else
    ++not_ip_;
  return Ok{};
}

/// Whoever stops a capture by force leaves half a record: no error.
Result<> CaptureReader::note_end(int code) {
  is_at_end_ = true;
  if (code == PCAP_ERROR_BREAK) return Ok{};
  if (source_.failure()) return *source_.failure();
  if (source_.is_exhausted()) {
    is_cut_off_ = true;
    return Ok{};
  }
  return Error{0, "read " + name() + ", frame " + std::to_string(records_ + 1) + ": " +
                      in_words(::pcap_geterr(pcap_.get()))};
}

/// tv_usec has nanoseconds, as was asked for. A simple packet block of pcapng has no time at all.
WallTime CaptureReader::time_of(const timeval& stamp) {
  // pcap has 32 bits, which libpcap takes as signed: from 2038 on they look negative.
  const std::int64_t whole = stamp.tv_sec < 0 ? stamp.tv_sec + kWrap : stamp.tv_sec;
  const bool is_none = whole == 0 && stamp.tv_usec == 0 && last_ != WallTime{};
  if (is_none || whole < 0 || whole > kLastSecond || stamp.tv_usec < 0 ||
      stamp.tv_usec >= kNanosecondsOfOne) {
    ++untimed_;
    return last_;
  }
  last_ = WallTime(seconds(whole) + nanoseconds(stamp.tv_usec));
  return last_;
}

std::vector<std::string> CaptureReader::notes() const {
  std::vector<std::string> notes = source_.file().notes();
  if (is_cut_off_)
    notes.push_back(name() + " ends in the middle of frame " + std::to_string(records_ + 1) +
                    ": cut off");
  if (not_ip_ > 0)
    notes.push_back(name() + ": " + counted(not_ip_, "packet is", "packets are") +
                    " not IP: left out");
  if (buffer_.reordered() > 0)
    notes.push_back(name() + ": " + counted(buffer_.reordered(), "frame", "frames") +
                    " stood behind a later one: put in order");
  if (buffer_.late() > 0)
    notes.push_back(name() + ": " + counted(buffer_.late(), "frame", "frames") +
                    " came too late to be put in order: given the time of the frame before");
  if (untimed_ > 0)
    notes.push_back(name() + ": " + counted(untimed_, "frame has", "frames have") +
                    " no usable time: given the time of the frame before");
  return notes;
}

}  // namespace

bool is_capture(std::string_view beginning) {
  return std::ranges::any_of(kMagics,
                             [&](std::string_view magic) { return beginning.starts_with(magic); });
}

Result<std::unique_ptr<FrameReader>> open_capture(InputFile file) {
  auto reader = std::make_unique<CaptureReader>(std::move(file));
  if (auto started = reader->start(); !started) return std::move(started).error();
  return std::unique_ptr<FrameReader>(std::move(reader));
}

}  // namespace mailweir
