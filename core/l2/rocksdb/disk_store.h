// DiskStore: a Store in a RocksDB directory.
//
// What commands change is gathered in memory until commit() writes it as one batch: all of it or nothing. Until
// then every call sees it, and discard() forgets it. Several commands may share a commit. What was only read is kept
// for the next command, but for what exceeds kMostRead.
//
// Units:     as Store.
// Errors:    open: unavailable or invalid_argument, naming the path and what to do. A read that fails is noted:
//            from then until take_failure() nothing is changed, and what find() and scan() say counts for nothing.
// Threads:   one at a time; sync() from any.
// Lifetime:  an Entry lives until it is released, end_command(), commit(), discard(), or its database is cleared.
// Cost:      find reads one record, whole, unless it is still held. size() is exact and free.
// Source:    docs/decisions/0015-rocksdb.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/l2/embedded/store.h"
#include "core/l2/l2_backend.h"

namespace rocksdb {
class Env;
}

namespace nearlane::l2::rocks {

/// Bytes that one unit may change or add, all of which are in memory until the commit: over two of the longest values.
inline constexpr std::int64_t kMostUncommitted = std::int64_t{3} << 29U;

struct DiskConfig {
  std::string path;
  Fsync fsync = Fsync::everysec;
  rocksdb::Env* env = nullptr;  // null: the machine's
  std::int64_t most_uncommitted = kMostUncommitted;
};

class DiskStore final : public embedded::Store {
 public:
  /// Bytes of what was read that are kept for later commands: what a group's small values need.
  static constexpr std::size_t kMostRead = std::size_t{16} << 20U;
  /// Bytes of what was changed, behind which a unit is the last of its commit. A batch copies them.
  static constexpr std::size_t kMostChanged = std::size_t{16} << 20U;

  [[nodiscard]] static Result<std::unique_ptr<DiskStore>> open(DiskConfig config);
  ~DiskStore() override;

  [[nodiscard]] Entry* find(std::uint32_t db, std::string_view name, std::int64_t now) override;
  void release(Entry& entry) override;
  /// False: what this unit has changed, or would then, is more than most_uncommitted. When it is full the disk says itself.
  [[nodiscard]] bool make_room(std::int64_t growth, std::int64_t now) override;
  Entry& set(std::uint32_t db, std::string_view name, std::string bytes,
             embedded::Kind kind) override;
  void set(Entry& entry, std::string bytes) override;
  void overwrite(Entry& entry, std::size_t offset, std::string_view bytes) override;
  void expire_at(std::uint32_t db, Entry& entry, std::int64_t when) override;
  void erase(std::uint32_t db, Entry& entry) override;
  void clear(std::uint32_t db) override;
  void clear() override;
  /// Of what is committed.
  std::size_t sweep(std::int64_t now, std::size_t max) override;
  [[nodiscard]] std::size_t size(std::uint32_t db) const override;
  [[nodiscard]] std::size_t size() const override;
  [[nodiscard]] embedded::Cursor scan(std::uint32_t db, embedded::Cursor from, std::size_t count,
                                      std::int64_t now, const Visit& visit) override;

  /// Whether anything was changed since the last call, but for erasing what had expired.
  [[nodiscard]] bool take_changed() noexcept;
  /// Why a read has failed since the last call.
  [[nodiscard]] std::optional<std::string> take_failure();

  /// A command has ended, and nothing refers to what it has found.
  void end_command();
  /// What is committed together or not at all has ended: one command, or those of one EXEC. True: so much was changed that it is
  /// to be committed before the next.
  [[nodiscard]] bool end_unit();
  /// Bytes that are held of values, changed or not.
  [[nodiscard]] std::size_t held() const noexcept;

  /// Writes what was changed, in the log and handed to the system when this returns, and synced with Fsync::always.
  /// An error: why not; what was changed is forgotten, but may be there after resume(), if it was the sync that failed.
  [[nodiscard]] std::optional<std::string> commit();
  void discard() noexcept;

  /// Syncs what was committed.
  [[nodiscard]] std::optional<std::string> sync();
  /// After a failed commit or sync, with nothing uncommitted: whether it can write again. Opens the directory again
  /// if need be; while that fails, so does everything else.
  [[nodiscard]] std::optional<std::string> resume();

  /// What was lost of a damaged log when the directory was opened; empty: nothing.
  [[nodiscard]] std::string loss() const;

  /// Compacts everything now.
  void compact();

 private:
  struct State;
  explicit DiskStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace nearlane::l2::rocks
