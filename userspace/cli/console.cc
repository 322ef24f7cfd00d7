// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/console.h"

#include <unistd.h>

#include <ostream>

#include "cli/body.h"
#include "config/config.h"

namespace mailweir {
namespace {

using nlohmann::json;

/// The errno that stands for a status, chosen so that exit_code() can tell them apart.
int errno_of(int status) {
  switch (status) {
    case 400:
    case 405:
    case 413:
      return EINVAL;
    case 401:
    case 403:
      return EACCES;
    case 404:
      return ENODATA;
    case 503:
      return EAGAIN;
    default:
      return EREMOTEIO;
  }
}

int exit_code(const Error& error) {
  switch (error.code) {
    case EINVAL:
      return kUsage;
    case EACCES:
    case EPERM:
      return kNotPermitted;
    case ENOEXEC:
      return kConfigInvalid;
    case 0:
    case ENODATA:
    case EREMOTEIO:
      return kNo;
    default:
      return kNotReachable;
  }
}

void flatten(const json& value, const std::string& name, const Console& console) {
  if (value.is_structured() && !value.empty()) {
    for (const auto& [key, inner] : value.items())
      flatten(inner, name.empty() ? key : name + "." + key, console);
    return;
  }
  console.out << csv_line({name, text(value)}) << '\n';
}

std::string dumped(const json& body, int indent) {
  // ASCII only: no text of the daemon's can command a terminal.
  return body.dump(indent, ' ', true, json::error_handler_t::replace);
}

}  // namespace

Result<Target> target_of(const Console& console) {
  const Globals& globals = console.globals;
  Config config;
  if (::access(globals.config_file.c_str(), R_OK) == 0)
    // With errors in it as well: a file that is being edited must not cut the way to a daemon.
    config = load_config(globals.config_file).config;
  else if (globals.config_given)
    return Error{ENOEXEC, sys_error(errno, "read " + globals.config_file).message};
  return Target{globals.socket.empty() ? config.socket : globals.socket, config.bpffs_dir};
}

Result<json> body_of(Result<ClientAnswer> answer) {
  if (!answer) return std::move(answer).error();
  if (answer->status < 400) return std::move(answer->body);
  std::string message = text(field(answer->body, "error"));
  if (message.empty())
    message = "the daemon answered with HTTP status " + std::to_string(answer->status);
  const std::string hint = text(field(answer->body, "hint"));
  if (!hint.empty()) message += "\n" + hint;
  return Error{errno_of(answer->status), message};
}

int fail(const Console& console, const Error& error) {
  const auto end = error.message.find('\n');
  console.err << "mailweir: " << printable(error.message.substr(0, end)) << '\n';
  if (error.code == EACCES || error.code == EPERM)
    console.err << "  only root and the group mailweir may: sudo mailweir "
                << printable(console.command) << '\n';
  else if (end != std::string::npos)
    console.err << "  next: " << printable(error.message.substr(end + 1)) << '\n';
  return exit_code(error);
}

bool print_for_machines(const Console& console, const json& body, const char* list,
                        const std::vector<CsvColumn>& columns) {
  const bool has_list = list[0] != '\0';
  switch (console.format) {
    case Format::table:
      return false;
    case Format::json:
      console.out << dumped(body, 2) << '\n';
      return true;
    case Format::jsonl:
      if (has_list)
        print_entries(console, field(body, list), columns);
      else
        console.out << dumped(body, -1) << '\n';
      return true;
    case Format::csv:
      if (has_list) {
        print_csv_header(console, columns);
        print_entries(console, field(body, list), columns);
      } else {
        console.out << csv_line({"key", "value"}) << '\n';
        flatten(body, "", console);
      }
      return true;
  }
  return false;
}

void print_csv_header(const Console& console, const std::vector<CsvColumn>& columns) {
  std::vector<std::string> names;
  for (const CsvColumn& column : columns)
    names.push_back(column.inner == nullptr ? column.key
                                            : std::string(column.key) + "_" + column.inner);
  console.out << csv_line(names) << '\n';
}

void print_entries(const Console& console, const json& list,
                   const std::vector<CsvColumn>& columns) {
  for (const json& entry : list) {
    if (console.format == Format::jsonl) {
      console.out << dumped(entry, -1) << '\n';
      continue;
    }
    std::vector<std::string> fields;
    for (const CsvColumn& column : columns) {
      const json& value = field(entry, column.key);
      fields.push_back(text(column.inner == nullptr ? value : field(value, column.inner)));
    }
    console.out << csv_line(fields) << '\n';
  }
}

}  // namespace mailweir
