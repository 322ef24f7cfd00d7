// SPDX-License-Identifier: GPL-2.0-or-later
// A network namespace with one iptables backend first in PATH, for the tests of the mirror.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/time_text.h"
#include "base/unique_fd.h"
#include "mirror/command.h"
#include "mirror/comment.h"
#include "mirror/iptables.h"

namespace mailweir {

/// Removed with all that is in it.
class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/mailweir-iptables-XXXXXX";
    if (::mkdtemp(name) != nullptr) path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Sets an environment variable as long as it lives.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) {
    if (const char* was = std::getenv(name)) before_ = was;
    ::setenv(name, value.c_str(), 1);
  }
  ~ScopedVariable() {
    if (before_)
      ::setenv(name_, before_->c_str(), 1);
    else
      ::unsetenv(name_);
  }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

/// Output of a shell line; the test fails if it does.
inline std::string shell(const std::string& line) {
  const auto result = run_command({"sh", "-c", line}, "", std::chrono::seconds(60));
  if (!result) {
    ADD_FAILURE() << result.error().message;
    return {};
  }
  EXPECT_EQ(result->exit_code, 0) << line << ": " << result->err;
  return result->out;
}

inline bool level_is_required(std::string_view level) {
  const char* required = std::getenv("MW_REQUIRE");
  return required != nullptr && std::string_view(required).find(level) != std::string_view::npos;
}

/// The parameter is the backend. Each test gets a network namespace, and a mount namespace with a
/// /run of its own: the xtables lock of the host stays out of it.
class IptablesFixture : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string multi = std::string("/usr/sbin/xtables-") + GetParam() + "-multi";
    std::string missing;
    if (::geteuid() != 0)
      missing = "needs root, for a network namespace";
    else if (::access(multi.c_str(), X_OK) != 0)
      missing = "needs " + multi + ", of the package iptables";
    if (!missing.empty() && level_is_required("e2e")) FAIL() << missing;
    if (!missing.empty()) GTEST_SKIP() << missing;

    ASSERT_EQ(::unshare(CLONE_NEWNET | CLONE_NEWNS), 0) << std::strerror(errno);
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("none", "/run", "tmpfs", 0, nullptr), 0);

    for (const std::string tool : {"iptables", "ip6tables"})
      for (const std::string verb : {"", "-restore", "-save"}) {
        install(multi, tool + verb);
        for (const std::string backend : {"nft", "legacy"})
          install("/usr/sbin/xtables-" + backend + "-multi", tool + "-" + backend + verb);
      }
    path_.emplace("PATH", bin_.path().string() + ":/usr/bin:/bin");
  }

  [[nodiscard]] static std::string backend() { return GetParam(); }
  [[nodiscard]] static std::string other_backend() { return backend() == "nft" ? "legacy" : "nft"; }
  [[nodiscard]] const std::filesystem::path& bin() const { return bin_.path(); }

  [[nodiscard]] static Iptables open(IptablesOptions options = {}) {
    auto iptables = Iptables::open(options);
    EXPECT_TRUE(iptables) << iptables.error().message;
    return *std::move(iptables);
  }
  static void write(const Iptables& iptables, const MirrorTable& table) {
    const auto done = iptables.write(table);
    EXPECT_TRUE(done) << done.error().message;
  }
  [[nodiscard]] static MirrorFound read(const Iptables& iptables, bool ipv6 = false) {
    auto found = iptables.read(ipv6);
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : MirrorFound{};
  }

 private:
  void install(const std::filesystem::path& target, const std::string& name) {
    std::filesystem::create_symlink(target, bin_.path() / name);
  }

  TempDir bin_;
  std::optional<ScopedVariable> path_;
};

inline std::string backend_name(const testing::TestParamInfo<const char*>& parameter) {
  return parameter.param;
}

inline std::string comment_for(std::uint32_t number, std::string reason = "evidence") {
  Decision decision;
  decision.node = "nat1";
  decision.number = number;
  decision.since = *parse_rfc3339("2026-11-24T13:03:11Z");
  decision.until = *parse_rfc3339("2026-11-24T14:03:11Z");
  decision.origin = Origin::manual;
  decision.by = "root";
  decision.reason = std::move(reason);
  return encode_comment(decision);
}

inline MirrorRule rule_for(const std::string& source, std::uint32_t number = 1) {
  return {*parse_prefix(source), comment_for(number), std::nullopt, 0, 0};
}

/// Whole seconds, as rules carry them.
inline WallTime seconds_from_now(std::chrono::seconds offset) {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) + offset;
}

}  // namespace mailweir
