// The channel over plain bytes: what it makes of messages, PONGs, losses and time.
#include "core/cohere/channel.h"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace nearlane::cohere {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{seconds(1000)};
constexpr std::string_view kPong = "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
constexpr std::string_view kSubscribed = "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";

struct Heard final : Listener {
  void invalidate(std::string_view name) noexcept override { names.emplace_back(name); }
  std::vector<std::string> names;
};

std::string message(std::string_view bytes) {
  return "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$" + std::to_string(bytes.size()) + "\r\n" +
         std::string(bytes) + "\r\n";
}
std::string written(std::uint64_t sequence, std::uint64_t origin = 2) {
  return message(format_announcement(
      {.origin = origin, .lane = 0, .incarnation = 1, .sequence = sequence, .keys = {"k"}}));
}

struct ChannelTest : testing::Test {
  void subscribe() {
    channel.connected(kStart);
    channel.received(kSubscribed, kStart);
    channel.output().clear();
    epoch = lanes[0].epoch();
  }
  void ping(TimePoint at) {
    lanes[1].note_hit();
    channel.tick(at);
  }
  [[nodiscard]] bool bumped() {
    const bool both = lanes[0].epoch() != epoch && lanes[1].epoch() != epoch;
    epoch = lanes[0].epoch();
    return both;
  }
  std::array<LaneView, 2> lanes;
  Heard heard;
  Channel channel{{.origin = 1, .name = "c"}, lanes, heard};
  Epoch epoch = 1;
};

TEST_F(ChannelTest, DisownsEverythingWhenItIsSubscribed) {
  channel.connected(kStart);
  EXPECT_EQ(channel.output(), "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n");
  EXPECT_FALSE(bumped());
  channel.received(kSubscribed, kStart);
  EXPECT_TRUE(channel.subscribed());
  EXPECT_TRUE(bumped());
}

TEST_F(ChannelTest, LeasesRunFromWhenThePingWasSent) {
  subscribe();
  ping(kStart + milliseconds(10));
  EXPECT_EQ(lanes[0].lease_until(), TimePoint::min());
  channel.received(kPong, kStart + milliseconds(200));
  for (const LaneView& lane : lanes) EXPECT_EQ(lane.lease_until(), kStart + milliseconds(260));
}

TEST_F(ChannelTest, SendsNothingWhileNobodyHits) {
  subscribe();
  channel.tick(kStart + seconds(1));
  EXPECT_EQ(channel.output(), "");
  ping(kStart + seconds(2));
  EXPECT_EQ(channel.output(), "*1\r\n$4\r\nPING\r\n");
  channel.received(kPong, kStart + seconds(2));
  channel.output().clear();
  channel.tick(kStart + seconds(8));
  EXPECT_EQ(channel.output(), "");
}

TEST_F(ChannelTest, InvalidatesWhatOthersWroteAndNotItsOwn) {
  subscribe();
  channel.received(written(5) + written(1, 1) + written(9, 1) + written(6), kStart);
  EXPECT_EQ(heard.names, (std::vector<std::string>{"k", "k"}));
  EXPECT_FALSE(bumped());
  EXPECT_EQ(channel.gaps(), 0U);
}

TEST_F(ChannelTest, AGapOrWhatCannotBeReadDisownsEverything) {
  subscribe();
  channel.received(written(1), kStart);
  ping(kStart + milliseconds(1));
  channel.received(written(3), kStart + milliseconds(2));
  EXPECT_TRUE(bumped());
  channel.received(kPong, kStart + milliseconds(3));  // of a PING from before the gap
  EXPECT_EQ(lanes[0].lease_until(), TimePoint::min());
  channel.received(message("hello"), kStart + milliseconds(4));
  EXPECT_TRUE(bumped());
  channel.received(message(std::string(kMaxAnnouncementBytes + 1, 'x')), kStart);
  EXPECT_TRUE(bumped());
  EXPECT_EQ(channel.gaps(), 3U);
  EXPECT_FALSE(channel.broken());
}

TEST_F(ChannelTest, LossEndsLeasesAndDisownsAndSoDoesTheNextSubscription) {
  subscribe();
  ping(kStart);
  channel.received(kPong, kStart);
  channel.closed();
  EXPECT_TRUE(bumped());
  EXPECT_EQ(lanes[1].lease_until(), TimePoint::min());
  channel.connected(kStart + seconds(1));
  EXPECT_FALSE(bumped());
  channel.received(kSubscribed, kStart + seconds(1));
  EXPECT_TRUE(bumped());
}

TEST_F(ChannelTest, ASilentPeerIsGivenUp) {
  subscribe();
  ping(kStart);
  channel.tick(kStart + seconds(5));
  EXPECT_TRUE(channel.broken());
}

TEST_F(ChannelTest, ARefusalOrAnUnexpectedReplyBreaksIt) {
  for (const std::string_view reply : {"-NOPERM no\r\n", "+OK\r\n", "$-1\r\n", "?\r\n", ":1\r\n"}) {
    channel.connected(kStart);
    channel.received(reply, kStart);
    EXPECT_TRUE(channel.broken()) << reply;
    channel.closed();
  }
  subscribe();
  channel.received(kPong, kStart);  // nobody asked
  EXPECT_TRUE(channel.broken());
}

TEST(Channel, AuthenticatesFirst) {
  std::array<LaneView, 1> lanes;
  Heard heard;
  Channel channel({.name = "c", .user = "u", .password = "p"}, lanes, heard);
  channel.connected(kStart);
  EXPECT_EQ(channel.output(), "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n");
  channel.output().clear();
  channel.received("+OK\r\n", kStart);
  EXPECT_EQ(channel.output(), "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n");
}

}  // namespace
}  // namespace nearlane::cohere
