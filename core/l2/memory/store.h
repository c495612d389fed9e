// Values with deadlines, in numbered databases, under one cap of bytes: what the embedded L2's
// commands work on.
//
// Units:     times are Unix milliseconds. bytes() counts each entry's key, value and kEntryOverhead.
// Errors:    none thrown; make_room says no when the store is full.
// Threads:   one at a time; the owner locks.
// Lifetime:  an Entry lives until it is erased, expires under a later call, or its database is
//            cleared. Making room never erases an entry that find() returned for the same time.
// Cost:      find and erase are one hash and one probe; a deadline costs a logarithm more. A value
//            that grew by appending may hold up to twice the bytes that are counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "core/base/key.h"

namespace nearlane::l2::memory {

/// What an entry costs beside its bytes: the map's node and bucket, the index of deadlines, and
/// what the allocator rounds up.
inline constexpr std::size_t kEntryOverhead = 192;

inline constexpr std::int64_t kNever = -1;  // as PEXPIRETIME says it

struct Value {
  std::string bytes = {};
  std::int64_t expires_at = kNever;  // changed through Store alone, which keeps the index
};

class Store {
 public:
  using Entry = std::pair<const std::string, Value>;

  explicit Store(std::uint64_t max_bytes) : max_bytes_(max_bytes) {}

  /// Null: there is none. One whose time has passed is erased and not there.
  [[nodiscard]] Entry* find(std::uint32_t db, std::string_view name, std::int64_t now);

  /// What storing `size` bytes in place of `old` (null: a new entry) adds to bytes(); may be < 0.
  [[nodiscard]] static std::int64_t growth(const Entry* old, std::string_view name,
                                           std::size_t size);

  /// Whether `growth` more bytes fit. Entries whose time has passed go first, no more than needed.
  [[nodiscard]] bool make_room(std::int64_t growth, std::int64_t now);

  /// Stores a value, whose room has been made; a deadline stays as it was.
  Entry& set(std::uint32_t db, std::string_view name, std::string bytes);
  /// Replaces an entry's value, whose room has been made.
  void set(Entry& entry, std::string bytes);
  /// Writes `bytes` at `offset`, with zeros between the old end and there. Room has been made.
  void overwrite(Entry& entry, std::size_t offset, std::string_view bytes);

  /// kNever takes the deadline away.
  void expire_at(std::uint32_t db, Entry& entry, std::int64_t when);
  void erase(std::uint32_t db, Entry& entry);
  void clear(std::uint32_t db);
  void clear();

  /// Erases at most `max` entries whose time has passed; says how many.
  std::size_t sweep(std::int64_t now, std::size_t max);

  /// Entries of one database, those included whose time has passed unnoticed.
  [[nodiscard]] std::size_t size(std::uint32_t db) const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

  /// Calls `visit` for each entry of one database whose time has not passed. It must not change the
  /// store.
  void walk(std::uint32_t db, std::int64_t now,
            const std::function<void(const Entry&)>& visit) const;
  /// Some entry, chosen by `random`, whose time has not passed; null if there is none.
  [[nodiscard]] const Entry* pick(std::uint32_t db, std::int64_t now, std::uint64_t random) const;

 private:
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept { return hash_key(0, name); }
  };
  using Entries = std::unordered_map<std::string, Value, NameHash, std::equal_to<>>;

  struct Deadline {
    std::int64_t when;
    std::uint32_t db;
    Entry* entry;
    friend bool operator<(const Deadline& a, const Deadline& b) {
      if (a.when != b.when) return a.when < b.when;
      return std::less<>()(a.entry, b.entry);
    }
  };

  [[nodiscard]] static bool passed(const Entry& entry, std::int64_t now) {
    return entry.second.expires_at != kNever && now > entry.second.expires_at;
  }

  std::map<std::uint32_t, Entries> databases_;
  std::set<Deadline> deadlines_;
  std::uint64_t bytes_ = 0;
  std::uint64_t max_bytes_;
};

}  // namespace nearlane::l2::memory
