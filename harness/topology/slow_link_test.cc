#include "harness/topology/slow_link.h"

#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "harness/topology/eventually.h"
#include "harness/topology/redis_client.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr double kBytesPerSecond = 2e6;
constexpr std::size_t kLarge = 2'000'000;

TEST(SlowLink, KeepsWhatIsBehindALargeReplyAndNobodyElse) {
  const auto redis = RedisServer::start();
  ASSERT_TRUE(redis) << redis.error().detail;
  ASSERT_TRUE(redis->client().command({"SET", "large", std::string(kLarge, 'v')}));
  ASSERT_TRUE(redis->client().command({"SET", "small", "v"}));
  const auto link = SlowLink::start(redis->endpoint(), kBytesPerSecond);
  ASSERT_TRUE(link) << link.error().detail;
  RedisClient one(link->endpoint(), 20s);
  RedisClient other(link->endpoint(), 20s);
  ASSERT_EQ(one.command({"GET", "small"})->text, "v");
  ASSERT_EQ(other.command({"GET", "small"})->text, "v");
  EXPECT_TRUE(eventually([&] { return link->delivered() == 2 * 7U; }, 20s))
      << "$1 and v, each with its end of line";

  const TimePoint from = Clock::now();
  TimePoint until{};
  std::string got;
  std::thread reader([&] {
    const auto reply = one.command({"GET", "large"});
    until = Clock::now();
    got = reply ? reply->text : reply.error().detail;
  });
  EXPECT_TRUE(eventually([&] { return link->delivered() > 100'000; }, 20s));
  EXPECT_EQ(other.command({"GET", "small"})->text, "v");
  EXPECT_LT(link->delivered(), kLarge) << "the large one is still on its way";
  reader.join();
  EXPECT_EQ(got, std::string(kLarge, 'v'));
  EXPECT_GE(until - from, 990ms);
}

TEST(SlowLink, EndsAConnectionOnEitherSidesEnd) {
  auto redis = RedisServer::start();
  ASSERT_TRUE(redis) << redis.error().detail;
  const auto link = SlowLink::start(redis->endpoint(), kBytesPerSecond);
  ASSERT_TRUE(link) << link.error().detail;
  RedisClient client(link->endpoint());
  ASSERT_TRUE(client.command({"PING"}));
  redis->kill();
  EXPECT_FALSE(client.command({"PING"}));
  ASSERT_TRUE(redis->restart());
  EXPECT_TRUE(client.command({"PING"})) << "over a new one";
}

}  // namespace
}  // namespace nearlane::harness
