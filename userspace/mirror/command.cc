// SPDX-License-Identifier: GPL-2.0-or-later
#include "mirror/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <spdlog/fmt/fmt.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <sys/pidfd.h>  // that of glibc 2.36 forgets to say it is C
}

#include <optional>

#include "base/unique_fd.h"

namespace mailweir {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// A process in an uninterruptible call does not die at once; it must not hold us for ever.
constexpr milliseconds kBurial{2000};

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys_error(errno, "make a pipe");
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  // Only our end: the command expects a blocking stdout.
  if (::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) return sys_error(errno, "set up a pipe");
  return pipe;
}

/// The input as a file: a command that reads slowly, or not at all, needs no attention.
Result<UniqueFd> input_file(std::string_view input) {
  UniqueFd file(::memfd_create("mailweir-input", MFD_CLOEXEC));
  if (!file.valid()) return sys_error(errno, "make an input file in memory");
  while (!input.empty()) {
    const ssize_t written = ::write(file.get(), input.data(), input.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return sys_error(errno, "fill an input file in memory");
    input.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return sys_error(errno, "rewind an input file");
  return file;
}

std::vector<std::string> child_environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (std::string_view(*variable).substr(0, 7) != "LC_ALL=") variables.emplace_back(*variable);
  variables.emplace_back("LC_ALL=C");
  return variables;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  list.reserve(texts.size() + 1);
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

/// What shall hold in the child before it executes the command. posix_spawn, since the daemon has
/// threads: between fork and exec only it knows what may be called.
class ChildSetup {
 public:
  ChildSetup() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
  }
  ~ChildSetup() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&actions_);
  }
  ChildSetup(const ChildSetup&) = delete;
  ChildSetup& operator=(const ChildSetup&) = delete;

  /// 0 or an errno.
  int prepare(int in, int out, int err) {
    if (const int failed = ::posix_spawn_file_actions_adddup2(&actions_, in, 0)) return failed;
    if (const int failed = ::posix_spawn_file_actions_adddup2(&actions_, out, 1)) return failed;
    if (const int failed = ::posix_spawn_file_actions_adddup2(&actions_, err, 2)) return failed;
    if (const int failed = ::posix_spawn_file_actions_addclosefrom_np(&actions_, 3)) return failed;

    // The daemon blocks the signals that its loop reads and ignores SIGPIPE; a command must not.
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    return ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  int spawn(pid_t& pid, const std::vector<std::string>& argv) const {
    return ::posix_spawnp(&pid, argv[0].c_str(), &actions_, &attributes_, pointers(argv).data(),
                          pointers(child_environment()).data());
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// A running command: its group is killed and its leader reaped, whatever happens.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid), pidfd_(::pidfd_open(pid, 0)) {}
  ~Child() { (void)bury(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] int pidfd() const { return pidfd_.get(); }

  /// How the leader ended; none if it cannot be killed.
  std::optional<siginfo_t> bury() {
    if (pid_ == 0) return std::nullopt;
    // The group first: the unreaped leader keeps its number from being given to somebody else.
    ::kill(-pid_, SIGKILL);
    pollfd ended{pidfd_.get(), POLLIN, 0};
    ::poll(&ended, 1, static_cast<int>(kBurial.count()));
    siginfo_t how{};
    const int failed =
        ::waitid(P_PID, static_cast<id_t>(std::exchange(pid_, 0)), &how, WEXITED | WNOHANG);
    if (failed != 0 || how.si_pid == 0) return std::nullopt;
    return how;
  }

 private:
  pid_t pid_;
  UniqueFd pidfd_;
};

enum class End { exited, timed_out, too_much_output };

/// Takes what is there; false at the end of the stream.
bool drain(int fd, std::string& text) {
  char chunk[65536];
  while (text.size() <= kCommandOutputBytes) {
    const ssize_t got = ::read(fd, chunk, sizeof(chunk));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    text.append(chunk, static_cast<std::size_t>(got));
  }
  return true;
}

End collect(const Child& child, int out, int err, milliseconds timeout, CommandResult& result) {
  const auto deadline = steady_clock::now() + timeout;
  pollfd fds[] = {{out, POLLIN, 0}, {err, POLLIN, 0}, {child.pidfd(), POLLIN, 0}};
  std::string* texts[] = {&result.out, &result.err};
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left.count() <= 0) return End::timed_out;
    if (::poll(fds, std::size(fds), static_cast<int>(left.count())) < 0) continue;

    // The end is asked for before the last drain: what the command wrote is all there then.
    const bool exited = fds[2].revents != 0;
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd >= 0 && !drain(fds[i].fd, *texts[i])) fds[i].fd = -1;
      if (texts[i]->size() > kCommandOutputBytes) return End::too_much_output;
    }
    if (exited) return End::exited;
  }
}

}  // namespace

Result<CommandResult> run_command(const std::vector<std::string>& argv, std::string_view input,
                                  milliseconds timeout) {
  const std::string name = fmt::format("{}", fmt::join(argv, " "));
  auto in = input_file(input);
  if (!in) return std::move(in).error().in(name);
  auto out = make_pipe();
  if (!out) return std::move(out).error().in(name);
  auto err = make_pipe();
  if (!err) return std::move(err).error().in(name);

  ChildSetup setup;
  if (const int failed = setup.prepare(in->get(), out->write.get(), err->write.get()))
    return sys_error(failed, "prepare " + name);
  pid_t pid = 0;
  if (const int failed = setup.spawn(pid, argv)) return sys_error(failed, "run " + name);
  Child child(pid);
  if (child.pidfd() < 0) return sys_error(errno, "watch " + name);
  out->write.reset();
  err->write.reset();

  CommandResult result;
  const End end = collect(child, out->read.get(), err->read.get(), timeout, result);
  const auto how = child.bury();
  if (end == End::timed_out)
    return Error{ETIMEDOUT, fmt::format("{}: no end after {} s; {}", name,
                                        static_cast<double>(timeout.count()) / 1000,
                                        how ? "killed" : "it cannot be killed")};
  if (end == End::too_much_output)
    return Error{EOVERFLOW, fmt::format("{}: printed more than {} MiB; killed", name,
                                        kCommandOutputBytes >> 20)};
  if (!how) return Error{ECHILD, name + ": somebody else took its exit status"};
  if (how->si_code != CLD_EXITED)
    return Error{0, fmt::format("{}: ended by signal {}", name, how->si_status)};
  result.exit_code = how->si_status;
  return result;
}

}  // namespace mailweir
