#include "harness/topology/fault_proxy.h"

#include <future>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>
#include <poll.h>

#include "harness/topology/eventually.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

/// A connection without a protocol.
class Peer {
 public:
  explicit Peer(const Endpoint& to) : socket_(context_) {
    socket_.connect({boost::asio::ip::make_address(to.host), to.port});
  }
  /// Returns once everything is on its way, or the connection has ended.
  void write(std::string_view bytes) {
    boost::system::error_code ended;
    boost::asio::write(socket_, boost::asio::buffer(bytes), ended);
  }
  /// Whether bytes come, or the end.
  bool hears_within(std::chrono::milliseconds patience) {
    pollfd waiting{.fd = socket_.native_handle(), .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, static_cast<int>(patience.count())) > 0;
  }

 private:
  boost::asio::io_context context_;
  boost::asio::ip::tcp::socket socket_;
};

class Proxied : public testing::Test {
 protected:
  void SetUp() override {
    auto started = RedisServer::start();
    ASSERT_TRUE(started) << started.error().detail;
    redis.emplace(std::move(*started));
    auto between = FaultProxy::start(redis->endpoint());
    ASSERT_TRUE(between) << between.error().detail;
    proxy.emplace(std::move(*between));
    client.emplace(proxy->endpoint(), 10s);
  }

  /// For what is not going to be answered.
  void lose_patience() { client.emplace(proxy->endpoint(), 300ms); }

  bool answers() { return client->command({"PING"}).has_value(); }
  Errc failure() {
    const auto reply = client->command({"PING"});
    return reply ? Errc::unsupported : reply.error().code;
  }
  Duration round_trip() {
    const TimePoint begin = Clock::now();
    EXPECT_TRUE(answers());
    return Clock::now() - begin;
  }
  std::string stored() {
    const auto value = redis->client().command({"GET", "k"});
    return value ? value->text : value.error().detail;
  }
  long long connections() {
    const auto field = redis->client().info("clients", "connected_clients");
    return field ? std::stoll(*field) : -1;
  }

  std::optional<RedisServer> redis;
  std::optional<FaultProxy> proxy;
  std::optional<RedisClient> client;
};

TEST_F(Proxied, IsNotNoticedWhileNothingIsWrong) {
  const std::string large(std::size_t{20} << 20U,
                          'x');  // more than a way of a connection may queue
  ASSERT_TRUE(client->command({"SET", "k", large}));
  EXPECT_EQ(client->command({"GET", "k"})->text, large);
  EXPECT_EQ(proxy->counts().accepted, 1U);
  EXPECT_EQ(proxy->counts().open, 1U);
  EXPECT_EQ(proxy->counts().pushes, 0U);
}

TEST_F(Proxied, DelaysEachWay) {
  ASSERT_TRUE(answers());
  proxy->delay(Way::to_server, 40ms);
  EXPECT_GE(round_trip(), 40ms);
  proxy->delay(Way::to_client, 60ms);
  EXPECT_GE(round_trip(), 100ms);
  proxy->heal();
  ASSERT_TRUE(answers());
  // Other processes may take the machine away from a round trip or two.
  EXPECT_TRUE(eventually([&] { return round_trip() < 40ms; }));
}

TEST_F(Proxied, HoldsWhatIsOnItsWayAndDeliversItAfterwards) {
  for (const Way way : {Way::to_server, Way::to_client}) {
    ASSERT_TRUE(client->command({"SET", "k", "before"}));
    proxy->hold(way, true);
    auto held = std::async([&] { return client->command({"SET", "k", "after"}); });
    if (way == Way::to_client) {
      ASSERT_TRUE(eventually([&] { return stored() == "after"; })) << "only its reply is held";
    }
    EXPECT_EQ(held.wait_for(200ms), std::future_status::timeout);
    EXPECT_EQ(stored(), way == Way::to_server ? "before" : "after");
    proxy->heal();
    const auto reply = held.get();
    ASSERT_TRUE(reply) << reply.error().detail;
    EXPECT_EQ(reply->text, "OK");
    EXPECT_EQ(stored(), "after");
  }
  EXPECT_EQ(proxy->counts().accepted, 1U) << "nothing was sent again";
}

TEST_F(Proxied, DoesNotTellThatRedisHasEndedWhileItHoldsItsReplies) {
  lose_patience();
  ASSERT_TRUE(answers());
  proxy->hold(Way::to_client, true);
  redis->kill();
  EXPECT_EQ(failure(), Errc::timeout);
  EXPECT_EQ(failure(), Errc::timeout) << "a new connection, which Redis refuses";
  Peer waiting(proxy->endpoint());
  waiting.write("PING\r\n");
  EXPECT_FALSE(waiting.hears_within(100ms));
  proxy->heal();
  EXPECT_TRUE(waiting.hears_within(10s)) << "of the end";
  ASSERT_TRUE(redis->restart());
  EXPECT_TRUE(eventually([&] { return answers(); }));
}

TEST_F(Proxied, CutsAndRefuses) {
  ASSERT_TRUE(answers());
  proxy->cut();
  EXPECT_EQ(failure(), Errc::connection_lost);
  EXPECT_TRUE(answers()) << "a new connection";
  proxy->refuse(true);
  proxy->cut();
  EXPECT_FALSE(answers());
  EXPECT_FALSE(answers());
  proxy->heal();
  EXPECT_TRUE(answers());
}

TEST_F(Proxied, StrandsAClientThatIsNotTold) {
  lose_patience();
  ASSERT_TRUE(answers());
  const long long before = connections();
  proxy->strand();
  EXPECT_EQ(failure(), Errc::timeout) << "it is connected to nobody";
  EXPECT_EQ(connections(), before - 1);
  EXPECT_TRUE(answers()) << "a new connection is well";
}

TEST_F(Proxied, SwallowsWhatAStrandedClientSendsHoweverMuchWaited) {
  Peer sender(proxy->endpoint());
  proxy->hold(Way::to_server, true);
  auto sent = std::async(
      [&] { sender.write(std::string(std::size_t{64} << 20U, 'x')); });  // more than sockets hold
  EXPECT_EQ(sent.wait_for(300ms), std::future_status::timeout);
  proxy->strand();
  EXPECT_EQ(sent.wait_for(10s), std::future_status::ready);
  EXPECT_FALSE(sender.hears_within(1ms));
  proxy->cut();
  EXPECT_TRUE(sender.hears_within(10s)) << "of the end";
}

TEST_F(Proxied, StrandsConnectionsThatAreStillBeingMade) {
  // Nobody accepts, so that only the first ones are made and the kernel lets the others wait.
  boost::asio::io_context context;
  const boost::asio::ip::tcp::endpoint any(boost::asio::ip::address_v4::loopback(), 0);
  boost::asio::ip::tcp::acceptor busy(context);
  busy.open(any.protocol());
  busy.bind(any);
  busy.listen(0);
  proxy->retarget({.host = "127.0.0.1", .port = busy.local_endpoint().port()});
  std::list<Peer> peers;
  while (peers.size() < 4) peers.emplace_back(proxy->endpoint());
  ASSERT_TRUE(eventually([&] { return proxy->counts().open == peers.size(); }));
  proxy->strand();
  busy.close();
  for (auto& peer : peers) EXPECT_FALSE(peer.hears_within(50ms));
  EXPECT_EQ(proxy->counts().open, peers.size());
  proxy->cut();
  for (auto& peer : peers) EXPECT_TRUE(peer.hears_within(10s)) << "of the end";
}

TEST_F(Proxied, SendsNewConnectionsElsewhere) {
  auto other = RedisServer::start();
  ASSERT_TRUE(other);
  ASSERT_TRUE(client->command({"SET", "k", "first"}));
  ASSERT_TRUE(other->client().command({"SET", "k", "second"}));
  proxy->retarget(other->endpoint());
  EXPECT_EQ(client->command({"GET", "k"})->text, "first");
  proxy->cut();
  EXPECT_FALSE(answers());
  EXPECT_EQ(client->command({"GET", "k"})->text, "second");
}

TEST_F(Proxied, EndsWhenEitherSideEnds) {
  ASSERT_TRUE(answers());
  redis->kill();
  EXPECT_FALSE(answers());
  ASSERT_TRUE(redis->restart());
  ASSERT_TRUE(answers());
  client->close();
  EXPECT_TRUE(eventually([&] { return proxy->counts().open == 0; }));
}

}  // namespace
}  // namespace nearlane::harness
