// A machine's files, for tests: the power can be cut, the disk can be full, writing can hang, syncing can fail or hang.
//
// Units:     bytes.
// Errors:    what RocksDB would see: NoSpace, or an I/O error.
// Threads:   any.
// Lifetime:  outlives the stores that use env().
// Source:    what fsync(2) promises: bytes that were not synced may be gone after a power cut. RocksDB's own
//            FaultInjectionTestFS is not in its package.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

namespace nearlane::l2::rocks {

class FaultyFiles {
 public:
  FaultyFiles();

  [[nodiscard]] rocksdb::Env* env() const noexcept { return env_.get(); }

  /// From now on nothing is written or synced.
  void cut_power();
  /// After the cut, once the store is closed: every file ends where it was last synced. The power is back.
  void lose_unsynced();

  void set_full(bool full);
  void set_sync_fails(bool fails);
  /// Syncs that begin meanwhile return when it has ended.
  void set_sync_hangs(bool hangs);
  /// How many of them there are now.
  [[nodiscard]] std::size_t hanging_syncs();
  /// What is written to a log meanwhile is written when it has ended.
  void set_log_hangs(bool hangs);
  /// How many writes to a log wait for that now.
  [[nodiscard]] std::size_t hanging_writes();
  /// Syncs of a log so far.
  [[nodiscard]] std::uint64_t log_syncs();

 private:
  struct Length {
    std::uint64_t written = 0;
    std::uint64_t synced = 0;
  };
  class Files;
  class File;

  std::mutex lock_;
  std::map<std::string, std::shared_ptr<Length>> lengths_;
  bool cut_ = false;
  bool full_ = false;
  bool sync_fails_ = false;
  bool sync_hangs_ = false;
  bool log_hangs_ = false;
  std::size_t hanging_syncs_ = 0;
  std::size_t hanging_writes_ = 0;
  std::condition_variable goes_on_;
  std::uint64_t log_syncs_ = 0;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace nearlane::l2::rocks
