// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel program is told: rules, the freeze of an outage, the SYN log.
#include <algorithm>
#include <cstring>

#include "datapath/kernel_datapath_impl.h"

namespace mailweir {
namespace {

mw_prefix_key key_of(const Prefix& prefix) {
  return {prefix.bits, prefix.addr};
}

/// New entries first, then the stale ones go: no address is without its entry meanwhile.
template <typename K, typename Typed, typename Wanted>
Result<> replace(const Map<K, mw_scope>& map, const Wanted& wanted, Typed typed) {
  auto keys = map.keys();
  if (!keys) return std::move(keys).error();
  const auto less = [](const K& a, const K& b) { return std::memcmp(&a, &b, sizeof(K)) < 0; };
  std::vector<K> fresh;
  for (const auto& [key, scope] : wanted) {
    fresh.push_back(typed(key));
    if (auto ok = map.put(fresh.back(), scope); !ok) return ok;
  }
  std::ranges::sort(fresh, less);
  for (const K& key : *keys)
    if (!std::ranges::binary_search(fresh, key, less))
      if (auto ok = map.remove(key); !ok) return ok;
  return Ok{};
}

}  // namespace

Result<> KernelDatapath::Impl::apply_ports(const Ruleset& rules) {
  std::vector<__u64> words(MW_PORT_WORDS);
  const auto mark = [&](const std::vector<std::uint16_t>& marked, __u64 role) {
    for (const std::uint16_t port : marked) words[port / 16] |= role << (port % 16 * 4);
  };
  mark(rules.judged_ports, MW_PORT_JUDGED);
  mark(rules.watched_ports, MW_PORT_WATCHED);
  mark(rules.shielded_ports, MW_PORT_SHIELDED);
  for (__u32 i = 0; i < MW_PORT_WORDS; ++i) {
    auto was = ports.get(i);
    if (was && **was == words[i]) continue;
    if (auto ok = ports.put(i, words[i]); !ok) return ok;
  }
  return Ok{};
}

Result<> KernelDatapath::apply(const Ruleset& rules) {
  Impl& self = *impl_;
  if (rules.groups.empty() || rules.groups.size() > MW_GROUPS)
    return Error{EINVAL, "between 1 and " + std::to_string(MW_GROUPS) + " groups are possible"};
  for (__u32 i = 0; i < rules.groups.size(); ++i)
    if (auto ok = self.groups.put(i, rules.groups[i]); !ok) return ok;
  if (auto ok = replace(self.hosts, rules.hosts, [](const mw_addr& key) { return key; }); !ok)
    return ok;
  if (auto ok = replace(self.networks, rules.networks, key_of); !ok) return ok;
  if (auto ok = self.apply_ports(rules); !ok) return ok;

  self.settings.brake = rules.brake;
  self.settings.mode = rules.mode;
  self.settings.ipv6_mask = mask_of(static_cast<std::uint8_t>(rules.ipv6_prefix));
  self.settings.has_servers = rules.has_servers;
  self.settings.message_bytes = rules.message_bytes;
  self.settings.message_bytes_tls = rules.message_bytes_tls;
  self.settings.dead_man_ns = static_cast<__u64>(rules.dead_man.count());
  // Last: it makes every source look up its scope anew.
  if (++self.settings.generation == 0) self.settings.generation = 1;
  return self.write_settings();
}

std::pair<BootTime, BootTime> KernelDatapath::frozen() const {
  return {boot_time(impl_->settings.frozen_since_ns), boot_time(impl_->settings.frozen_until_ns)};
}

Result<> KernelDatapath::set_frozen(BootTime since, BootTime until) {
  impl_->settings.frozen_since_ns = to_ns(since);
  impl_->settings.frozen_until_ns = to_ns(until);
  return impl_->write_settings();
}

Result<> KernelDatapath::set_log(const LogRules& rules) {
  mw_settings& settings = impl_->settings;
  settings.log_until_ns = rules.until == BootTime::max() ? ~__u64{0} : to_ns(rules.until);
  settings.log_limit = rules.limit;
  settings.log_total = rules.total;
  settings.log_source = rules.source.value_or(mw_addr{});
  return impl_->write_settings();
}

LogRules KernelDatapath::log() const {
  const mw_settings& settings = impl_->settings;
  const bool is_endless = settings.log_until_ns == ~__u64{0};
  LogRules rules{.until = is_endless ? BootTime::max() : boot_time(settings.log_until_ns),
                 .limit = settings.log_limit,
                 .total = settings.log_total,
                 .source = std::nullopt};
  if (settings.log_source != mw_addr{}) rules.source = settings.log_source;
  return rules;
}

void KernelDatapath::when_logged(std::function<void(const mw_logged_syn&)> told) {
  impl_->logged_syn = std::move(told);
}

Result<> KernelDatapath::each_logged(
    const std::function<void(const mw_addr&, const mw_logged&)>& visit) {
  return impl_->logged.each(visit);
}

Result<mw_log_counts> KernelDatapath::log_counts() {
  return impl_->log_counts.sum(0);
}

}  // namespace mailweir
