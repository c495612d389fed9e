// ClusterLayout: which lanes lead to which primary of a cluster, and which lane each slot belongs to.
//
// The number of lanes is fixed; primaries come and go. A primary has a place as long as it is one, and whoever takes
// its slots over, as after a failover, takes its place: then no slot changes its lane, and the lanes only connect to another
// server. Lanes are shared out evenly among the primaries, and a primary's slots among its lanes.
//
// Errors:    of follow: unavailable, where there are more primaries than lanes.
// Threads:   plain values and a pure function.
// Cost:      of follow: some 100 us.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/result.h"
#include "core/l2/redis/cluster_map.h"

namespace nearlane::l2 {

struct ClusterLayout {
  static constexpr std::uint16_t kNowhere = UINT16_MAX;

  struct Place {
    Endpoint server = {};
    bool primary = false;  // false: it was one, or is about to be; nothing leads there but ASK

    friend bool operator==(const Place&, const Place&) = default;
  };

  /// Precondition: 0 < lanes < kNowhere. Before anything is known of the cluster.
  explicit ClusterLayout(std::size_t lanes);

  [[nodiscard]] std::uint16_t place_of(cohere::Slot slot) const noexcept {
    return places_of_lanes[lanes_of_slots[slot]];
  }
  /// Of a server, which may not be a primary yet.
  [[nodiscard]] std::uint16_t find_or_add(const Endpoint& server);

  std::vector<Place> places = {};
  std::vector<std::uint16_t> places_of_lanes;
  std::vector<std::uint16_t> lanes_of_slots;

  friend bool operator==(const ClusterLayout&, const ClusterLayout&) = default;
};

/// What it becomes when `map` holds. A slot without an owner stays where it was.
[[nodiscard]] Result<ClusterLayout> follow(ClusterLayout before, const SlotMap& map);

/// By lane, the slots that it had, and whose entries it would still vouch for: others may have changed them since, and
/// the lane was not told.
class FormerSlots {
 public:
  explicit FormerSlots(std::size_t lanes) : of_lanes_(lanes) {}

  void note(const ClusterLayout& before, const ClusterLayout& after);
  /// Lanes that have to be disowned before `next` may hold.
  [[nodiscard]] std::vector<std::size_t> returned_to(const ClusterLayout& next) const;
  void disowned(std::size_t lane) { of_lanes_[lane].reset(); }

 private:
  std::vector<std::bitset<cohere::kSlots>> of_lanes_;
};

}  // namespace nearlane::l2
