// SPDX-License-Identifier: GPL-2.0-or-later
// `config check` and `config show`: the files as they are now, not what a daemon runs with.
#include <toml++/toml.h>

#include <ostream>
#include <sstream>

#include "cli/body.h"
#include "cli/verbs.h"
#include "config/config.h"

namespace mailweir {
namespace {

using nlohmann::json;

const std::vector<CsvColumn> kProblemColumns = {
    {"severity"}, {"file"}, {"line"}, {"column"}, {"text"}};

json problems_json(const Loaded& loaded) {
  json problems = json::array();
  for (const Problem& problem : loaded.problems)
    problems.push_back(
        {{"severity", problem.severity == Problem::Severity::error ? "error" : "warning"},
         {"file", problem.file},
         {"line", problem.line},
         {"column", problem.column},
         {"text", problem.text}});
  return problems;
}

}  // namespace

int check_config(const Console& console) {
  const std::string& file = console.globals.config_file;
  const Loaded loaded = load_config(file);
  const std::size_t errors = loaded.errors();
  const std::size_t warnings = loaded.problems.size() - errors;
  const int exit_code = errors == 0 ? kDone : kConfigInvalid;
  const json body = {{"file", file},
                     {"errors", errors},
                     {"warnings", warnings},
                     {"problems", problems_json(loaded)}};
  if (print_for_machines(console, body, "problems", kProblemColumns)) return exit_code;

  for (const Problem& problem : loaded.problems)
    console.out << printable(problem.to_string()) << '\n';
  if (errors > 0)
    console.out << counted(errors, "error") << ". The running configuration is unchanged.\n";
  else
    console.out << printable(file) << ": ok"
                << (warnings == 0 ? "" : " (" + counted(warnings, "warning") + ")") << '\n';
  return exit_code;
}

int show_config(const Console& console) {
  const Loaded loaded = load_config(console.globals.config_file);
  for (const Problem& problem : loaded.problems)
    console.err << printable(problem.to_string()) << '\n';
  if (!loaded.usable()) {
    console.err << counted(loaded.errors(), "error") << "; next: mailweir config check\n";
    return kConfigInvalid;
  }
  const std::string written = to_toml(loaded.config);
  if (console.format == Format::table) {
    console.out << written;
    return kDone;
  }
  try {
    std::ostringstream as_json;
    as_json << toml::json_formatter{toml::parse(written)};
    print_for_machines(console, json::parse(as_json.str()), "", {});
  } catch (const std::exception& failed) {
    return fail(console, {0, std::string("print the configuration as JSON: ") + failed.what()});
  }
  return kDone;
}

}  // namespace mailweir
