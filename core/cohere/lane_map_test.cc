#include "core/cohere/lane_map.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace nearlane::cohere {
namespace {

bool is_blob(std::string_view name) { return name.starts_with("blob:"); }

std::set<std::size_t> lanes_of(const LaneMap& map, const std::string& prefix) {
  std::set<std::size_t> lanes;
  for (int i = 0; i < 2000; ++i) {
    const std::string name = prefix + std::to_string(i);
    const KeyRef key(0, name);
    lanes.insert(map.of(key));
    EXPECT_EQ(map.of(key), map.of(KeyRef(0, name))) << "always the same";
  }
  return lanes;
}

TEST(LaneMap, SharesAllKeysOutByTheirHashes) {
  const LaneMap map(8);
  EXPECT_EQ(map.lanes(), 8U);
  EXPECT_EQ(map.shared(), 8U);
  EXPECT_EQ(map.bulk(), 0U);
  EXPECT_EQ(lanes_of(map, "blob:"), (std::set<std::size_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  const KeyRef key(0, "any");
  EXPECT_EQ(map.of(key), lane_of(key.hash, 8));
  EXPECT_FALSE(map.is_bulk(7));
}

TEST(LaneMap, GivesLargeValuesLanesOfTheirOwnWhichNoOtherKeyHas) {
  const BulkLanes bulk{.lanes = 3, .has = is_blob};
  const LaneMap map(8, nullptr, &bulk);
  EXPECT_EQ(map.lanes(), 8U);
  EXPECT_EQ(map.shared(), 5U);
  EXPECT_EQ(map.bulk(), 3U);
  EXPECT_EQ(lanes_of(map, "small:"), (std::set<std::size_t>{0, 1, 2, 3, 4})) << "all of them";
  EXPECT_EQ(lanes_of(map, "blob:"), (std::set<std::size_t>{5, 6, 7}));
  EXPECT_FALSE(map.is_bulk(4));
  EXPECT_TRUE(map.is_bulk(5));
}

TEST(LaneMap, HasOneLaneInEachSetAtLeast) {
  const BulkLanes bulk{.lanes = 1, .has = is_blob};
  const LaneMap map(2, nullptr, &bulk);
  EXPECT_EQ(lanes_of(map, "small:"), (std::set<std::size_t>{0}));
  EXPECT_EQ(lanes_of(map, "blob:"), (std::set<std::size_t>{1}));
}

TEST(LaneMap, AsksTheSlotWhereThereAreSlots) {
  SlotLanes slots;
  const LaneMap map(4, &slots);
  EXPECT_EQ(map.shared(), 4U);
  const KeyRef key(0, "blob:1");
  EXPECT_EQ(map.of(key), 0U);
  slots.move(slot_of("blob:1"), 3);
  EXPECT_EQ(map.of(key), 3U);
}

TEST(LaneMap, TellsTheDatabasesOfANameApartAndKeepsThemInItsSet) {
  const BulkLanes bulk{.lanes = 2, .has = is_blob};
  const LaneMap map(4, nullptr, &bulk);
  std::set<std::size_t> lanes;
  for (std::uint32_t db = 0; db < kDatabases; ++db) lanes.insert(map.of(KeyRef(db, "blob:1")));
  EXPECT_EQ(lanes, (std::set<std::size_t>{2, 3}));
}

}  // namespace
}  // namespace nearlane::cohere
