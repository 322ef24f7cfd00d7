// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/kernel_datapath.h"

#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <sstream>

#include "datapath/interface.h"
#include "datapath/kernel_datapath_impl.h"
#include "datapath/layout.h"

namespace mailweir {
namespace {

namespace fs = std::filesystem;

/// libbpf's last words: the verifier's lines are the reason of a refused load.
constexpr std::size_t kWords = 12;
std::deque<std::string>& libbpf_lines() {
  static std::deque<std::string> lines;
  return lines;
}

int keep_libbpf_line(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  // One message may hold the verifier's whole log: its end says what was wrong.
  char* message = nullptr;
  if (::vasprintf(&message, format, arguments) < 0) return 0;
  auto& lines = libbpf_lines();
  std::istringstream text(message);
  std::free(message);
  for (std::string line; std::getline(text, line);) {
    if (!line.empty()) lines.push_back(std::move(line));
    if (lines.size() > kWords) lines.pop_front();
  }
  return 0;
}

Error load_error(int err) {
  std::string text = "load the kernel program: ";
  if (err == -EPERM)
    return {EPERM, text + "not permitted: run as root (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON)"};
  // The capabilities were asked for before: EACCES is the verifier's.
  text += err == -EACCES ? "the verifier refuses it" : std::strerror(-err);
  text += "; what was attached before stays";
  for (const std::string& line : libbpf_lines()) text += "\n  " + line;
  return {err == -EACCES ? EINVAL : -err, text};
}

template <typename M>
Result<> wrap_into(M& to, const bpf_map* map) {
  auto wrapped = M::wrap(bpf_map__fd(map));
  if (!wrapped) return std::move(wrapped).error();
  to = std::move(*wrapped);
  return Ok{};
}

}  // namespace

Result<> KernelDatapath::Impl::open() {
  libbpf_set_print(keep_libbpf_line);
  libbpf_lines().clear();
  skeleton.reset(mailweir_bpf__open());
  if (!skeleton) return load_error(-errno);
  skeleton->rodata->virtual_clock = options.virtual_clock;
  bpf_map__set_max_entries(skeleton->maps.sources, options.sources);
  bpf_map__set_max_entries(skeleton->maps.scores, options.sources);
  bpf_map__set_max_entries(skeleton->maps.blocklist, options.blocks);
  bpf_map__set_max_entries(skeleton->maps.drops, options.blocks);
  if (!options.bpffs_dir.empty())
    if (auto pinned = pin_maps(); !pinned) return pinned;

  if (const int err = mailweir_bpf__load(skeleton.get()); err != 0) return load_error(err);
  if (auto wrapped = wrap_maps(); !wrapped) return wrapped;
  if (auto started = start_settings(); !started) return started;

  ring.reset(ring_buffer__new(
      bpf_map__fd(skeleton->maps.events),
      [](void* self, void* record, size_t size) {
        const auto& visit = static_cast<Impl*>(self)->visit_event;
        if (size >= sizeof(mw_event) && visit) visit(*static_cast<const mw_event*>(record));
        return 0;
      },
      this, nullptr));
  if (!ring) return sys_error(errno, "open the event ring buffer");
  const int added = ring_buffer__add(
      ring.get(), bpf_map__fd(skeleton->maps.syn_log),
      [](void* self, void* record, size_t size) {
        const auto& told = static_cast<Impl*>(self)->logged_syn;
        if (size >= sizeof(mw_logged_syn) && told) told(*static_cast<const mw_logged_syn*>(record));
        return 0;
      },
      this);
  if (added != 0) return sys_error(-added, "open the ring buffer of the SYN log");
  attacher = std::make_unique<Attacher>(options.bpffs_dir + "/links", programs(), pins);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) if (const char* path = bpf_map__pin_path(map))
      pins.hold(path);
  return Ok{};
}

Attacher::Programs KernelDatapath::Impl::programs() const {
  return {.xdp_fd = bpf_program__fd(skeleton->progs.limit_xdp),
          .tc_fd = bpf_program__fd(skeleton->progs.limit_tc),
          .tc_ip_fd = bpf_program__fd(skeleton->progs.limit_tc_ip),
          .marker_fd = bpf_map__fd(skeleton->maps.settings)};
}

/// Every map gets its pin path. One that is pinned already keeps its size.
Result<> KernelDatapath::Impl::pin_maps() {
  if (auto usable = check_bpffs(options.bpffs_dir); !usable) return usable;
  if (fs::exists(options.bpffs_dir + "/next"))
    return Error{EINVAL, "a migration of the maps under " + options.bpffs_dir +
                             " was interrupted: mailweir migrate, then start again"};
  std::error_code failed;
  fs::create_directories(options.bpffs_dir + "/links", failed);
  if (failed) return sys_error(failed.value(), "make " + options.bpffs_dir + "/links");

  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) {
    if (bpf_map__is_internal(map)) continue;
    const std::string name = bpf_map__name(map);
    const std::string path = options.bpffs_dir + "/" + name;
    bpf_map__set_pin_path(map, path.c_str());
    const UniqueFd fd(bpf_obj_get(path.c_str()));
    if (!fd.valid()) {
      if (errno == ENOENT) continue;
      return Error{EINVAL, sys_error(errno, "open " + path).message +
                               ": it is no map; move it away, then start again"};
    }
    const auto found = map_info(fd.get());
    if (!found || found->type != bpf_map__type(map) || found->key_size != bpf_map__key_size(map) ||
        found->value_size != bpf_map__value_size(map))
      return Error{EINVAL,
                   path + " holds something else than this version's map " + name +
                       "; it is left as it is. If it is another version's: mailweir migrate, then "
                       "start again"};
    if (found->max_entries != bpf_map__max_entries(map)) {
      notes.push_back("map " + name + " keeps its size of " + std::to_string(found->max_entries) +
                      " (configured: " + std::to_string(bpf_map__max_entries(map)) +
                      "); for the new size: stop, mailweir migrate, start");
      bpf_map__set_max_entries(map, found->max_entries);
    }
    if (name == "settings")
      if (auto same = check_layout(path); !same) return same;
  }
  return Ok{};
}

Result<> KernelDatapath::Impl::check_layout(const std::string& path) const {
  const UniqueFd fd(bpf_obj_get(path.c_str()));
  const __u32 zero = 0;
  mw_settings found{};
  if (!fd.valid() || bpf_map_lookup_elem(fd.get(), &zero, &found) != 0)
    return sys_error(errno, "read " + path);
  if (found.layout_hash == 0 || found.layout_hash == layout_hash(skeleton->obj)) return Ok{};
  return Error{EINVAL, "the maps under " + options.bpffs_dir +
                           " have another version's layout; the program that uses them goes on "
                           "enforcing. To change over without a gap: mailweir migrate, then start "
                           "again"};
}

Result<> KernelDatapath::Impl::wrap_maps() {
  const auto& maps = skeleton->maps;
  if (auto ok = wrap_into(sources, maps.sources); !ok) return ok;
  if (auto ok = wrap_into(scores, maps.scores); !ok) return ok;
  if (auto ok = wrap_into(blocklist, maps.blocklist); !ok) return ok;
  if (auto ok = wrap_into(drops, maps.drops); !ok) return ok;
  if (auto ok = wrap_into(hosts, maps.hosts); !ok) return ok;
  if (auto ok = wrap_into(networks, maps.networks); !ok) return ok;
  if (auto ok = wrap_into(ports, maps.ports); !ok) return ok;
  if (auto ok = wrap_into(groups, maps.groups); !ok) return ok;
  if (auto ok = wrap_into(settings_map, maps.settings); !ok) return ok;
  if (auto ok = wrap_into(contacts, maps.contacts); !ok) return ok;
  if (auto ok = wrap_into(logged, maps.logged); !ok) return ok;
  if (auto ok = wrap_into(log_counts, maps.log_counts); !ok) return ok;
  return wrap_into(counters, maps.counters);
}

/// The seed outlives us: a new one would count every contact of every source again.
Result<> KernelDatapath::Impl::start_settings() {
  auto found = settings_map.get(0);
  if (!found) return std::move(found).error();
  if (*found) settings = **found;
  if (settings.layout_hash == 0) {
    settings.layout_hash = layout_hash(skeleton->obj);
    if (::getrandom(&settings.hash_seed, sizeof(settings.hash_seed), 0) < 0)
      return sys_error(errno, "draw a hash seed");
  }
  return write_settings();
}

KernelDatapath::KernelDatapath(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KernelDatapath::~KernelDatapath() = default;

Result<std::unique_ptr<KernelDatapath>> KernelDatapath::load(const LoadOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  if (auto opened = impl->open(); !opened) return std::move(opened).error();
  return std::unique_ptr<KernelDatapath>(new KernelDatapath(std::move(impl)));
}

Result<> KernelDatapath::beat(BootTime now) {
  impl_->settings.heartbeat_ns = to_ns(now);
  return impl_->write_settings();
}

std::uint32_t KernelDatapath::last_decision() const {
  return impl_->settings.last_decision;
}

Result<> KernelDatapath::set_last_decision(std::uint32_t number) {
  impl_->settings.last_decision = number;
  return impl_->write_settings();
}

Result<> KernelDatapath::put_block(const mw_addr& source, const mw_block& block) {
  auto put = impl_->blocklist.put(source, block);
  if (!put && put.error().code == E2BIG)
    return Error{E2BIG, "blocklist full (" + std::to_string(block_capacity()) +
                            "): unblock some, or raise [maps] blocks"};
  return put;
}

Result<> KernelDatapath::remove_block(const mw_addr& source) {
  return impl_->blocklist.remove(source);
}

Result<std::vector<std::pair<mw_addr, mw_block>>> KernelDatapath::blocks() {
  std::vector<std::pair<mw_addr, mw_block>> found;
  auto read = impl_->blocklist.each(
      [&](const mw_addr& source, const mw_block& block) { found.emplace_back(source, block); });
  if (!read) return std::move(read).error();
  return found;
}

Result<mw_drops> KernelDatapath::drops(const mw_addr& source) {
  return impl_->drops.sum(source);
}
Result<> KernelDatapath::forget_drops(const mw_addr& source) {
  return impl_->drops.remove(source);
}

Result<std::optional<mw_source>> KernelDatapath::source(const mw_addr& key) {
  return impl_->sources.get(key);
}

Result<> KernelDatapath::each_source(
    const std::function<void(const mw_addr&, const mw_source&)>& visit) {
  return impl_->sources.each(visit);
}

Result<std::optional<std::uint32_t>> KernelDatapath::some_sources(
    std::optional<std::uint32_t> cursor, std::uint32_t most,
    const std::function<void(const mw_addr&, const mw_source&)>& visit) {
  return impl_->sources.some(cursor, most, visit);
}

Result<std::map<unsigned, mw_counters>> KernelDatapath::counters() {
  std::map<unsigned, mw_counters> found;
  for (const __u32 ifindex : impl_->counters.keys()) {
    auto sum = impl_->counters.sum(ifindex);
    if (!sum) return std::move(sum).error();
    found[ifindex] = *sum;
  }
  return found;
}

Result<std::optional<mw_score>> KernelDatapath::score(const mw_addr& source) {
  return impl_->scores.get(source);
}
Result<> KernelDatapath::put_score(const mw_addr& source, const mw_score& score) {
  return impl_->scores.put(source, score);
}
Result<> KernelDatapath::remove_score(const mw_addr& source) {
  return impl_->scores.remove(source);
}

Result<std::vector<std::pair<mw_addr, mw_score>>> KernelDatapath::scores() {
  std::vector<std::pair<mw_addr, mw_score>> found;
  auto read = impl_->scores.each(
      [&](const mw_addr& source, const mw_score& score) { found.emplace_back(source, score); });
  if (!read) return std::move(read).error();
  return found;
}

Result<> KernelDatapath::sweep_flows() {
  // Opened before, ended after: what begins meanwhile must not look evicted.
  const auto before = impl_->contacts.sum(0);
  if (!before) return before.error();
  LIBBPF_OPTS(bpf_test_run_opts, options);
  if (bpf_prog_test_run_opts(bpf_program__fd(impl_->skeleton->progs.sweep_flows), &options) != 0)
    return sys_error(errno, "run the sweep");
  const auto after = impl_->contacts.sum(0);
  if (!after) return after.error();
  const std::uint64_t accounted =
      after->unanswered + after->finished + after->lost + contacts_pending();
  if (before->opened > accounted)
    impl_->evicted_contacts =
        std::max<std::uint64_t>(impl_->evicted_contacts, before->opened - accounted);
  return Ok{};
}

std::uint64_t KernelDatapath::contacts_pending() const {
  return impl_->skeleton->bss->contacts_pending;
}

Result<mw_contacts> KernelDatapath::contacts() {
  auto counts = impl_->contacts.sum(0);
  if (counts) counts->lost += impl_->evicted_contacts;
  return counts;
}

std::uint64_t KernelDatapath::tracked_sources() const {
  return impl_->skeleton->bss->sources_tracked;
}
std::uint64_t KernelDatapath::active_sources() const {
  return impl_->skeleton->bss->sources_active;
}

Confirmation KernelDatapath::confirm(const mw_event& outcome) {
  return impl_->conntrack.confirm(outcome);
}

std::uint32_t KernelDatapath::source_capacity() const {
  return impl_->sources.capacity();
}
std::uint32_t KernelDatapath::block_capacity() const {
  return impl_->blocklist.capacity();
}
int KernelDatapath::events_fd() const {
  return ring_buffer__epoll_fd(impl_->ring.get());
}

void KernelDatapath::read_events(const std::function<void(const mw_event&)>& visit) {
  impl_->visit_event = visit;
  (void)ring_buffer__consume(impl_->ring.get());
  impl_->visit_event = nullptr;
}

std::uint64_t KernelDatapath::events_lost() const {
  return impl_->skeleton->bss->events_lost;
}

std::vector<Attachment> KernelDatapath::attach(const std::vector<std::string>& interfaces,
                                               AttachChoice choice) {
  return impl_->attacher->attach(interfaces, choice);
}

std::vector<Attachment> KernelDatapath::take_over(const std::string& links_dir) {
  std::vector<std::string> names;
  for (const PinnedLink& link : pinned_links(links_dir))
    if (link.kind != PinnedLink::Kind::clsact && attached_program(link) != 0)
      names.push_back(interface_name(link.ifindex));
  PinKeeper pins;
  return Attacher(links_dir, impl_->programs(), pins).attach(names, AttachChoice::automatic);
}

std::vector<Attachment> KernelDatapath::check_attached() {
  impl_->pin_problem = impl_->pins.restore();
  return impl_->attacher->check();
}

std::string KernelDatapath::pin_problem() const {
  return impl_->pin_problem;
}

const std::vector<std::string>& KernelDatapath::notes() const {
  return impl_->notes;
}

Result<> KernelDatapath::set_virtual_now(BootTime now) {
  impl_->settings.virtual_now_ns = to_ns(now);
  return impl_->write_settings();
}

Result<> KernelDatapath::set_hash_seed(std::uint64_t seed) {
  impl_->settings.hash_seed = seed;
  return impl_->write_settings();
}

Result<bool> KernelDatapath::test_run(const std::vector<std::uint8_t>& frame) {
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
              .data_size_in = static_cast<__u32>(frame.size()));
  if (bpf_prog_test_run_opts(program_fd(Program::xdp), &options) != 0)
    return sys_error(
        errno, "run the kernel program on a frame of " + std::to_string(frame.size()) + " bytes");
  return options.retval == XDP_PASS;
}

int KernelDatapath::program_fd(Program program) const {
  const auto& programs = impl_->skeleton->progs;
  return bpf_program__fd(program == Program::xdp  ? programs.limit_xdp
                         : program == Program::tc ? programs.limit_tc
                                                  : programs.limit_tc_ip);
}

std::string_view to_string(Hook hook) {
  return hook == Hook::xdp ? "xdp" : hook == Hook::tc ? "tc" : "xdp-generic";
}

}  // namespace mailweir
