#include "core/entry/tables.h"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>

namespace nearlane {
namespace {

constexpr std::size_t kKiB = 1024;

void* taken(Tables& tables, std::size_t size) {
  void* const table = tables.take(size);
  if (table != nullptr) std::memset(table, 1, size);  // a sanitizer sees where it is too short
  return table;
}

TEST(Tables, GivesAgainWhatIsAtMostTwiceAsLarge) {
  Tables tables;
  void* const first = taken(tables, 100 * kKiB);
  tables.give_back(first);
  EXPECT_EQ(tables.kept(), 100 * kKiB);
  void* const larger = taken(tables, 101 * kKiB);
  void* const much_smaller = taken(tables, 49 * kKiB);
  EXPECT_EQ(tables.kept(), 100 * kKiB);
  void* const half = taken(tables, 50 * kKiB);
  EXPECT_EQ(half, first);
  EXPECT_EQ(tables.kept(), 0U);
  for (void* table : {larger, much_smaller, half}) tables.give_back(table);
  EXPECT_EQ(tables.kept(), (101 + 49 + 100) * kKiB) << "it is as large as it was";
}

TEST(Tables, KeepsNeitherSmallOnesNorHuge) {
  Tables tables;
  tables.give_back(taken(tables, Tables::kLeastKept - 1));
  tables.give_back(taken(tables, Tables::kMostKept + 1));
  tables.give_back(nullptr);
  EXPECT_EQ(tables.kept(), 0U);
  tables.give_back(taken(tables, Tables::kLeastKept));
  tables.give_back(taken(tables, Tables::kMostKept));
  EXPECT_EQ(tables.kept(), Tables::kMostKept) << "the last one has taken the place of all";
}

TEST(Tables, LetsTheOldestGoFirst) {
  Tables tables;
  std::vector<void*> all;
  for (std::size_t i = 0; i < Tables::kMostTables + 1; ++i)
    all.push_back(taken(tables, Tables::kLeastKept * (i == 0 ? 3 : 1)));
  for (void* table : all) tables.give_back(table);
  EXPECT_EQ(tables.kept(), Tables::kMostTables * Tables::kLeastKept) << "by number";
  tables.give_back(taken(tables, Tables::kMostKept - Tables::kLeastKept));
  EXPECT_EQ(tables.kept(), Tables::kMostKept)
      << "by size: one of the small ones has room beside it";
}

}  // namespace
}  // namespace nearlane
