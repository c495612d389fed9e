// Announcements as bytes, and what a subscriber makes of their numbers.
#include "core/cohere/announcement.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace nearlane::cohere {
namespace {

Announcement numbered(std::uint64_t sequence, std::uint64_t incarnation = 1) {
  return {.origin = 7,
          .lane = 3,
          .incarnation = incarnation,
          .sequence = sequence,
          .db = 0,
          .everything = true};
}

TEST(Announcement, IsReadAsItWasWritten) {
  const std::string binary("a\0:\n b", 6);
  Announcement sent{.origin = std::numeric_limits<std::uint64_t>::max(),
                    .lane = 31,
                    .incarnation = 2,
                    .sequence = 9,
                    .db = 15,
                    .keys = {"session:1", "", binary}};
  const std::string message = format_announcement(sent);
  EXPECT_EQ(parse_announcement(message), sent);
  const std::string everything = format_announcement(numbered(4));
  EXPECT_EQ(everything, "NL1 7 3 1 4 0 *\n");
  EXPECT_EQ(parse_announcement(everything), numbered(4));
}

TEST(Announcement, IsRefusedWhenCutAnywhere) {
  Announcement sent = numbered(1);
  sent.everything = false;
  sent.keys = {"one", "two"};
  const std::string message = format_announcement(sent);
  for (std::size_t length = 0; length < message.size(); ++length) {
    EXPECT_FALSE(parse_announcement(message.substr(0, length))) << length;
  }
  EXPECT_FALSE(parse_announcement(message + "x"));
}

TEST(Announcement, IsRefusedInAnyOtherSpelling) {
  for (const char* message :
       {"", "hello", "NL2 7 3 1 4 0 *\n", "NL1 07 3 1 4 0 *\n", "NL1 -7 3 1 4 0 *\n",
        "NL1 7 4294967296 1 4 0 *\n", "NL1 7 3 1 0 0 *\n", "NL1 7 3 1 4 0 0\nx", "NL1 7 3 1 4 0 *",
        "NL1 7 3 1 4 0 1\n18446744073709551615:a", "NL1 7 3 1 4 0 1\n4:abc", "NL1  3 1 4 0 *\n"}) {
    EXPECT_FALSE(parse_announcement(message)) << message;
  }
}

TEST(Announcement, SaysEverythingWhenItWouldBeTooLarge) {
  Announcement sent = numbered(1);
  sent.everything = false;
  const std::string large(kMaxAnnouncementBytes, 'k');
  sent.keys = {large};
  EXPECT_EQ(parse_announcement(format_announcement(sent)), numbered(1));
  sent.keys.assign(kMaxAnnouncedKeys + 1, "k");
  EXPECT_EQ(parse_announcement(format_announcement(sent)), numbered(1));
  const std::string oversized = "NL1 7 3 1 4 0 1\n" + std::to_string(large.size()) + ":" + large;
  EXPECT_FALSE(parse_announcement(oversized));
}

TEST(AnnouncementOrder, TakesAnyFirstNumberAndThenOneMoreEachTime) {
  AnnouncementOrder order;
  EXPECT_TRUE(order.follows(numbered(41)));
  EXPECT_TRUE(order.follows(numbered(42)));
  EXPECT_FALSE(order.follows(numbered(44)));
  EXPECT_TRUE(order.follows(numbered(45)));  // the gap has cost everything once
  EXPECT_FALSE(order.follows(numbered(45)));
  order.reset();
  EXPECT_TRUE(order.follows(numbered(60)));
}

TEST(AnnouncementOrder, CountsEachConnectionByItself) {
  AnnouncementOrder order;
  Announcement other = numbered(9);
  other.lane = 4;
  EXPECT_TRUE(order.follows(numbered(1)));
  EXPECT_TRUE(order.follows(other));
  EXPECT_TRUE(order.follows(numbered(2)));
  other.origin = 8;
  EXPECT_TRUE(order.follows(other));
}

TEST(AnnouncementOrder, ExpectsANewConnectionToBeginAtOne) {
  AnnouncementOrder order;
  EXPECT_TRUE(order.follows(numbered(5, 1)));
  EXPECT_TRUE(order.follows(numbered(1, 2)));
  EXPECT_FALSE(order.follows(numbered(6, 1)));  // executed late
  EXPECT_TRUE(order.follows(numbered(2, 2)));
  EXPECT_FALSE(order.follows(numbered(2, 3)));
  EXPECT_FALSE(order.follows(numbered(1, 5)));  // what had the fourth to say?
}

TEST(AnnouncementOrder, ForgetsAllSendersRatherThanGrow) {
  AnnouncementOrder order(2);
  for (std::uint64_t origin : {1, 2}) {
    Announcement first = numbered(1);
    first.origin = origin;
    EXPECT_TRUE(order.follows(first));
  }
  EXPECT_FALSE(order.follows(numbered(1)));
  EXPECT_TRUE(order.follows(numbered(2)));
}

TEST(AnnouncementOrder, NumbersDoNotWrap) {
  AnnouncementOrder order;
  EXPECT_TRUE(order.follows(numbered(std::numeric_limits<std::uint64_t>::max())));
  EXPECT_FALSE(order.follows(numbered(1)));
}

}  // namespace
}  // namespace nearlane::cohere
