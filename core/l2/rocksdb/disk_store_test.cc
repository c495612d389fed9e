// What a directory holds after restarts, power cuts and damage, and what is said of one that cannot be used.
#include "core/l2/rocksdb/disk_store.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include "core/l2/embedded/keyspace.h"
#include "core/l2/rocksdb/faulty_files.h"
#include "core/l2/rocksdb/record.h"
#include "core/l2/rocksdb/test_dir.h"

namespace nearlane::l2::rocks {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using protocol::Reply;
using testing::HasSubstr;
using Words = std::vector<std::string_view>;

class DiskStoreTest : public testing::Test {
 protected:
  void open(Fsync fsync = Fsync::no, std::int64_t most_uncommitted = kMostUncommitted) {
    store.reset();
    auto opened = DiskStore::open({.path = dir.path() + "/db",
                                   .fsync = fsync,
                                   .env = files.env(),
                                   .most_uncommitted = most_uncommitted});
    ASSERT_TRUE(opened.has_value()) << opened.error().detail;
    store = std::move(*opened);
  }
  std::string refusal() {
    store.reset();
    auto opened = DiskStore::open({.path = dir.path() + "/db", .env = files.env()});
    return opened ? "it opened" : opened.error().detail;
  }
  Reply run(const Words& words) {
    embedded::Keyspace keyspace(*store);
    return keyspace.execute(0, words, now);
  }
  void write(const Words& words) {
    EXPECT_FALSE(run(words).is_error());
    EXPECT_EQ(store->take_failure(), std::nullopt);
    EXPECT_EQ(store->commit(), std::nullopt);
  }
  std::int64_t unix_ms() const { return now.time_since_epoch().count(); }
  void lose_power() {
    files.cut_power();
    store.reset();
    files.lose_unsynced();
  }
  /// As after a kill, for which nothing is flushed, with the log damaged in the middle.
  void kill_and_damage_log() {
    const fs::path copy = dir.path() + "/copy";
    fs::copy(dir.path() + "/db", copy);
    store.reset();
    fs::remove_all(dir.path() + "/db");
    fs::rename(copy, dir.path() + "/db");
    for (const auto& file : fs::directory_iterator(dir.path() + "/db")) {
      if (file.path().extension() != ".log") continue;
      std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekp(50'000);
      bytes << "damage";
    }
  }
  std::uintmax_t table_bytes() const {
    std::uintmax_t bytes = 0;
    for (const auto& file : fs::directory_iterator(dir.path() + "/db")) {
      if (file.path().extension() == ".sst") bytes += file.file_size();
    }
    return bytes;
  }
  /// A database of somebody's, under RocksDB's own interface.
  static std::unique_ptr<rocksdb::DB> plain_database(const std::string& path) {
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DB* db = nullptr;
    EXPECT_TRUE(rocksdb::DB::Open(options, path, &db).ok());
    return std::unique_ptr<rocksdb::DB>(db);
  }

  WallTime now{std::chrono::milliseconds(1'700'000'000'000)};
  TestDir dir;
  FaultyFiles files;
  std::unique_ptr<DiskStore> store;
};

TEST_F(DiskStoreTest, KeepsWhatWasCommittedAndNothingElse) {
  open();
  write({"SET", "s", "string"});
  write({"SET", "t", "timed", "PX", "5000"});
  write({"HSET", "h", "f", "v"});
  write({"SET", "gone", "x"});
  write({"DEL", "gone"});
  EXPECT_FALSE(run({"SET", "forgotten", "x"}).is_error());
  store->discard();
  EXPECT_EQ(run({"EXISTS", "forgotten"}).integer, 0);
  open();
  EXPECT_EQ(run({"GET", "s"}), Reply::bulk("string"));
  EXPECT_EQ(run({"PTTL", "t"}).integer, 5000);
  EXPECT_EQ(run({"HGET", "h", "f"}), Reply::bulk("v"));
  EXPECT_EQ(run({"EXISTS", "gone", "forgotten"}).integer, 0);
  EXPECT_EQ(run({"DBSIZE"}).integer, 3);
  write({"FLUSHALL"});
  open();
  EXPECT_EQ(run({"DBSIZE"}).integer, 0);
  EXPECT_EQ(run({"KEYS", "*"}), Reply::array({}));
}

TEST_F(DiskStoreTest, HoldsNoMoreInMemoryThanIsSaidUntilItIsCommitted) {
  open();
  constexpr std::int64_t kHalf = kMostUncommitted / 2;
  EXPECT_TRUE(store->make_room(kHalf, unix_ms()));
  EXPECT_TRUE(store->make_room(-kHalf, unix_ms())) << "what shrinks makes no room before a commit";
  EXPECT_TRUE(store->make_room(kHalf, unix_ms()));
  EXPECT_FALSE(store->make_room(1, unix_ms()));
  EXPECT_EQ(run({"SETRANGE", "k", "10", "v"}).text.substr(0, 3), "OOM");
  EXPECT_EQ(store->commit(), std::nullopt);
  EXPECT_EQ(run({"SETRANGE", "k", "10", "v"}).integer, 11);
}

// Whoever comes after another client's large writes has as much room as that one had.
TEST_F(DiskStoreTest, HasTheSameRoomForEachUnitOfACommit) {
  open();
  EXPECT_TRUE(store->make_room(kMostUncommitted, unix_ms()));
  store->end_command();
  EXPECT_FALSE(store->make_room(1, unix_ms())) << "the commands of one EXEC are one unit";
  EXPECT_FALSE(store->end_unit()) << "room is not bytes yet";
  EXPECT_TRUE(store->make_room(kMostUncommitted, unix_ms()));
}

TEST_F(DiskStoreTest, KeepsNoMoreOfWhatIsReadThanASmallGroupNeeds) {
  open();
  const std::string value(DiskStore::kMostRead / 4, 'v');
  std::vector<std::string> names(12);
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = std::to_string(i);
  for (const auto& name : names) write({"SET", name, value});
  const auto with_all = [&](Words words) {
    words.insert(words.end(), names.begin(), names.end());
    return words;
  };
  const std::size_t most = DiskStore::kMostRead + value.size();
  for (const std::string_view command : {"EXISTS", "TOUCH"}) {
    EXPECT_EQ(run(with_all({command})), Reply::number(12));
    EXPECT_LE(store->held(), most) << command;
  }
  EXPECT_EQ(run(with_all({"MGET"})).elements.size(), 12U);
  EXPECT_LE(store->held(), most);
  store->discard();
  for (const auto& name : names) {
    EXPECT_EQ(run({"STRLEN", name}).integer, static_cast<std::int64_t>(value.size()));
    EXPECT_FALSE(store->end_unit());
    EXPECT_LE(store->held(), most) << name;
  }
  // What was changed is held until it is committed, and that is soon.
  bool full = false;
  std::size_t changed = 0;
  for (const auto& name : names) {
    EXPECT_EQ(run({"EXPIRE", name, "100"}), Reply::number(1));
    if (full = store->end_unit(); full) break;
    ++changed;
  }
  EXPECT_TRUE(full);
  EXPECT_LE(store->held(), most);
  EXPECT_EQ(store->commit(), std::nullopt);
  EXPECT_EQ(run({"TTL", names[changed]}), Reply::number(100));
  EXPECT_EQ(run({"TTL", names[changed + 1]}), Reply::number(-1));
}

// A transaction can be short and change much: what is written anew is held, though it does not grow.
TEST_F(DiskStoreTest, OneUnitChangesNoMoreThanIsSaidWhetherItGrowsOrNot) {
  open(Fsync::no, 25'000);
  const std::string value(10'000, 'v');
  for (const std::string_view name : {"a", "b", "c", "d"}) write({"SET", name, value});
  (void)store->end_unit();
  const auto change_all = [&](Words expire) {
    for (const std::string_view name : {"a", "b", "c"}) {
      expire[1] = name;
      EXPECT_EQ(run(expire).type, protocol::Type::integer) << expire[0];
    }
    expire[1] = "d";
    EXPECT_EQ(run(expire).text.substr(0, 3), "OOM") << expire[0];
    EXPECT_EQ(run({"RENAME", "d", "e"}).text.substr(0, 3), "OOM");
    EXPECT_FALSE(store->end_unit());
    EXPECT_EQ(run(expire), Reply::number(1)) << expire[0];
    EXPECT_EQ(store->commit(), std::nullopt);
  };
  change_all({"EXPIRE", "", "100"});
  change_all({"PERSIST", ""});
  // What is changed again is held once.
  for (int i = 0; i < 10; ++i) EXPECT_EQ(run({"SETRANGE", "a", "0", "w"}).integer, 10'000);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(run({"SET", "a", value}), Reply::ok());
  for (const std::string_view name : {"b", "c"}) EXPECT_EQ(run({"DEL", name}), Reply::number(1));
  EXPECT_EQ(run({"EXPIRE", "d", "100"}), Reply::number(1));
}

TEST_F(DiskStoreTest, ABatchWritesWhatCameAfterAFlushInIt) {
  open();
  write({"SET", "old", "x", "PX", "10"});
  EXPECT_EQ(run({"FLUSHDB"}), Reply::ok());
  EXPECT_EQ(run({"EXISTS", "old"}).integer, 0);
  write({"SET", "new", "y"});
  open();
  EXPECT_EQ(run({"KEYS", "*"}), Reply::array({Reply::bulk("new")}));
  EXPECT_EQ(run({"DBSIZE"}).integer, 1);
  EXPECT_EQ(store->sweep(unix_ms() + 1000, 100), 0U);
}

TEST_F(DiskStoreTest, SweepsWhatHasExpiredAfterARestart) {
  open();
  write({"SET", "a", "x", "PX", "10"});
  write({"SET", "b", "x", "PX", "10"});
  write({"PERSIST", "b"});
  write({"SET", "c", "x", "PX", "10"});
  write({"PEXPIRE", "c", "5000"});
  open();
  now += 100ms;
  EXPECT_EQ(store->sweep(unix_ms(), 100), 1U);
  EXPECT_EQ(store->commit(), std::nullopt);
  EXPECT_EQ(run({"DBSIZE"}).integer, 2);
  now += 1h;
  EXPECT_EQ(store->sweep(unix_ms(), 100), 1U);
  EXPECT_EQ(store->commit(), std::nullopt);
  open();
  EXPECT_EQ(run({"KEYS", "*"}), Reply::array({Reply::bulk("b")}));
  EXPECT_EQ(run({"DBSIZE"}).integer, 1);
}

TEST_F(DiskStoreTest, SweepsAgainWhatCouldNotBeCommitted) {
  open();
  write({"SET", "a", "x", "PX", "10"});
  now += 100ms;
  EXPECT_EQ(store->sweep(unix_ms(), 100), 1U);
  store->discard();
  EXPECT_EQ(run({"DBSIZE"}).integer, 1);
  EXPECT_EQ(store->sweep(unix_ms(), 100), 1U);
}

TEST_F(DiskStoreTest, CompactionFreesTheBytesOfWhatHasExpired) {
  open();
  // The filter reads the machine's clock; by that all of these have long passed.
  const std::string large(std::size_t{1} << 20U, 'x');
  std::string random = large;
  unsigned state = 1;
  for (char& c : random) c = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24U);
  for (int i = 0; i < 8; ++i) write({"SET", std::to_string(i), random, "PX", "1000"});
  write({"SET", "stays", random});
  store->compact();
  EXPECT_LT(table_bytes(), 3 * random.size());
  // Counted until the sweep, and gone whatever the clock of commands says.
  EXPECT_EQ(run({"DBSIZE"}).integer, 9);
  EXPECT_EQ(run({"GET", "0"}), Reply::null());
  EXPECT_EQ(run({"GET", "stays"}), Reply::bulk(random));
  EXPECT_EQ(run({"KEYS", "*"}), Reply::array({Reply::bulk("stays")}));
  now += 2s;
  store->discard();
  EXPECT_EQ(store->sweep(unix_ms(), 100), 8U);
  EXPECT_EQ(store->commit(), std::nullopt);
  EXPECT_EQ(run({"DBSIZE"}).integer, 1);
}

TEST_F(DiskStoreTest, APowerCutCostsNothingThatWasSyncedBeforeItsAcknowledgement) {
  open(Fsync::always);
  for (int i = 0; i < 200; ++i) write({"SET", std::to_string(i), "x"});
  lose_power();
  open(Fsync::always);
  EXPECT_EQ(run({"DBSIZE"}).integer, 200);
  EXPECT_EQ(run({"KEYS", "*"}).elements.size(), 200U);
}

TEST_F(DiskStoreTest, APowerCutCostsWhatIsYoungerThanTheLastSync) {
  open(Fsync::everysec);
  for (int i = 0; i < 100; ++i) write({"SET", std::to_string(i), "x"});
  EXPECT_EQ(store->sync(), std::nullopt);
  for (int i = 100; i < 200; ++i) write({"SET", std::to_string(i), "x"});
  lose_power();
  open(Fsync::everysec);
  EXPECT_EQ(run({"DBSIZE"}).integer, 100);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(run({"EXISTS", std::to_string(i)}).integer, 1) << i;
}

TEST_F(DiskStoreTest, WithoutSyncsAPowerCutLeavesAStoreThatOpensWithWhatWasFirst) {
  open();
  const std::string value(10'000, 'x');
  // More than a buffer, so that some of it lies in tables.
  constexpr int kCount = 5000;
  for (int i = 0; i < kCount; ++i) write({"SET", std::to_string(i), value});
  lose_power();
  open();
  const auto left = run({"DBSIZE"}).integer;
  EXPECT_LT(left, kCount);
  EXPECT_EQ(run({"KEYS", "*"}).elements.size(), static_cast<std::size_t>(left));
  for (int i = 0; i < kCount; ++i) {
    ASSERT_EQ(run({"EXISTS", std::to_string(i)}).integer, i < left ? 1 : 0) << i;
  }
}

TEST_F(DiskStoreTest, SaysThatTheDiskIsFullAndGoesOnWhenItIsNot) {
  open();
  write({"SET", "before", "x"});
  files.set_full(true);
  EXPECT_FALSE(run({"SET", "during", "x"}).is_error());
  const auto failed = store->commit();
  ASSERT_TRUE(failed.has_value());
  EXPECT_THAT(*failed, HasSubstr("No space"));
  EXPECT_EQ(run({"GET", "before"}), Reply::bulk("x"));
  EXPECT_EQ(run({"EXISTS", "during"}).integer, 0);
  EXPECT_EQ(run({"DBSIZE"}).integer, 1);
  EXPECT_TRUE(store->resume().has_value());
  files.set_full(false);
  while (store->resume().has_value()) {
  }
  write({"SET", "after", "x"});
  open();
  EXPECT_EQ(run({"EXISTS", "before", "after"}).integer, 2);
}

TEST_F(DiskStoreTest, SyncsNoLogThatCouldNotBeWritten) {
  open();
  write({"SET", "before", "x"});
  files.set_full(true);
  run({"SET", "during", "x"});
  ASSERT_TRUE(store->commit().has_value());
  EXPECT_TRUE(store->sync().has_value());
  files.set_full(false);
  EXPECT_TRUE(store->sync().has_value()) << "not before it was begun anew";
  while (store->resume().has_value()) {
  }
  EXPECT_FALSE(store->sync().has_value());
  write({"SET", "after", "x"});
  open();
  EXPECT_EQ(run({"EXISTS", "before", "after"}).integer, 2);
}

TEST_F(DiskStoreTest, RefusesADirectoryThatIsInUse) {
  open();
  auto second = DiskStore::open({.path = dir.path() + "/db", .env = files.env()});
  ASSERT_FALSE(second.has_value());
  EXPECT_THAT(second.error().detail, HasSubstr(dir.path() + "/db"));
  EXPECT_THAT(second.error().detail, HasSubstr("in use by another process"));
}

TEST_F(DiskStoreTest, RefusesWhatIsNoDatabase) {
  const fs::path path = dir.path() + "/db";
  std::ofstream(path) << "a file";
  EXPECT_THAT(refusal(), HasSubstr("is not a directory"));
  fs::remove(path);
  fs::create_directory(path);
  std::ofstream(path / "letter.txt") << "of somebody's";
  EXPECT_THAT(refusal(), HasSubstr("holds files but no database"));
  fs::remove(path / "letter.txt");
  open();
  write({"SET", "k", "v"});
  store.reset();
  fs::remove(path / "CURRENT");
  EXPECT_THAT(refusal(), HasSubstr("CURRENT is missing"));
  auto nameless = DiskStore::open({.path = ""});
  ASSERT_FALSE(nameless.has_value());
  EXPECT_THAT(nameless.error().detail, HasSubstr("names no directory"));
}

TEST_F(DiskStoreTest, RefusesADatabaseThatIsNotOurs) {
  auto theirs = plain_database(dir.path() + "/db");
  EXPECT_TRUE(theirs->Put({}, "some", "thing").ok());
  theirs.reset();
  EXPECT_THAT(refusal(), HasSubstr("not one of ours"));
  std::vector<std::string> families;
  EXPECT_TRUE(rocksdb::DB::ListColumnFamilies({}, dir.path() + "/db", &families).ok());
  EXPECT_EQ(families.size(), 1U);
}

TEST_F(DiskStoreTest, RefusesAnotherVersionsFormat) {
  auto later = plain_database(dir.path() + "/db");
  rocksdb::ColumnFamilyHandle* family = nullptr;
  EXPECT_TRUE(later->CreateColumnFamily({}, "data", &family).ok());
  EXPECT_TRUE(later->Put({}, std::string(kFormatKey), "2").ok());
  EXPECT_TRUE(later->DestroyColumnFamilyHandle(family).ok());
  later.reset();
  EXPECT_THAT(refusal(), HasSubstr("has format 2, and this version knows format 1"));
}

TEST_F(DiskStoreTest, SaysWhenAValueIsOfAnUnknownVersion) {
  open();
  write({"SET", "k", "v"});
  write({"SET", "other", "v"});
  store.reset();
  {
    rocksdb::DB* db = nullptr;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    const rocksdb::ColumnFamilyOptions plain;
    ASSERT_TRUE(rocksdb::DB::Open(rocksdb::DBOptions(), dir.path() + "/db",
                                  {{"default", plain}, {"data", plain}, {"deadlines", plain}},
                                  &handles, &db)
                    .ok());
    EXPECT_TRUE(db->Put({}, handles[1], data_key(0, "k"), "\x02s12345678v").ok());
    for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
    delete db;
  }
  open();
  (void)run({"SET", "k", "new", "GET"});
  auto failure = store->take_failure();
  ASSERT_TRUE(failure.has_value());
  EXPECT_THAT(*failure, HasSubstr("a format that this version does not know"));
  EXPECT_EQ(store->commit(), std::nullopt);
  (void)run({"MSET", "other", "new", "k", "new"});
  EXPECT_TRUE(store->take_failure().has_value());
  // Nothing of the command was done, and the rest is well.
  EXPECT_EQ(store->commit(), std::nullopt);
  (void)run({"GET", "k"});
  EXPECT_TRUE(store->take_failure().has_value());
  EXPECT_EQ(run({"GET", "other"}), Reply::bulk("v"));
  EXPECT_EQ(store->take_failure(), std::nullopt);
  (void)run({"KEYS", "*"});
  EXPECT_TRUE(store->take_failure().has_value());
}

TEST_F(DiskStoreTest, SaysThatAFileIsCorrupted) {
  open();
  for (int i = 0; i < 1000; ++i) write({"SET", std::to_string(i), std::string(1000, 'x')});
  store->compact();
  store.reset();
  std::size_t damaged = 0;
  for (const auto& file : fs::directory_iterator(dir.path() + "/db")) {
    if (file.path().extension() != ".sst" || file.file_size() < 4096) continue;
    std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(100);
    bytes << "damage";
    ++damaged;
  }
  ASSERT_GT(damaged, 0U);
  open();
  (void)run({"KEYS", "*"});
  const auto failure = store->take_failure();
  ASSERT_TRUE(failure.has_value());
  EXPECT_THAT(*failure, HasSubstr("Corruption"));
}

TEST_F(DiskStoreTest, SaysThatABlockOfItsFormatIsCorrupted) {
  open();
  write({"SET", "k", "v"});
  store->compact();
  store.reset();
  for (const auto& file : fs::directory_iterator(dir.path() + "/db")) {
    if (file.path().extension() != ".sst") continue;
    std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(2);
    bytes << "damage";
  }
  const std::string why = refusal();
  EXPECT_THAT(why, HasSubstr("is corrupted; restore it from a backup"));
  EXPECT_THAT(why, testing::Not(HasSubstr("in use")));
}

TEST_F(DiskStoreTest, SaysThatItsLogWasDamaged) {
  open();
  for (int i = 0; i < 100; ++i) write({"SET", std::to_string(i), std::string(1000, 'x')});
  EXPECT_EQ(store->loss(), "");
  kill_and_damage_log();
  open();
  EXPECT_THAT(store->loss(), HasSubstr("dropping"));
  EXPECT_GT(run({"DBSIZE"}).integer, 10);
  EXPECT_LT(run({"DBSIZE"}).integer, 60);
}

TEST_F(DiskStoreTest, RefusesADirectoryWithAFileMissing) {
  open();
  write({"SET", "k", "v"});
  store->compact();
  store.reset();
  for (const auto& file : fs::directory_iterator(dir.path() + "/db")) {
    if (file.path().extension() == ".sst") fs::remove(file.path());
  }
  EXPECT_THAT(refusal(), HasSubstr("is corrupted; restore it from a backup"));
}

}  // namespace
}  // namespace nearlane::l2::rocks
