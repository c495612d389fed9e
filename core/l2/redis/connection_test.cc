// A Connection against a listener in the same loop, which says what a Redis would: what is known of a
// connection is known of that one alone.
#include "core/l2/redis/connection.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::l2 {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Form = LaneConnection::Form;

constexpr std::string_view kHello = "%1\r\n+server\r\n+redis\r\n+OK\r\n";
constexpr std::string_view kMaster =
    "=51\r\ntxt:# Replication\r\nrole:master\r\nmaster_replid:one\r\n\r\n";
constexpr std::string_view kPush = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\np\r\n";

struct Deaf final : cohere::Listener {
  void invalidate(std::string_view) noexcept override {}
};

class Ping final : public cohere::Call {
 public:
  explicit Ping(std::optional<cohere::Answer>* answer = nullptr)
      : Call({.op = cohere::Op::confirm, .key = Key(0, "k")}), answer_(answer) {}
  void settle(const cohere::Answer&) noexcept override {}
  void complete(cohere::Answer answer) noexcept override {
    if (answer_ != nullptr) *answer_ = std::move(answer);
  }

 private:
  std::optional<cohere::Answer>* answer_;
};

class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() : redis(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0)), peer(loop) {
    redis.non_blocking(true);
    connection = std::make_shared<LaneConnection>(
        loop,
        std::make_shared<Route>(
            RedisUrl{.server = {"127.0.0.1", std::to_string(redis.local_endpoint().port())}},
            nullptr),
        std::chrono::seconds(20), cohere::LaneConfig{.probe_key = "p"}, view, listener,
        [this] { ++findings; });
  }
  ~ConnectionTest() override {
    connection->stop();
    poll();
  }

  void poll() {
    loop.restart();  // it stops whenever it has nothing to do
    loop.poll();
  }
  template <class Done>
  void run_until(Done done) {
    const TimePoint patience = Clock::now() + std::chrono::seconds(20);
    bool reached = done();
    for (; !reached && Clock::now() < patience; reached = done()) poll();
    ASSERT_TRUE(reached);
  }
  void connect() {
    run_until([this] {
      connection->tick(Clock::now());
      boost::system::error_code error;
      redis.accept(peer, error);
      return !error;
    });
  }
  void say(std::string_view bytes) { asio::write(peer, asio::buffer(bytes)); }
  static std::string refusals(std::string_view text) {
    std::string out;
    for (int i = 0; i < 14; ++i) out += "-" + std::string(text) + "\r\n";
    return out;
  }
  static std::string proof() {
    const std::string push(kPush);
    return "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:10000\r\n+OK\r\n:1\r\n" +
           push + "+OK\r\n_\r\n+OK\r\n" + push + ":10000\r\n:1\r\n+OK\r\n";
  }
  void shake_hands(const std::string& probe) {
    connect();
    say(std::string(kHello) + probe + std::string(kMaster));
    run_until([this] { return connection->up(); });
  }
  void lose() {
    peer.close();
    run_until([this] { return !connection->up(); });
  }

  asio::io_context loop{1};
  tcp::acceptor redis;
  tcp::socket peer;
  cohere::LaneView view;
  Deaf listener;
  int findings = 0;
  std::shared_ptr<LaneConnection> connection;
};

TEST_F(ConnectionTest, KnowsNothingOfWhatItIsNotConnectedTo) {
  shake_hands(proof());
  EXPECT_EQ(connection->form(), Form::tracked);
  EXPECT_EQ(findings, 1);
  lose();
  connection->submit(std::make_unique<Ping>());
  poll();
  EXPECT_EQ(connection->form(), Form::unknown);
  EXPECT_EQ(findings, 1);
  shake_hands(proof());
  EXPECT_EQ(connection->form(), Form::tracked);
  EXPECT_EQ(findings, 2) << "it may be another Redis, and is judged again";
}

TEST_F(ConnectionTest, GivesTheReasonOfItsLastProbe) {
  shake_hands(refusals("NOPERM first"));
  EXPECT_EQ(connection->form(), Form::unvouched);
  EXPECT_THAT(connection->distrust(), testing::HasSubstr("NOPERM first"));
  connection->tick(Clock::now() + std::chrono::seconds(6));
  say(refusals("NOPERM second"));
  run_until([this] { return findings == 2; });
  EXPECT_THAT(connection->distrust(), testing::HasSubstr("NOPERM second"));
}

/// All that an instance has to one Redis.
class ManyConnections : public ConnectionTest {
 protected:
  static constexpr int kMany = 64;

  ManyConnections() {
    const auto route = std::make_shared<Route>(
        RedisUrl{.server = {"127.0.0.1", std::to_string(redis.local_endpoint().port())}}, nullptr);
    for (cohere::LaneView& each : views) {
      lanes.push_back(std::make_shared<LaneConnection>(loop, route, std::chrono::seconds(20),
                                                       cohere::LaneConfig{.probe_key = "p"}, each,
                                                       listener, [] {}));
    }
  }
  ~ManyConnections() override {
    for (const auto& lane : lanes) lane->stop();
    poll();
  }

  std::ptrdiff_t up() const {
    return std::ranges::count_if(lanes, [](const auto& lane) { return lane->up(); });
  }
  void accept_all() {
    for (boost::system::error_code error;;) {
      peer = tcp::socket(loop);
      redis.accept(peer, error);
      if (error) return;
      say(std::string(kHello) + proof() + std::string(kMaster));
      peers.push_back(std::move(peer));
    }
  }
  /// By a clock that begins there.
  void connect_all(TimePoint begun) {
    for (int allowed = ConnectRate::kAtOnce; allowed <= kMany; ++allowed) {
      const TimePoint now = begun + (allowed - ConnectRate::kAtOnce) * ConnectRate::kOneEvery;
      for (const auto& lane : lanes) lane->tick(now);
      run_until([&] {
        accept_all();
        return std::ssize(peers) >= allowed;
      });
      ASSERT_EQ(std::ssize(peers), allowed);
    }
    run_until([&] { return up() == kMany; });
  }

  std::array<cohere::LaneView, kMany> views;
  std::vector<std::shared_ptr<LaneConnection>> lanes;
  std::vector<tcp::socket> peers;
};

TEST_F(ManyConnections, ComeAFewAtOnceAndTheOthersOneByOne) {
  ASSERT_NO_FATAL_FAILURE(connect_all(Clock::now()));
  peers.clear();
  run_until([&] { return up() == 0; });
  ASSERT_NO_FATAL_FAILURE(connect_all(Clock::now() + std::chrono::seconds(2))) << "after a loss";
}

/// A connection whose server sentinels have to name.
class MovingConnection : public ConnectionTest {
 protected:
  MovingConnection() {
    connection->stop();
    poll();
    connection = std::make_shared<LaneConnection>(loop, route, std::chrono::seconds(20),
                                                  cohere::LaneConfig{.probe_key = "p"}, view,
                                                  listener, [this] { ++findings; });
  }
  static Endpoint endpoint_of(const tcp::acceptor& acceptor) {
    return {"127.0.0.1", std::to_string(acceptor.local_endpoint().port())};
  }

  std::shared_ptr<Route> route =
      std::make_shared<Route>(parse_redis_url("redis+sentinel://s/m").value(), nullptr);
};

TEST_F(MovingConnection, WaitsUntilItIsKnownWhere) {
  std::optional<cohere::Answer> answer;
  connection->submit(std::make_unique<Ping>(&answer));
  connection->tick(Clock::now());
  poll();
  EXPECT_FALSE(answer);
  route->lose("nobody knows");
  connection->tick(Clock::now());
  run_until([&] {
    connection->tick(Clock::now());
    return answer.has_value();
  });
  EXPECT_EQ(answer->error, (Error{Errc::unavailable, "nobody knows"}));
  EXPECT_TRUE(route->take_doubt());
}

TEST_F(MovingConnection, LeavesAtOnceWhenTheMasterIsElsewhere) {
  route->move_to(endpoint_of(redis));
  shake_hands(proof());
  const auto epoch = view.epoch();
  const tcp::acceptor another(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  route->move_to(endpoint_of(another));
  connection->tick(Clock::now());
  EXPECT_FALSE(connection->up());
  EXPECT_NE(view.epoch(), epoch);
  EXPECT_THAT(connection->trouble(), testing::HasSubstr(endpoint_of(another).to_string()));
  redis = tcp::acceptor(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  route->move_to(endpoint_of(redis));
  redis.non_blocking(true);
  peer.close();
  shake_hands(proof());
  EXPECT_EQ(connection->form(), Form::tracked);
}

TEST_F(MovingConnection, TriesAtOnceWhatAnotherHasFoundToBeBack) {
  const Endpoint server = endpoint_of(redis);
  const auto port = redis.local_endpoint().port();
  route->move_to(server);
  connection->tick(Clock::now());
  redis.close();
  (void)route->take_doubt();
  const TimePoint before = Clock::now() + std::chrono::milliseconds(10);
  connection->tick(before);
  run_until([this] { return route->take_doubt(); });

  redis = tcp::acceptor(loop, tcp::endpoint(asio::ip::address_v4::loopback(), port));
  redis.non_blocking(true);
  boost::system::error_code error;
  connection->tick(before);
  poll();
  redis.accept(peer, error);
  EXPECT_TRUE(error) << "it is not its turn yet";
  route->arrive();
  connection->tick(before);
  run_until([&] {
    redis.accept(peer, error);
    return !error;
  });
  say(std::string(kHello) + proof() + std::string(kMaster));
  run_until([this] { return connection->up(); });
  EXPECT_EQ(route->arrivals(), 2U) << "it had failed, and tells the others";
  lose();
  shake_hands(proof());
  EXPECT_EQ(route->arrivals(), 2U) << "it was lost, and had not failed";
}

TEST_F(MovingConnection, WhatWasFoundWhileItTriedInVainIsTriedAtOnceToo) {
  route->move_to(endpoint_of(redis));
  connect();
  route->arrive();
  (void)route->take_doubt();
  const TimePoint before = Clock::now() + std::chrono::milliseconds(10);
  peer.close();
  run_until([this] { return route->take_doubt(); });
  connection->tick(before);
  boost::system::error_code error;
  run_until([&] {
    redis.accept(peer, error);
    return !error;
  });
}

}  // namespace
}  // namespace nearlane::l2
