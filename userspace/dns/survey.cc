// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/survey.h"

#include <algorithm>
#include <array>

#include "dns/name.h"

namespace mailweir {
namespace {

/// Aliases that one answer does not follow to their end.
constexpr int kMostHops = 4;

class Survey {
 public:
  Survey(const Party& party, const Progress& progress) : party_(party), progress_(progress) {}

  std::vector<AddressVerdict> run(const std::vector<ReverseZone>& zones) {
    for (const ReverseZone& zone : zones)
      for (const mw_addr& addr : zone.addresses) {
        const std::size_t place = verdicts_.size();
        verdicts_.push_back(unknown_address(addr, {}, "not asked"));
        const bool has_other = party_.direct() && zone.classless();
        ask_ptr({place, reverse_name(addr), has_other ? owner_in(zone, addr) + "." + zone.name : "",
                 party_.asker},
                false);
      }
    const std::array<Asker*, 2> askers = {party_.asker, party_.resolver};
    Asker::run(std::span(askers).first(party_.resolver == nullptr ? 1 : 2));
    return std::move(verdicts_);
  }

 private:
  /// A question for a PTR, and what may follow from its answer.
  struct PtrStep {
    std::size_t place;
    std::string name;
    /// Asked for if the server does not serve the first: before the parent of a classless zone has
    /// its CNAMEs, a server knows its own names only.
    std::string other;
    Asker* asker;
    int hops = 0;
  };

  void ask_ptr(PtrStep step, bool ahead) {
    const std::string name = step.name;
    Asker& asker = *step.asker;
    asker.ask(
        name, RecordType::ptr,
        [this, step = std::move(step)](const Reply& reply) { take_ptr(step, reply); }, ahead);
  }

  void take_ptr(const PtrStep& step, const Reply& reply) {
    const mw_addr addr = verdicts_[step.place].address;
    if (!reply.message) return settle(step.place, unknown_address(addr, {}, reply.silence));
    const Message& message = *reply.message;
    const std::string owner = end_of_aliases(message, step.name);
    std::vector<std::string> names;
    for (Record& record : answers_about(message, owner, RecordType::ptr))
      names.push_back(std::move(record.target));
    std::ranges::sort(names);
    if (names.empty() && goes_on(step, message, owner)) return;
    if (message.rcode != Rcode::no_error && message.rcode != Rcode::nx_domain)
      return settle(step.place, unknown_address(addr, {}, to_string(message.rcode)));
    if (names.empty() && step.asker == party_.asker && party_.direct() && is_foreign(message))
      return settle(step.place, unknown_address(addr, {}, "not served"));
    if (auto verdict = judge_names(addr, names)) return settle(step.place, std::move(*verdict));
    ask_back(step.place, names.front(), *party_.asker);
  }

  /// Another question may find what this answer has not. False: there is none.
  bool goes_on(const PtrStep& step, const Message& message, const std::string& owner) {
    const bool from_server = party_.direct() && step.asker == party_.asker;
    if (from_server && !step.other.empty() && (is_foreign(message) || owner == step.other)) {
      ask_ptr({step.place, step.other, "", step.asker, step.hops + 1}, true);
      return true;
    }
    if (owner == step.name || step.hops >= kMostHops) return false;
    Asker* asker = from_server && party_.resolver != nullptr ? party_.resolver : step.asker;
    ask_ptr({step.place, owner, "", asker, step.hops + 1}, true);
    return true;
  }

  void ask_back(std::size_t place, const std::string& name, Asker& asker) {
    const bool v4 = is_ipv4(verdicts_[place].address);
    asker.ask(
        name, v4 ? RecordType::a : RecordType::aaaa,
        [this, place, name, &asker](const Reply& reply) { take_back(place, name, asker, reply); },
        true);
  }

  void take_back(std::size_t place, const std::string& name, Asker& asker, const Reply& reply) {
    const mw_addr& addr = verdicts_[place].address;
    const RecordType type = is_ipv4(addr) ? RecordType::a : RecordType::aaaa;
    std::vector<mw_addr> back;
    if (reply.message)
      for (const Record& record :
           answers_about(*reply.message, end_of_aliases(*reply.message, name), type))
        back.push_back(record.address);
    const bool of_server = &asker != party_.resolver;
    const bool leads_away = reply.message && (is_foreign(*reply.message) ||
                                              end_of_aliases(*reply.message, name) != name);
    if (back.empty() && of_server && party_.resolver != nullptr && leads_away)
      return ask_back(place, name, *party_.resolver);
    if (!reply.message) return settle(place, unknown_address(addr, {name}, reply.silence));
    const Rcode rcode = reply.message->rcode;
    if (rcode != Rcode::no_error && rcode != Rcode::nx_domain)
      return settle(place, unknown_address(addr, {name}, name + ": " + to_string(rcode)));
    settle(place, judge_back(addr, name, std::move(back), rcode));
  }

  void settle(std::size_t place, AddressVerdict verdict) {
    verdict.server = party_.server;
    verdicts_[place] = std::move(verdict);
    ++settled_;
    if (progress_) progress_(static_cast<double>(settled_) / static_cast<double>(verdicts_.size()));
  }

  Party party_;
  const Progress& progress_;
  std::vector<AddressVerdict> verdicts_;
  std::size_t settled_ = 0;
};

}  // namespace

std::vector<AddressVerdict> survey_addresses(const std::vector<ReverseZone>& zones,
                                             const Party& party, const Progress& progress) {
  return Survey(party, progress).run(zones);
}

}  // namespace mailweir
