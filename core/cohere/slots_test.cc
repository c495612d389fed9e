#include "core/cohere/slots.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace nearlane::cohere {
namespace {

TEST(SlotOf, IsWhatTheSpecificationAndRedisSay) {
  EXPECT_EQ(slot_of("123456789"), 0x31C3 % kSlots) << "the check value of CRC16/XMODEM";
  // CLUSTER KEYSLOT of Redis 7.0.15.
  EXPECT_EQ(slot_of("foo"), 12182);
  EXPECT_EQ(slot_of("somekey"), 11058);
  EXPECT_EQ(slot_of("foo{hash_tag}"), 2515);
  EXPECT_EQ(slot_of("bar{hash_tag}"), 2515);
  EXPECT_EQ(slot_of(""), 0);
}

TEST(SlotOf, HashesTheFirstTagThatIsNotEmpty) {
  EXPECT_EQ(slot_of("{user1000}.following"), slot_of("user1000"));
  EXPECT_EQ(slot_of("{user1000}.following"), slot_of("{user1000}.followers"));
  EXPECT_NE(slot_of("foo{}{bar}"), slot_of("bar")) << "an empty tag: all of it";
  EXPECT_EQ(slot_of("foo{{bar}}zap"), slot_of("{bar"));
  EXPECT_EQ(slot_of("foo{bar}{zap}"), slot_of("bar"));
  EXPECT_NE(slot_of("foo{bar"), slot_of("bar")) << "a tag that does not end is none";
  EXPECT_NE(slot_of("foo}bar{"), slot_of("bar"));
}

TEST(SlotOf, TakesAnyBytes) {
  const std::string bytes("\0\xFF\x80{\0}", 6);
  EXPECT_EQ(slot_of(bytes), slot_of(std::string("\0", 1)));
}

/// As the specification defines it, bit by bit.
Slot defined(std::string_view name) {
  unsigned crc = 0;
  for (const char c : name) {
    crc ^= static_cast<unsigned>(static_cast<std::uint8_t>(c)) << 8U;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc & 0x8000U) != 0 ? ((crc << 1U) ^ 0x1021U) & 0xFFFFU : crc << 1U;
  }
  return static_cast<Slot>(crc % kSlots);
}

RC_GTEST_PROP(SlotOfProperty, IsCrc16OfAnyLength, ()) {
  auto name = *rc::gen::arbitrary<std::string>();
  std::erase_if(name, [](char c) { return c == '{' || c == '}'; });
  RC_ASSERT(slot_of(name) == defined(name));
  RC_ASSERT(slot_of("before{" + name + "!}after") == defined(name + "!"));
}

TEST(SlotLanes, AKeyFollowsItsSlot) {
  SlotLanes lanes;
  EXPECT_EQ(lanes.of("foo"), 0U);
  lanes.move(12182, 7);
  EXPECT_EQ(lanes.of("foo"), 7U);
  EXPECT_EQ(lanes.of("{foo}:2"), 7U);
  EXPECT_EQ(lanes.of("somekey"), 0U);
}

}  // namespace
}  // namespace nearlane::cohere
