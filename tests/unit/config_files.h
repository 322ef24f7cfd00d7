// SPDX-License-Identifier: GPL-2.0-or-later
// Configuration files of a test, in a directory of their own; and refusals with their neighbours.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "config/config.h"

namespace mailweir {

/// The two keys that have no default, in the one line that other text can follow.
inline constexpr std::string_view kRequired =
    "interfaces.inside = [\"eth1\"]\nnetworks.inside = [\"172.16.0.0/12\"]\nallow.files = []\n";

class ConfigFiles {
 public:
  ConfigFiles() {
    // In memory if possible: a disk makes thousands of small files wait.
    const std::filesystem::path memory = "/dev/shm";
    const bool writable = ::access(memory.c_str(), W_OK) == 0;
    std::string name =
        ((writable ? memory : std::filesystem::temp_directory_path()) / "mailweir-config-XXXXXX")
            .string();
    if (::mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "cannot make " << name;
    root_ = name;
  }
  ConfigFiles(const ConfigFiles&) = delete;
  ConfigFiles& operator=(const ConfigFiles&) = delete;
  ~ConfigFiles() { std::filesystem::remove_all(root_); }

  [[nodiscard]] std::string path(std::string_view name) const { return (root_ / name).string(); }
  [[nodiscard]] std::string main_file() const { return path("mailweir.toml"); }

  std::string write(std::string_view name, std::string_view text) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }

  [[nodiscard]] Loaded load() const { return load_config(main_file()); }
  [[nodiscard]] Loaded load(std::string_view text) const {
    write("mailweir.toml", text);
    return load();
  }

  /// The problems as lines, without the directory of the test.
  [[nodiscard]] std::vector<std::string> lines(const Loaded& loaded) const {
    std::vector<std::string> lines;
    for (const Problem& problem : loaded.problems) {
      std::string line = problem.to_string();
      const std::string here = root_.string() + "/";
      for (auto at = line.find(here); at != std::string::npos; at = line.find(here))
        line.erase(at, here.size());
      lines.push_back(std::move(line));
    }
    return lines;
  }

 private:
  std::filesystem::path root_;
};

struct Refusal {
  std::string_view wrong;
  std::string_view problem;  ///< with its place, less "mailweir.toml:"
  std::string_view right;
};

class ConfigRefusalTest : public ::testing::Test {
 protected:
  /// Each text stands in line 4, after the required keys.
  void expect(std::initializer_list<Refusal> refusals) const {
    for (const Refusal& refusal : refusals) {
      SCOPED_TRACE(refusal.wrong);
      EXPECT_THAT(lines_of(refusal.wrong),
                  ::testing::ElementsAre("mailweir.toml:" + std::string(refusal.problem)));
      EXPECT_THAT(lines_of(refusal.right), ::testing::IsEmpty()) << refusal.right;
    }
  }

  [[nodiscard]] std::vector<std::string> lines_of(std::string_view text) const {
    return files_.lines(files_.load(std::string(kRequired) + std::string(text)));
  }

  ConfigFiles files_;
};

}  // namespace mailweir
