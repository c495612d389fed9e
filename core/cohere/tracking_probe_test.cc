#include "core/cohere/tracking_probe.h"

#include <vector>

#include <gtest/gtest.h>

namespace nearlane::cohere {
namespace {

using protocol::Reply;

/// What Redis 7.0.15 sends; a push is an empty place.
const std::vector<std::optional<Reply>> kRedis = {
    Reply::ok(),
    Reply::ok(),
    Reply::ok(),
    Reply::simple("QUEUED"),
    Reply::simple("QUEUED"),
    Reply::array({Reply::ok(), Reply::number(10'000)}),
    Reply::ok(),
    Reply::number(1),
    std::nullopt,
    Reply::ok(),
    Reply::null(),
    Reply::ok(),
    std::nullopt,
    Reply::number(10'000),
    Reply::number(1),
    Reply::ok(),
};

class TrackingProbeTest : public testing::Test {
 protected:
  TrackingProbeTest() { replies = probe.begin(out, "p"); }

  void take(const std::vector<std::optional<Reply>>& stream) {
    for (const auto& event : stream) {
      EXPECT_TRUE(probe.running());
      EXPECT_FALSE(probe.proven());
      if (event) {
        probe.take_reply(*event);
      } else {
        EXPECT_TRUE(probe.take_push("p"));
      }
    }
  }

  TrackingProbe probe;
  std::string out;
  std::size_t replies;
};

TEST_F(TrackingProbeTest, BelievesWhatRedisDoes) {
  EXPECT_EQ(replies, 14U);
  EXPECT_EQ(out.find("PSETEX"), std::string::npos) << "only what the cache sends all the same";
  EXPECT_FALSE(probe.take_push("somebody's key"));
  take(kRedis);
  EXPECT_FALSE(probe.running());
  EXPECT_TRUE(probe.proven()) << probe.trouble();
}

TEST_F(TrackingProbeTest, MissesEachPushThatDoesNotComeOrComesTooLate) {
  for (std::size_t i = 0; i < kRedis.size(); ++i) {
    if (kRedis[i]) continue;
    for (const std::size_t later : {std::size_t{0}, std::size_t{1}}) {
      auto stream = kRedis;
      stream.erase(stream.begin() + static_cast<std::ptrdiff_t>(i));
      if (later != 0)
        stream.insert(stream.begin() + static_cast<std::ptrdiff_t>(i + later), std::nullopt);
      probe.begin(out, "p");
      take(stream);
      EXPECT_FALSE(probe.proven()) << i << " " << later;
      EXPECT_EQ(probe.trouble(),
                "it says that it tracks, and did not announce a change before its next reply");
    }
  }
}

TEST_F(TrackingProbeTest, SaysWhichAnswerWasNotRedis) {
  for (std::size_t i = 0; i < kRedis.size(); ++i) {
    if (!kRedis[i]) continue;
    auto stream = kRedis;
    stream[i] = Reply::error("ERR no");
    probe.begin(out, "p");
    take(stream);
    EXPECT_FALSE(probe.running());
    EXPECT_FALSE(probe.proven()) << i;
    EXPECT_TRUE(probe.trouble().ends_with(" with \"ERR no\"")) << probe.trouble();
  }
  EXPECT_TRUE(probe.trouble().starts_with("it answered CLIENT TRACKING ON OPTIN NOLOOP"));
}

}  // namespace
}  // namespace nearlane::cohere
