// The RocksDB directory of the embedded store: opened, checked, and its three column families.
//
// RocksDB's own headers are slow to compile: only this room's .cc files include this one.
//
// Errors:    an Error that names the path and what to do: locked by another process, no database of ours, made by
//            a newer version, corrupted, not writable.
// Threads:   as rocksdb::DB: any.
// Lifetime:  closing flushes what only the log holds.
#pragma once

#include <memory>
#include <string>

#include <rocksdb/db.h>

#include "core/base/result.h"
#include "core/l2/rocksdb/disk_store.h"

namespace nearlane::l2::rocks {

class Database {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Database>> open(const DiskConfig& config);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] rocksdb::DB& operator*() const noexcept { return *db_; }
  [[nodiscard]] rocksdb::DB* operator->() const noexcept { return db_.get(); }

  /// What was lost of a damaged log when it was read; empty: nothing.
  std::string loss = {};

  rocksdb::ColumnFamilyHandle* meta = nullptr;
  rocksdb::ColumnFamilyHandle* data = nullptr;
  rocksdb::ColumnFamilyHandle* deadlines = nullptr;

 private:
  Database() = default;
  [[nodiscard]] std::optional<Error> check_format(const std::string& path);

  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace nearlane::l2::rocks
