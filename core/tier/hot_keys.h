// The hot-key list: which keys an instance found worth keeping, the hottest first, so that it, or another one, has them
// again soon after a start. Names only: what is read for them is read as any other key is.
//
// HottestKeys picks them while L1 is walked; a list is what lies in L2, and so bytes that anybody may have put there:
//
//   a RESP array of bulk strings: "NLW1", then <db> and <name> for each key
//
// Numbers are decimal in their one spelling. A list says nothing of values, and a key on it that has changed or ended
// since costs one read.
//
// Units:     bytes of a whole list.
// Errors:    parse_hot_keys: protocol, where and why; too_large, over one of the limits below.
// Threads:   one owner.
// Cost:      offer() compares, and moves the names of what is kept in a heap; a pass over the bytes to read.
// Source:    docs/decisions/0023-warm-instances.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/key.h"
#include "core/base/result.h"
#include "core/entry/entry.h"

namespace nearlane::tier {

/// Keys of one list: at the default rate of reads nobody asked for, more than the default limit of a warm-up has
/// time for.
inline constexpr std::size_t kMostHotKeys = 16'384;
/// A millisecond of a lane's way to a Redis nearby; names of session ids fill a fifth of it.
inline constexpr std::size_t kMostHotBytes = std::size_t{1} << 20U;

/// The list of these keys, as many of the first as fit.
[[nodiscard]] std::string format_hot_keys(std::span<const Key> keys);
[[nodiscard]] Result<std::vector<Key>> parse_hot_keys(std::string_view list);

/// One of many: the first of each list, then the second of each, and so on, each key once, at most `most`.
[[nodiscard]] std::vector<Key> merge_hot_keys(std::span<const std::vector<Key>> lists,
                                              std::size_t most);

class HottestKeys {
 public:
  explicit HottestKeys(std::size_t most) noexcept : most_(most) {}

  /// `worth` as L1Map::walk_on tells it. What was fetched unasked and not used since is colder than all else.
  void offer(const Entry& entry, float worth);
  /// The hottest first; nothing is left.
  [[nodiscard]] std::vector<Key> take();

 private:
  struct Place {
    bool unused;
    float worth;
    Key key;
  };
  static bool is_hotter(const Place& a, const Place& b) noexcept;

  const std::size_t most_;
  std::vector<Place> places_;  // a heap, the coldest in front
};

}  // namespace nearlane::tier
