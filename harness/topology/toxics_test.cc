// The fault proxy between two sockets, with every toxic. Times are lower bounds alone: the machine may be busy.
#include <array>
#include <atomic>
#include <fstream>
#include <future>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "harness/topology/eventually.h"
#include "harness/topology/fault_proxy.h"
#include "harness/workload/random.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using Code = boost::system::error_code;

const Code kEnd = boost::asio::error::eof;
const Code kReset = boost::asio::error::connection_reset;

constexpr std::string_view kPush = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";

std::string random_bytes(std::size_t size) {
  Random random(size);
  std::string bytes;
  while (bytes.size() < size) bytes += static_cast<char>(random.next());
  return bytes;
}

struct Heard {
  std::string bytes;
  Code end;
};

/// One end of a connection.
class End {
 public:
  explicit End(tcp::socket socket) : socket_(std::move(socket)) {}

  /// Returns once everything is on its way, or the connection has ended.
  Code write(std::string_view bytes) {
    Code failed;
    boost::asio::write(socket_, boost::asio::buffer(bytes), failed);
    return failed;
  }
  void finish() { socket_.shutdown(tcp::socket::shutdown_send); }
  void reset() {
    socket_.set_option(boost::asio::socket_base::linger(true, 0));
    socket_.close();
  }
  /// So many bytes, or those before the end.
  Heard read(std::size_t size) {
    Heard heard;
    heard.bytes.resize(size);
    heard.bytes.resize(boost::asio::read(socket_, boost::asio::buffer(heard.bytes), heard.end));
    return heard;
  }
  Heard read_to_end() {
    Heard heard;
    boost::asio::read(socket_, boost::asio::dynamic_buffer(heard.bytes), heard.end);
    return heard;
  }
  /// Whether bytes come, or the end.
  bool hears_within(std::chrono::milliseconds patience) {
    pollfd waiting{.fd = socket_.native_handle(), .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, static_cast<int>(patience.count())) > 0;
  }
  tcp::socket& socket() { return socket_; }

 private:
  tcp::socket socket_;
};

/// The most bytes that the kernel keeps for one socket's writer (tcp_wmem) or reader (tcp_rmem).
std::size_t most_kept(const std::string& setting) {
  std::size_t least = 0;
  std::size_t usual = 0;
  std::size_t most = 0;
  std::ifstream("/proc/sys/net/ipv4/" + setting) >> least >> usual >> most;
  return most;
}
std::size_t most_unsent() { return most_kept("tcp_wmem"); }
std::size_t most_unread() { return most_kept("tcp_rmem"); }

constexpr std::size_t kMegabyte = std::size_t{1} << 20U;

/// More than a sender can be rid of while the proxy keeps everything: its own kernel's, the proxy's.
std::size_t most_taken() {
  return FaultProxy::kMaxQueued + most_unsent() + most_unread() + kMegabyte;
}

class Toxics : public testing::Test {
 protected:
  void SetUp() override {
    auto started =
        FaultProxy::start({.host = "127.0.0.1", .port = acceptor.local_endpoint().port()});
    ASSERT_TRUE(started) << started.error().detail;
    proxy.emplace(std::move(*started));
  }
  /// `small`: it can keep few bytes that are not read.
  void connect(bool small = false) {
    tcp::socket socket(context);
    socket.open(tcp::v4());
    if (small) socket.set_option(boost::asio::socket_base::receive_buffer_size(4096));
    socket.connect({boost::asio::ip::make_address(proxy->endpoint().host), proxy->endpoint().port});
    socket.set_option(tcp::no_delay(true));
    client.emplace(std::move(socket));
    tcp::socket accepted(context);
    acceptor.accept(accepted);
    accepted.set_option(tcp::no_delay(true));
    server.emplace(std::move(accepted));
  }
  End& sender(Way way) { return way == Way::to_server ? *client : *server; }
  End& receiver(Way way) { return way == Way::to_server ? *server : *client; }

  void add(ToxicKind kind, Way way = Way::to_client, double toxicity = 1) {
    const auto done = proxy->add({.name = "t", .way = way, .toxicity = toxicity, .kind = kind});
    ASSERT_TRUE(done) << done.error().detail;
  }
  static Duration since(TimePoint begin) { return Clock::now() - begin; }

  boost::asio::io_context context;
  tcp::acceptor acceptor{context, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)};
  std::optional<FaultProxy> proxy;
  std::optional<End> client;
  std::optional<End> server;
};

constexpr std::array kWays = {Way::to_server, Way::to_client};

TEST_F(Toxics, WhateverSlowsLeavesEveryByteInItsPlace) {
  const std::string there = random_bytes(700'001);
  const std::string back = random_bytes(500'003);
  const std::vector<ToxicKind> kinds = {Latency{.latency = 2ms, .jitter = 2ms},
                                        Bandwidth{.bytes_per_s = 20'000'000},
                                        Slicer{.average = 1000, .variation = 400},
                                        SlowClose{.delay = 5ms},
                                        LimitData{.bytes = 1'000'000},
                                        DropPushes{},
                                        DelayPushes{.delay = 1ms},
                                        CutAtFrame{.frame = 1'000'000}};
  int named = 0;
  for (const auto& kind : kinds) {
    for (const Way way : kWays) {
      const bool pushes =
          std::holds_alternative<DropPushes>(kind) || std::holds_alternative<DelayPushes>(kind);
      if (pushes && way == Way::to_server) continue;
      const auto done = proxy->add({.name = std::to_string(++named), .way = way, .kind = kind});
      ASSERT_TRUE(done) << done.error().detail;
    }
  }
  connect();
  // Its random bytes are no RESP, and have no frames.
  auto sent = std::async(std::launch::async, [&] {
    client->write("!" + there);
    client->finish();
  });
  auto answered = std::async(std::launch::async, [&] {
    server->write("!" + back);
    server->finish();
  });
  auto received = std::async(std::launch::async, [&] { return server->read_to_end(); });
  const auto heard = client->read_to_end();
  const auto taken = received.get();
  EXPECT_TRUE(heard.bytes == "!" + back) << heard.bytes.size();
  EXPECT_TRUE(taken.bytes == "!" + there) << taken.bytes.size();
  EXPECT_EQ(heard.end, kEnd);
  EXPECT_EQ(taken.end, kEnd);
}

TEST_F(Toxics, ASideThatHasFinishedIsStillAnswered) {
  for (const bool slow : {false, true}) {
    if (slow) proxy->delay(Way::to_server, 20ms);
    connect();
    ASSERT_FALSE(client->write("question"));
    client->finish();
    const auto asked = server->read_to_end();
    EXPECT_EQ(asked.bytes, "question");
    EXPECT_EQ(asked.end, kEnd);
    EXPECT_FALSE(client->hears_within(20ms)) << "its own end is not the other's";
    ASSERT_FALSE(server->write("answer"));
    server->finish();
    const auto told = client->read_to_end();
    EXPECT_EQ(told.bytes, "answer");
    EXPECT_EQ(told.end, kEnd);
    EXPECT_TRUE(eventually([&] { return proxy->counts().open == 0; }));
  }
}

TEST_F(Toxics, AResetIsPassedOnAsOne) {
  for (const Way way : kWays) {
    connect();
    ASSERT_FALSE(sender(way).write("x"));
    ASSERT_EQ(receiver(way).read(1).bytes, "x");
    sender(way).reset();
    EXPECT_EQ(receiver(way).read(1).end, kReset);
  }
}

TEST_F(Toxics, LatencyIsInForceWhenTheCallReturns) {
  for (const Way way : kWays) {
    connect();
    add(Latency{.latency = 60ms, .jitter = 20ms}, way);
    const TimePoint begin = Clock::now();
    ASSERT_FALSE(sender(way).write("x"));
    EXPECT_EQ(receiver(way).read(1).bytes, "x");
    EXPECT_GE(since(begin), 40ms);
    ASSERT_TRUE(proxy->remove("t"));
  }
}

TEST_F(Toxics, WhatWaitedInAToxicComesWhenItIsTakenAway) {
  connect();
  add(Latency{.latency = 1h});
  ASSERT_FALSE(server->write("x"));
  EXPECT_FALSE(client->hears_within(50ms));
  ASSERT_TRUE(proxy->remove("t"));
  EXPECT_EQ(client->read(1).bytes, "x");
}

TEST_F(Toxics, BandwidthTakesItsTime) {
  for (const Way way : kWays) {
    connect();
    add(Bandwidth{.bytes_per_s = 200'000}, way);
    const auto sent = random_bytes(60'000);
    const TimePoint begin = Clock::now();
    ASSERT_FALSE(sender(way).write(sent));
    EXPECT_TRUE(receiver(way).read(sent.size()).bytes == sent);
    EXPECT_GE(since(begin), 299ms);
    ASSERT_TRUE(proxy->remove("t"));
  }
}

TEST_F(Toxics, SlowCloseKeepsTheEndBack) {
  connect();
  add(SlowClose{.delay = 80ms});
  const TimePoint begin = Clock::now();
  ASSERT_FALSE(server->write("x"));
  server->finish();
  EXPECT_EQ(client->read(1).bytes, "x");
  EXPECT_EQ(client->read(1).end, kEnd);
  EXPECT_GE(since(begin), 80ms);
}

TEST_F(Toxics, TimeoutLosesWhatComesAndCloses) {
  for (const Way way : kWays) {
    connect();
    const TimePoint begin = Clock::now();
    add(Timeout{.timeout = 80ms}, way);
    ASSERT_FALSE(sender(way).write("x"));
    const auto heard = receiver(way).read_to_end();
    EXPECT_EQ(heard.bytes, "");
    EXPECT_EQ(heard.end, kEnd);
    EXPECT_GE(since(begin), 80ms);
    EXPECT_EQ(sender(way).read_to_end().bytes, "") << "both sides are closed";
    ASSERT_TRUE(proxy->remove("t"));
  }
}

TEST_F(Toxics, TimeoutOfNothingClosesWhenItIsTakenAway) {
  connect();
  add(Timeout{});
  ASSERT_FALSE(server->write("x"));
  EXPECT_FALSE(client->hears_within(50ms));
  ASSERT_TRUE(proxy->remove("t"));
  const auto heard = client->read_to_end();
  EXPECT_EQ(heard.bytes, "");
  EXPECT_EQ(heard.end, kEnd);
}

TEST_F(Toxics, ACloseThatWaitsBehindAnEndIsStillDone) {
  connect();
  ASSERT_TRUE(proxy->add({.name = "closes", .kind = Timeout{.timeout = 80ms}}));
  ASSERT_TRUE(proxy->add({.name = "later", .kind = Latency{.latency = 1s}}));
  server->finish();
  EXPECT_EQ(client->read(1).end, kEnd);
  ASSERT_TRUE(server->hears_within(10s))
      << "the client has not finished, but both sides are closed";
  EXPECT_EQ(server->read(1).end, kEnd);
}

TEST_F(Toxics, ResetPeerIsSeenAsAReset) {
  for (const Way way : kWays) {
    for (const Duration after : {Duration(0ms), Duration(50ms)}) {
      add(ResetPeer{.timeout = after}, way);
      connect();
      EXPECT_FALSE(client->hears_within(20ms)) << "nothing was sent";
      const TimePoint begin = Clock::now();
      ASSERT_FALSE(sender(way).write("x"));
      EXPECT_EQ(client->read(1).end, kReset);
      EXPECT_EQ(server->read(1).end, kReset);
      EXPECT_GE(since(begin), after);
      ASSERT_TRUE(proxy->remove("t"));
    }
  }
}

TEST_F(Toxics, SlicerPausesBetweenSlices) {
  connect();
  add(Slicer{.average = 10, .variation = 3, .delay = 10ms});
  const auto sent = random_bytes(130);  // ten slices at least
  const TimePoint begin = Clock::now();
  ASSERT_FALSE(server->write(sent));
  EXPECT_EQ(client->read(sent.size()).bytes, sent);
  EXPECT_GE(since(begin), 90ms);
}

TEST_F(Toxics, LimitDataIsExact) {
  const auto sent = random_bytes(300'000);
  for (const Way way : kWays) {
    for (const std::size_t limit : {std::size_t{1}, std::size_t{65'537}, sent.size()}) {
      connect();
      add(LimitData{.bytes = limit}, way);
      auto writing = std::async(std::launch::async, [&] { sender(way).write(sent); });
      const auto heard = receiver(way).read_to_end();
      EXPECT_TRUE(heard.bytes == sent.substr(0, limit)) << heard.bytes.size();
      EXPECT_EQ(heard.end, kEnd);
      writing.get();
      ASSERT_TRUE(proxy->remove("t"));
    }
  }
}

TEST_F(Toxics, ToxicityIsDrawnForOnceAConnection) {
  const auto lost = [&](double toxicity) {
    add(DropPushes{}, Way::to_client, toxicity);
    int count = 0;
    for (int i = 0; i < 40; ++i) {
      connect();
      server->write(std::string(kPush) + "+a\r\n" + std::string(kPush) + "+b\r\n");
      server->finish();
      const auto heard = client->read_to_end().bytes;
      const bool whole = heard.size() > 10;
      EXPECT_EQ(heard.size(), whole ? 2 * kPush.size() + 8 : 8) << "all or none";
      if (!whole) ++count;
    }
    EXPECT_TRUE(proxy->remove("t"));
    return count;
  };
  EXPECT_EQ(lost(0), 0);
  EXPECT_EQ(lost(1), 40);
  const int some = lost(0.5);
  EXPECT_GT(some, 5);
  EXPECT_LT(some, 35);
}

TEST_F(Toxics, DropsPushes) {
  connect();
  add(DropPushes{});
  ASSERT_FALSE(server->write("+a\r\n" + std::string(kPush) + "+b\r\n"));
  EXPECT_EQ(client->read(8).bytes, "+a\r\n+b\r\n");
  EXPECT_EQ(proxy->counts().pushes, 1U);
  EXPECT_EQ(proxy->counts().pushes_dropped, 1U);
  ASSERT_TRUE(proxy->remove("t"));
  ASSERT_FALSE(server->write(kPush));
  EXPECT_EQ(client->read(kPush.size()).bytes, kPush);
  EXPECT_EQ(proxy->counts().pushes, 2U);
  EXPECT_EQ(proxy->counts().pushes_dropped, 1U);
}

TEST_F(Toxics, DelaysPushesAndWhatFollows) {
  connect();
  add(DelayPushes{.delay = 80ms});
  const TimePoint begin = Clock::now();
  ASSERT_FALSE(server->write("+a\r\n" + std::string(kPush) + "+b\r\n"));
  EXPECT_EQ(client->read(4).bytes, "+a\r\n");
  EXPECT_EQ(client->read(kPush.size() + 4).bytes, std::string(kPush) + "+b\r\n");
  EXPECT_GE(since(begin), 80ms);
}

TEST_F(Toxics, CutsAtAFrame) {
  connect();
  add(CutAtFrame{.frame = 3});
  ASSERT_FALSE(server->write("+1\r\n*2\r\n:2\r\n"));
  EXPECT_EQ(client->read(12).bytes, "+1\r\n*2\r\n:2\r\n");
  ASSERT_FALSE(server->write(":2\r\n$1\r\n3\r\n"));
  const auto heard = client->read_to_end();
  EXPECT_EQ(heard.bytes, ":2\r\n");
  EXPECT_EQ(heard.end, kEnd);
}

TEST_F(Toxics, CutsAtACommand) {
  connect();
  add(CutAtFrame{.frame = 2}, Way::to_server);
  ASSERT_FALSE(client->write("*1\r\n$4\r\nPING\r\nPING\r\n"));
  EXPECT_EQ(server->read_to_end().bytes, "*1\r\n$4\r\nPING\r\n");
}

TEST_F(Toxics, NothingThatIsNoRespIsHeldBack) {
  connect();
  ASSERT_FALSE(server->write("$100\r\nten bytes."));
  EXPECT_EQ(client->read(16).bytes, "$100\r\nten bytes.") << "not before a frame is whole";
}

TEST_F(Toxics, AHoldLetsNothingThroughThatWaitedToBeWritten) {
  connect(true);
  const auto sent = random_bytes(most_taken() + most_unsent() + kMegabyte);
  auto writing = std::async(std::launch::async, [&] { server->write(sent); });
  // The proxy has taken what it takes.
  EXPECT_EQ(writing.wait_for(500ms), std::future_status::timeout);
  proxy->hold(Way::to_client, true);
  std::string heard;
  while (client->hears_within(300ms)) {
    std::string some(65'536, 0);
    some.resize(client->socket().read_some(boost::asio::buffer(some)));
    heard += some;
  }
  // It was in the kernel's hands; a megabyte is the least that waits in the proxy beside that.
  EXPECT_LE(heard.size(), most_unsent() + kMegabyte);
  EXPECT_EQ(writing.wait_for(0ms), std::future_status::timeout);
  proxy->hold(Way::to_client, false);
  const auto rest = client->read(sent.size() - heard.size());
  writing.get();
  EXPECT_TRUE(heard + rest.bytes == sent);
}

TEST_F(Toxics, AHoldKeepsAMarkBackToo) {
  connect();
  proxy->hold(Way::to_client, true);
  add(LimitData{.bytes = 1});
  ASSERT_FALSE(server->write("xy"));
  EXPECT_FALSE(client->hears_within(50ms));
  proxy->hold(Way::to_client, false);
  EXPECT_EQ(client->read_to_end().bytes, "x");
}

TEST_F(Toxics, LatencyKeepsNoMoreThanIsSaid) {
  connect();
  add(Latency{.latency = 1h});
  std::atomic<std::size_t> written = 0;
  auto writing = std::async(std::launch::async, [&] {
    const std::string some(65'536, 'x');
    while (written < 2 * most_taken() && !server->write(some)) written += some.size();
  });
  EXPECT_EQ(writing.wait_for(500ms), std::future_status::timeout);
  EXPECT_LE(written, most_taken());
  proxy->cut();
  writing.get();
}

TEST_F(Toxics, AreWhatWasAskedForOrRefused) {
  EXPECT_THAT(proxy->toxics(), IsEmpty());
  const Toxic slow{.name = "slow", .kind = Latency{.latency = 1ms}};
  ASSERT_TRUE(proxy->add(slow));
  const auto refused = [](const Result<void>& done) {
    EXPECT_FALSE(done);
    if (done) return std::string("done");
    EXPECT_EQ(done.error().code, Errc::invalid_argument);
    return done.error().detail;
  };
  EXPECT_EQ(refused(proxy->add(slow)), "there is a toxic 'slow'");
  EXPECT_THAT(refused(proxy->add({.name = "bad", .kind = Slicer{}})), StartsWith("slicer:"));
  EXPECT_THAT(refused(proxy->update({.name = "other", .kind = Latency{}})), HasSubstr("no"));
  EXPECT_THAT(refused(proxy->update({.name = "slow", .kind = Timeout{}})), HasSubstr("no"));
  EXPECT_THAT(refused(proxy->update({.name = "slow", .way = Way::to_server, .kind = Latency{}})),
              HasSubstr("there is no upstream latency 'slow'"));
  EXPECT_THAT(refused(proxy->update({.name = "slow", .kind = Latency{.latency = -1ms}})),
              HasSubstr("a time"));
  EXPECT_EQ(refused(proxy->remove("other")), "there is no toxic 'other'");
  ASSERT_TRUE(proxy->update({.name = "slow", .toxicity = 0.5, .kind = Latency{.latency = 2ms}}));
  const auto there = proxy->toxics();
  ASSERT_EQ(there.size(), 1U);
  EXPECT_EQ(there.front().toxicity, 0.5);
  EXPECT_EQ(std::get<Latency>(there.front().kind).latency, 2ms);
  for (std::size_t i = 1; i < FaultProxy::kMaxToxics; ++i) {
    ASSERT_TRUE(proxy->add({.name = std::to_string(i), .kind = DropPushes{}}));
  }
  EXPECT_THAT(refused(proxy->add({.name = "more", .kind = DropPushes{}})), HasSubstr("64"));
  proxy->heal();
  EXPECT_THAT(proxy->toxics(), IsEmpty());
}

TEST_F(Toxics, TheOldCallsAreToxicsWithNames) {
  proxy->delay(Way::to_server, 1ms);
  proxy->delay(Way::to_server, 2ms);
  proxy->delay_pushes(3ms);
  proxy->drop_pushes(true);
  const auto names = [&] {
    std::vector<std::string> all;
    for (const auto& toxic : proxy->toxics()) all.push_back(toxic.name);
    return all;
  };
  EXPECT_THAT(names(),
              ElementsAre("delay_upstream", "delay_pushes_downstream", "drop_pushes_downstream"));
  proxy->delay(Way::to_server, {});
  proxy->drop_pushes(false);
  EXPECT_THAT(names(), ElementsAre("delay_pushes_downstream"));
}

/// These start a process of their own, as the proxy has a thread.
class ToxicsDeathTest : public Toxics {
 protected:
  ToxicsDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(ToxicsDeathTest, AScenarioWhoseFaultCannotBeIsToldSo) {
  EXPECT_DEATH(proxy->delay(Way::to_client, 25h), "delay_downstream: latency: a time must be");
  EXPECT_DEATH(proxy->delay_pushes(25h), "delay_pushes_downstream: delay_pushes: a time must be");
  proxy->delay(Way::to_client, 1ms);
  EXPECT_DEATH(proxy->delay(Way::to_client, 25h), "delay_downstream: latency: a time must be");
  ASSERT_TRUE(proxy->add({.name = "drop_pushes_downstream", .kind = Latency{}}));
  EXPECT_DEATH(proxy->drop_pushes(true), "drop_pushes_downstream: there is no downstream");
}

TEST_F(Toxics, ListensWhereItIsToldTo) {
  const Endpoint upstream{.host = "127.0.0.1", .port = acceptor.local_endpoint().port()};
  const Endpoint taken = proxy->endpoint();
  const auto again = FaultProxy::start(upstream, taken);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::unavailable);
  EXPECT_THAT(again.error().detail, StartsWith("listen " + taken.to_string() + ": "));
  EXPECT_FALSE(FaultProxy::start(upstream, {.host = "no.address", .port = 0}));
  connect();
  proxy.reset();
  EXPECT_EQ(client->read(1).end, kReset);
  auto after = FaultProxy::start(upstream, taken);
  ASSERT_TRUE(after) << after.error().detail;
  EXPECT_EQ(after->endpoint(), taken);
}

TEST_F(Toxics, LooksItsServerUpByName) {
  proxy->retarget({.host = "localhost", .port = acceptor.local_endpoint().port()});
  connect();
  ASSERT_FALSE(client->write("x"));
  EXPECT_EQ(server->read(1).bytes, "x");
  proxy->retarget({.host = std::string(300, 'x'), .port = 1});  // longer than any name
  tcp::socket socket(context);
  socket.connect({boost::asio::ip::make_address("127.0.0.1"), proxy->endpoint().port});
  EXPECT_EQ(End(std::move(socket)).read(1).end, kReset);
}

}  // namespace
}  // namespace nearlane::harness
