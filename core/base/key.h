// A key: a database number and a name of any bytes, with the hash that every tier shares.
//
// Units:     name 1 to 64 KiB (kMaxKeyBytes), which the doors enforce; db as Redis's SELECT.
// Lifetime:  KeyRef views bytes that its maker keeps; Key owns them.
// Threads:   plain values; the hash seed is set once, before the first key is made.
// Cost:      one XXH3 pass over the name when the key is made, then never again. For names as long as session
//            ids are it is inline: a hit is so short that a call would be felt in how many of them overlap.
// Source:    XXH3 64 bit with a seed per process, against keys chosen to collide.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace nearlane {

inline constexpr std::size_t kMaxKeyBytes = std::size_t{64} * 1024;

namespace detail {

/// 0: not drawn yet.
extern constinit std::atomic<std::uint64_t> hash_seed;
/// A name of any length, by the library; draws the seed if there is none.
[[nodiscard]] std::uint64_t hash_any(std::uint32_t db, std::string_view name) noexcept;

inline constexpr std::size_t kInlineFrom = 17;
inline constexpr std::size_t kInlineTo = 64;
/// The first words of XXH3's secret.
inline constexpr std::array<std::uint64_t, 8> kSecret{
    0xbe4ba423396cfeb8U, 0x1cad21f72c81017cU, 0xdb979083e96dd4deU, 0x1f67b3b7a4a44072U,
    0x78e5c0cc4ee679cbU, 0x2172ffcc7dd05a82U, 0x8e2443f7744608b8U, 0x4c263a81e69035e0U};

/// Sixteen bytes, folded into eight: XXH3's step for names of 17 bytes and more.
[[nodiscard]] inline std::uint64_t fold(const char* from, std::size_t secret,
                                        std::uint64_t seed) noexcept {
  __extension__ using Product = unsigned __int128;
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  std::memcpy(&low, from, sizeof low);
  std::memcpy(&high, from + sizeof low, sizeof high);
  const Product product =
      Product{low ^ (kSecret[secret] + seed)} * (high ^ (kSecret[secret + 1] - seed));
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

}  // namespace detail

/// Hash of (db, name), equal for KeyRef and Key: XXH3 with a seed (key_test.cc holds it against the library).
[[nodiscard]] inline std::uint64_t hash_key(std::uint32_t db, std::string_view name) noexcept {
  static_assert(std::endian::native == std::endian::little);
  const std::uint64_t drawn = detail::hash_seed.load(std::memory_order_relaxed);
  const std::size_t size = name.size();
  const bool usual = size - detail::kInlineFrom <= detail::kInlineTo - detail::kInlineFrom;
  if (!usual || drawn == 0) [[unlikely]] {
    return detail::hash_any(db, name);
  }
  const std::uint64_t seed = drawn + db;
  const char* const end = name.data() + size;
  std::uint64_t sum = size * 0x9E3779B185EBCA87U;
  if (size > 32) {
    sum += detail::fold(name.data() + 16, 4, seed) + detail::fold(end - 32, 6, seed);
  }
  sum += detail::fold(name.data(), 0, seed) + detail::fold(end - 16, 2, seed);
  sum = (sum ^ (sum >> 37U)) * 0x165667919E3779F9U;
  return sum ^ (sum >> 32U);
}

/// Fixes the seed of hash_key, so that a simulation replays exactly. Without it a random one is
/// drawn at start. Precondition: not 0.
void set_hash_seed(std::uint64_t seed) noexcept;

/// Databases are numbered below this: they are remembered as bits, and Redis has 16 unless configured otherwise. No
/// door selects a larger one; which of these there are, L2 says.
inline constexpr std::uint32_t kDatabases = 64;

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
