// SPDX-License-Identifier: GPL-2.0-or-later
#include "program_fixture.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <cstdlib>
#include <map>
#include <set>

#include "base/unique_fd.h"
#include "bpf/limit.h"
#include "datapath/map.h"

namespace mailweir {

struct ProgramFixture::Loaded {
  std::uint32_t sources = 0;
  std::unique_ptr<KernelDatapath> datapath;
  std::optional<LiveInterface> tun;   // for limit_tc_ip: TEST_RUN knows Ethernet frames only
  std::optional<LiveInterface> veth;  // for what TEST_RUN refuses at tc
  std::map<std::string, UniqueFd> maps;
  BootTime now = boot_time(1'000'000'000'000'000);
  bool rules_are_default = false;

  Result<> open_maps();
};

namespace {

bool is_required(std::string_view level) {
  const char* required = std::getenv("MW_REQUIRE");
  return required != nullptr && std::string_view(required).find(level) != std::string_view::npos;
}

template <typename K>
void empty(int fd) {
  K key{};
  while (bpf_map_get_next_key(fd, nullptr, &key) == 0 && bpf_map_delete_elem(fd, &key) == 0) {
  }
}

bool is_drop(Program program, __u32 answer) {
  const bool is_xdp = program == Program::xdp;
  const __u32 dropped = is_xdp ? __u32{XDP_DROP} : __u32{TC_ACT_SHOT};
  EXPECT_TRUE(answer == dropped || answer == (is_xdp ? __u32{XDP_PASS} : ~0U))
      << name(program) << " answered " << answer;
  return answer == dropped;
}

/// A recent kernel's TEST_RUN of a tc program insists on the whole IP header.
bool test_run_refuses(Program program, const std::vector<std::uint8_t>& frame) {
  if (program != Program::tc) return false;
  const int ethertype = frame[12] << 8 | frame[13];
  return (ethertype == ETH_P_IP && frame.size() < 14 + 20) ||
         (ethertype == ETH_P_IPV6 && frame.size() < 14 + 40);
}

/// As contact_bit() of the program.
__u32 contact_bit(const mw_addr& destination, std::uint64_t seed) {
  __u32 words[2] = {};
  if (is_ipv4(destination)) {
    std::memcpy(&words[1], &destination.bytes[12], 4);
    words[1] &= htonl(0xffffff00);
  } else {
    std::memcpy(words, destination.bytes, 8);
    words[1] &= htonl(0xffff0000);
  }
  return mw_hash(words, 2, seed) % MW_SEEN_BITS;
}

}  // namespace

Ruleset default_rules() {
  Ruleset rules;
  for (const char* inside : {"172.16.0.0/12", "2001:db8:1::/48"})
    rules.networks[*parse_prefix(inside)] = {MW_SCOPE_INSIDE, 0};
  rules.groups = {mw_group{}};
  rules.judged_ports = {25};
  rules.watched_ports = {465, 587};
  rules.brake = rate(2s, 20);
  rules.mode = MW_MODE_BLOCK;
  return rules;
}

Result<> ProgramFixture::Loaded::open_maps() {
  __u32 ids[64] = {};
  bpf_prog_info info{};
  __u32 size = sizeof(info);
  info.nr_map_ids = std::size(ids);
  info.map_ids = reinterpret_cast<std::uintptr_t>(ids);
  const int program = datapath->program_fd(Program::xdp);
  if (bpf_obj_get_info_by_fd(program, &info, &size) != 0)
    return sys_error(errno, "read the program's map list");
  for (__u32 i = 0; i < info.nr_map_ids; ++i) {
    UniqueFd fd(bpf_map_get_fd_by_id(ids[i]));
    const auto map = map_info(fd.get());
    if (!map) return map.error();
    maps[map->name] = std::move(fd);
  }
  return Ok{};
}

std::unique_ptr<ProgramFixture::Loaded>& ProgramFixture::loaded() {
  static std::unique_ptr<Loaded> program;
  return program;
}

Result<> ProgramFixture::ensure_loaded(std::uint32_t sources) {
  // What failed once is not tried again for each sentence.
  static std::optional<Error> failure;
  if (failure) return *failure;
  if (loaded() && loaded()->sources == sources) return Ok{};
  loaded().reset();
  auto done = load(sources);
  if (!done) failure = done.error();
  return done;
}

Result<> ProgramFixture::load(std::uint32_t sources) {
  if (auto allowed = check_privileges(); !allowed) return allowed;
  if (auto entered = enter_own_namespace(); !entered) return entered;

  auto fresh = std::make_unique<Loaded>();
  fresh->sources = sources;
  auto datapath = KernelDatapath::load(
      {.bpffs_dir = "", .sources = sources, .blocks = 4096, .virtual_clock = true});
  if (!datapath) return std::move(datapath).error();
  fresh->datapath = std::move(*datapath);
  auto tun = LiveInterface::tun(fresh->datapath->program_fd(Program::tc_ip));
  if (!tun) return std::move(tun).error();
  fresh->tun.emplace(std::move(*tun));
  auto veth = LiveInterface::veth(fresh->datapath->program_fd(Program::tc));
  if (!veth) return std::move(veth).error();
  fresh->veth.emplace(std::move(*veth));
  if (auto opened = fresh->open_maps(); !opened) return opened;
  loaded() = std::move(fresh);
  return Ok{};
}

void ProgramFixture::SetUp() {
  if (auto ready = ensure_loaded(sources_); !ready) {
    if (is_required("bpf")) FAIL() << "MW_REQUIRE names bpf, but: " << ready.error().message;
    GTEST_SKIP() << ready.error().message;
  }
  empty_maps();
  // A day later: whatever an earlier test used up has recovered.
  now_ = loaded()->now;
  advance(24h);
  if (!loaded()->rules_are_default) apply(default_rules());
  loaded()->rules_are_default = true;
}

void ProgramFixture::empty_maps() {
  clear_sources();
  empty<mw_addr>(map_fd("scores"));
  empty<mw_addr>(map_fd("blocklist"));
  empty<mw_addr>(map_fd("drops"));
  empty<__u32>(map_fd("counters"));
  empty<mw_addr>(map_fd("logged"));
  ASSERT_TRUE(datapath().set_log({}));
  (void)events();
}

void ProgramFixture::clear_sources() {
  empty<mw_addr>(map_fd("sources"));
}

KernelDatapath& ProgramFixture::datapath() const {
  return *loaded()->datapath;
}

int ProgramFixture::map_fd(const std::string& name) const {
  return loaded()->maps.at(name).get();
}

mw_counters ProgramFixture::all_counters() const {
  mw_counters total{};
  auto* to = reinterpret_cast<__u64*>(&total);
  const auto found = datapath().counters();
  EXPECT_TRUE(found);
  for (const auto& [ifindex, counted] : *found) {
    const auto* from = reinterpret_cast<const __u64*>(&counted);
    for (std::size_t i = 0; i < sizeof(total) / sizeof(__u64); ++i) to[i] += from[i];
  }
  return total;
}

Outcome ProgramFixture::test_run(Program program, const std::vector<std::uint8_t>& frame,
                                 void* context, std::size_t context_size) {
  const mw_counters before = all_counters();
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
              .data_size_in = static_cast<__u32>(frame.size()), .ctx_in = context,
              .ctx_size_in = static_cast<__u32>(context_size), .repeat = 1);
  if (bpf_prog_test_run_opts(datapath().program_fd(program), &options) != 0) {
    ADD_FAILURE() << name(program) << ", " << frame.size() << " bytes: " << std::strerror(errno);
    return {};
  }
  return {is_drop(program, options.retval), counted_between(before, all_counters())};
}

Outcome ProgramFixture::run(Program program, const std::vector<std::uint8_t>& frame) {
  return program == Program::tc_ip || test_run_refuses(program, frame)
             ? run_live(program, frame)
             : test_run(program, frame, nullptr, 0);
}

Outcome ProgramFixture::run_on(Program program, unsigned ifindex, const Packet& packet) {
  const auto frame = packet.bytes();
  xdp_md xdp{};
  xdp.data_end = static_cast<__u32>(frame.size());
  xdp.ingress_ifindex = ifindex;
  __sk_buff skb{};
  skb.ifindex = ifindex;
  return program == Program::xdp ? test_run(program, frame, &xdp, sizeof(xdp))
                                 : test_run(program, frame, &skb, sizeof(skb));
}

Outcome ProgramFixture::run_live(Program program, const std::vector<std::uint8_t>& frame,
                                 std::uint16_t linear) {
  LiveInterface& interface = program == Program::tc_ip ? *loaded()->tun : *loaded()->veth;
  const mw_counters before = all_counters();
  const auto passed_before = interface.passed();
  if (auto done = interface.send(frame, linear); !done) {
    ADD_FAILURE() << done.error().message;
    return {};
  }
  const auto deadline = std::chrono::steady_clock::now() + 2s;
  while (std::chrono::steady_clock::now() < deadline) {
    // In this order: what was passed on is counted already.
    const bool passed = interface.passed() != passed_before;
    const mw_counters after = all_counters();
    const bool dropped = dropped_packets(after) != dropped_packets(before);
    if (passed || dropped) return {!passed, counted_between(before, after)};
  }
  ADD_FAILURE() << "no answer to a frame of " << frame.size() << " bytes";
  return {};
}

void ProgramFixture::repeat(Program program, const Packet& packet, int times) const {
  const auto frame = packet.bytes();
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
              .data_size_in = static_cast<__u32>(frame.size()), .repeat = times);
  EXPECT_EQ(0, bpf_prog_test_run_opts(datapath().program_fd(program), &options))
      << std::strerror(errno);
}

void ProgramFixture::apply(const Ruleset& rules) {
  const auto applied = datapath().apply(rules);
  ASSERT_TRUE(applied) << applied.error().message;
  loaded()->rules_are_default = false;
}

void ProgramFixture::advance(nanoseconds by) {
  now_ += by;
  loaded()->now = now_;
  const auto set = datapath().set_virtual_now(now_);
  ASSERT_TRUE(set) << set.error().message;
}

void ProgramFixture::sweep() {
  const auto swept = datapath().sweep_flows();
  ASSERT_TRUE(swept) << swept.error().message;
}

void ProgramFixture::beat() {
  ASSERT_TRUE(datapath().beat(now_));
}

void ProgramFixture::block(const mw_addr& source, std::optional<nanoseconds> lasts,
                           mw_reason reason) {
  const mw_block entry{
      .until_ns = lasts ? to_ns(now_ + *lasts) : 0, .decision = 1, .reason = reason};
  ASSERT_TRUE(datapath().put_block(source, entry));
}

std::optional<mw_source> ProgramFixture::source(const mw_addr& key) const {
  const auto found = datapath().source(key);
  EXPECT_TRUE(found);
  return found ? *found : std::nullopt;
}

mw_drops ProgramFixture::drops(const mw_addr& key) const {
  const auto found = datapath().drops(key);
  EXPECT_TRUE(found);
  return found ? *found : mw_drops{};
}

mw_counters ProgramFixture::counters(unsigned ifindex) const {
  const auto found = datapath().counters();
  EXPECT_TRUE(found && found->contains(ifindex)) << "no counters of ifindex " << ifindex;
  return found && found->contains(ifindex) ? found->at(ifindex) : mw_counters{};
}

std::vector<mw_event> ProgramFixture::events() const {
  std::vector<mw_event> found;
  datapath().read_events([&](const mw_event& event) { found.push_back(event); });
  return found;
}

std::uint64_t ProgramFixture::hash_seed() const {
  const __u32 zero = 0;
  mw_settings settings{};
  EXPECT_EQ(0, bpf_map_lookup_elem(map_fd("settings"), &zero, &settings));
  return settings.hash_seed;
}

Packet PathTest::flow(int client, int server, std::uint16_t port) {
  const std::uint16_t source_port = ++last_port_;
  return path()
      .ip(path().client(client), path().server(server))
      .tcp(port, source_port)
      .isn(source_port * 7919U);
}

std::vector<int> PathTest::distinct_servers(std::size_t count) const {
  std::vector<int> servers;
  std::set<__u32> bits;
  for (int number = 1; servers.size() < count && number < 256; ++number)
    if (bits.insert(contact_bit(*parse_address(path().server(number)), hash_seed())).second)
      servers.push_back(number);
  EXPECT_EQ(count, servers.size());
  return servers;
}

mw_source PathTest::evidence(int client) const {
  const auto found = source(path().key(client));
  EXPECT_TRUE(found) << "nothing is known of " << path().client(client);
  return found.value_or(mw_source{});
}

}  // namespace mailweir
