// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/ptr_plan.h"

#include <unistd.h>

#include <istream>
#include <ostream>

#include "dns/range.h"

namespace mailweir {
namespace {

Result<Config> config_of(const Console& console) {
  const std::string& file = console.globals.config_file;
  if (!console.globals.config_given && ::access(file.c_str(), R_OK) != 0) return Config{};
  Loaded loaded = load_config(file);
  if (loaded.usable()) return std::move(loaded.config);
  for (const Problem& problem : loaded.problems)
    console.err << printable(problem.to_string()) << '\n';
  return Error{ENOEXEC, file + ": this configuration cannot be used\nmailweir config check"};
}

std::vector<std::string> texts_of(const Console& console, const std::vector<std::string>& given) {
  std::vector<std::string> texts;
  for (const std::string& each : given) {
    if (each != "-") {
      texts.push_back(each);
      continue;
    }
    for (std::string word; console.in >> word;) texts.push_back(word);
  }
  return texts;
}

}  // namespace

Result<PtrPlan> plan_ptr(const Console& console, const std::vector<std::string>& given) {
  auto config = config_of(console);
  if (!config) return std::move(config).error();
  const auto& pool = config->pool;
  std::vector<Range> ranges;
  std::vector<Prefix> delegations = pool.delegated;
  for (const Prefix& network : pool.networks) delegations.push_back(usual_delegation(network));
  for (const std::string& text : texts_of(console, given)) {
    const auto range = parse_range(text);
    if (!range) return range.error();
    ranges.push_back(*range);
    if (range->prefix) delegations.push_back(usual_delegation(*range->prefix));
  }
  if (given.empty())
    for (const Prefix& network : pool.networks) ranges.push_back(range_of(network));
  if (ranges.empty())
    return Error{EINVAL, given.empty() ? "no addresses: [pool] networks is empty\nset it in " +
                                             console.globals.config_file +
                                             ", or name them: mailweir ptr check 198.51.100.0/24"
                                       : std::string("no addresses on the standard input")};
  const auto addresses = addresses_of(std::move(ranges));
  if (!addresses) return addresses.error();
  auto zones = plan_zones(*addresses, delegations);
  return PtrPlan{std::move(*config), std::move(zones), addresses->size()};
}

Result<std::unique_ptr<Asker>> open_resolver(const Config& config) {
  Asker::Options options;
  if (!config.pool.resolver.empty()) {
    const auto server = parse_endpoint(config.pool.resolver);
    if (!server) return Error{ENOEXEC, "[pool] resolver: " + server.error().message};
    options.server = *server;
  }
  return Asker::open(options);
}

Result<mw_addr> look_up(const std::string& name, Asker& resolver) {
  std::optional<mw_addr> found;
  std::string why = "it has no address";
  for (const RecordType type : {RecordType::a, RecordType::aaaa}) {
    if (found) break;
    resolver.ask(name, type, [&found, &why, &name, type](const Reply& reply) {
      if (!reply.message) {
        why = "its address: " + reply.silence;
        return;
      }
      const auto records =
          answers_about(*reply.message, end_of_aliases(*reply.message, name), type);
      if (!records.empty()) found = records.front().address;
      if (reply.message->rcode != Rcode::no_error) why = to_string(reply.message->rcode);
    });
    Asker* const all[] = {&resolver};
    Asker::run(all);
  }
  if (!found) return Error{0, name + ": " + why};
  return *found;
}

int fail_ptr(const Console& console, Error error) {
  if (error.code != EINVAL && error.code != ENOEXEC && error.code != EPERM && error.code != EACCES)
    error.code = 0;
  return fail(console, error);
}

}  // namespace mailweir
