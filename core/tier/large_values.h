// LargeValues: whom to tell of values that stood before small ones, and how often.
//
// What is asked of a lane behind a large value waits until that has arrived. Keys whose values are large can have lanes of their
// own ([[prefix]] lanes = "bulk"), but only their owner knows which those are; so whoever finds one on a lane that small values use
// says so, in the words that he can put into his configuration. Names of keys are secrets where they are session ids: of the name
// no more is said than the `match` of a table, which its owner wrote, or a namespace of letters.
//
// Units:     bytes of one value; time on the monotonic clock.
// Threads:   any.
// Cost:      a lock, for large values only; kMostPrefixes names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/key.h"
#include "core/tier/prefix_table.h"

namespace nearlane::tier {

struct LargeValue {
  std::string prefix = {};  // that the key begins with; empty: nothing of its name is to be shown
  bool has_table = false;   // `prefix` is the whole `match` of the table that decides for the key
  std::size_t bytes = 0;
  std::uint64_t hash = 0;  // names the key for `nearlane why`
  std::uint32_t db = 0;
};

class LargeValues {
 public:
  /// Bytes from which on a value is large: what keeps a small read behind it waiting for more than some 100 us over loopback,
  /// where Redis takes 0.25 ns a byte to write one and we about as long to read it (docs/decisions/0027). Over a link of 1 Gbit/s
  /// it is 2 ms.
  static constexpr std::size_t kLeast = std::size_t{256} << 10U;
  static constexpr Duration kEvery = std::chrono::minutes(1);  // for a prefix
  static constexpr std::size_t kMostPrefixes = 64;             // that were said within kEvery

  /// What is to be said; nothing: it was, not long ago.
  [[nodiscard]] std::optional<LargeValue> note(const PrefixTable& prefixes, const KeyRef& key,
                                               std::size_t bytes, TimePoint now);

 private:
  std::mutex mutex_;
  std::map<std::string, TimePoint, std::less<>> said_;
};

/// The key's namespace: its bytes up to the first ':', and that, if they are small letters, '-', '_' and no more than 16; else empty. An
/// id, which may be a secret, is longer, or has digits or capitals.
[[nodiscard]] std::string_view name_space(std::string_view name) noexcept;

}  // namespace nearlane::tier
