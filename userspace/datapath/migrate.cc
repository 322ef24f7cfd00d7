// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/migrate.h"

#include <bpf/btf.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "datapath/links.h"
#include "datapath/map.h"
#include "datapath/pins.h"
#include "datapath/value_copy.h"

namespace mailweir {
namespace {

namespace fs = std::filesystem;

using Types = std::unique_ptr<btf, CallFn<btf__free>>;

/// What may lose no entry.
constexpr std::string_view kBlocks = "blocklist";

/// A pinned map with what the kernel knows of its types.
struct TypedMap {
  UniqueFd fd;
  bpf_map_info info{};
  Types types;

  [[nodiscard]] TypeRef value() const { return {types.get(), info.btf_value_type_id}; }
  [[nodiscard]] bool per_cpu() const {
    return info.type == BPF_MAP_TYPE_PERCPU_HASH || info.type == BPF_MAP_TYPE_PERCPU_ARRAY ||
           info.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
  }
  /// Of one CPU's value, as the system call lays them out.
  [[nodiscard]] std::size_t stride() const {
    return per_cpu() ? (std::size_t{info.value_size} + 7) / 8 * 8 : info.value_size;
  }
};

Result<TypedMap> open_map(const std::string& path) {
  TypedMap map;
  map.fd = UniqueFd(bpf_obj_get(path.c_str()));
  if (!map.fd.valid()) return sys_error(errno, "open " + path);
  auto info = map_info(map.fd.get());
  if (!info) return std::move(info).error();
  map.info = *info;
  if (info->btf_id != 0) map.types.reset(btf__load_from_kernel_by_id(info->btf_id));
  return map;
}

std::string listed(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

/// Bounded, since the old program may evict the key that we stand on.
std::vector<std::vector<char>> keys_of(const TypedMap& map) {
  std::vector<std::vector<char>> keys;
  std::vector<char> next(map.info.key_size);
  while (keys.size() <= map.info.max_entries &&
         bpf_map_get_next_key(map.fd.get(), keys.empty() ? nullptr : keys.back().data(),
                              next.data()) == 0)
    keys.push_back(next);
  return keys;
}

Result<std::size_t> copy_entries(const TypedMap& from, const TypedMap& to, const ValueCopy& plan,
                                 const std::string& name) {
  const std::size_t cpus =
      from.per_cpu() ? static_cast<std::size_t>(std::max(1, libbpf_num_possible_cpus())) : 1;
  std::vector<char> old_value(from.stride() * cpus);
  std::vector<char> new_value(to.stride() * cpus);
  std::size_t copied = 0;
  for (const std::vector<char>& key : keys_of(from)) {
    if (bpf_map_lookup_elem(from.fd.get(), key.data(), old_value.data()) != 0) continue;
    std::ranges::fill(new_value, 0);
    for (std::size_t cpu = 0; cpu < cpus; ++cpu)
      plan.apply(old_value.data() + cpu * from.stride(), new_value.data() + cpu * to.stride());
    if (bpf_map_update_elem(to.fd.get(), key.data(), new_value.data(), BPF_ANY) != 0) {
      if (errno == E2BIG)
        return Error{
            E2BIG, fmt::format("{} holds more than the new size of {}", name, to.info.max_entries)};
      return sys_error(errno, "write map " + name);
    }
    ++copied;
  }
  return copied;
}

/// One line about what became of the map's entries.
Result<std::string> copy_map(const std::string& name, const TypedMap& from, const TypedMap& to) {
  if (to.info.type == BPF_MAP_TYPE_RINGBUF) return "map " + name + ": made anew";
  const bool fits = from.types && to.types && from.info.key_size == to.info.key_size &&
                    from.per_cpu() == to.per_cpu();
  const ValueCopy plan = fits ? plan_copy(from.value(), to.value()) : ValueCopy{};
  if (name == kBlocks && (!fits || !plan.lost.empty()))
    return Error{EINVAL, "map " + name + ": this version cannot take over " +
                             (fits ? listed(plan.lost) : "its keys") +
                             "; nothing was changed. mailweir detach, then start again: the record "
                             "restores the blocks, with a gap"};
  if (!fits) return "map " + name + ": of another kind, begun anew";
  auto copied = copy_entries(from, to, plan, name);
  // Room for fewer: what is measured may be lost, a block may not.
  if (!copied && (name == kBlocks || copied.error().code != E2BIG)) return copied.error();
  std::string line =
      copied ? fmt::format("map {}: {} of {} bytes taken over", name, *copied, to.info.value_size)
             : fmt::format("map {}: {}, the rest is lost", name, copied.error().message);
  if (!plan.lost.empty()) line += "; no more: " + listed(plan.lost);
  if (!plan.fresh.empty()) line += "; new: " + listed(plan.fresh);
  return line;
}

bool same_shape(const TypedMap& a, const TypedMap& b) {
  return a.info.type == b.info.type && a.info.key_size == b.info.key_size &&
         a.info.value_size == b.info.value_size && a.info.max_entries == b.info.max_entries;
}

/// The directory beside the pins in which the new maps stand until they take their places.
class Staging {
 public:
  explicit Staging(std::string path) : path_(std::move(path)) { clear(); }
  ~Staging() { clear(); }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  [[nodiscard]] std::string of(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  void clear() const {
    remove_own_maps(path_);
    ::rmdir((path_ + "/links").c_str());
    ::rmdir(path_.c_str());
  }
  std::string path_;
};

/// The seed, the heartbeat and the numbers stay; the layout is ours from now on.
Result<> finish_settings(const Map<__u32, mw_settings>& settings, std::uint64_t layout_hash) {
  auto copied = settings.get(0);
  if (!copied) return std::move(copied).error();
  mw_settings value = **copied;
  value.layout_hash = layout_hash;
  // Cached scopes of the copied sources are looked up anew.
  if (++value.generation == 0) value.generation = 1;
  return settings.put(0, value);
}

/// All maps, into those that stand in `staging`. True: the old ones would not do.
Result<bool> fill(const std::string& bpffs_dir, const Staging& staging,
                  std::vector<std::string>& lines) {
  auto settings_map = open_map(staging.of("settings"));
  if (!settings_map) return std::move(settings_map).error();
  const auto settings = Map<__u32, mw_settings>::wrap(settings_map->fd.get());
  if (!settings) return settings.error();
  const auto made = settings->get(0);
  if (!made) return made.error();

  bool is_needed = false;
  for (const std::string& name : map_names()) {
    const auto to = open_map(staging.of(name));
    if (!to) return to.error();
    const auto from = open_map(bpffs_dir + "/" + name);
    if (!from && from.error().code != ENOENT) return from.error();
    is_needed = is_needed || !from || !same_shape(*from, *to);
    auto line = from ? copy_map(name, *from, *to) : "map " + name + ": new";
    if (!line) return std::move(line).error();
    lines.push_back(std::move(*line));
  }
  const auto copied = settings->get(0);
  if (!copied) return copied.error();
  is_needed = is_needed || (*copied)->layout_hash != (*made)->layout_hash;
  if (auto done = finish_settings(*settings, (*made)->layout_hash); !done) return done.error();
  return is_needed;
}

}  // namespace

Result<std::vector<std::string>> migrate(const LoadOptions& options, bool dry_run) {
  const std::string& dir = options.bpffs_dir;
  if (auto usable = check_bpffs(dir); !usable) return std::move(usable).error();
  if (!fs::exists(dir + "/settings"))
    return Error{ENODATA, "nothing of mailweir is pinned under " + dir + ": a start makes it"};
  const auto lock = lock_pins(dir);
  if (!lock) return lock.error();
  // One that was interrupted: the program may use the maps that stand there.
  const bool was_interrupted = fs::exists(dir + "/next");
  const Staging staging(dir + (dry_run ? "/plan" : "/next"));
  LoadOptions beside = options;
  beside.bpffs_dir = staging.path();
  auto fresh = KernelDatapath::load(beside);
  if (!fresh) return std::move(fresh).error();

  std::vector<std::string> lines;
  const auto is_needed = fill(dir, staging, lines);
  if (!is_needed) return is_needed.error();
  if (!*is_needed && !was_interrupted) return std::vector<std::string>{};
  if (dry_run) return lines;

  // From here on the new maps are what is enforced.
  const std::string links_dir = dir + "/links";
  for (const Attachment& each : (*fresh)->take_over(links_dir)) {
    if (!each.attached)
      return Error{EIO, each.interface + ": " + each.note + "; run mailweir migrate again"};
    lines.push_back(
        fmt::format("interface {}: program swapped ({})", each.interface, to_string(each.hook)));
  }
  // The settings last: they say whose layout all have.
  std::vector<std::string> names = map_names();
  std::stable_partition(names.begin(), names.end(),
                        [](const std::string& name) { return name != "settings"; });
  for (const std::string& name : names)
    if (std::rename(staging.of(name).c_str(), (dir + "/" + name).c_str()) != 0)
      return sys_error(errno, "pin " + dir + "/" + name);
  return lines;
}

}  // namespace mailweir
