// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/asker.h"

#include <ares.h>
#include <poll.h>

#include <algorithm>
#include <vector>

namespace mailweir {
namespace {

/// So many questions without one answer in between: four /24 whose servers are gone, asked of a
/// resolver that is there.
constexpr std::size_t kSilentInARow = 1024;
constexpr std::chrono::milliseconds kLongestWait{1000};

struct Library {
  Library() : status(ares_library_init(ARES_LIB_INIT_ALL)) {}
  ~Library() { ares_library_cleanup(); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  int status;
};

Error ares_error(int status, std::string_view what) {
  return {0, std::string(what) + ": " + ares_strerror(status)};
}

std::string silence_of(int status) {
  switch (status) {
    case ARES_ETIMEOUT:
      return "timed out";
    case ARES_ECONNREFUSED:
      return "not reachable";
    case ARES_EBADNAME:
      return "a name that cannot be asked for";
    default:
      return ares_strerror(status);
  }
}

}  // namespace

struct Asker::Question {
  std::string name;
  RecordType type;
  Done done;
  Asker* asker;
  Reply reply;
};

Result<std::unique_ptr<Asker>> Asker::open(const Options& options) {
  static const Library library;
  if (library.status != ARES_SUCCESS) return ares_error(library.status, "start c-ares");
  std::unique_ptr<Asker> asker(new Asker(options));
  ares_options wanted{};
  // Whatever the answer's code is, it is the answer: no other server is asked instead.
  wanted.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_STAYOPEN | ARES_FLAG_NOSEARCH;
  if (!options.recurse) wanted.flags |= ARES_FLAG_NORECURSE;
  wanted.timeout = static_cast<int>(options.timeout.count());
  wanted.tries = options.tries;
  wanted.sock_state_cb = on_socket;
  wanted.sock_state_cb_data = asker.get();
  constexpr int kSet =
      ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
  if (const int status = ares_init_options(&asker->channel_, &wanted, kSet); status != ARES_SUCCESS)
    return ares_error(status, "start the resolver");
  if (options.server) {
    const std::string server = to_string(*options.server);
    const int status = ares_set_servers_ports_csv(asker->channel_, server.c_str());
    if (status != ARES_SUCCESS) return ares_error(status, "ask " + server);
  }
  return asker;
}

Asker::Asker(const Options& options) : options_(options) {}

Asker::~Asker() {
  if (channel_ != nullptr) ares_destroy(channel_);
}

void Asker::ask(std::string name, RecordType type, Done done, bool ahead) {
  auto question =
      std::make_unique<Question>(Question{std::move(name), type, std::move(done), this, Reply{}});
  if (ahead)
    waiting_.push_front(std::move(question));
  else
    waiting_.push_back(std::move(question));
}

void Asker::on_answer(void* question, int status, int /*timeouts*/, unsigned char* bytes,
                      int length) {
  std::unique_ptr<Question> owned(static_cast<Question*>(question));
  Asker& asker = *owned->asker;
  --asker.asked_;
  if (status == ARES_EDESTRUCTION) return;
  if (bytes != nullptr && length > 0) {
    asker.heard_ = true;
    asker.silent_ = 0;
    auto message = parse_message({bytes, static_cast<std::size_t>(length)});
    if (message)
      owned->reply.message = std::move(*message);
    else
      owned->reply.silence = message.error().message;
  } else {
    ++asker.silent_;
    owned->reply.silence = silence_of(status);
  }
  // Not called back from here: it may ask on, and c-ares is in the middle of its own lists.
  asker.done_.push_back(std::move(owned));
}

void Asker::on_socket(void* asker, int fd, int readable, int writable) {
  auto& sockets = static_cast<Asker*>(asker)->sockets_;
  const int events = (readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0);
  if (events == 0)
    sockets.erase(fd);
  else
    sockets[fd] = static_cast<short>(events);
}

bool Asker::given_up() const {
  return silent_ >= (heard_ ? kSilentInARow : options_.at_a_time);
}

void Asker::start_waiting() {
  while (!waiting_.empty() && (given_up() || asked_ < options_.at_a_time)) {
    std::unique_ptr<Question> question = std::move(waiting_.front());
    waiting_.pop_front();
    if (given_up()) {
      question->reply.silence = "nobody answers";
      done_.push_back(std::move(question));
      continue;
    }
    ++asked_;
    Question* asked = question.release();  // on_answer() owns it again
    ares_query(channel_, asked->name.c_str(), /*class IN*/ 1, static_cast<int>(asked->type),
               on_answer, asked);
  }
}

void Asker::deliver() {
  std::deque<std::unique_ptr<Question>> done;
  done.swap(done_);
  for (const auto& question : done) question->done(question->reply);
}

int Asker::wait(std::span<Asker* const> askers, std::map<int, short>& ready) {
  std::vector<pollfd> polled;
  auto wait = kLongestWait;
  for (const Asker* asker : askers) {
    for (const auto& [fd, events] : asker->sockets_) polled.push_back({fd, events, 0});
    timeval most{.tv_sec = 1, .tv_usec = 0};
    timeval left{};
    if (const timeval* next = ares_timeout(asker->channel_, &most, &left))
      wait = std::min(
          wait, std::chrono::ceil<std::chrono::milliseconds>(
                    std::chrono::seconds(next->tv_sec) + std::chrono::microseconds(next->tv_usec)));
  }
  const int count = ::poll(polled.data(), polled.size(), static_cast<int>(wait.count()));
  for (const pollfd& each : polled)
    if (count > 0 && each.revents != 0) ready[each.fd] = each.revents;
  return count;
}

void Asker::process(const std::map<int, short>& ready) {
  std::vector<int> mine;
  for (const auto& [fd, events] : sockets_) mine.push_back(fd);  // processing may close some
  for (const int fd : mine) {
    const auto event = ready.find(fd);
    if (event == ready.end()) continue;
    const bool readable = (event->second & (POLLIN | POLLERR | POLLHUP)) != 0;
    const bool writable = (event->second & (POLLOUT | POLLERR)) != 0;
    ares_process_fd(channel_, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
  }
  ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // time-outs
}

void Asker::run(std::span<Asker* const> askers) {
  const auto idle = [](const Asker* asker) { return asker->idle(); };
  const auto must_wait = [](const Asker* asker) {
    return asker->done_.empty() &&
           (asker->waiting_.empty() || asker->asked_ >= asker->options_.at_a_time);
  };
  while (true) {
    for (Asker* asker : askers) {
      asker->start_waiting();
      asker->deliver();
    }
    if (std::ranges::all_of(askers, idle)) return;
    if (!std::ranges::all_of(askers, must_wait)) continue;
    std::map<int, short> ready;
    wait(askers, ready);
    for (Asker* asker : askers) asker->process(ready);
  }
}

}  // namespace mailweir
