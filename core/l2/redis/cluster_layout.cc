#include "core/l2/redis/cluster_layout.h"

#include <algorithm>
#include <string>
#include <utility>

namespace nearlane::l2 {
namespace {

using Place = ClusterLayout::Place;
constexpr std::uint16_t kNowhere = ClusterLayout::kNowhere;

/// By primary of the map, its place in `layout`.
std::vector<std::uint16_t> settle_primaries(ClusterLayout& layout, const SlotMap& map,
                                            const std::vector<bool>& owns) {
  for (Place& place : layout.places) place.primary = false;
  std::vector<std::uint16_t> places(map.primaries.size(), kNowhere);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto at = std::ranges::find(layout.places, map.primaries[i], &Place::server);
    if (!owns[i] || at == layout.places.end()) continue;
    at->primary = true;
    places[i] = static_cast<std::uint16_t>(at - layout.places.begin());
  }
  // Who is new takes the place of whoever had its slots.
  for (std::size_t slot = 0; slot < cohere::kSlots; ++slot) {
    const std::uint16_t owner = map.owners[slot];
    if (owner == SlotMap::kNobody || places[owner] != kNowhere) continue;
    std::uint16_t at = layout.place_of(static_cast<cohere::Slot>(slot));
    if (at == kNowhere || layout.places[at].primary) {
      at = static_cast<std::uint16_t>(layout.places.size());
      layout.places.emplace_back();
    }
    layout.places[at] = {map.primaries[owner], true};
    places[owner] = at;
  }
  return places;
}

std::vector<std::vector<std::uint16_t>> lanes_by_place(const ClusterLayout& layout) {
  std::vector<std::vector<std::uint16_t>> lanes(layout.places.size());
  for (std::size_t lane = 0; lane < layout.places_of_lanes.size(); ++lane) {
    const std::uint16_t at = layout.places_of_lanes[lane];
    if (at != kNowhere) lanes[at].push_back(static_cast<std::uint16_t>(lane));
  }
  return lanes;
}

/// Evenly, and as few as can be are moved.
void share_lanes(ClusterLayout& layout) {
  std::vector<std::uint16_t> primaries;
  for (std::size_t at = 0; at < layout.places.size(); ++at) {
    if (layout.places[at].primary) primaries.push_back(static_cast<std::uint16_t>(at));
  }
  auto lanes = lanes_by_place(layout);
  const auto fewer = [&](std::uint16_t a, std::uint16_t b) {
    return lanes[a].size() < lanes[b].size();
  };
  const auto give = [&](std::uint16_t lane, std::uint16_t at) {
    layout.places_of_lanes[lane] = at;
    lanes[at].push_back(lane);
  };
  for (std::size_t lane = 0; lane < layout.places_of_lanes.size(); ++lane) {
    const std::uint16_t at = layout.places_of_lanes[lane];
    if (at == kNowhere || !layout.places[at].primary)
      give(static_cast<std::uint16_t>(lane), *std::ranges::min_element(primaries, fewer));
  }
  for (;;) {
    const std::uint16_t most = *std::ranges::max_element(primaries, fewer);
    const std::uint16_t least = *std::ranges::min_element(primaries, fewer);
    if (lanes[most].size() <= lanes[least].size() + 1) return;
    const std::uint16_t lane = lanes[most].back();
    lanes[most].pop_back();
    give(lane, least);
  }
}

}  // namespace

ClusterLayout::ClusterLayout(std::size_t lanes)
    : places_of_lanes(lanes, kNowhere), lanes_of_slots(cohere::kSlots) {
  for (std::size_t slot = 0; slot < cohere::kSlots; ++slot)
    lanes_of_slots[slot] = static_cast<std::uint16_t>(slot % lanes);
}

std::uint16_t ClusterLayout::find_or_add(const Endpoint& server) {
  const auto at = std::ranges::find(places, server, &Place::server);
  const auto index = static_cast<std::uint16_t>(at - places.begin());
  if (at == places.end()) places.push_back({.server = server});
  return index;
}

Result<ClusterLayout> follow(ClusterLayout layout, const SlotMap& map) {
  // One that has lost its last slot may still be named.
  std::vector<bool> owns(map.primaries.size());
  for (const std::uint16_t owner : map.owners) {
    if (owner != SlotMap::kNobody) owns[owner] = true;
  }
  const auto primaries = static_cast<std::size_t>(std::ranges::count(owns, true));
  if (primaries > layout.places_of_lanes.size()) {
    return Error{Errc::unavailable, "the cluster has " + std::to_string(primaries) +
                                        " primaries, and each needs a lane of its own (--pool)"};
  }
  if (primaries == 0) return layout;
  const auto places = settle_primaries(layout, map, owns);
  share_lanes(layout);
  const auto lanes = lanes_by_place(layout);
  for (std::size_t slot = 0; slot < cohere::kSlots; ++slot) {
    if (map.owners[slot] == SlotMap::kNobody) continue;
    const auto& of_owner = lanes[places[map.owners[slot]]];
    layout.lanes_of_slots[slot] = of_owner[slot % of_owner.size()];
  }
  return layout;
}

void FormerSlots::note(const ClusterLayout& before, const ClusterLayout& after) {
  for (std::size_t slot = 0; slot < cohere::kSlots; ++slot) {
    const std::uint16_t lane = before.lanes_of_slots[slot];
    if (lane != after.lanes_of_slots[slot]) of_lanes_[lane].set(slot);
  }
}

std::vector<std::size_t> FormerSlots::returned_to(const ClusterLayout& next) const {
  std::vector<bool> found(of_lanes_.size());
  for (std::size_t slot = 0; slot < cohere::kSlots; ++slot) {
    const std::uint16_t lane = next.lanes_of_slots[slot];
    if (of_lanes_[lane].test(slot)) found[lane] = true;
  }
  std::vector<std::size_t> lanes;
  for (std::size_t lane = 0; lane < found.size(); ++lane) {
    if (found[lane]) lanes.push_back(lane);
  }
  return lanes;
}

}  // namespace nearlane::l2
