// Every store that the command tests run over.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/l2/memory/map_store.h"
#include "core/l2/rocksdb/disk_store.h"
#include "core/l2/rocksdb/test_dir.h"

namespace nearlane::l2::embedded {

inline constexpr std::uint64_t kPlenty = std::uint64_t{1} << 30U;

class TestStore {
 public:
  virtual ~TestStore() = default;
  [[nodiscard]] virtual Store& store() = 0;
  virtual void end_command() {}
  virtual void commit() {}
};

class InMemory final : public TestStore {
 public:
  explicit InMemory(std::uint64_t max_bytes) : map_(max_bytes) {}
  [[nodiscard]] Store& store() override { return map_; }

 private:
  memory::MapStore map_;
};

class OnDisk final : public TestStore {
 public:
  /// Commits after so many commands; 0: only when told to.
  explicit OnDisk(unsigned every) : every_(every) {}
  [[nodiscard]] Store& store() override { return *disk_; }
  void end_command() override {
    if (every_ != 0 && ++commands_ % every_ == 0) commit();
  }
  void commit() override {
    EXPECT_EQ(disk_->take_failure(), std::nullopt);
    EXPECT_EQ(disk_->commit(), std::nullopt);
  }

 private:
  unsigned every_;
  unsigned commands_ = 0;
  rocks::TestDir dir_;
  std::unique_ptr<rocks::DiskStore> disk_ =
      rocks::DiskStore::open({.path = dir_.path(), .fsync = Fsync::no}).value();
};

inline std::vector<std::string> test_store_names() {
  return {"memory", "rocksdb", "rocksdb_by_threes", "rocksdb_uncommitted"};
}

inline std::unique_ptr<TestStore> make_test_store(const std::string& name,
                                                  std::uint64_t max_bytes) {
  if (name == "memory") return std::make_unique<InMemory>(max_bytes);
  return std::make_unique<OnDisk>(name == "rocksdb" ? 1 : name == "rocksdb_by_threes" ? 3 : 0);
}

}  // namespace nearlane::l2::embedded
