// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/pins.h"

#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>

#include "base/time_text.h"
#include "datapath/interface.h"
#include "datapath/links.h"
#include "datapath/map.h"

namespace mailweir {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

template <typename M>
struct Pinned {
  UniqueFd fd;
  M map;
};

template <typename M>
Result<Pinned<M>> open_pinned(const std::string& path) {
  Pinned<M> pinned{UniqueFd(bpf_obj_get(path.c_str())), {}};
  if (!pinned.fd.valid()) return sys_error(errno, "open " + path);
  auto map = M::wrap(pinned.fd.get());
  if (!map) return std::move(map).error();
  pinned.map = std::move(*map);
  return pinned;
}

std::vector<Attachment> attachments_at(const std::string& links_dir) {
  std::vector<Attachment> found;
  for (const PinnedLink& link : pinned_links(links_dir)) {
    if (link.kind == PinnedLink::Kind::clsact) continue;
    Attachment each{.interface = interface_name(link.ifindex), .ifindex = link.ifindex};
    if (each.interface.empty()) each.note = "the interface is gone";
    describe(links_dir, each);
    found.push_back(std::move(each));
  }
  return found;
}

json blocks_json(const Map<mw_addr, mw_block>& blocklist, BootTime now) {
  std::uint64_t manual = 0;
  std::uint64_t automatic = 0;
  const auto read = blocklist.each([&](const mw_addr&, const mw_block& block) {
    if (block.until_ns != 0 && block.until_ns <= to_ns(now)) return;
    ++(block.reason == MW_REASON_MANUAL ? manual : automatic);
  });
  if (!read) return nullptr;
  return {{"auto", automatic}, {"manual", manual}, {"capacity", blocklist.capacity()}};
}

/// A map of another name is not ours, whichever version we are.
bool is_foreign(const std::string& path, const std::string& name) {
  const UniqueFd fd(bpf_obj_get(path.c_str()));
  if (!fd.valid()) return errno != ENOENT;
  const auto info = map_info(fd.get());
  return object_kind(fd.get()) != ObjectKind::map || !info ||
         name.substr(0, sizeof(info->name) - 1) != info->name;
}

/// Who listens there; 0 if it does not say.
pid_t listener_at(const sockaddr_un& address, socklen_t size) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ucred peer{};
  socklen_t peer_size = sizeof(peer);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) != 0)
    return 0;
  return peer.pid;
}

}  // namespace

json interfaces_json(const std::vector<Attachment>& attachments) {
  json list = json::array();
  for (const Attachment& each : attachments) {
    list.push_back({{"name", each.interface},
                    {"ifindex", each.ifindex},
                    {"hook", to_string(each.hook)},
                    {"program_id", each.program_id},
                    {"tag", each.tag},
                    {"attached_since", each.attached ? json(rfc3339(each.since)) : json(nullptr)},
                    {"adopted", each.adopted},
                    {"state", each.attached       ? "attached"
                              : each.ifindex == 0 ? "missing"
                                                  : "detached"},
                    {"note", each.note}});
  }
  return list;
}

std::vector<std::pair<std::string_view, mw_tally>> tallies(const mw_counters& counters) {
  return {
#define MW_VERDICT_PAIR(upper, lower) {#lower, counters.lower},
      MW_VERDICTS(MW_VERDICT_PAIR)
#undef MW_VERDICT_PAIR
  };
}

json packets_json(const std::map<unsigned, mw_counters>& counters) {
  json packets = json::object();
  for (const auto& [ifindex, counted] : counters) {
    std::string name = interface_name(ifindex);
    if (name.empty()) name = "ifindex " + std::to_string(ifindex);
    for (const auto& [verdict, tally] : tallies(counted))
      packets[name][std::string(verdict)] = {{"enforced", tally.enforced}, {"would", tally.would}};
  }
  return packets;
}

Result<json> status_from_pins(const std::string& bpffs_dir) {
  auto settings = open_pinned<Map<__u32, mw_settings>>(bpffs_dir + "/settings");
  if (!settings) return std::move(settings).error();
  auto set = settings->map.get(0);
  if (!set) return std::move(set).error();
  const Now now = SystemClock().now();

  json status = {{"version", MAILWEIR_VERSION},
                 {"node", nullptr},
                 {"running", false},
                 // on_stop = "pass" leaves a heartbeat of never behind.
                 {"passes_all", (*set)->heartbeat_ns == 0 && (*set)->dead_man_ns != 0},
                 {"mode", (*set)->mode == MW_MODE_BLOCK      ? "block"
                          : (*set)->mode == MW_MODE_THROTTLE ? "throttle"
                                                             : "observe"},
                 {"dead_man_seconds", (*set)->dead_man_ns / 1'000'000'000},
                 {"heartbeat_seconds_ago", std::chrono::floor<std::chrono::seconds>(
                                               now.boot - boot_time((*set)->heartbeat_ns))
                                               .count()},
                 {"interfaces", interfaces_json(attachments_at(bpffs_dir + "/links"))},
                 {"rates", nullptr},
                 {"problems", json::array({"the daemon is not running"})}};

  if (auto counters = open_pinned<PerCpuMap<__u32, mw_counters>>(bpffs_dir + "/counters")) {
    std::map<unsigned, mw_counters> sums;
    for (const __u32 ifindex : counters->map.keys())
      if (auto sum = counters->map.sum(ifindex)) sums[ifindex] = *sum;
    status["packets"] = packets_json(sums);
  }
  if (auto blocks = open_pinned<Map<mw_addr, mw_block>>(bpffs_dir + "/blocklist"))
    status["blocks"] = blocks_json(blocks->map, now.boot);
  if (auto sources = open_pinned<Map<mw_addr, mw_source>>(bpffs_dir + "/sources")) {
    std::uint64_t tracked = 0;
    if (sources->map.each([&](const mw_addr&, const mw_source&) { ++tracked; }))
      status["sources"] = {{"tracked", tracked}, {"capacity", sources->map.capacity()}};
  }
  return status;
}

/// As the object has them, so that a new map is not forgotten.
std::vector<std::string> map_names() {
  std::vector<std::string> names;
  const Skeleton skeleton(mailweir_bpf__open());
  if (!skeleton) return names;
  const bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) if (!bpf_map__is_internal(map))
      names.emplace_back(bpf_map__name(map));
  return names;
}

/// By an abstract socket: an open file or directory there would keep bpffs from being unmounted.
Result<UniqueFd> lock_pins(const std::string& bpffs_dir) {
  std::error_code failed;
  fs::create_directories(bpffs_dir, failed);
  if (failed) return sys_error(failed.value(), "make " + bpffs_dir);
  struct stat found {};
  if (::stat(bpffs_dir.c_str(), &found) != 0) return sys_error(errno, "look at " + bpffs_dir);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = fmt::format("mailweir-pins-{}-{}", found.st_dev, found.st_ino);
  name.copy(address.sun_path + 1, sizeof(address.sun_path) - 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());

  UniqueFd lock(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::bind(lock.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
      ::listen(lock.get(), 1) == 0)
    return lock;
  if (errno != EADDRINUSE) return sys_error(errno, "lock " + bpffs_dir);
  return Error{
      EADDRINUSE,
      fmt::format("another mailweir (pid {}) has the pins in {}; give this one a bpffs_dir "
                  "of its own, or stop that one",
                  listener_at(address, size), bpffs_dir)};
}

void remove_own_maps(const std::string& directory) {
  for (const std::string& name : map_names())
    if (const std::string path = directory + "/" + name; !is_foreign(path, name))
      ::unlink(path.c_str());
}

Result<std::vector<std::string>> detach_all(const std::string& bpffs_dir) {
  // A daemon that runs would attach again, and pass everything until then.
  UniqueFd lock;
  if (fs::exists(bpffs_dir)) {
    auto locked = lock_pins(bpffs_dir);
    if (!locked) return std::move(locked).error();
    lock = std::move(*locked);
  }
  std::vector<std::string> removed;
  const std::string links_dir = bpffs_dir + "/links";
  // clsact last: its filters must be gone first.
  for (const bool clsact : {false, true}) {
    for (const PinnedLink& link : pinned_links(links_dir)) {
      if ((link.kind == PinnedLink::Kind::clsact) != clsact) continue;
      auto line = remove_link(link);
      if (!line) return std::move(line).error();
      removed.push_back(std::move(*line));
    }
  }
  // What a crash left in the middle of a migration, and between a pin and its rename.
  std::error_code missing;
  for (const char* staging : {"/next", "/plan"}) {
    remove_own_maps(bpffs_dir + staging);
    ::rmdir((bpffs_dir + staging + "/links").c_str());
    ::rmdir((bpffs_dir + staging).c_str());
  }
  for (const auto& entry : fs::directory_iterator(links_dir, missing))
    if (const std::string path = entry.path().string();
        path.ends_with("_new") && parse_link_path(path.substr(0, path.size() - 4)))
      ::unlink(path.c_str());
  std::string foreign;
  for (const std::string& map : map_names()) {
    const std::string path = bpffs_dir + "/" + map;
    if (is_foreign(path, map)) {
      foreign = path;
      continue;
    }
    if (::unlink(path.c_str()) == 0)
      removed.push_back("map " + path);
    else if (errno != ENOENT)
      return sys_error(errno, "remove " + path);
  }
  if (!foreign.empty())
    return Error{EEXIST, foreign +
                             " holds something that is not mailweir's: it is left there, and " +
                             "its directory too; all else is removed"};
  for (const std::string& directory : {links_dir, bpffs_dir}) {
    if (::rmdir(directory.c_str()) == 0)
      removed.push_back("directory " + directory);
    else if (errno != ENOENT)
      return sys_error(errno, "remove " + directory);
  }
  return removed;
}

}  // namespace mailweir
