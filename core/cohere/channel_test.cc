// The channel over plain bytes: what it makes of messages, heartbeats, losses and time.
#include "core/cohere/channel.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace nearlane::cohere {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{seconds(1000)};
constexpr std::string_view kSubscribed =
    "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$3\r\nc:1\r\n:2\r\n";

struct Heard final : Listener {
  void invalidate(std::string_view name) noexcept override { names.emplace_back(name); }
  std::vector<std::string> names;
};

std::string message(std::string_view bytes, std::string_view channel = "c") {
  const auto bulk = [](std::string_view text) {
    return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
  };
  return "*3\r\n" + bulk("message") + bulk(channel) + bulk(bytes);
}
std::string written(std::uint64_t sequence, std::uint64_t origin = 2) {
  return message(format_announcement(
      {.origin = origin, .lane = 0, .incarnation = 1, .sequence = sequence, .keys = {"k"}}));
}
std::string everything(std::uint64_t origin) {
  return message(format_announcement(
      {.origin = origin, .lane = 0, .incarnation = 1, .sequence = 1, .everything = true}));
}

struct ChannelTest : testing::Test {
  ChannelTest() {
    announcements.need = Announcements::Need::yes;
    announcements.incarnations = std::vector<std::atomic<std::uint64_t>>(4);
    announcements.incarnations[0] = 1;
  }
  void subscribe() {
    channel.connected(kStart);
    channel.received(kSubscribed, kStart);
    channel.output().clear();
    epoch = announcements.view.epoch();
  }
  /// The number of the heartbeat that somebody's hit asks for; empty: none is due.
  std::string beat(TimePoint at, bool hit = true) {
    if (hit) announcements.view.note_hit();
    channel.tick(at);
    const auto call = channel.heartbeat(at);
    if (!call) return {};
    EXPECT_EQ(call->command.publish->channel, "c:1");
    return call->command.publish->message;
  }
  void hear(const std::string& number, TimePoint at = kStart) {
    channel.received(message(number, "c:1"), at);
  }
  [[nodiscard]] bool bumped() {
    return announcements.view.epoch() != std::exchange(epoch, announcements.view.epoch());
  }
  [[nodiscard]] TimePoint lease() const { return announcements.view.lease_until(); }

  Announcements announcements{.origin = 1, .channel = "c"};
  Heard heard;
  Channel channel{{}, announcements, heard};
  Epoch epoch = 1;
};

TEST_F(ChannelTest, DisownsEverythingWhenItIsSubscribed) {
  channel.connected(kStart);
  EXPECT_EQ(channel.output(), "*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n$3\r\nc:1\r\n");
  channel.received(kSubscribed.substr(0, 31), kStart);
  EXPECT_FALSE(channel.ready()) << "to one of two";
  EXPECT_FALSE(bumped());
  channel.received(kSubscribed.substr(31), kStart);
  EXPECT_TRUE(channel.ready());
  EXPECT_TRUE(bumped());
}

TEST_F(ChannelTest, TheLeaseRunsFromWhenTheHeartbeatWasSent) {
  subscribe();
  const std::string first = beat(kStart + milliseconds(10));
  EXPECT_EQ(lease(), TimePoint::min());
  hear(first, kStart + milliseconds(200));
  EXPECT_EQ(lease(), kStart + milliseconds(260));
  hear(first, kStart + milliseconds(300));
  EXPECT_EQ(lease(), kStart + milliseconds(260)) << "heard again it proves nothing new";
  (void)beat(kStart + milliseconds(310));  // and is lost
  hear(beat(kStart + milliseconds(400)));
  EXPECT_EQ(lease(), kStart + milliseconds(650));
}

TEST_F(ChannelTest, AHeartbeatIsAWriteThatOnlyAMasterExecutes) {
  subscribe();
  announcements.view.note_hit();
  channel.tick(kStart);
  const auto call = channel.heartbeat(kStart);
  ASSERT_TRUE(call);
  EXPECT_EQ(call->command.op, Op::transact);
  EXPECT_EQ(call->command.args, (std::vector<std::string>{"DEL", "c:1:nothing"}));
}

TEST_F(ChannelTest, BeatsEveryFifthOfTheLeaseWhileThereAreHits) {
  subscribe();
  EXPECT_EQ(beat(kStart, false), "");
  EXPECT_NE(beat(kStart), "");
  EXPECT_EQ(beat(kStart + milliseconds(49)), "");
  hear(beat(kStart + milliseconds(50)));
  EXPECT_NE(beat(kStart + seconds(5), false), "") << "and for some seconds after";
  EXPECT_EQ(beat(kStart + seconds(6), false), "");
}

TEST_F(ChannelTest, InvalidatesWhatOthersWroteAndNotItsOwn) {
  subscribe();
  channel.received(written(5) + written(1, 1) + written(9, 1) + written(6), kStart);
  EXPECT_EQ(heard.names, (std::vector<std::string>{"k", "k"}));
  EXPECT_FALSE(bumped());
  EXPECT_EQ(channel.gaps(), 0U);
}

TEST_F(ChannelTest, WhatWeWroteOutsideTheLanesIsNewsToThem) {
  subscribe();
  channel.received(message(format_announcement(
                       {.origin = 1, .lane = 4, .incarnation = 1, .sequence = 9, .keys = {"k"}})),
                   kStart);
  EXPECT_EQ(heard.names, std::vector<std::string>{"k"});
  EXPECT_FALSE(bumped());
}

// Found by the simulation: what a lane had sent over a connection that is gone may still be executed.
TEST_F(ChannelTest, WhatALaneSaidOverAnEarlierConnectionIsNewsToIt) {
  subscribe();
  announcements.incarnations[0] = 2;
  channel.received(written(7, 1), kStart);
  EXPECT_EQ(heard.names, std::vector<std::string>{"k"});
}

TEST_F(ChannelTest, EverythingDisownsEverythingWhoeverSaysIt) {
  subscribe();
  channel.received(everything(2), kStart);
  EXPECT_TRUE(bumped());
  channel.received(everything(1), kStart);
  EXPECT_TRUE(bumped()) << "which keys it was our lanes do not know either";
  EXPECT_EQ(announcements.flushes, 2U);
  EXPECT_EQ(channel.gaps(), 0U);
}

TEST_F(ChannelTest, AGapOrWhatCannotBeReadDisownsEverything) {
  subscribe();
  channel.received(written(1), kStart);
  const std::string before = beat(kStart + milliseconds(1));
  channel.received(written(3), kStart + milliseconds(2));
  EXPECT_TRUE(bumped());
  EXPECT_EQ(announcements.flushes, 0U);
  hear(before, kStart + milliseconds(3));
  EXPECT_EQ(lease(), TimePoint::min()) << "it was sent before the gap";
  channel.received(message("hello"), kStart + milliseconds(4));
  EXPECT_TRUE(bumped());
  channel.received(message(std::string(kMaxAnnouncementBytes + 1, 'x')), kStart);
  EXPECT_TRUE(bumped());
  EXPECT_EQ(channel.gaps(), 3U);
  EXPECT_FALSE(channel.broken());
}

TEST_F(ChannelTest, HeartbeatsThatWereNeverSentMakeNoLease) {
  subscribe();
  for (const char* number : {"1", "0", "99", "", "x", "1x", "-1"}) hear(number);
  EXPECT_EQ(lease(), TimePoint::min());
  (void)beat(kStart);
  for (const char* number : {"", "x", "1x", "-1", "18446744073709551616"}) hear(number);
  EXPECT_EQ(lease(), TimePoint::min());
  EXPECT_FALSE(channel.broken());
}

TEST_F(ChannelTest, LossEndsTheLeaseAndDisownsAndSoDoesTheNextSubscription) {
  subscribe();
  const std::string lost = beat(kStart);
  hear(beat(kStart + milliseconds(50)));
  channel.closed({Errc::connection_lost, "gone"}, kStart);
  EXPECT_TRUE(bumped());
  EXPECT_EQ(lease(), TimePoint::min());
  channel.connected(kStart + seconds(1));
  EXPECT_FALSE(bumped());
  channel.received(kSubscribed, kStart + seconds(1));
  EXPECT_TRUE(bumped());
  hear(lost);
  EXPECT_EQ(lease(), TimePoint::min());
}

TEST_F(ChannelTest, GivesUpOnAPeerThroughWhichNothingIsHeard) {
  subscribe();
  (void)beat(kStart);
  channel.tick(kStart + seconds(5));
  EXPECT_TRUE(channel.broken());
  channel.closed(*channel.broken(), kStart + seconds(5));
  channel.connected(kStart + seconds(5));
  channel.tick(kStart + seconds(10));
  EXPECT_TRUE(channel.broken()) << "nor on one that does not let it subscribe";
}

TEST_F(ChannelTest, EndsWhenNobodyNeedsIt) {
  subscribe();
  announcements.need = Announcements::Need::no;
  EXPECT_FALSE(channel.wanted());
  channel.tick(kStart);
  EXPECT_TRUE(channel.broken());
}

TEST_F(ChannelTest, ARefusalOrAnUnexpectedReplyBreaksIt) {
  for (const std::string_view reply : {"-NOPERM no\r\n", "+OK\r\n", "$-1\r\n", "?\r\n", ":1\r\n"}) {
    channel.connected(kStart);
    channel.received(reply, kStart);
    EXPECT_TRUE(channel.broken()) << reply;
    channel.closed(*channel.broken(), kStart);
  }
  subscribe();
  channel.received("*2\r\n$4\r\npong\r\n$0\r\n\r\n", kStart);  // nobody asked
  EXPECT_TRUE(channel.broken());
}

TEST(Channel, AuthenticatesFirst) {
  Announcements announcements{.origin = 1, .channel = "c"};
  Heard heard;
  Channel channel({.user = "u", .password = "p"}, announcements, heard);
  channel.connected(kStart);
  EXPECT_EQ(channel.output(), "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n");
  channel.output().clear();
  channel.received("+OK\r\n", kStart);
  EXPECT_EQ(channel.output(), "*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n$3\r\nc:1\r\n");
}

}  // namespace
}  // namespace nearlane::cohere
