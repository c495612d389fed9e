#include "core/l2/redis/cluster_layout.h"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace nearlane::l2 {
namespace {

Endpoint server(int number) { return {"s", std::to_string(number)}; }

/// Equal ranges, one a server.
SlotMap shared_by(const std::vector<int>& servers) {
  SlotMap map;
  for (std::size_t slot = 0; slot < cohere::kSlots; ++slot) {
    map.move(static_cast<cohere::Slot>(slot),
             server(servers[slot * servers.size() / cohere::kSlots]));
  }
  return map;
}

const Endpoint& server_of_lane(const ClusterLayout& layout, std::size_t lane) {
  return layout.places[layout.places_of_lanes[lane]].server;
}
std::size_t lanes_to(const ClusterLayout& layout, const Endpoint& to) {
  std::size_t count = 0;
  for (std::size_t lane = 0; lane < layout.places_of_lanes.size(); ++lane)
    count += server_of_lane(layout, lane) == to ? 1 : 0;
  return count;
}

TEST(ClusterLayout, SharesLanesAmongPrimaries) {
  const auto layout = follow(ClusterLayout(32), shared_by({1, 2, 3})).value();
  EXPECT_EQ(lanes_to(layout, server(1)), 11U);
  EXPECT_EQ(lanes_to(layout, server(2)), 11U);
  EXPECT_EQ(lanes_to(layout, server(3)), 10U);
}

TEST(ClusterLayout, AFailoverMovesNoSlotToAnotherLane) {
  const auto before = follow(ClusterLayout(32), shared_by({1, 2, 3})).value();
  const auto after = follow(before, shared_by({1, 5, 3})).value();
  EXPECT_EQ(after.lanes_of_slots, before.lanes_of_slots);
  EXPECT_EQ(after.places_of_lanes, before.places_of_lanes);
  EXPECT_EQ(after.places[1].server, server(5));
}

TEST(ClusterLayout, ASlotThatMovesMovesAlone) {
  auto map = shared_by({1, 2, 3});
  const auto before = follow(ClusterLayout(32), map).value();
  map.move(0, server(3));
  const auto after = follow(before, map).value();
  EXPECT_EQ(after.places_of_lanes, before.places_of_lanes);
  EXPECT_EQ(server_of_lane(after, after.lanes_of_slots[0]), server(3));
  EXPECT_TRUE(std::equal(after.lanes_of_slots.begin() + 1, after.lanes_of_slots.end(),
                         before.lanes_of_slots.begin() + 1));
}

TEST(ClusterLayout, ANewPrimaryGetsItsShareOfLanesAndTheOthersKeepTheRest) {
  const auto before = follow(ClusterLayout(32), shared_by({1, 2, 3})).value();
  const auto after = follow(before, shared_by({1, 2, 3, 4})).value();
  EXPECT_EQ(lanes_to(after, server(4)), 8U);
  std::size_t moved = 0;
  for (std::size_t lane = 0; lane < 32; ++lane)
    moved += before.places_of_lanes[lane] != after.places_of_lanes[lane] ? 1 : 0;
  EXPECT_EQ(moved, 8U);
}

TEST(ClusterLayout, ASlotWithoutAnOwnerStaysWhereItWas) {
  auto map = shared_by({1, 2, 3});
  const auto before = follow(ClusterLayout(32), map).value();
  map.owners[7] = SlotMap::kNobody;
  EXPECT_EQ(follow(before, map).value(), before);
}

TEST(ClusterLayout, WhoIsAskedOnceHasAPlaceAndNoLanes) {
  auto layout = follow(ClusterLayout(8), shared_by({1, 2})).value();
  const auto at = layout.find_or_add(server(9));
  EXPECT_EQ(layout.find_or_add(server(9)), at);
  EXPECT_FALSE(layout.places[at].primary);
  auto map = shared_by({1, 2});
  map.move(5, server(9));
  const auto after = follow(layout, map).value();
  EXPECT_EQ(after.places[at], (ClusterLayout::Place{server(9), true})) << "it keeps it";
}

TEST(ClusterLayout, MorePrimariesThanLanesAreRefused) {
  const auto layout = follow(ClusterLayout(2), shared_by({1, 2, 3}));
  ASSERT_FALSE(layout);
  EXPECT_THAT(layout.error().detail, testing::HasSubstr("3 primaries"));
  EXPECT_THAT(layout.error().detail, testing::HasSubstr("--pool"));
}

TEST(FormerSlots, NamesTheLanesToWhichSomethingReturns) {
  auto map = shared_by({1, 2, 3});
  const auto home = follow(ClusterLayout(9), map).value();
  map.move(0, server(3));
  const auto away = follow(home, map).value();
  FormerSlots former(9);
  EXPECT_TRUE(former.returned_to(home).empty());
  former.note(home, away);
  EXPECT_TRUE(former.returned_to(away).empty());
  const std::size_t lane = home.lanes_of_slots[0];
  EXPECT_EQ(former.returned_to(home), (std::vector<std::size_t>{lane}));
  former.disowned(lane);
  EXPECT_TRUE(former.returned_to(home).empty());
}

/// Whatever becomes of a cluster.
RC_GTEST_PROP(ClusterLayoutProperty, EachSlotsLaneLeadsToItsOwner, ()) {
  const auto lanes = *rc::gen::inRange<std::size_t>(6, 40);
  ClusterLayout layout(lanes);
  for (int step = 0; step < 4; ++step) {
    const auto servers = *rc::gen::resize(
        6, rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 12))));
    RC_PRE(servers.size() <= 6U);
    SlotMap map = shared_by(servers);
    const auto apart = *rc::gen::container<std::vector<int>>(
        rc::gen::inRange(0, static_cast<int>(cohere::kSlots)));
    for (const int slot : apart) map.move(static_cast<cohere::Slot>(slot), server(servers[0]));
    const auto next = follow(layout, map);
    RC_ASSERT(next.has_value());
    std::size_t fewest = SIZE_MAX;
    std::size_t most = 0;
    for (const ClusterLayout::Place& place : next->places) {
      if (!place.primary) continue;
      const std::size_t count = lanes_to(*next, place.server);
      fewest = std::min(fewest, count);
      most = std::max(most, count);
    }
    RC_ASSERT(fewest > 0U);
    RC_ASSERT(most <= fewest + 1);
    for (std::size_t slot = 0; slot < cohere::kSlots; ++slot) {
      RC_ASSERT(server_of_lane(*next, next->lanes_of_slots[slot]) ==
                *map.owner(static_cast<cohere::Slot>(slot)));
    }
    RC_ASSERT(follow(*next, map).value() == *next);
    layout = *next;
  }
}

}  // namespace
}  // namespace nearlane::l2
