// A Redis behind TLS: everything reaches it that way, and nobody else is taken for it.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/check/http_client.h"
#include "harness/check/raw_client.h"
#include "harness/check/succeeded.h"
#include "harness/topology/certificate_authority.h"
#include "harness/topology/eventually.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;

constexpr unsigned kLanes = 4;
constexpr Duration kPatience = 20s;  // for what takes milliseconds unless something is wrong

class TlsLive : public testing::Test {
 protected:
  RedisServer redis_for(const std::string& alternatives, std::vector<std::string> config = {}) {
    return RedisServer::start(
               {.config = std::move(config), .tls = authority.sign("redis", alternatives).value()})
        .value();
  }
  static std::string url_of(const RedisServer& redis, const std::string& host = "127.0.0.1") {
    return "rediss://" + host + ":" + std::to_string(redis.tls_endpoint().port);
  }
  static Instance start(const std::string& url, std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--threads", "2", "--pool", std::to_string(kLanes)});
    return Instance::start({.l2 = url, .flags = std::move(flags)}).value();
  }
  [[nodiscard]] Instance start_trusting(const std::string& url,
                                        std::vector<std::string> flags = {}) const {
    flags.insert(flags.end(), {"--l2-ca", authority.certificate()});
    return start(url, std::move(flags));
  }
  static std::string ask(RawClient& client, const std::string& command) {
    EXPECT_TRUE(client.send(command));
    const auto reply = client.read(kPatience);
    return reply ? reply->bytes : "no reply: " + reply.error().detail;
  }
  /// What is wrong, as an operator is told.
  static std::string trouble_of(const Instance& nearlane) {
    HttpClient web(nearlane.http());
    std::string body;
    (void)eventually(
        [&] {
          body = web.exchange("GET", "/readyz").body;
          return body.find("no TLS with") != std::string::npos;
        },
        5s);
    return body;
  }
  /// Every connection to Redis, without those of this test.
  static std::vector<std::string> clients_of(const RedisServer& redis) {
    const std::string list = redis.client().command({"CLIENT", "LIST"})->text;
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < list.size();) {
      const std::size_t end = std::min(list.find('\n', at), list.size());
      std::string line = list.substr(at, end - at);
      if (line.find("cmd=client|list") == std::string::npos) lines.push_back(std::move(line));
      at = end + 1;
    }
    return lines;
  }
  /// Once they are as expected, or as they are at last: connections beside the lanes come up when they do, and no answer
  /// waits for them.
  static std::vector<std::string> clients_once(
      const RedisServer& redis, const testing::Matcher<std::vector<std::string>>& as_expected) {
    std::vector<std::string> clients;
    (void)eventually(
        [&] {
          clients = clients_of(redis);
          return as_expected.Matches(clients);
        },
        kPatience);
    return clients;
  }

  const CertificateAuthority authority = CertificateAuthority::make().value();
};

TEST_F(TlsLive, EveryKindOfConnectionGoesThroughIt) {
  const RedisServer redis = redis_for("IP:127.0.0.1");
  const Instance nearlane = start_trusting(url_of(redis));
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  RawClient client = RawClient::connect(nearlane.resp()).value();
  EXPECT_EQ(ask(client, "SET k v\r\n"), "+OK\r\n");
  EXPECT_EQ(ask(client, "GET k\r\n"), "$1\r\nv\r\n");
  EXPECT_EQ(ask(client, "MSET a 1 b 2\r\n"), "+OK\r\n");
  EXPECT_EQ(ask(client, "LPUSH list x\r\n"), ":1\r\n");
  EXPECT_EQ(redis.client().command({"GET", "k"})->text, "v");
  const testing::Matcher<std::vector<std::string>> every_kind = AllOf(
      Contains(HasSubstr(" name=nearlane ")), Contains(HasSubstr(" name=nearlane-wide ")),
      Contains(HasSubstr(" name=nearlane-comparing ")),
      Contains(HasSubstr(" name=nearlane-aside ")), Contains(HasSubstr(" name=nearlane-relay ")));
  const auto clients = clients_once(redis, every_kind);
  EXPECT_THAT(clients, every_kind);
  EXPECT_THAT(clients, Each(HasSubstr(" laddr=" + redis.tls_endpoint().to_string() + " ")));
}

TEST_F(TlsLive, SoDoesTheChannelOfInstancesThatTellEachOther) {
  const RedisServer redis = redis_for("IP:127.0.0.1");
  const Instance nearlane = start_trusting(url_of(redis), {"--coherence", "pubsub"});
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  ASSERT_TRUE(eventually(
      [&] {
        return redis.client()
                   .command({"PUBSUB", "NUMSUB", "nearlane:announcements"})
                   ->elements.at(1)
                   .integer == 1;
      },
      kPatience));
  EXPECT_THAT(clients_of(redis),
              Each(HasSubstr(" laddr=" + redis.tls_endpoint().to_string() + " ")));
}

TEST_F(TlsLive, LargeValuesArriveWholeBothWays) {
  const RedisServer redis = redis_for("IP:127.0.0.1");
  const Instance nearlane = start_trusting(url_of(redis), {"--l2-timeout", "20s"});
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  std::string large(std::size_t{3} << 20U, 'x');
  for (std::size_t i = 0; i < large.size(); i += 4096) large[i] = static_cast<char>(i >> 12U);
  const std::string bulk = "$" + std::to_string(large.size()) + "\r\n" + large + "\r\n";
  RawClient client = RawClient::connect(nearlane.resp()).value();
  EXPECT_EQ(ask(client, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n" + bulk), "+OK\r\n");
  EXPECT_TRUE(redis.client().command({"GET", "k"})->text == large);
  ASSERT_EQ(redis.client().command({"SET", "other", large})->text, "OK");
  EXPECT_TRUE(ask(client, "GET other\r\n") == bulk);
  EXPECT_TRUE(ask(client, "GETRANGE k 0 -1\r\n") == bulk) << "relayed";
}

TEST_F(TlsLive, AUserWithAPasswordIsOneHereToo) {
  const RedisServer redis = redis_for("IP:127.0.0.1");
  ASSERT_EQ(
      redis.client().command({"ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all"})->text,
      "OK");
  std::string url = url_of(redis);
  url.insert(std::string_view("rediss://").size(), "app:pw@");
  const Instance nearlane = start_trusting(url + "/3");
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  RawClient client = RawClient::connect(nearlane.resp()).value();
  EXPECT_EQ(ask(client, "SET k v\r\n"), "+OK\r\n");
  EXPECT_EQ(ask(client, "LPUSH list x\r\n"), ":1\r\n");
  const testing::Matcher<std::vector<std::string>> that_user =
      AllOf(Each(HasSubstr(" user=app ")), Contains(HasSubstr(" db=3 ")));
  EXPECT_THAT(clients_once(redis, that_user), that_user);
}

TEST_F(TlsLive, ANameIsAsGoodAsAnAddressIfTheCertificateHasIt) {
  const RedisServer redis = redis_for("DNS:localhost");
  const Instance nearlane = start_trusting(url_of(redis, "localhost"));
  EXPECT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
}

TEST_F(TlsLive, TheCertificateOfAnotherNameIsRefused) {
  const RedisServer redis = redis_for("DNS:redis.test,IP:127.0.0.9");
  EXPECT_THAT(trouble_of(start_trusting(url_of(redis))), HasSubstr("IP address mismatch"));
  EXPECT_THAT(trouble_of(start_trusting(url_of(redis, "localhost"))),
              HasSubstr("hostname mismatch"));
}

TEST_F(TlsLive, AnAuthorityThatIsNotTrustedIsRefused) {
  const RedisServer redis = redis_for("IP:127.0.0.1");
  const auto stranger = CertificateAuthority::make().value();
  const Instance other = start(url_of(redis), {"--l2-ca", stranger.certificate()});
  EXPECT_THAT(trouble_of(other), HasSubstr("certificate was not accepted"));
  RawClient client = RawClient::connect(other.resp()).value();
  EXPECT_THAT(ask(client, "SET k v\r\n"), HasSubstr("certificate was not accepted"));
  EXPECT_THAT(ask(client, "LPUSH list x\r\n"), HasSubstr("certificate was not accepted"));
  EXPECT_THAT(trouble_of(start(url_of(redis), {})), HasSubstr("certificate was not accepted"))
      << "the system does not know it either";
  EXPECT_THAT(clients_of(redis), Each(HasSubstr(" name= "))) << "nobody has said anything";
}

TEST_F(TlsLive, ARedisInClearIsNotTalkedTo) {
  const RedisServer redis = RedisServer::start().value();
  const Instance nearlane =
      start_trusting("rediss://" + redis.endpoint().to_string(), {"--l2-timeout", "10s"});
  RawClient client = RawClient::connect(nearlane.resp()).value();
  EXPECT_THAT(ask(client, "SET k v\r\n"),
              testing::StartsWith("-ERR nearlane: L2 cannot be reached"));
  EXPECT_TRUE(redis.client().command({"GET", "k"})->is_nil());
}

TEST_F(TlsLive, Tls12IsTheLeast) {
  const RedisServer newer = redis_for("IP:127.0.0.1", {"--tls-protocols", "TLSv1.2"});
  EXPECT_TRUE(succeeded(start_trusting(url_of(newer)).lanes_up_within(kLanes, kPatience)));
  const RedisServer older =
      redis_for("IP:127.0.0.1", {"--tls-protocols", "TLSv1.1", "--tls-ciphers", "ALL:@SECLEVEL=0"});
  EXPECT_THAT(trouble_of(start_trusting(url_of(older))), HasSubstr("version"));
}

TEST_F(TlsLive, AFileOfAuthoritiesThatIsNoneEndsTheServer) {
  const auto none =
      Instance::start({.l2 = "rediss://127.0.0.1:1", .flags = {"--l2-ca", "/nowhere.pem"}});
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().detail, HasSubstr("cannot read the certificates in /nowhere.pem"));
  const auto useless =
      Instance::start({.l2 = "redis://127.0.0.1:1", .flags = {"--l2-ca", authority.certificate()}});
  ASSERT_FALSE(useless);
  EXPECT_THAT(useless.error().detail, HasSubstr("--l2-ca"));
}

}  // namespace
}  // namespace nearlane::harness
