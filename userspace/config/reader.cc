// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/reader.h"

#include <spdlog/fmt/fmt.h>

#include <map>
#include <set>

#include "config/keys.h"
#include "config/syntax.h"
#include "config/wording.h"

namespace mailweir {
namespace {

constexpr std::string_view kGroup = "group";

/// The visitor of keys.h that reads one file's table.
class Reader {
 public:
  Reader(const toml::table& root, const std::string& file, Draft& draft)
      : root_(root), file_(file), draft_(draft) {}

  void section(std::string_view name) {
    known_[name];
    enter(name, std::string(name), name.empty() ? &root_ : table_of(name));
  }

  void groups();

  template <typename T, typename Form>
  void key(std::string_view name, T& out, const Form& form) {
    if (const toml::node* node = take(name))
      if (auto value = read(name, *node, form)) out = std::move(*value);
  }

  template <typename T, typename Form>
  void key(std::string_view name, std::vector<T>& out, const ListOf<Form>& form) {
    const toml::node* node = take(name);
    if (node == nullptr) return;
    if (const auto* list = node->as_array())
      out = read_list(name, *list, form);
    else
      wrong(name, *node, must_be("a list in [ ]", *node).message);
  }

  void key(std::string_view name, std::vector<AllowEntry>& out, const ListOf<Network>& form) {
    if (table_ == nullptr || !table_->contains(name)) {
      known_[section_].insert(name);
      return;
    }
    std::vector<Prefix> networks;
    key(name, networks, form);
    out.clear();
    for (std::size_t i = 0; i < networks.size(); ++i) {
      const Place place = draft_.places.of({element(path_of(name), i)});
      out.push_back({networks[i], fmt::format("{}:{}", place.file, place.line)});
    }
  }

  /// To be called last: reports what no key() asked for.
  void report_unknown();

 private:
  struct Visited {
    std::string_view section;
    const toml::table* table;
  };

  void enter(std::string_view name, std::string path, const toml::table* table) {
    section_ = name;
    path_ = std::move(path);
    table_ = table;
    if (table == nullptr) return;
    visited_.push_back({name, table});
    if (!name.empty()) draft_.places.put(path_, place(*table));
  }

  const toml::table* table_of(std::string_view name);

  [[nodiscard]] Place place(const toml::source_region& source) const {
    return {file_, source.begin.line, source.begin.column};
  }
  [[nodiscard]] Place place(const toml::node& node) const { return place(node.source()); }
  [[nodiscard]] std::string path_of(std::string_view name) const {
    return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
  }

  void wrong(std::string_view name, const toml::node& node, std::string_view why) {
    const std::string where = section_.empty() ? "" : in_brackets(section_) + " ";
    draft_.findings.error(place(node), fmt::format("{}{}: {}", where, name, why));
    draft_.refused.insert(path_of(name));
  }

  [[nodiscard]] static std::string in_brackets(std::string_view section) {
    return section == kGroup ? "[[group]]" : fmt::format("[{}]", section);
  }

  /// The node of a key that is known from now on; null: not in this file.
  const toml::node* take(std::string_view name) {
    known_[section_].insert(name);
    const toml::node* node = table_ == nullptr ? nullptr : table_->get(name);
    if (node != nullptr) draft_.places.put(path_of(name), place(*node));
    return node;
  }

  template <typename Form>
  std::optional<typename Form::Value> read(std::string_view name, const toml::node& node,
                                           const Form& form) {
    auto value = form.read(node);
    if (value) return std::move(*value);
    wrong(name, node, value.error().message);
    return std::nullopt;
  }

  template <typename Form>
  std::vector<typename Form::Value> read_list(std::string_view name, const toml::array& list,
                                              const ListOf<Form>& form);

  void report_unknown_key(std::string_view section, const toml::key& key, const toml::node& node);
  [[nodiscard]] std::string hint(std::string_view section, std::string_view key) const;

  const toml::table& root_;
  const std::string& file_;
  Draft& draft_;

  std::string_view section_;
  std::string path_;
  const toml::table* table_ = nullptr;

  std::vector<Visited> visited_;
  std::map<std::string_view, std::set<std::string_view>> known_;
};

const toml::table* Reader::table_of(std::string_view name) {
  const toml::node* node = root_.get(name);
  if (node == nullptr) return nullptr;
  if (node->is_array_of_tables())
    draft_.findings.error(place(*node),
                          fmt::format("[[{0}]]: write [{0}], in single brackets", name));
  else if (!node->is_table())
    draft_.findings.error(
        place(*node), fmt::format("[{}] {}", name, must_be("a section of keys", *node).message));
  return node->as_table();
}

template <typename Form>
std::vector<typename Form::Value> Reader::read_list(std::string_view name, const toml::array& list,
                                                    const ListOf<Form>& form) {
  std::vector<typename Form::Value> values;
  std::map<typename Form::Value, unsigned> lines;
  for (const toml::node& node : list) {
    auto value = read(name, node, form.element);
    if (!value) continue;
    const auto [first, is_new] = lines.emplace(*value, place(node).line);
    if (!is_new && !form.repeats) {
      wrong(name, node,
            fmt::format("{} is listed twice (first in line {})", form.element.write(*value),
                        first->second));
      continue;
    }
    draft_.places.put(element(path_of(name), values.size()), place(node));
    values.push_back(std::move(*value));
  }
  return values;
}

void Reader::groups() {
  known_[kGroup];
  const toml::node* node = root_.get(kGroup);
  if (node != nullptr && !node->is_array_of_tables())
    draft_.findings.error(place(*node),
                          "[group]: write [[group]], in double brackets: each starts a group");

  const toml::array* groups =
      node != nullptr && node->is_array_of_tables() ? node->as_array() : nullptr;
  for (std::size_t i = 0; groups != nullptr && i < groups->size(); ++i) {
    enter(kGroup, element(std::string(kGroup), draft_.groups.size()), (*groups)[i].as_table());
    draft_.groups.emplace_back();
    visit_group(draft_.groups.back(), *this);
  }
}

std::string Reader::hint(std::string_view section, std::string_view key) const {
  const auto& here = known_.at(section);
  if (const std::string meant = closest(key, {here.begin(), here.end()}); !meant.empty())
    return fmt::format(" (did you mean '{}'?)", meant);

  std::vector<std::string> homes;
  for (const auto& [other, keys] : known_)
    if (keys.contains(key))
      homes.push_back(other.empty() ? "at the top, before any [section]"
                                    : "in " + in_brackets(other));
  return homes.empty() ? "" : fmt::format(" (it belongs {})", fmt::join(homes, " or "));
}

void Reader::report_unknown_key(std::string_view section, const toml::key& key,
                                const toml::node& node) {
  const bool is_section = section.empty() && (node.is_table() || node.is_array_of_tables());
  if (!is_section) {
    const std::string where = section.empty() ? "" : " in " + in_brackets(section);
    draft_.findings.error(place(key.source()), fmt::format("unknown key '{}'{}{}", key.str(), where,
                                                           hint(section, key.str())));
    return;
  }

  std::vector<std::string_view> sections;
  for (const auto& [name, keys] : known_)
    if (!name.empty()) sections.push_back(name);
  const std::string meant = closest(key.str(), sections);
  draft_.findings.error(
      place(key.source()),
      fmt::format("unknown section [{}]{}", key.str(),
                  meant.empty() ? "" : " (did you mean " + in_brackets(meant) + "?)"));
}

void Reader::report_unknown() {
  for (const auto& [section, table] : visited_)
    for (const auto& [key, node] : *table) {
      const bool is_section = section.empty() && !key.str().empty() && known_.contains(key.str());
      if (!is_section && !known_.at(section).contains(key.str()))
        report_unknown_key(section, key, node);
    }
}

}  // namespace

bool read_file(const std::string& file, Draft& draft) {
  draft.findings.reading(file);
  const auto text = read_text(file);
  if (!text) {
    const std::string missing =
        "does not exist: create it (it needs [interfaces] inside and [networks] inside at least), "
        "or name another one with --config FILE";
    draft.findings.error({file}, text.error().code == ENOENT ? missing : text.error().message);
    return false;
  }
  const auto root = parse_toml(file, *text, draft.findings);
  if (!root) return false;

  Reader reader(*root, file, draft);
  visit_keys(draft.config, reader);
  reader.report_unknown();
  return true;
}

}  // namespace mailweir
