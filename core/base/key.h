// A key: a database number and a name of any bytes, with the hash that every tier shares.
//
// Units:     name 1 to 64 KiB (kMaxKeyBytes), which the doors enforce; db as Redis's SELECT.
// Lifetime:  KeyRef views bytes that its maker keeps; Key owns them.
// Threads:   plain values; the hash seed is set once, before the first key is made.
// Cost:      one XXH3 pass over the name when the key is made, then never again.
// Source:    XXH3 64 bit with a seed per process, against keys chosen to collide.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nearlane {

inline constexpr std::size_t kMaxKeyBytes = std::size_t{64} * 1024;

/// Hash of (db, name), equal for KeyRef and Key.
[[nodiscard]] std::uint64_t hash_key(std::uint32_t db, std::string_view name) noexcept;

/// Fixes the seed of hash_key, so that a simulation replays exactly. Without it a random one is
/// drawn at start.
void set_hash_seed(std::uint64_t seed) noexcept;

struct KeyRef {
  KeyRef(std::uint32_t db_number, std::string_view bytes) noexcept
      : name(bytes), hash(hash_key(db_number, bytes)), db(db_number) {}
  KeyRef(std::uint32_t db_number, std::string_view bytes, std::uint64_t known_hash) noexcept
      : name(bytes), hash(known_hash), db(db_number) {}

  std::string_view name;
  std::uint64_t hash;
  std::uint32_t db;

  friend bool operator==(const KeyRef& a, const KeyRef& b) noexcept {
    return a.hash == b.hash && a.db == b.db && a.name == b.name;
  }
};

struct Key {
  Key(std::uint32_t db_number, std::string bytes)
      : name(std::move(bytes)), hash(hash_key(db_number, name)), db(db_number) {}
  explicit Key(const KeyRef& ref) : name(ref.name), hash(ref.hash), db(ref.db) {}

  [[nodiscard]] KeyRef ref() const noexcept { return {db, name, hash}; }

  std::string name;
  std::uint64_t hash;
  std::uint32_t db;

  friend bool operator==(const Key& a, const Key& b) noexcept { return a.ref() == b.ref(); }
};

/// For unordered containers of either form: the stored hash is good enough to be used as it is.
struct KeyHash {
  using is_transparent = void;
  using is_avalanching = void;
  std::size_t operator()(const KeyRef& key) const noexcept { return key.hash; }
  std::size_t operator()(const Key& key) const noexcept { return key.hash; }
};
struct KeyEqual {
  using is_transparent = void;
  bool operator()(const Key& a, const Key& b) const noexcept { return a == b; }
  bool operator()(const KeyRef& a, const Key& b) const noexcept { return a == b.ref(); }
  bool operator()(const Key& a, const KeyRef& b) const noexcept { return a.ref() == b; }
};

}  // namespace nearlane
