// Slots: which of a Redis Cluster's 16,384 parts a key is in, and which lane a part has at the moment.
//
// Where L2 is a Cluster, the lane of a key must be a connection to the primary that owns the key's slot, and that may change. So
// readers ask SlotLanes instead of the key's hash. Epochs of lanes never meet (LaneView::begin_at), so whoever moves a slot
// from one lane to another disowns, with that one store, all entries of the slot.
//
// Errors:    none: every name has a slot, and every slot a lane, of which its owner may know no better yet.
// Threads:   SlotLanes: one owner moves slots, every thread reads.
// Cost:      slot_of: some 0.9 ns a byte of the name, or of its tag. Tables of 4 KiB, and one of 32 KiB.
// Source:    redis.io/docs/reference/cluster-spec (key distribution model, hash tags, CRC16 as of XMODEM).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace nearlane::cohere {

inline constexpr std::size_t kSlots = 16384;

using Slot = std::uint16_t;  // below kSlots

/// Of the part of the name between the first '{' and the first '}' behind it, if there is one and it is not empty;
/// else of all of it.
[[nodiscard]] Slot slot_of(std::string_view name) noexcept;

class SlotLanes {
 public:
  [[nodiscard]] std::size_t of(std::string_view name) const noexcept { return lane(slot_of(name)); }
  [[nodiscard]] std::size_t lane(Slot slot) const noexcept {
    return (*lanes_)[slot].load(std::memory_order_acquire);
  }
  /// Precondition: nothing that `lane` vouches for was read in the slot before it had left that lane.
  void move(Slot slot, std::uint16_t lane) noexcept {
    (*lanes_)[slot].store(lane, std::memory_order_release);
  }

 private:
  using Table = std::array<std::atomic<std::uint16_t>, kSlots>;
  std::unique_ptr<Table> lanes_ = std::make_unique<Table>();
};

}  // namespace nearlane::cohere
