#include "harness/topology/instance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::harness {
namespace {

using ::testing::HasSubstr;

TEST(Endpoint, ReadsHostAndPortAndNothingElse) {
  EXPECT_EQ(*Endpoint::parse("127.0.0.1:6380"), (Endpoint{"127.0.0.1", 6380}));
  EXPECT_EQ(Endpoint::parse("localhost:1")->to_string(), "localhost:1");
  for (const auto* bad : {"", "x", "x:", ":1", "x:0", "x:65536", "x:-1", "x:1a", "x: 1"}) {
    auto endpoint = Endpoint::parse(bad);
    ASSERT_FALSE(endpoint) << bad;
    EXPECT_EQ(endpoint.error().code, Errc::invalid_argument);
  }
}

TEST(ReadyLine, GivesBothDoors) {
  auto ready = parse_ready_line("nearlane ready resp=127.0.0.1:1 http=127.0.0.1:2 pid=3");
  ASSERT_TRUE(ready) << ready.error().detail;
  EXPECT_EQ(ready->resp.port, 1);
  EXPECT_EQ(ready->http.port, 2);
  ready = parse_ready_line("nearlane ready resp=127.0.0.1:1 http=off pid=3");
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->http.port, 0);
}

TEST(ReadyLine, RefusesWhatWasNotAgreed) {
  for (const auto* bad :
       {"", "ready", "nearlane ready", "nearlane ready resp=127.0.0.1:1 pid=3",
        "nearlane ready resp=x http=127.0.0.1:2 pid=3", "nearlane ready resp http"}) {
    auto ready = parse_ready_line(bad);
    ASSERT_FALSE(ready) << bad;
    EXPECT_EQ(ready.error().code, Errc::protocol);
  }
}

TEST(Instance, ShowsWhatAProgramSaidThatIsNotAServer) {
  auto instance = Instance::start({.program = "/bin/echo"});
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().code, Errc::unavailable);
  EXPECT_THAT(instance.error().detail,
              HasSubstr("--resp 127.0.0.1:0 --http 127.0.0.1:0 --l2 memory:"));
  auto absent = Instance::start({.program = "/no/such/nearlane"});
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace nearlane::harness
