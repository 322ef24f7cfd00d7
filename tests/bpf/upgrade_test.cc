// SPDX-License-Identifier: GPL-2.0-or-later
// One program takes over from another while a blocked source floods: with the same maps, with maps
// of another layout, and when it may not.
#include <gmock/gmock.h>
#include <net/if.h>
#include <spdlog/fmt/fmt.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>

#include "datapath/handles.h"
#include "datapath/links.h"
#include "datapath/map.h"
#include "datapath/migrate.h"
#include "datapath/pins.h"
#include "flood.h"
#include "program_fixture.h"

namespace mailweir {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using Object = std::unique_ptr<bpf_object, CallFn<bpf_object__close>>;

constexpr const char* kBlocked = "172.16.7.70";
constexpr const char* kNeighbour = "172.16.7.71";

/// struct mw_block as older_abi.sed leaves it.
struct OlderBlock {
  __u32 decision, reason;
  __u64 until_ns;
};

class UpgradeTest : public ProgramFixture {
 protected:
  void SetUp() override {
    ProgramFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    mounted_ = fs::temp_directory_path() / ("mailweir-upgrade-" + std::to_string(::getpid()));
    fs::create_directories(mounted_);
    ASSERT_EQ(::mount("bpf", mounted_.c_str(), "bpf", 0, nullptr), 0) << ::strerror(errno);
    dir_ = mounted_ / "mailweir";
    auto flood = Flood::make();
    ASSERT_TRUE(flood) << flood.error().message;
    flood_ = std::move(*flood);
  }
  void TearDown() override {
    flood_.reset();
    if (!dir_.empty()) (void)detach_all(dir_);
    if (mounted_.empty()) return;
    ::umount2(mounted_.c_str(), MNT_DETACH);
    std::error_code ignored;
    fs::remove(mounted_, ignored);
  }

  [[nodiscard]] std::unique_ptr<KernelDatapath> load() const {
    auto loaded = KernelDatapath::load({.bpffs_dir = dir_, .sources = 4096, .blocks = 4096});
    EXPECT_TRUE(loaded) << loaded.error().message;
    return loaded ? std::move(*loaded) : nullptr;
  }
  [[nodiscard]] std::unique_ptr<KernelDatapath> load_and_block() const {
    auto datapath = load();
    EXPECT_TRUE(datapath->apply(default_rules()));
    EXPECT_TRUE(datapath->put_block(*parse_address(kBlocked), {0, 7, MW_REASON_EVIDENCE}));
    EXPECT_TRUE(datapath->set_last_decision(7));
    return datapath;
  }
  [[nodiscard]] static std::uint32_t attach(KernelDatapath& datapath,
                                            AttachChoice choice = AttachChoice::xdp) {
    const auto attached = datapath.attach({Flood::kGuarded}, choice);
    EXPECT_TRUE(attached.at(0).attached) << attached.at(0).note;
    return attached.at(0).program_id;
  }
  [[nodiscard]] std::uint32_t program_in_link() const {
    const auto links = pinned_links(dir_ + "/links");
    return links.empty() ? 0 : attached_program(links.front());
  }
  /// Until the flood has met the program for a while longer.
  void flood_on() const {
    const std::uint64_t seen = flood_->sent().blocked;
    while (flood_->sent().blocked < seen + 1000) std::this_thread::yield();
  }
  void expect_no_leak() {
    flood_->stop();
    EXPECT_GE(flood_->sent().blocked, 1000U);
    EXPECT_EQ(flood_->arrived().blocked, 0U) << "of " << flood_->sent().blocked;
    EXPECT_GT(flood_->arrived().neighbour, 0U) << "the same frame of a neighbour passes";
  }
  [[nodiscard]] std::uint64_t counted_as_blocked(KernelDatapath& datapath) const {
    std::uint64_t all = 0;
    const auto counters = datapath.counters();
    EXPECT_TRUE(counters);
    for (const auto& [ifindex, counted] : *counters) all += counted.blocked.enforced;
    return all;
  }

  Object pin_older();

  fs::path mounted_;  ///< a bpffs of its own
  std::string dir_;
  std::unique_ptr<Flood> flood_;
};

/// As an older daemon leaves it: maps of its layout with a block in them, its program attached.
Object UpgradeTest::pin_older() {
  fs::create_directories(dir_ + "/links");
  // Beside this binary, wherever the two were taken.
  const fs::path object = fs::read_symlink("/proc/self/exe").parent_path() / MAILWEIR_OLDER_OBJECT;
  Object older(bpf_object__open_file(object.c_str(), nullptr));
  EXPECT_NE(older, nullptr);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, older.get()) {
    const std::string name = bpf_map__name(map);
    if (bpf_map__is_internal(map)) continue;
    bpf_map__set_pin_path(map, (dir_ + "/" + name).c_str());
    if (name == "sources" || name == "scores") bpf_map__set_max_entries(map, 2048);
  }
  EXPECT_EQ(bpf_object__load(older.get()), 0);
  const auto fd = [&](const char* name) {
    return bpf_object__find_map_fd_by_name(older.get(), name);
  };
  const auto put = [](int map_fd, const auto& key, const auto& value) {
    EXPECT_EQ(bpf_map_update_elem(map_fd, &key, &value, BPF_ANY), 0) << std::strerror(errno);
  };
  const Ruleset rules = default_rules();
  for (const auto& [prefix, scope] : rules.networks)
    put(fd("networks"), mw_prefix_key{prefix.bits, prefix.addr}, scope);
  put(fd("ports"), __u32{25 / 16}, __u64{MW_PORT_JUDGED} << (25 % 16 * 4));
  put(fd("blocklist"), *parse_address(kBlocked), OlderBlock{7, MW_REASON_EVIDENCE, 0});

  // mw_settings as older_abi.sed leaves it: its first member went behind the seventh.
  std::array<char, sizeof(mw_settings) + 8> settings{};
  mw_settings now{};
  now.mode = MW_MODE_BLOCK;
  now.generation = 3;
  now.hash_seed = 0x5eed;
  now.last_decision = 7;
  now.ipv6_mask = mask_of(64);
  constexpr std::size_t kMoved = 6 * sizeof(__u64);
  std::memcpy(settings.data(), &now.hash_seed, kMoved);
  const std::uint64_t hash = 4711;
  std::memcpy(settings.data() + kMoved, &hash, sizeof(hash));
  std::memcpy(settings.data() + kMoved + 16, &now.log_until_ns,
              sizeof(now) - kMoved - sizeof(__u64));
  put(fd("settings"), __u32{0}, settings);

  bpf_link_create_opts opts{};
  opts.sz = sizeof(opts);
  opts.flags = 1U << 2;  // XDP_FLAGS_DRV_MODE
  const unsigned ifindex = if_nametoindex(Flood::kGuarded);
  const bpf_program* program = bpf_object__find_program_by_name(older.get(), "limit_xdp");
  const UniqueFd link(
      bpf_link_create(bpf_program__fd(program), static_cast<int>(ifindex), BPF_XDP, &opts));
  EXPECT_TRUE(link.valid()) << std::strerror(errno);
  EXPECT_EQ(
      bpf_obj_pin(
          link.get(),
          link_path(dir_ + "/links", {.kind = PinnedLink::Kind::xdp, .ifindex = ifindex}).c_str()),
      0);
  return older;
}

TEST_F(UpgradeTest, F03_AThousandSwapsLetNoPacketOfABlockedSourceBy) {
  for (const AttachChoice choice : {AttachChoice::xdp, AttachChoice::tc}) {
    auto old = load_and_block();
    auto young = load();
    const std::uint32_t first = attach(*old, choice);
    const std::uint64_t before = counted_as_blocked(*old);
    const auto sent_before = flood_->sent().blocked;
    flood_->start(kBlocked, kNeighbour);
    std::set<std::uint32_t> programs;
    // A tc filter is replaced by netlink: slower, and no different after a hundred.
    for (int pair = choice == AttachChoice::xdp ? 500 : 50; pair > 0; --pair) {
      programs.insert(attach(*young, choice));
      programs.insert(attach(*old, choice));
    }
    expect_no_leak();
    EXPECT_EQ(programs.size(), 2U) << "each swap was one";
    EXPECT_TRUE(programs.contains(first));
    EXPECT_EQ(counted_as_blocked(*old) - before, flood_->sent().blocked - sent_before)
        << "every one was counted, by one program or the other";
    old.reset();
    young.reset();
    (void)detach_all(dir_);
  }
}

TEST_F(UpgradeTest, F03_SeedHeartbeatAndNumbersOutliveTheProgram) {
  auto old = load_and_block();
  ASSERT_TRUE(old->beat(boot_time(12'345)));
  const auto settings = [&] {
    const UniqueFd fd(bpf_obj_get((dir_ + "/settings").c_str()));
    return **Map<__u32, mw_settings>::wrap(fd.get())->get(0);
  };
  const mw_settings before = settings();
  old.reset();
  auto young = load();
  EXPECT_EQ(settings().hash_seed, before.hash_seed);
  EXPECT_EQ(settings().heartbeat_ns, 12'345U);
  EXPECT_EQ(young->last_decision(), 7U);
}

TEST_F(UpgradeTest, F04_MapsOfAnotherLayoutAreRefusedAndTheirProgramGoesOn) {
  const Object older = pin_older();
  const std::uint32_t program = program_in_link();
  ASSERT_NE(program, 0U);
  flood_->start(kBlocked, kNeighbour);
  const auto refused = KernelDatapath::load({.bpffs_dir = dir_, .sources = 4096, .blocks = 4096});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr(dir_ + "/"));
  EXPECT_THAT(refused.error().message, HasSubstr("mailweir migrate"));
  EXPECT_EQ(program_in_link(), program);
  flood_on();
  expect_no_leak();
}

TEST_F(UpgradeTest, F04_MigrationTakesOverByNameWhileTheBlockIsEnforced) {
  Object older = pin_older();
  const std::uint32_t program = program_in_link();
  flood_->start(kBlocked, kNeighbour);
  flood_on();
  const LoadOptions options{.bpffs_dir = dir_, .sources = 4096, .blocks = 4096};
  const auto planned = migrate(options, true);
  ASSERT_TRUE(planned) << planned.error().message;
  EXPECT_EQ(program_in_link(), program) << "a dry run changes nothing";

  const auto done = migrate(options, false);
  ASSERT_TRUE(done) << done.error().message;
  const std::string told = fmt::format("{}", fmt::join(*done, "\n"));
  EXPECT_THAT(told, HasSubstr("map blocklist: 1 of 16 bytes taken over"));
  EXPECT_THAT(told, HasSubstr("no more: of_old_only"));
  EXPECT_NE(program_in_link(), program);
  EXPECT_FALSE(fs::exists(dir_ + "/next"));
  flood_on();

  older.reset();
  auto young = load();
  ASSERT_NE(young, nullptr);
  const auto blocks = young->blocks();
  ASSERT_TRUE(blocks);
  ASSERT_EQ(blocks->size(), 1U);
  EXPECT_EQ(blocks->at(0).second.decision, 7U);
  EXPECT_EQ(blocks->at(0).second.reason, static_cast<__u32>(MW_REASON_EVIDENCE));
  EXPECT_EQ(young->last_decision(), 7U);
  EXPECT_EQ(young->source_capacity(), 4096U) << "the new size, too";
  (void)attach(*young);
  flood_on();
  expect_no_leak();
  EXPECT_TRUE(migrate(options, false)->empty()) << "there is nothing left to do";
}

TEST_F(UpgradeTest, F04_ABlockListThatWouldNotFitIsRefusedAndNothingChanges) {
  auto datapath = load_and_block();
  const std::uint32_t program = attach(*datapath);
  for (int i = 0; i < 2000; ++i) {
    mw_addr source = *parse_address("172.16.0.0");
    source.bytes[14] = static_cast<__u8>(i / 250 + 10);
    source.bytes[15] = static_cast<__u8>(i % 250);
    ASSERT_TRUE(datapath->put_block(source, {}));
  }
  datapath.reset();
  const auto refused = migrate({.bpffs_dir = dir_, .sources = 4096, .blocks = 1024}, false);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("blocklist holds more than the new size of 1024"));
  EXPECT_EQ(program_in_link(), program);
  EXPECT_FALSE(fs::exists(dir_ + "/next"));
  ASSERT_TRUE(migrate({.bpffs_dir = dir_, .sources = 1024, .blocks = 8192}, false));
  auto young = load();
  EXPECT_EQ(young->block_capacity(), 8192U);
  EXPECT_EQ(young->blocks()->size(), 2001U);
}

TEST_F(UpgradeTest, F14_ForeignObjectsAtOurPinsAreRefusedAndLeft) {
  fs::create_directories(dir_);
  const UniqueFd foreign(bpf_map_create(BPF_MAP_TYPE_ARRAY, "foreign", 4, 4, 1, nullptr));
  ASSERT_EQ(bpf_obj_pin(foreign.get(), (dir_ + "/blocklist").c_str()), 0);
  const auto refused = KernelDatapath::load({.bpffs_dir = dir_, .sources = 4096, .blocks = 4096});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr(dir_ + "/blocklist"));
  const UniqueFd still(bpf_obj_get((dir_ + "/blocklist").c_str()));
  EXPECT_EQ(map_info(still.get())->id, map_info(foreign.get())->id);
}

TEST_F(UpgradeTest, F13_ALostPinComesBackAndTheProgramStays) {
  auto datapath = load_and_block();
  const std::uint32_t program = attach(*datapath);
  flood_->start(kBlocked, kNeighbour);
  const std::string link = pinned_links(dir_ + "/links").at(0).path;
  for (const std::string& path : {link, dir_ + "/blocklist", dir_ + "/settings"})
    ASSERT_EQ(::unlink(path.c_str()), 0);
  EXPECT_TRUE(datapath->check_attached().at(0).attached);
  EXPECT_EQ(datapath->pin_problem(), "");
  EXPECT_EQ(program_in_link(), program);
  EXPECT_TRUE(fs::exists(dir_ + "/blocklist"));
  flood_on();
  expect_no_leak();

  const UniqueFd foreign(bpf_map_create(BPF_MAP_TYPE_ARRAY, "foreign", 4, 4, 1, nullptr));
  ASSERT_EQ(::unlink((dir_ + "/blocklist").c_str()), 0);
  ASSERT_EQ(bpf_obj_pin(foreign.get(), (dir_ + "/blocklist").c_str()), 0);
  (void)datapath->check_attached();
  EXPECT_THAT(datapath->pin_problem(), HasSubstr(dir_ + "/blocklist holds something else"));
}

TEST_F(UpgradeTest, F08_ADeletedInterfaceIsNotTakenForAGuardedOne) {
  auto datapath = load_and_block();
  (void)attach(*datapath);
  flood_.reset();
  EXPECT_FALSE(datapath->check_attached().at(0).attached);
  auto again = Flood::make();
  ASSERT_TRUE(again);
  flood_ = std::move(*again);
  (void)attach(*datapath);
  flood_->start(kBlocked, kNeighbour);
  flood_on();
  flood_on();
  flood_on();
  expect_no_leak();
}

}  // namespace
}  // namespace mailweir
