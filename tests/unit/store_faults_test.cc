// SPDX-License-Identifier: GPL-2.0-or-later
// What the durable record must survive: a crash, damage, a full disk, another process's lock, a
// directory that it may not write, an upgrade that was undone.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <random>

#include "base/unique_fd.h"
#include "store/store.h"
#include "store_fixture.h"

namespace mailweir {
namespace {

using testing::HasSubstr;

/// Runs `work` in a process of its own; true if it returned and no expectation failed there.
bool in_child(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A child adds decisions and tells the number of each after add() returned, until it is killed.
class CrashingWriter {
 public:
  explicit CrashingWriter(const std::string& state_dir) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    acknowledged_.reset(ends[0]);
    const UniqueFd write_end(ends[1]);
    child_ = ::fork();
    if (child_ == 0) add_until_killed(state_dir, write_end.get());
  }

  /// Lets it add at least `count`, kills it, and returns all numbers that it acknowledged.
  std::vector<std::uint32_t> kill_after(std::size_t count) {
    std::vector<std::uint32_t> numbers;
    std::uint32_t number = 0;
    while (::read(acknowledged_.get(), &number, sizeof(number)) == sizeof(number)) {
      numbers.push_back(number);
      if (numbers.size() == count) ::kill(child_, SIGKILL);
    }
    ::waitpid(child_, nullptr, 0);
    return numbers;
  }

 private:
  [[noreturn]] static void add_until_killed(const std::string& state_dir, int acknowledge) {
    auto store = Store::open(state_dir);
    if (!store) ::_exit(1);
    for (std::uint32_t number = *store->last_number() + 1;; number += 2) {
      if (!store->add({decision(number), decision(number + 1)})) ::_exit(1);
      const std::uint32_t both[] = {number, number + 1};
      if (::write(acknowledge, both, sizeof(both)) != sizeof(both)) ::_exit(1);
    }
  }

  pid_t child_ = -1;
  UniqueFd acknowledged_;
};

TEST_F(StoreTest, LosesNoAcknowledgedDecisionToThirtyKills) {
  std::mt19937 random(20261124);
  std::size_t acknowledged = 0;
  for (int round = 0; round < 30; ++round) {
    const auto numbers = CrashingWriter(dir_).kill_after(2 + random() % 100);
    ASSERT_GE(numbers.size(), 2U) << "the child could not write";
    acknowledged += numbers.size();

    const Store store = open();
    ASSERT_EQ("", store.note());
    std::vector<std::uint32_t> present;
    for (const auto& found : *store.open_decisions()) present.push_back(found.number);
    ASSERT_TRUE(std::includes(present.begin(), present.end(), numbers.begin(), numbers.end()))
        << "round " << round;
    ASSERT_EQ(0U, present.size() % 2) << "half of an add";
    ASSERT_EQ(present.back(), *store.last_number());
  }
  EXPECT_TRUE(moved_aside().empty());
  RecordProperty("acknowledged", static_cast<int>(acknowledged));
}

TEST_F(StoreTest, LosesNothingToAnExitWithoutGoodbye) {
  EXPECT_TRUE(in_child([&] {
    Store store = open();
    ASSERT_TRUE(store.add({decision(1)}));
    ASSERT_TRUE(store.set_mode_order({Mode::block, Mode::observe, "root", kWall}));
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }));
  ASSERT_TRUE(fs::exists(file() + "-wal")) << "the exit was too kind to prove anything";
  EXPECT_EQ(1U, open().open_decisions()->size());
  EXPECT_TRUE(open().mode_order()->has_value());
}

struct Damage {
  const char* name;
  void (*make)(const std::string& file);
};

void overwrite(const std::string& file, std::size_t from, std::size_t count) {
  std::mt19937 random(7);
  std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
  out.seekp(static_cast<std::streamoff>(from));
  for (std::size_t i = 0; i < count; ++i) out.put(static_cast<char>(random()));
}
void change_with_sqlite3(const std::string& file, const char* statement) {
  SQLite::Database(file, SQLite::OPEN_READWRITE).exec(statement);
}

constexpr Damage kDamages[] = {
    {"RandomHeader", [](const std::string& file) { overwrite(file, 0, 4096); }},
    {"RandomPages",
     [](const std::string& file) { overwrite(file, 4096, fs::file_size(file) - 4096); }},
    {"OneRandomPage", [](const std::string& file) { overwrite(file, 5 * 4096, 4096); }},
    {"CutInHalf", [](const std::string& file) { fs::resize_file(file, fs::file_size(file) / 2); }},
    {"CutInAPage",
     [](const std::string& file) { fs::resize_file(file, fs::file_size(file) - 100); }},
    {"Empty", [](const std::string& file) { fs::resize_file(file, 0); }},
    {"EmptyWithAWal",
     [](const std::string& file) {
       fs::resize_file(file, 0);
       fs::copy_file(file, file + "-wal");
       overwrite(file + "-wal", 0, 5000);
     }},
    {"Text", [](const std::string& file) { std::ofstream(file) << std::string(9000, 'x'); }},
    {"SourceOfNonsense",
     [](const std::string& file) {
       change_with_sqlite3(file, "UPDATE decisions SET source = 'nonsense' WHERE number = 9");
     }},
    {"TimeOfNonsense",
     [](const std::string& file) {
       change_with_sqlite3(file,
                           "UPDATE decisions SET until_ms = 9000000000000000000 WHERE number = 9");
     }},
    {"ATableIsMissing",
     [](const std::string& file) { change_with_sqlite3(file, "DROP TABLE mode_order"); }},
    {"AColumnIsMissing",
     [](const std::string& file) {
       change_with_sqlite3(file, "ALTER TABLE decisions RENAME COLUMN reason TO treason");
     }},
    {"NoLastNumber",
     [](const std::string& file) { change_with_sqlite3(file, "DELETE FROM meta"); }},
};

class DamagedStoreTest : public StoreTest, public testing::WithParamInterface<Damage> {};

TEST_P(DamagedStoreTest, MovesTheFileAsideOnceSaysSoAndStartsAnew) {
  std::vector<Decision> decisions;
  for (std::uint32_t number = 1; number <= 300; ++number) decisions.push_back(decision(number));
  ASSERT_TRUE(open().add(decisions));
  GetParam().make(file());
  const std::string damaged = content(file());
  std::size_t taken_over = 0;

  {
    auto store = Store::open(dir_);
    ASSERT_TRUE(store) << store.error().message;
    ASSERT_FALSE(moved_aside().empty());
    EXPECT_THAT(store->note(), HasSubstr(file()));
    EXPECT_THAT(store->note(), testing::Not(HasSubstr("\n"))) << "one line";
    taken_over = store->open_decisions()->size();
    EXPECT_TRUE(taken_over == 0 || taken_over == 300) << "all of a table, or none";
    EXPECT_EQ(store->note().find("LOST: decisions") != std::string::npos, taken_over == 0);
    EXPECT_TRUE(store->add({decision(301)}));
    EXPECT_THAT(store->note(), HasSubstr("corrupt-")) << "a write forgot it";
  }
  const auto aside = moved_aside();
  const Store again = open();
  EXPECT_EQ("", again.note());
  EXPECT_EQ(taken_over + 1, again.open_decisions()->size());
  EXPECT_EQ(aside, moved_aside()) << "moved a second time";
  EXPECT_TRUE(std::any_of(aside.begin(), aside.end(), [&](const std::string& name) {
    return content(dir_ + "/" + name) == damaged;
  })) << "the evidence was changed";
}

TEST_F(StoreTest, TakesOverTheAllowlistAndTheModeOfADamagedFile) {
  {
    Store store = open();
    ASSERT_TRUE(store.add({decision(1)}));
    ASSERT_TRUE(store.allow_add({*parse_prefix("172.16.0.25/32"), "root", "mail server", kWall}));
    ASSERT_TRUE(store.set_mode_order({Mode::block, Mode::observe, "root", kWall}));
  }
  sql("UPDATE decisions SET source = 'nonsense'");
  const Store store = open();
  EXPECT_THAT(store.note(), HasSubstr("taken over: allowlist by command, mode by command; LOST: "
                                      "decisions in force"));
  EXPECT_EQ(store.allow_edits()->size(), 1U);
  EXPECT_EQ((*store.mode_order())->mode, Mode::block);
}

INSTANTIATE_TEST_SUITE_P(Damages, DamagedStoreTest, testing::ValuesIn(kDamages),
                         [](const auto& tested) { return tested.param.name; });

TEST_F(StoreTest, OpensAnIntactFileAHundredTimesWithoutMovingIt) {
  ASSERT_TRUE(open().add({decision(1)}));
  for (int i = 0; i < 100; ++i) ASSERT_EQ("", open().note());
  EXPECT_TRUE(moved_aside().empty());
}

TEST_F(StoreTest, LeavesANewerSchemaUntouchedAndNamesBoth) {
  ASSERT_TRUE(open().add({decision(1)}));
  // Without a goodbye, so that the WAL holds what the main file does not.
  ASSERT_TRUE(in_child([&] {
    SQLite::Database raw(file(), SQLite::OPEN_READWRITE);
    raw.exec("PRAGMA user_version = 99");
    ::_exit(0);
  }));
  const std::string main_file = content(file()), wal = content(file() + "-wal");
  ASSERT_FALSE(wal.empty());

  const auto store = Store::open(dir_);
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().message, HasSubstr(file()));
  EXPECT_THAT(store.error().message, HasSubstr("99"));
  EXPECT_THAT(store.error().message, HasSubstr("knows up to 2"));
  EXPECT_EQ(main_file, content(file()));
  EXPECT_EQ(wal, content(file() + "-wal"));
  EXPECT_TRUE(moved_aside().empty());

  sql("PRAGMA user_version = 2");
  EXPECT_EQ(1U, open().open_decisions()->size());
}

TEST_F(StoreTest, BringsAnOlderSchemaUpToDateAndKeepsItsRows) {
  ASSERT_TRUE(open().add({decision(1), decision(2)}));
  sql("DROP TABLE source_days");
  sql("DROP INDEX ended_decisions");
  sql("PRAGMA user_version = 1");
  Store store = open();
  EXPECT_EQ(2U, store.open_decisions()->size());
  const SQLite::Database raw(file(), SQLite::OPEN_READONLY);
  EXPECT_EQ(
      2,
      SQLite::Database(file(), SQLite::OPEN_READONLY).execAndGet("PRAGMA user_version").getInt());
  EXPECT_TRUE(raw.tableExists("decisions"));
  EXPECT_EQ(1, SQLite::Database(file(), SQLite::OPEN_READONLY)
                   .execAndGet("SELECT count(*) FROM sqlite_master WHERE name = 'ended_decisions'")
                   .getInt());
}

TEST_F(StoreTest, SaysWhenOthersWriteAndWhenTheFileIsTakenAway) {
  Store store = open();
  ASSERT_TRUE(store.add({decision(1)}));
  EXPECT_FALSE(*store.changed_by_others()) << "our own writes do not count";
  sql("UPDATE decisions SET reason = 'by hand'");
  EXPECT_TRUE(*store.changed_by_others());
  EXPECT_FALSE(*store.changed_by_others());
  fs::remove(file());
  const auto gone = store.changed_by_others();
  ASSERT_FALSE(gone);
  EXPECT_EQ(kDamaged, gone.error().code);
  ASSERT_TRUE(store.begin_anew(gone.error()));
  EXPECT_FALSE(*store.changed_by_others());
  EXPECT_TRUE(store.add({decision(2)}));
}

TEST_F(StoreTest, WaitsABoundedTimeForAnotherProcesssLockAndGoesOnAfterIt) {
  Store store = open();
  ASSERT_TRUE(store.add({decision(1)}));
  SQLite::Database other(file(), SQLite::OPEN_READWRITE);
  other.exec("BEGIN EXCLUSIVE");

  const auto start = std::chrono::steady_clock::now();
  const auto refused = store.add({decision(2)});
  const auto waited = std::chrono::steady_clock::now() - start;
  ASSERT_FALSE(refused);
  EXPECT_EQ(EBUSY, refused.error().code);
  EXPECT_THAT(refused.error().message, HasSubstr("locked by another process"));
  EXPECT_THAT(refused.error().message, HasSubstr(file()));
  EXPECT_GE(waited, 1900ms);
  EXPECT_LT(waited, 5s);
  EXPECT_EQ(1U, store.open_decisions()->size()) << "reading needs no lock";

  other.exec("ROLLBACK");
  EXPECT_TRUE(store.add({decision(2)}));
}

TEST_F(StoreTest, DoesNotMoveALockedFileAside) {
  ASSERT_TRUE(open().add({decision(1)}));
  {
    SQLite::Database other(file(), SQLite::OPEN_READWRITE);
    other.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    const auto start = std::chrono::steady_clock::now();
    const auto refused = Store::open(dir_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(EBUSY, refused.error().code) << refused.error().message;
    EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  }
  EXPECT_TRUE(moved_aside().empty());
  EXPECT_EQ(1U, open().open_decisions()->size());
}

/// Root may write anywhere: be nobody for a while.
class AsNobody {
 public:
  AsNobody() { changed_ = ::geteuid() == 0 && ::seteuid(65534) == 0; }
  ~AsNobody() {
    if (changed_ && ::seteuid(0) != 0) std::abort();
  }

 private:
  bool changed_ = false;
};

TEST_F(StoreTest, NamesPathAndUidWhereItMayNotWrite) {
  struct Case {
    const char* what;
    std::string path;
    mode_t mode;
  };
  ASSERT_TRUE(open().add({decision(1)}));
  const Case kCases[] = {{"the directory", dir_, 0555}, {"the file", file(), 0444}};
  for (const Case& forbidden : kCases) {
    ::chmod(dir_.c_str(), 0777);
    ::chmod(file().c_str(), 0666);
    ::chmod(forbidden.path.c_str(), forbidden.mode);
    const AsNobody nobody;
    const auto store = Store::open(dir_);
    ASSERT_FALSE(store) << forbidden.what;
    EXPECT_EQ(EACCES, store.error().code);
    EXPECT_THAT(store.error().message, HasSubstr(forbidden.path));
    EXPECT_THAT(store.error().message, HasSubstr("uid " + std::to_string(::geteuid())));
  }
  EXPECT_TRUE(moved_aside().empty());
  ::chmod(dir_.c_str(), 0777);
  ::chmod(file().c_str(), 0666);
  const AsNobody nobody;
  EXPECT_EQ(1U, open().open_decisions()->size());
}

TEST_F(StoreTest, NamesAStateDirectoryThatCannotBeMade) {
  const auto store = Store::open(dir_ + "/no/such");
  ASSERT_FALSE(store);
  EXPECT_EQ(ENOENT, store.error().code);
  EXPECT_THAT(store.error().message, HasSubstr(dir_ + "/no/such"));

  std::ofstream(dir_ + "/file") << "x";
  EXPECT_FALSE(Store::open(dir_ + "/file"));
}

/// Gives the calling process a small disk of its own at `path`.
bool mount_small_disk(const std::string& path) {
  if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=4m,mode=0777") == 0;
}

void fill_disk(const std::string& path) {
  const UniqueFd filler(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  const std::string page(4096, 'x');
  while (::write(filler.get(), page.data(), page.size()) > 0) {
  }
}

TEST_F(StoreTest, LivesOnItsReserveWhenTheDiskIsFullThenSaysSoAndRecovers) {
  if (!in_child([&] { EXPECT_TRUE(mount_small_disk(dir_)); })) GTEST_SKIP() << "may not mount";
  EXPECT_TRUE(in_child([&] {
    ASSERT_TRUE(mount_small_disk(dir_));
    Store store = open();
    ASSERT_EQ("", store.note());
    fill_disk(dir_ + "/filler");

    std::uint32_t number = 0;
    Result<> added = Ok{};
    while (number < 100'000 && (added = store.add({decision(number + 1)}))) ++number;
    ASSERT_FALSE(added);
    EXPECT_EQ(ENOSPC, added.error().code) << added.error().message;
    EXPECT_GT(number, 50U) << "the reserve was of no use";
    EXPECT_THAT(store.note(), HasSubstr("reserve is spent"));
    EXPECT_EQ(number, store.open_decisions()->size()) << "reading goes on";
    EXPECT_EQ(number, *open().last_number()) << "a start goes on";

    fs::remove(dir_ + "/filler");
    EXPECT_TRUE(store.add({decision(number + 1)}));
    EXPECT_EQ("", store.note());
    EXPECT_TRUE(fs::exists(dir_ + "/mailweir.reserve"));
  }));
}

}  // namespace
}  // namespace mailweir
