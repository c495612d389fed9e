// MapStore: a Store in this process's memory, under one cap of bytes.
//
// A database is kShards maps, chosen by a key's hash, so that a scan has an order that no growing map disturbs: its
// cursor is a shard.
//
// Units:     as Store. bytes() counts each entry's key, value and kEntryOverhead.
// Errors:    make_room says no when the store is full.
// Threads:   one at a time; the owner locks.
// Lifetime:  as Store; an Entry that nobody erases stays where it is.
// Cost:      find and erase are one hash and one probe; a deadline costs a logarithm more. A value that grew by
//            appending may hold up to twice the bytes that are counted. A scan takes whole shards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/key.h"
#include "core/l2/embedded/store.h"

namespace nearlane::l2::memory {

class MapStore final : public embedded::Store {
 public:
  explicit MapStore(std::uint64_t max_bytes) : max_bytes_(max_bytes) {}

  [[nodiscard]] Entry* find(std::uint32_t db, std::string_view name, std::int64_t now) override;
  [[nodiscard]] bool make_room(std::int64_t growth, std::int64_t now) override;
  Entry& set(std::uint32_t db, std::string_view name, std::string bytes,
             embedded::Kind kind) override;
  void set(Entry& entry, std::string bytes) override;
  void overwrite(Entry& entry, std::size_t offset, std::string_view bytes) override;
  void expire_at(std::uint32_t db, Entry& entry, std::int64_t when) override;
  void erase(std::uint32_t db, Entry& entry) override;
  void clear(std::uint32_t db) override;
  void clear() override;
  std::size_t sweep(std::int64_t now, std::size_t max) override;
  [[nodiscard]] std::size_t size(std::uint32_t db) const override;
  [[nodiscard]] std::size_t size() const override;
  [[nodiscard]] embedded::Cursor scan(std::uint32_t db, embedded::Cursor from, std::size_t count,
                                      std::int64_t now, const Visit& visit) override;

  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  static constexpr unsigned kShardBits = 10;  // a scan's step is a thousandth of its database
  static constexpr std::size_t kShards = std::size_t{1} << kShardBits;

  struct Name {
    explicit Name(std::string_view bytes) : text(bytes), hash(hash_key(0, bytes)) {}
    std::string_view text;
    std::uint64_t hash;
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(const std::string& name) const noexcept { return hash_key(0, name); }
    std::size_t operator()(const Name& name) const noexcept { return name.hash; }
  };
  struct NameEqual {
    using is_transparent = void;
    bool operator()(const std::string& a, const std::string& b) const noexcept { return a == b; }
    bool operator()(const Name& a, const std::string& b) const noexcept { return a.text == b; }
    bool operator()(const std::string& a, const Name& b) const noexcept { return a == b.text; }
  };
  using Entries = std::unordered_map<std::string, embedded::Value, NameHash, NameEqual>;
  struct Database {
    [[nodiscard]] Entries& shard_of(const Name& name) {
      return shards[name.hash >> (64U - kShardBits)];
    }
    std::array<Entries, kShards> shards;
    std::size_t size = 0;
  };

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
    return entry.second.expires_at != embedded::kNever && now > entry.second.expires_at;
  }
  [[nodiscard]] static std::uint64_t cost(const Entry& entry) {
    return entry.first.size() + entry.second.bytes.size() + embedded::kEntryOverhead;
  }

  std::map<std::uint32_t, std::unique_ptr<Database>> databases_;
  std::set<Deadline> deadlines_;
  std::uint64_t bytes_ = 0;
  std::uint64_t max_bytes_;
};

}  // namespace nearlane::l2::memory
