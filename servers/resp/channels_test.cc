// Channels without sessions: who hears what, from many threads.
#include "servers/resp/channels.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::resp {
namespace {

using Kind = Channels::Kind;

struct Listening final : Channels::Subscriber {
  void hear(Kind kind, const std::string& name,
            const std::shared_ptr<const Channels::Message>& message) noexcept override {
    heard.push_back((kind == Kind::pattern ? name + "~" : "") + message->channel + " " +
                    message->text);
  }
  std::vector<std::string> heard;
};

TEST(Channels, TellWhoHasSubscribedByNameAndByPattern) {
  Channels channels;
  Listening one;
  Listening two;
  channels.subscribe(one, Kind::channel, "a");
  channels.subscribe(one, Kind::channel, "a");
  channels.subscribe(one, Kind::pattern, "?");
  channels.subscribe(two, Kind::pattern, "?");
  EXPECT_EQ(channels.publish("a", "x"), 3U);
  EXPECT_EQ(channels.publish("b", "y"), 2U);
  EXPECT_EQ(channels.publish("bb", "z"), 0U);
  EXPECT_THAT(one.heard, testing::ElementsAre("a x", "?~a x", "?~b y"));
  EXPECT_THAT(two.heard, testing::ElementsAre("?~a x", "?~b y"));
  EXPECT_EQ(channels.subscribers("a"), 1U);
  EXPECT_EQ(channels.patterns(), 1U);
  EXPECT_THAT(channels.names("*"), testing::ElementsAre("a"));
  channels.unsubscribe(one, Kind::pattern, "?");
  channels.unsubscribe(one, Kind::pattern, "never");
  EXPECT_EQ(channels.patterns(), 1U);
  channels.unsubscribe(two, Kind::pattern, "?");
  channels.unsubscribe(one, Kind::channel, "a");
  EXPECT_EQ(channels.patterns(), 0U);
  EXPECT_TRUE(channels.names("*").empty());
}

TEST(Channels, TellEverybodyInOneOrder) {
  Channels channels;
  Listening one;
  Listening two;
  channels.subscribe(one, Kind::channel, "c");
  channels.subscribe(two, Kind::channel, "c");
  {
    std::vector<std::jthread> publishers;
    publishers.reserve(4);
    for (int i = 0; i < 4; ++i) {
      publishers.emplace_back([&channels, i] {
        for (int n = 0; n < 1000; ++n)
          (void)channels.publish("c", std::to_string(i) + ":" + std::to_string(n));
      });
    }
  }
  EXPECT_EQ(one.heard.size(), 4000U);
  EXPECT_EQ(one.heard, two.heard);
}

}  // namespace
}  // namespace nearlane::resp
