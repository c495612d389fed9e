#include "core/base/key.h"

#include <string>

#include <gtest/gtest.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace nearlane {
namespace {

TEST(Key, HashIsThatOfTheLibraryForEveryLength) {
  set_hash_seed(0x1234567890abcdefU);
  std::string name;
  for (std::size_t size = 0; size <= 300; ++size) {
    for (const std::uint32_t db : {0U, 1U, 15U}) {
      EXPECT_EQ(hash_key(db, name),
                XXH3_64bits_withSeed(name.data(), name.size(), 0x1234567890abcdefU + db))
          << size;
    }
    name.push_back(static_cast<char>(size * 37));
  }
}

TEST(Key, EveryByteOfANameCounts) {
  for (std::size_t size = 1; size <= 80; ++size) {
    const std::string name(size, 'n');
    for (std::size_t at = 0; at < size; ++at) {
      std::string other = name;
      other[at] = 'o';
      EXPECT_NE(hash_key(0, name), hash_key(0, other)) << size << " at " << at;
    }
  }
}

TEST(Key, HashDependsOnTheDatabase) {
  const std::string name = "sess:0123456789abcdef";
  EXPECT_NE(hash_key(0, name), hash_key(1, name));
  EXPECT_NE(Key(0, name), Key(1, name));
  EXPECT_EQ(Key(3, name).hash, KeyRef(3, name).hash);
}

}  // namespace
}  // namespace nearlane
