// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration while it is being read: values, where each was written, what is wrong with it.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/config.h"

namespace mailweir {

struct Place {
  std::string file;
  unsigned line = 0;  ///< 0: the whole file
  unsigned column = 0;
};

/// Collects problems; each text becomes one line.
class Findings {
 public:
  /// Problems are listed in the order in which the files were announced, then by line.
  void reading(const std::string& file) { files_.push_back(file); }
  void error(const Place& place, std::string_view text);
  void warning(const Place& place, std::string_view text);
  [[nodiscard]] std::vector<Problem> sorted() const;

 private:
  struct Kind {
    std::vector<Problem> problems;
    std::size_t unlisted = 0;
  };
  static void add(Kind& kind, Problem problem);

  std::vector<std::string> files_;
  Kind errors_;
  Kind warnings_;
};

/// Where values stand, by key: "limit.rate", "smtp.watch[1]", "group[0].networks[2]".
class Places {
 public:
  explicit Places(std::string main_file) : main_file_(std::move(main_file)) {}
  void put(const std::string& key, Place place) { places_[key] = std::move(place); }
  /// The first of `keys` that was written at all, else the main file as a whole.
  [[nodiscard]] Place of(std::initializer_list<std::string> keys) const;

 private:
  std::string main_file_;
  std::map<std::string, Place> places_;
};

/// A group before the gaps in it are filled from [limit].
struct GroupDraft {
  std::string name;
  std::vector<Prefix> networks;
  struct {
    std::optional<Rate> rate;
    std::optional<std::uint32_t> burst;
  } limit;
  std::optional<Mode> mode;
};

struct Draft {
  explicit Draft(std::string main_file) : places(std::move(main_file)) {}

  Config config;
  std::vector<GroupDraft> groups;  ///< of all files; config.groups is made of them at the end
  Places places;
  std::set<std::string> refused;  ///< keys with a value, or an element, that was reported already
  Findings findings;
};

/// "networks.inside" and 2: "networks.inside[2]".
[[nodiscard]] inline std::string element(const std::string& key, std::size_t index) {
  return key + "[" + std::to_string(index) + "]";
}

}  // namespace mailweir
