#include "core/cohere/lane_map.h"

namespace nearlane::cohere {

std::size_t LaneMap::of_name(const KeyRef& key) const noexcept {
  if (slots_ != nullptr) return slots_->of(key.name);
  return bulk_->has(key.name) ? shared_ + lane_of(key.hash, bulk_->lanes)
                              : lane_of(key.hash, shared_);
}

}  // namespace nearlane::cohere
