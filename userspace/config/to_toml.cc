// SPDX-License-Identifier: GPL-2.0-or-later
// Config -> TOML. What the keys are is in keys.h.
#include <spdlog/fmt/fmt.h>

#include "config/config.h"
#include "config/keys.h"
#include "config/wording.h"

namespace mailweir {
namespace {

constexpr std::size_t kLineWidth = 80;

/// The visitor of keys.h that writes.
class Writer {
 public:
  explicit Writer(const Config& config) : config_(config) {}
  [[nodiscard]] std::string text() && { return std::move(text_); }

  void section(std::string_view name) {
    if (!name.empty()) text_ += fmt::format("\n[{}]\n", name);
  }

  void groups() {
    for (const Group& group : config_.groups) {
      text_ += "\n[[group]]\n";
      visit_group(group, *this);
    }
  }

  template <typename T, typename Form>
  void key(std::string_view name, const T& value, const Form& form) {
    text_ += fmt::format("{} = {}\n", name, form.write(value));
  }

  template <typename T, typename Form>
  void key(std::string_view name, const std::optional<T>& value, const Form& form) {
    if (value) key(name, *value, form);
  }

  template <typename T, typename Form>
  void key(std::string_view name, const std::vector<T>& values, const ListOf<Form>& form) {
    std::vector<std::string> written;
    written.reserve(values.size());
    for (const T& value : values) written.push_back(form.element.write(value));
    const std::string line = fmt::format("{} = [{}]\n", name, fmt::join(written, ", "));
    text_ += line.size() <= kLineWidth
                 ? line
                 : fmt::format("{} = [\n  {},\n]\n", name, fmt::join(written, ",\n  "));
  }

  /// Entries of list files come from there again when this text is read; they are only shown.
  void key(std::string_view name, const std::vector<AllowEntry>& entries,
           const ListOf<Network>& form) {
    std::vector<Prefix> own;
    std::string listed;
    for (const AllowEntry& entry : entries) {
      if (entry.from_list)
        listed += fmt::format("# {} by {}\n", to_string(entry.prefix), one_line(entry.origin));
      else
        own.push_back(entry.prefix);
    }
    key(name, own, form);
    text_ += listed;
  }

 private:
  const Config& config_;
  std::string text_;
};

}  // namespace

std::string to_toml(const Config& config) {
  Writer writer(config);
  visit_keys(config, writer);
  return std::move(writer).text();
}

}  // namespace mailweir
