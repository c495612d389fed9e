#include "core/l2/redis/redis_url.h"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::l2 {
namespace {

RedisUrl read(std::string_view text) {
  const auto url = parse_redis_url(text);
  EXPECT_TRUE(url) << text << ": " << url.error().detail;
  return url ? *url : RedisUrl{};
}

TEST(RedisUrl, HasDefaultsForWhatIsNotSaid) {
  const RedisUrl url = read("redis://cache");
  EXPECT_EQ(url.server, (Endpoint{"cache", "6379"}));
  EXPECT_FALSE(url.tls);
  EXPECT_EQ(url.user, "");
  EXPECT_EQ(url.password, "");
  EXPECT_EQ(url.db, 0U);
}

TEST(RedisUrl, ReadsUserPasswordPortAndDatabase) {
  const RedisUrl url = read("redis://app:p%40ss%3A@10.0.0.1:7000/5");
  EXPECT_EQ(url.server, (Endpoint{"10.0.0.1", "7000"}));
  EXPECT_EQ(url.user, "app");
  EXPECT_EQ(url.password, "p@ss:");
  EXPECT_EQ(url.db, 5U);
  EXPECT_EQ(read("redis://:pw@cache").user, "");
  EXPECT_EQ(read("redis://:pw@cache").password, "pw");
}

TEST(RedisUrl, AsksForTlsByItsScheme) {
  const RedisUrl url = read("rediss://:pw@cache:6380/1");
  EXPECT_TRUE(url.tls);
  EXPECT_EQ(url.server, (Endpoint{"cache", "6380"}));
  EXPECT_EQ(url.db, 1U);
}

TEST(RedisUrl, WritesAnIpv6AddressInBrackets) {
  const RedisUrl url = read("redis://[::1]:7000");
  EXPECT_EQ(url.server, (Endpoint{"::1", "7000"}));
  EXPECT_EQ(url.server.to_string(), "[::1]:7000");
  EXPECT_EQ((Endpoint{"cache", "1"}).to_string(), "cache:1");
}

TEST(RedisUrl, NamesSentinelsAndWhatTheyCallTheMaster) {
  const RedisUrl url =
      read("redis+sentinel://app:p%2Cw@10.0.0.1:7000,cache,[::1]:7001/my%2Fmaster/3");
  EXPECT_EQ(url.sentinels,
            (std::vector<Endpoint>{{"10.0.0.1", "7000"}, {"cache", "26379"}, {"::1", "7001"}}));
  EXPECT_EQ(url.master, "my/master");
  EXPECT_EQ(url.user, "app");
  EXPECT_EQ(url.password, "p,w");
  EXPECT_EQ(url.db, 3U);
  EXPECT_FALSE(url.tls);
  EXPECT_EQ(url.server, Endpoint{});
  EXPECT_EQ(read("redis+sentinel://a/m").sentinels, (std::vector<Endpoint>{{"a", "26379"}}));
  EXPECT_EQ(read("redis+sentinel://a/m").db, 0U);
}

TEST(RedisUrl, NamesNodesOfACluster) {
  const RedisUrl url = read("redis+cluster://app:p%2Cw@10.0.0.1:7000,cache,[::1]:7001");
  EXPECT_EQ(url.nodes,
            (std::vector<Endpoint>{{"10.0.0.1", "7000"}, {"cache", "6379"}, {"::1", "7001"}}));
  EXPECT_EQ(url.user, "app");
  EXPECT_EQ(url.password, "p,w");
  EXPECT_EQ(url.server, Endpoint{});
  EXPECT_TRUE(url.sentinels.empty());
  std::string many = "redis+cluster://a";
  for (int i = 0; i < 64; ++i) many += ",a";
  EXPECT_THAT(parse_redis_url(many).error().detail, testing::HasSubstr("more than 64 hosts"));
}

TEST(RedisUrl, SaysWhatIsWrongAndKeepsThePasswordToItself) {
  struct Case {
    std::string_view url;
    std::string_view says;
  };
  for (const auto& [url, says] :
       {Case{"redis://:hunter2@", "the host is missing"},
        Case{"redis://app@cache", "a user but no password"},
        Case{"redis://cache:0", "the port is not between 1 and 65535"},
        Case{"redis://cache:x", "the port is not between 1 and 65535"},
        Case{"redis://cache:65536", "the port is not between 1 and 65535"},
        Case{"redis://:hunter2@cache/64", "not a number from 0 to 63"},
        Case{"redis://cache/one", "not a number from 0 to 63"},
        Case{"redis://cache/1/2", "more than the database"},
        Case{"redis://cache?db=1", "a query or fragment"},
        Case{"http://cache", "the scheme is none of"},
        Case{"redis://a,b", "only redis+sentinel:// and redis+cluster:// have several hosts"},
        Case{"redis+cluster://", "the host is missing"},
        Case{"redis+cluster://a,", "the host is missing"},
        Case{"redis+cluster://a/1", "no databases to choose from"},
        Case{"redis+cluster://:hunter2@a,b:0", "the port is not between 1 and 65535"},
        Case{"redis+sentinel://a,b", "the name of the master is missing"},
        Case{"redis+sentinel://a,/m", "the host is missing"},
        Case{"redis+sentinel://:hunter2@a,b:x/m", "the port is not between 1 and 65535"},
        Case{"redis+sentinel://a/m/64", "not a number from 0 to 63"},
        Case{"redis+sentinel://a/m/1/2", "more than the database"},
        Case{"redis+sentinel://a/m?x", "a query or fragment"},
        Case{"redis+sentinel", "the scheme is none of"},
        Case{"redis:?", "the scheme is none of"},
        Case{"redis://ca che", "cannot be read"}}) {
    const auto parsed = parse_redis_url(url);
    ASSERT_FALSE(parsed) << url;
    EXPECT_EQ(parsed.error().code, Errc::invalid_argument);
    EXPECT_THAT(parsed.error().detail, testing::HasSubstr(says)) << url;
    EXPECT_THAT(parsed.error().detail, testing::Not(testing::HasSubstr("hunter2")));
  }
}

}  // namespace
}  // namespace nearlane::l2
