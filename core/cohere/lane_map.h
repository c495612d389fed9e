// LaneMap: which lane a key belongs to. The one place that says so: the tier asks it before it looks into L1, and the backend
// before it sends, and both have it from the backend.
//
// Lanes answer in order, so what is asked of one behind a large value waits until that has arrived. Keys whose values are large can
// have lanes of their own, the last ones of all (BulkLanes); each set's lanes share out that set's keys by their hashes. Over a
// cluster slots say which lane (SlotLanes), and there is one set.
//
//   number   0 … shared() − 1 | shared() … lanes() − 1
//   keys     all others       | BulkLanes::has
//
// Errors:    none: every key has a lane.
// Threads:   a plain value; what it points to is immutable, or SlotLanes.
// Lifetime:  SlotLanes and BulkLanes outlive it.
// Cost:      of(): one branch and a multiplication where hashes alone decide; else what slot_of, or BulkLanes::has, costs.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

#include "core/base/key.h"
#include "core/cohere/lane_view.h"
#include "core/cohere/slots.h"

namespace nearlane::cohere {

/// Keys whose values are large, and their lanes. The same for ever: a key that went from one set to the other would leave
/// behind an entry that its lane no longer hears of.
struct BulkLanes {
  std::size_t lanes = 0;                                // over 0
  std::function<bool(std::string_view name)> has = {};  // throws nothing; any thread calls it
};

class LaneMap {
 public:
  /// Precondition: not both `slots` and `bulk`; at least one lane is left for other keys.
  explicit LaneMap(std::size_t lanes, const SlotLanes* slots = nullptr,
                   const BulkLanes* bulk = nullptr) noexcept
      : shared_(lanes - (bulk == nullptr ? 0 : bulk->lanes)),
        by_name_(slots != nullptr || bulk != nullptr),
        slots_(slots),
        bulk_(bulk) {}

  /// Below lanes().
  [[nodiscard]] std::size_t of(const KeyRef& key) const noexcept {
    if (by_name_) [[unlikely]] {
      return of_name(key);
    }
    return lane_of(key.hash, shared_);
  }

  [[nodiscard]] std::size_t lanes() const noexcept { return shared_ + bulk(); }
  /// The lanes of all keys but those of BulkLanes.
  [[nodiscard]] std::size_t shared() const noexcept { return shared_; }
  [[nodiscard]] std::size_t bulk() const noexcept { return bulk_ == nullptr ? 0 : bulk_->lanes; }
  [[nodiscard]] bool is_bulk(std::size_t lane) const noexcept { return lane >= shared_; }

 private:
  /// Out of line, so that a hit where hashes decide is no longer for it.
  [[nodiscard]] std::size_t of_name(const KeyRef& key) const noexcept;

  std::size_t shared_;
  bool by_name_;
  const SlotLanes* slots_;
  const BulkLanes* bulk_;
};

}  // namespace nearlane::cohere
