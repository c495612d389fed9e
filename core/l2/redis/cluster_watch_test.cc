#include "core/l2/redis/cluster_watch.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::l2 {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::string_view kHello = "%1\r\n$4\r\nmode\r\n$7\r\ncluster\r\n";
constexpr std::string_view kAsk = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n";
/// All slots are a:1's, whose replica is b:2.
constexpr std::string_view kMap =
    "*1\r\n*4\r\n:0\r\n:16383\r\n*2\r\n$1\r\na\r\n:1\r\n*2\r\n$1\r\nb\r\n:2\r\n";

class ClusterWatchTest : public testing::Test {
 protected:
  std::string take_output() { return std::exchange(watch.output(), {}); }
  void hear(std::string_view bytes) { watch.received(bytes, now); }
  void begin() {
    watch.connect();
    watch.connected(now);
    hear(kHello);
    hear(kMap);
    (void)take_output();
  }
  void pass(Duration time) {
    now += time;
    watch.tick(now);
  }
  /// As its carrier does.
  void give_up() {
    ASSERT_TRUE(watch.broken());
    watch.closed(*watch.broken(), now);
  }

  TimePoint now = TimePoint{} + 1h;
  Route own{parse_redis_url("redis+cluster://app:pw@x:1,y:2").value(), nullptr};
  std::vector<SlotMap> maps;
  std::vector<std::string> troubles;
  ClusterWatch watch{
      own,
      {.map = [this](SlotMap map) { maps.push_back(std::move(map)); },
       .nobody_answers = [this](std::string why) { troubles.push_back(std::move(why)); }}};
};

TEST_F(ClusterWatchTest, AsksTheFirstNodeAsTheUserOfTheUrl) {
  EXPECT_EQ(own.where(), "x:1");
  EXPECT_NE(own.version(), 0U) << "it may be connected to";
  watch.connected(now);
  EXPECT_THAT(take_output(), HasSubstr("AUTH\r\n$3\r\napp\r\n$2\r\npw\r\n"));
  hear(kHello);
  EXPECT_EQ(take_output(), kAsk);
  hear(kMap);
  ASSERT_THAT(maps, SizeIs(1));
  EXPECT_EQ(*maps[0].owner(0), (Endpoint{"a", "1"}));
  EXPECT_TRUE(watch.ready());
}

TEST_F(ClusterWatchTest, AsksAgainOnceASecondAndSoonWhereSomebodyDoubts) {
  begin();
  pass(900ms);
  EXPECT_EQ(take_output(), "");
  pass(100ms);
  EXPECT_EQ(take_output(), kAsk);
  hear(kMap);
  watch.doubt();
  pass(40ms);
  EXPECT_EQ(take_output(), "") << "not more often than every 50 ms";
  pass(10ms);
  EXPECT_EQ(take_output(), kAsk);
  hear(kMap);
  pass(500ms);
  EXPECT_EQ(take_output(), "") << "it was doubted once";
}

TEST_F(ClusterWatchTest, LeavesANodeThatIsSilentForOneThatTheClusterNamed) {
  begin();
  pass(1s);
  pass(1s);
  EXPECT_THAT(watch.broken()->detail, HasSubstr("did not answer"));
  give_up();
  EXPECT_EQ(own.where(), "y:2") << "as the URL says";
  watch.closed({Errc::unavailable, "refused"}, now);
  EXPECT_EQ(own.where(), "a:1");
  watch.closed({Errc::unavailable, "refused"}, now);
  EXPECT_EQ(own.where(), "b:2");
  EXPECT_THAT(troubles, IsEmpty());
  watch.closed({Errc::unavailable, "refused"}, now);
  ASSERT_THAT(troubles, SizeIs(1));
  EXPECT_THAT(troubles[0], HasSubstr("the last one asked was b:2: refused"));
}

TEST_F(ClusterWatchTest, LeavesANodeWhoseAnswersEndNoDoubt) {
  begin();
  for (int i = 0; i < 21 && !watch.broken(); ++i) {
    watch.doubt();
    pass(50ms);
    if (!watch.broken()) hear(kMap);
  }
  ASSERT_TRUE(watch.broken());
  EXPECT_THAT(watch.broken()->detail, HasSubstr("does not help"));
}

TEST_F(ClusterWatchTest, SaysWhyANodeIsOfNoUse) {
  const auto said = [this](std::string_view greeting, std::string_view answer) {
    watch.connected(now);
    hear(greeting);
    hear(answer);
    return watch.broken() ? watch.broken()->detail : "nothing";
  };
  EXPECT_THAT(said(kHello, "-ERR This instance has cluster support disabled\r\n"),
              HasSubstr("cluster support disabled"));
  EXPECT_THAT(said("-WRONGPASS no\r\n", ""), HasSubstr("it refused HELLO 3: WRONGPASS"));
  EXPECT_THAT(said(kHello, "*0\r\n"), HasSubstr("no slot of the cluster has an owner"));
  EXPECT_THAT(said(kHello, "+OK\r\n"), HasSubstr("no map"));
  EXPECT_THAT(said(kHello, std::string(kMap) + "+OK\r\n"), HasSubstr("what nobody asked"));
  EXPECT_THAT(said("?", ""), HasSubstr("not RESP"));
}

}  // namespace
}  // namespace nearlane::l2
