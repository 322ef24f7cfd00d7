// SPDX-License-Identifier: GPL-2.0-or-later
// What people order: block, unblock, allow, mode. Each refusal names the next command.
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/log.h"
#include "base/time_text.h"
#include "daemon/controller.h"

namespace mailweir {
namespace {

using std::chrono::seconds;

/// A /22 of IPv4: more is a policy, not a block list.
constexpr std::uint64_t kMostAddresses = 1024;

bool is_ipv4_of(const sockaddr* found, const mw_addr& key) {
  if (found == nullptr || found->sa_family != AF_INET) return false;
  const auto& ipv4 = reinterpret_cast<const sockaddr_in*>(found)->sin_addr;
  return std::memcmp(key.bytes + 12, &ipv4, sizeof(ipv4)) == 0;
}

/// An address of this host, or the broadcast address of one of its networks.
bool is_own_address(const mw_addr& key) {
  ifaddrs* all = nullptr;
  if (!is_ipv4(key) || ::getifaddrs(&all) != 0) return false;
  bool found = false;
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next)
    found = found || is_ipv4_of(each->ifa_addr, key) ||
            ((each->ifa_flags & IFF_BROADCAST) != 0 && is_ipv4_of(each->ifa_broadaddr, key));
  ::freeifaddrs(all);
  return found;
}

Outcome refusal(std::string source, std::string error, std::string hint = "") {
  return {.source = std::move(source), .error = std::move(error), .hint = std::move(hint)};
}

/// The key of the i-th source inside the prefix, in steps of one key.
mw_addr nth_key(const Prefix& prefix, std::uint64_t index, int key_bits) {
  mw_addr key = prefix.addr;
  for (int bit = key_bits - 1; index != 0; --bit, index >>= 1)
    if ((index & 1) != 0) key.bytes[bit / 8] |= static_cast<__u8>(0x80 >> (bit % 8));
  return key;
}

}  // namespace

Result<std::vector<mw_addr>> Controller::parse_sources(const std::string& text) const {
  auto prefix = parse_prefix(text);
  if (!prefix) return std::move(prefix).error();
  const int key_bits = prefix->is_ipv4() ? 128 : config_.networks.ipv6_prefix;
  const int wide = key_bits - prefix->bits;
  if (wide <= 0)
    return std::vector<mw_addr>{source_key(prefix->addr, config_.networks.ipv6_prefix)};
  if (wide >= 63 || (std::uint64_t{1} << wide) > kMostAddresses)
    return Error{E2BIG, fmt::format("{} has more than {} sources", text, kMostAddresses)};
  std::vector<mw_addr> keys;
  for (std::uint64_t i = 0; i < (std::uint64_t{1} << wide); ++i)
    keys.push_back(nth_key(*prefix, i, key_bits));
  return keys;
}

Prefix Controller::as_source(const Prefix& prefix) const {
  const int ipv6_prefix = config_.networks.ipv6_prefix;
  return prefix.is_ipv4() || prefix.bits <= ipv6_prefix
             ? prefix
             : source_prefix(source_key(prefix.addr, ipv6_prefix), ipv6_prefix);
}

std::optional<Outcome> Controller::refuse_block(const mw_addr& key) const {
  const std::string name = name_of(key);
  if (is_own_address(key))
    return refusal(name, name + " is an address of this gateway",
                   "give a client's address; mailweir top lists them");
  if (!is_inside(key))
    return refusal(name, name + " is not in [networks] inside: no packet of it is judged",
                   "mailweir config show; add its network there, then mailweir reload");
  if (const auto allowed = allowed_by(key); !allowed.empty()) {
    const AllowView& entry = allowed.front();
    const bool is_command = entry.origin == "command";
    std::string error = fmt::format("{} is allowed by {} ({})", name, to_string(entry.prefix),
                                    is_command ? "added by " + entry.by : entry.origin);
    if (!entry.reason.empty()) error += ": " + entry.reason;
    return refusal(name, error + "; the allowlist beats every block",
                   is_command ? "mailweir allow remove " + to_string(entry.prefix)
                              : "take it out of " + entry.origin + ", then mailweir reload");
  }
  return std::nullopt;
}

std::vector<Outcome> Controller::block(const std::vector<std::string>& sources, seconds lasts,
                                       const Order& order) {
  std::vector<Outcome> outcomes;
  for (const std::string& text : sources) {
    const auto keys = parse_sources(text);
    if (!keys) {
      outcomes.push_back(
          refusal(text, keys.error().message,
                  keys.error().code == E2BIG
                      ? "block smaller prefixes (a /22 of IPv4 at most), or drop the "
                        "network by a firewall rule"
                      : "mailweir block 172.16.7.70 --for 24h"));
      continue;
    }
    for (const mw_addr& key : *keys) outcomes.push_back(block_one(key, lasts, order));
  }
  return outcomes;
}

Outcome Controller::block_one(const mw_addr& key, seconds lasts, const Order& order) {
  if (auto refused = refuse_block(key)) return std::move(*refused);
  Outcome outcome{.source = name_of(key), .ok = true};
  if (const Decision* known = find_active(key); known != nullptr && !known->would)
    outcome.note = "takes over from " + known->id();

  Decision decision = new_decision(key);
  decision.origin = Origin::manual;
  decision.by = order.by;
  decision.reason = order.reason;
  if (lasts != kForever) decision.until = decision.since + lasts;
  outcome.decision = decision;
  if (order.dry_run) return outcome;
  begin_count(key);
  if (auto added = add(std::move(decision)); !added)
    return refusal(outcome.source, added.error().message, "mailweir status");
  if (is_waiting(key) && config_.mirror.backend == MirrorBackend::none)
    return refusal(outcome.source,
                   fmt::format("blocklist full ({}): recorded, NOT enforced until there is room",
                               datapath_.block_capacity()),
                   "unblock some, or raise [maps] blocks");
  if (is_waiting(key))
    outcome.note = fmt::format(
        "blocklist full ({}): {}; unblock some, or raise [maps] blocks", datapath_.block_capacity(),
        config_.mirror.backend == MirrorBackend::none ? "recorded, not enforced"
                                                      : "enforced by iptables only");
  else if (!store_problem_.empty())
    outcome.note = "enforced, but not persisted: " + store_problem_;
  return outcome;
}

std::vector<Outcome> Controller::unblock(const std::vector<std::string>& sources,
                                         const Order& order) {
  std::vector<Outcome> outcomes;
  for (const std::string& text : sources) {
    const auto prefix = parse_prefix(text);
    if (!prefix) {
      outcomes.push_back(refusal(text, prefix.error().message, "mailweir blocks"));
      continue;
    }
    const Prefix single = as_source(*prefix);
    std::vector<Decision> matching = active();
    std::erase_if(matching, [&](const Decision& each) {
      return each.would || !single.contains(each.source);
    });
    if (matching.empty())
      outcomes.push_back(refusal(text, to_string(single) + " is not blocked", "mailweir blocks"));
    for (Decision& decision : matching) {
      const auto dropped = datapath_.drops(decision.source);
      if (dropped) decision.dropped_packets = dropped->packets;
      if (!order.dry_run) end(decision.source, EndCause::unblocked, order.by);
      Outcome done{.source = name_of(decision.source), .ok = true, .decision = decision};
      done.note =
          fmt::format("not blocked again automatically for {} (until {}); the limit still applies",
                      duration_text(config_.block.manual_grace),
                      local_text(clock_.now().wall + config_.block.manual_grace));
      if (!order.dry_run && !store_problem_.empty())
        done.note = "in force, but not persisted: " + store_problem_;
      outcomes.push_back(std::move(done));
    }
  }
  return outcomes;
}

std::vector<Outcome> Controller::unblock_all(const Order& order) {
  std::vector<std::string> sources;
  for (const Decision& decision : active())
    if (!decision.would) sources.push_back(name_of(decision.source));
  return unblock(sources, order);
}

/// In force as a whole, or as before.
Result<> Controller::take_allow_edits(std::vector<AllowEdit> edits) {
  std::swap(allow_edits_, edits);
  auto applied = apply_rules();
  if (applied) return applied;
  std::swap(allow_edits_, edits);
  if (auto back = apply_rules(); !back)
    spdlog::error("allow rollback-failed={}", log_value(back.error().message));
  return std::move(applied).error().in("allowlist");
}

void Controller::note_allowed(Outcome& outcome) {
  const auto edit = std::ranges::find_if(allow_edits_, [&](const AllowEdit& each) {
    return to_string(each.prefix) == outcome.source;
  });
  if (edit == allow_edits_.end()) return;
  record([edit = *edit](Store& store) { return store.allow_add(edit); });
  if (!store_problem_.empty()) outcome.note = "in force, but not persisted: " + store_problem_;
  spdlog::info("allow network={} by={} reason={}", outcome.source, log_value(edit->by),
               log_value(edit->reason));
  journal_.add(clock_.now().wall, "allow", outcome.source,
               "allowed by " + edit->by + (edit->reason.empty() ? "" : ": " + edit->reason));
}

std::vector<Outcome> Controller::allow(const std::vector<std::string>& networks,
                                       const Order& order) {
  std::vector<Outcome> outcomes;
  std::vector<AllowEdit> edits = allow_edits_;
  for (const std::string& text : networks) {
    const auto prefix = parse_prefix(text);
    if (!prefix) {
      outcomes.push_back(refusal(text, prefix.error().message,
                                 "mailweir allow add 172.16.0.25 --reason \"mail server\""));
      continue;
    }
    if (!prefix->is_ipv4() && prefix->contains(*parse_address("0.0.0.0"))) {
      outcomes.push_back(refusal(text,
                                 text + " would hold all of IPv4 too, in the space of the keys",
                                 "name IPv6 networks such as 2001:db8::/32"));
      continue;
    }
    const Prefix entry = as_source(*prefix);
    std::erase_if(edits, [&](const AllowEdit& edit) { return edit.prefix == entry; });
    edits.push_back({entry, order.by, order.reason, clock_.now().wall});
    outcomes.push_back({.source = to_string(entry), .ok = true});
  }
  if (order.dry_run) return outcomes;
  if (auto taken = take_allow_edits(std::move(edits)); !taken) {
    for (Outcome& each : outcomes)
      if (each.ok) each = refusal(each.source, taken.error().message, "mailweir allow list");
    return outcomes;
  }
  for (Outcome& each : outcomes)
    if (each.ok) note_allowed(each);
  std::vector<Decision> lifted;
  lift_forbidden(&lifted, order.by);
  for (const Decision& decision : lifted)
    for (Outcome& each : outcomes)
      if (const auto prefix = parse_prefix(each.source);
          each.ok && prefix && prefix->contains(decision.source))
        each.note += (each.note.empty() ? "" : "; ") + ("lifted " + decision.id() + " of ") +
                     name_of(decision.source);
  return outcomes;
}

std::vector<Outcome> Controller::disallow(const std::vector<std::string>& networks,
                                          const Order& order) {
  std::vector<Outcome> outcomes;
  std::vector<AllowEdit> edits = allow_edits_;
  for (const std::string& text : networks) {
    const auto prefix = parse_prefix(text);
    if (!prefix) {
      outcomes.push_back(refusal(text, prefix.error().message, "mailweir allow list"));
      continue;
    }
    const Prefix entry = as_source(*prefix);
    const std::string name = to_string(entry);
    const bool is_edit =
        std::ranges::any_of(edits, [&](const AllowEdit& edit) { return edit.prefix == entry; });
    if (!is_edit) {
      const auto in_file = std::ranges::find(config_.allow.networks, entry, &AllowEntry::prefix);
      outcomes.push_back(
          in_file == config_.allow.networks.end()
              ? refusal(name, name + " is not in the allowlist", "mailweir allow list")
              : refusal(name, name + " is allowed by " + in_file->origin,
                        "take it out there, then mailweir reload"));
      continue;
    }
    outcomes.push_back({.source = name, .ok = true});
    std::erase_if(edits, [&](const AllowEdit& edit) { return edit.prefix == entry; });
  }
  if (order.dry_run) return outcomes;
  const auto taken = take_allow_edits(std::move(edits));
  for (Outcome& each : outcomes) {
    if (!each.ok) continue;
    if (!taken) {
      each = refusal(each.source, taken.error().message, "mailweir status");
      continue;
    }
    record([entry = *parse_prefix(each.source)](Store& store) -> Result<> {
      auto removed = store.allow_remove(entry);
      return removed ? Result<>(Ok{}) : Result<>(removed.error());
    });
    if (!store_problem_.empty()) each.note = "in force, but not persisted: " + store_problem_;
    spdlog::info("disallow network={} by={}", each.source, log_value(order.by));
    journal_.add(clock_.now().wall, "allow", each.source,
                 "taken out of the allowlist by " + order.by);
  }
  return outcomes;
}

Result<std::vector<Decision>> Controller::set_mode(Mode mode, const Order& order) {
  const Mode before = std::exchange(mode_, mode);
  if (auto applied = apply_rules(); !applied) {
    mode_ = before;
    return std::move(applied).error();
  }
  record([ordered = ModeOrder{mode, config_.mode, order.by, clock_.now().wall}](Store& store) {
    return store.set_mode_order(ordered);
  });
  spdlog::info("mode mode={} was={} by={}", to_string(mode), to_string(before),
               log_value(order.by));
  journal_.add(clock_.now().wall, "mode", "",
               fmt::format("{} (was {}) by {}", to_string(mode), to_string(before), order.by));
  std::vector<Decision> lifted;
  lift_forbidden(&lifted, order.by);
  end_would_blocks();
  return lifted;
}

}  // namespace mailweir
