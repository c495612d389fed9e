#include "core/l2/redis/connect_rate.h"

#include <gtest/gtest.h>

namespace nearlane::l2 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ConnectRateTest : public testing::Test {
 protected:
  int take_all(const std::string& server) {
    int taken = 0;
    while (rate.take(server, now)) ++taken;
    return taken;
  }

  TimePoint now{seconds(1000)};
  ConnectRate rate;
};

TEST_F(ConnectRateTest, LetsAFewConnectAtOnceAndTheOthersOneByOne) {
  EXPECT_EQ(take_all("a"), ConnectRate::kAtOnce);
  now += ConnectRate::kOneEvery - Duration(1);
  EXPECT_EQ(take_all("a"), 0);
  now += Duration(1);
  EXPECT_EQ(take_all("a"), 1);
  now += 3 * ConnectRate::kOneEvery;
  EXPECT_EQ(take_all("a"), 3);
  now += seconds(60);
  EXPECT_EQ(take_all("a"), ConnectRate::kAtOnce) << "no more is saved up";
}

TEST_F(ConnectRateTest, LetsAnInstanceBackWellBelowASecond) {
  const TimePoint begun = now;
  for (int i = 0; i < 40; ++i) {
    while (!rate.take("a", now)) now += milliseconds(1);
  }
  EXPECT_LE(now - begun, milliseconds(200));
}

TEST_F(ConnectRateTest, CountsEachNodeByItself) {
  EXPECT_EQ(take_all("a"), ConnectRate::kAtOnce);
  EXPECT_EQ(take_all("b"), ConnectRate::kAtOnce);
  EXPECT_EQ(take_all("a"), 0);
}

}  // namespace
}  // namespace nearlane::l2
