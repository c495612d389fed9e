// Store: values with deadlines, in numbered databases. What the embedded L2's commands work on, and all that
// they know of where it lies: in memory (core/l2/memory) or on disk (core/l2/rocksdb).
//
// Units:     times are Unix milliseconds.
// Errors:    none thrown. make_room says no where a store is full; a store that can fail otherwise says so to
//            its owner after the command, and has then changed nothing more.
// Threads:   one at a time; the owner locks, or is the only one.
// Lifetime:  an Entry lives until it is erased, released, expires under a later call, its database is cleared, or
//            the owner ends the command. Making room never erases an entry that find() returned for the same time.
// Cost:      one virtual call, and what the store says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace nearlane::l2::embedded {

inline constexpr std::int64_t kNever = -1;  // as PEXPIRETIME says it

/// What an entry costs beside its bytes where bytes are counted: the map's node and bucket, the index of
/// deadlines, and what the allocator rounds up.
inline constexpr std::size_t kEntryOverhead = 192;

enum class Kind : std::uint8_t { string, hash };

struct Value {
  std::string bytes = {};  // of a hash: its fields, as core/l2/embedded/fields.h writes them
  std::int64_t expires_at = kNever;  // changed through Store alone, which keeps an index
  Kind kind = Kind::string;
};

/// A place in the order in which scan() visits; fits the 53 bits that a client's floating point may have.
using Cursor = std::uint64_t;
inline constexpr unsigned kCursorBits = 48;

class Store {
 public:
  using Entry = std::pair<const std::string, Value>;
  using Visit = std::function<void(const Entry&)>;

  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  /// Null: there is none. One whose time has passed is erased and not there.
  [[nodiscard]] virtual Entry* find(std::uint32_t db, std::string_view name, std::int64_t now) = 0;

  /// A command that looks at many entries is done with this one, which it has not changed: nothing refers to it any more.
  virtual void release(Entry& /*entry*/) {}

  /// What storing `size` bytes in place of `old` (null: a new entry) adds; may be < 0.
  [[nodiscard]] static std::int64_t growth(const Entry* old, std::string_view name,
                                           std::size_t size) {
    const auto after = static_cast<std::int64_t>(name.size() + size + kEntryOverhead);
    if (old == nullptr) return after;
    return after -
           static_cast<std::int64_t>(name.size() + old->second.bytes.size() + kEntryOverhead);
  }

  /// Whether `growth` more bytes fit. Entries whose time has passed go first, no more than needed.
  [[nodiscard]] virtual bool make_room(std::int64_t growth, std::int64_t now) = 0;

  /// Stores a value, whose room has been made; a deadline stays as it was.
  virtual Entry& set(std::uint32_t db, std::string_view name, std::string bytes, Kind kind) = 0;
  /// Replaces the bytes of an entry, whose room has been made.
  virtual void set(Entry& entry, std::string bytes) = 0;
  /// Writes `bytes` at `offset`, with zeros between the old end and there. Room has been made.
  virtual void overwrite(Entry& entry, std::size_t offset, std::string_view bytes) = 0;

  /// kNever takes the deadline away.
  virtual void expire_at(std::uint32_t db, Entry& entry, std::int64_t when) = 0;
  virtual void erase(std::uint32_t db, Entry& entry) = 0;
  virtual void clear(std::uint32_t db) = 0;
  virtual void clear() = 0;

  /// Erases at most `max` entries whose time has passed, of each database the longest passed first; says how
  /// many.
  virtual std::size_t sweep(std::int64_t now, std::size_t max) = 0;

  /// Entries of one database, those included whose time has passed unnoticed.
  [[nodiscard]] virtual std::size_t size(std::uint32_t db) const = 0;
  [[nodiscard]] virtual std::size_t size() const = 0;

  /// Calls `visit` for the entries from `from` on whose time has not passed, about `count` of them; says where to
  /// go on, 0 at the end. Whatever is there during all of a walk from 0 to 0 is visited. It must not change the
  /// store.
  [[nodiscard]] virtual Cursor scan(std::uint32_t db, Cursor from, std::size_t count,
                                    std::int64_t now, const Visit& visit) = 0;
};

}  // namespace nearlane::l2::embedded
