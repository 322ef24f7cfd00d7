// SPDX-License-Identifier: GPL-2.0-or-later
// `log`: a line per sampled SYN, for a while.
#include <spdlog/fmt/fmt.h>

#include <ostream>

#include "base/time_text.h"
#include "cli/body.h"
#include "cli/verbs.h"

namespace mailweir {
namespace {

using nlohmann::json;

std::string end_text(const json& log, WallTime now) {
  const auto until = time_at(field(log, "until"));
  if (!until) return flag(field(log, "by_command")) ? "until log off" : "as configured";
  return fmt::format("until {} ({} left)", local_text(*until),
                     duration_text(std::chrono::ceil<std::chrono::seconds>(*until - now)));
}

void print_state(const Console& console, const json& log) {
  if (!flag(field(log, "on"))) {
    console.out << "log off; " << grouped(number(field(log, "lines"))) << " lines were written to "
                << text(field(log, "file")) << '\n';
    return;
  }
  const std::string source = text(field(log, "source"));
  console.out << fmt::format("log on{} {}, to {}\n", source.empty() ? "" : " for " + source,
                             end_text(log, console.now), text(field(log, "file")));
  console.out << fmt::format("{} lines, {} SYNs beyond the limits\n",
                             grouped(number(field(log, "lines"))),
                             grouped(number(field(log, "suppressed"))));
  if (const std::string problem = text(field(log, "problem")); !problem.empty())
    console.out << "no line can be written: " << problem << '\n';
}

int post_log(const Console& console, const json& order, const char* undo) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  auto body = body_of(Client(target->socket).post("/v1/log", order));
  if (!body) return fail(console, body.error());
  if (print_for_machines(console, *body, "", {})) return kDone;
  print_state(console, *body);
  if (!console.globals.quiet) console.out << "undo: mailweir log " << undo << '\n';
  return kDone;
}

}  // namespace

int show_log(const Console& console) {
  const auto target = target_of(console);
  if (!target) return fail(console, target.error());
  auto body = body_of(Client(target->socket).get("/v1/status"));
  if (!body) return fail(console, body.error());
  const json& log = field(*body, "log");
  if (!print_for_machines(console, log, "", {})) print_state(console, log);
  return kDone;
}

int order_log_on(const Console& console, const LogOrder& order) {
  json body = {{"on", true}};
  if (!order.lasts.empty()) body["for"] = order.lasts;
  if (!order.source.empty()) body["source"] = order.source;
  return post_log(console, body, "off");
}

int order_log_off(const Console& console) {
  return post_log(console, {{"on", false}}, "on");
}

}  // namespace mailweir
