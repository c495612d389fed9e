// PrefixTable: what the configuration says of sets of keys, found by the longest prefix that matches.
//
// The prefixes are sorted, and each knows the longest other one that it begins with. The last one that
// does not sort behind the key is either what matches longest, or begins with it: between a prefix of
// the key and the key itself everything begins with that prefix.
//
//   prefixes   "a"  "a:b"  "a:b:x"  "c"      key "a:b:y": the last not behind it is "a:b:x", which
//               ^----'  ^-----'              the key does not begin with; the one before it matches.
//
// Threads:   immutable.
// Cost:      a binary search, and a step for each prefix around the one found; one branch where there
//            is no prefix at all. Asked by misses and writes, and by a hit only where any prefix has a content type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"

namespace nearlane::tier {

/// Whose values L1 keeps smaller forms of, for HTTP.
enum class Precompress : std::uint8_t {
  off,
  asked,  // those that were written or read by somebody who may ask for such a form
  always,
};

/// What may be said of a set of keys.
struct KeyRules {
  bool l1 = true;  // false: L1 never holds them, and every read goes to L2
  /// How long L1 keeps a value after it was read from L2 or written there, whatever its TTL and however often
  /// it is touched; then it is read again. Each copy's time is shorter by a part of its own, up to kL1TtlSpread,
  /// so that what was filled together is not fetched together.
  Duration l1_ttl = Duration::max();
  /// How long L1 remembers that L2 has no such key; zero: not at all.
  Duration negative_ttl = Duration::zero();
  /// While L2 is not asked, how long after its last moment of being vouched for a copy may be served; zero: never. Only
  /// then can a key be revoked strictly.
  Duration max_stale = std::chrono::seconds(60);
  /// A touch that would move the key's end by no more than slide_slack() is answered by a fresh copy and does not
  /// go to L2. Without l1_ttl only: a copy whose age is capped does not tell when L2 ends the key.
  bool touch_coalescing = false;
  /// What was in use when somebody else changed it is read again in the background.
  bool refresh = false;
  /// Who stores a key that it had no copy of tells the other instances, and they read it in the background.
  bool prefetch = false;
  Precompress precompress = Precompress::off;
  /// Never compressed: beside bytes that a stranger can choose, the size of a compressed secret tells what it is.
  bool secret = false;
  /// Its values are large, so that they are kept from standing before small ones. Says nothing here: the backend is told
  /// (l2::L2Config::is_bulk).
  bool bulk = false;
  /// What the values are, for protocols that say so: an Internet media type.
  std::string content_type = "application/octet-stream";
};

struct Prefix {
  std::string match;  // the key's first bytes, in every database
  KeyRules rules = {};
};

class PrefixTable {
 public:
  /// `otherwise`: of keys that no prefix matches. No two prefixes are the same.
  PrefixTable(const KeyRules& otherwise, std::vector<Prefix> prefixes);

  /// KeyRules::content_type of the key: one branch where no prefix has another one.
  [[nodiscard]] std::string_view content_type(std::string_view name) const noexcept {
    return has_content_types_ ? of(name).content_type : otherwise_.content_type;
  }

  [[nodiscard]] const KeyRules& of(std::string_view name) const noexcept {
    return prefixes_.empty() ? otherwise_ : longest_match(name);
  }
  /// Prefix::match of the one that decides; none: no prefix matches.
  [[nodiscard]] std::optional<std::string_view> match(std::string_view name) const noexcept;

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};

  [[nodiscard]] const KeyRules& longest_match(std::string_view name) const noexcept;
  [[nodiscard]] std::size_t find(std::string_view name) const noexcept;

  KeyRules otherwise_;
  std::vector<Prefix> prefixes_;     // sorted
  std::vector<std::size_t> around_;  // of each, the longest other prefix that it begins with
  bool has_content_types_ = false;
};

}  // namespace nearlane::tier
