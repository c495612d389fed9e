#include "harness/driver/bursts.h"

#include <array>
#include <cstring>
#include <optional>
#include <thread>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr std::size_t kKeys = 100;

std::string key(std::uint64_t number) { return fmt::format("k{:04}", number); }
std::string value(std::uint64_t number) { return fmt::format("value of {:04}", number); }

class SendBursts : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = RedisServer::start();
    ASSERT_TRUE(started) << started.error().detail;
    redis_.emplace(std::move(*started));
    auto client = redis_->client();
    for (std::uint64_t number = 0; number < kKeys; ++number)
      ASSERT_TRUE(client.command({"SET", key(number), value(number)}));
  }

  /// GET of every key; `expected` makes the values.
  template <class Expected>
  static Sequence reads(Expected expected) {
    Sequence made([expected](std::uint64_t number, std::string& out) {
      append_bulk_string(expected(number), out);
    });
    for (std::uint64_t number = 0; number < kKeys; ++number) {
      made.add(number, std::array<std::string_view, 2>{"GET", key(number)},
               bulk_string_bytes(value(number).size()));
    }
    return made;
  }
  [[nodiscard]] BurstLoad load_of(const Sequence& sequence) const {
    return {.sequence = &sequence, .target = redis_->endpoint(), .connections = 3, .burst = 16};
  }
  static Result<BurstReport> send(const BurstLoad& load, BurstOptions options = {}) {
    // Who says how many has as much time as a busy machine needs for them.
    options.duration = load.bursts == UINT64_MAX ? Duration(100ms) : Duration(20s);
    return send_bursts({&load, 1}, options);
  }

  std::optional<RedisServer> redis_;
};

TEST_F(SendBursts, SendsTheWholeSequenceRoundAndRound) {
  const Sequence sequence = reads(value);
  auto load = load_of(sequence);
  load.first = 90;  // the burst at the end is a short one
  load.bursts = 1 + 2 * 7;
  int opened = 0;
  int answered = 0;
  auto client = redis_->client();
  const auto before = client.calls("get");
  const auto report = send(load, {.opened = [&] { ++opened; }, .answered = [&] { ++answered; }});
  ASSERT_TRUE(report) << report.error().detail;
  const RunReport& run = report->runs.front();
  EXPECT_EQ(run.answered, 10 + 2 * kKeys);
  EXPECT_EQ(run.scheduled, run.answered);
  EXPECT_EQ(run.service_time.count(), load.bursts);
  EXPECT_EQ(run.bytes_in, (10 + 2 * kKeys) * bulk_string_bytes(value(0).size()));
  EXPECT_TRUE(run.valid());
  EXPECT_EQ(*client.calls("get") - *before, run.answered);
  EXPECT_EQ(opened, 1);
  EXPECT_EQ(answered, 1);
  EXPECT_GT(report->load_cpu, 0ns);
}

TEST_F(SendBursts, CountsWhatItDoesNotCompareAndSleepsMeanwhile) {
  const Sequence sequence = reads(value);
  auto load = load_of(sequence);
  load.bursts = 70;
  const auto report = send(load, {.compare_every = 10, .polls = false});
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->runs.front().answered, 10 * kKeys);
}

TEST_F(SendBursts, HasNoMoreUnderWayThanItMay) {
  const Sequence sequence = reads(value);
  auto load = load_of(sequence);
  load.connections = 50;
  load.under_way = 2;
  load.bursts = 10;
  ASSERT_TRUE(redis_->client().command({"CLIENT", "PAUSE", "50"}));
  const auto report = send(load);
  ASSERT_TRUE(report) << report.error().detail;
  // Only those that were under way in the pause had to wait for its end.
  const Histogram& took = report->runs.front().service_time;
  EXPECT_EQ(took.count(), 10U);
  const auto waited = took.count() - took.count_at_most(20ms);
  EXPECT_GE(waited, 2U);
  EXPECT_LT(waited, 10U);
}

TEST_F(SendBursts, RefusesAnotherValueThanTheExpectedOne) {
  const Sequence sequence = reads([](std::uint64_t number) {
    return number == 50 ? std::string("value of 0x50") : value(number);
  });
  auto load = load_of(sequence);
  load.bursts = 7;
  EXPECT_EQ(send(load).error().code, Errc::protocol);
  // Of the same length, so that only a comparison finds it.
  EXPECT_TRUE(send(load, {.compare_every = 1000}));
}

TEST_F(SendBursts, TellsAnErrorReply) {
  auto client = redis_->client();
  ASSERT_TRUE(client.command({"DEL", key(0)}));
  ASSERT_TRUE(client.command({"LPUSH", key(0), "x"}));
  const Sequence sequence = reads(value);
  const auto report = send(load_of(sequence), {.compare_every = 1000});
  EXPECT_EQ(report.error().code, Errc::l2_error);
  EXPECT_THAT(report.error().detail, HasSubstr("WRONGTYPE"));
}

TEST(SendBurstsBytes, TellsAnErrorWhoseFirstByteComesAlone) {
  const int listens = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listens, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listens, 1), 0);
  ::getsockname(listens, reinterpret_cast<sockaddr*>(&address), &size);
  std::thread server([listens] {
    const int peer = ::accept(listens, nullptr, nullptr);
    std::array<char, 100> asked{};
    for (const char* reply : {"STORED\r\n", "ERROR\r\n"}) {
      EXPECT_GT(::recv(peer, asked.data(), asked.size(), 0), 0);
      EXPECT_EQ(::send(peer, reply, 1, MSG_NOSIGNAL), 1);
      std::this_thread::sleep_for(20ms);
      ::send(peer, reply + 1, std::strlen(reply) - 1, MSG_NOSIGNAL);
    }
    // Until the client has gone.
    ::recv(peer, asked.data(), asked.size(), 0);
    ::close(peer);
  });
  Sequence sequence([](std::uint64_t, std::string& out) { out += "STORED\r\n"; });
  sequence.add(0, std::array<std::string_view, 2>{"set", "k"}, 8);
  const BurstLoad load{.sequence = &sequence,
                       .target = {.host = "127.0.0.1", .port = ntohs(address.sin_port)},
                       .connections = 1,
                       .burst = 1,
                       .bursts = 2};
  const auto report = send_bursts({&load, 1}, {.duration = 20s, .timeout = 2s, .compare_every = 2});
  server.join();
  ::close(listens);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error(), (Error{Errc::l2_error, "ERROR"}));
}

TEST_F(SendBursts, WaitsNoLongerThanItsTimeoutForWhatDoesNotCome) {
  auto client = redis_->client();
  ASSERT_TRUE(client.command({"DEL", key(10)}));
  const Sequence sequence = reads(value);
  auto load = load_of(sequence);
  load.bursts = 1;
  EXPECT_EQ(send(load, {.timeout = 50ms}).error().code, Errc::timeout);
}

TEST_F(SendBursts, TellsThatTheServerEnds) {
  Sequence kills([](std::uint64_t, std::string& out) { out += "+OK\r\n"; });
  kills.add(0, std::array<std::string_view, 2>{"SHUTDOWN", "NOSAVE"}, 5);
  EXPECT_EQ(send(load_of(kills)).error().code, Errc::connection_lost);
}

TEST_F(SendBursts, CountsWhatIsDueFromThenOn) {
  const Sequence sequence = reads(value);
  auto load = load_of(sequence);
  load.burst = 1;
  load.rate = 2000;
  ASSERT_TRUE(redis_->client().command({"CLIENT", "PAUSE", "30"}));
  const auto report = send(load);
  ASSERT_TRUE(report) << report.error().detail;
  const RunReport& run = report->runs.front();
  EXPECT_NEAR(static_cast<double>(run.scheduled), 200, 100) << "200 are due";
  EXPECT_EQ(run.answered, run.scheduled);
  // Three of them were sent before Redis went on; the others waited as long, without having been sent.
  EXPECT_GT(run.connection_wait.quantile(0.9), 1ms);
  EXPECT_GE(run.response_time.max(), run.connection_wait.max());
  EXPECT_LT(run.service_time.quantile(0.5), run.response_time.max());
}

TEST_F(SendBursts, ReadsLargeRepliesBesideSmallOnes) {
  const std::string blob(2'000'000, 'b');
  ASSERT_TRUE(redis_->client().command({"SET", "blob", blob}));
  Sequence large([&](std::uint64_t, std::string& out) { append_bulk_string(blob, out); });
  large.add(0, std::array<std::string_view, 2>{"GET", "blob"}, bulk_string_bytes(blob.size()));
  const Sequence small = reads(value);
  std::array loads{load_of(small), load_of(large)};
  for (BurstLoad& load : loads) load.bursts = 8;
  const auto report = send_bursts(loads, {.duration = 20s, .compare_every = 2});
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_GT(report->runs[0].answered, 0U);
  EXPECT_EQ(report->runs[1].answered, 8U) << "four that were compared, and four that were not";
  EXPECT_EQ(report->runs[1].bytes_in, report->runs[1].answered * bulk_string_bytes(blob.size()));
}

TEST_F(SendBursts, RefusesWhatCannotBe) {
  const Sequence sequence = reads(value);
  const Sequence empty([](std::uint64_t, std::string&) {});
  auto load = load_of(sequence);
  for (const auto& [change, options] :
       std::vector<std::pair<std::function<void(BurstLoad&)>, BurstOptions>>{
           {[&](BurstLoad& wrong) { wrong.sequence = &empty; }, {}},
           {[](BurstLoad& wrong) { wrong.connections = 0; }, {}},
           {[](BurstLoad& wrong) { wrong.connections = kMaxBurstConnections + 1; }, {}},
           {[](BurstLoad& wrong) { wrong.burst = 0; }, {}},
           {[](BurstLoad& wrong) { wrong.under_way = 0; }, {}},
           {[](BurstLoad& wrong) { wrong.rate = 1; }, {.polls = false}},
           {[](BurstLoad&) {}, {.compare_every = 0}}}) {
    auto wrong = load;
    change(wrong);
    EXPECT_EQ(send(wrong, options).error().code, Errc::invalid_argument);
  }
}

TEST(Sequence, EncodesCommandsAndKnowsTheirRepliesLengths) {
  Sequence sequence([](std::uint64_t number, std::string& out) {
    append_bulk_string(std::string(number, 'v'), out);
  });
  for (const std::size_t bytes : {0U, 9U, 10U, 1000U})
    sequence.add(bytes, std::array<std::string_view, 2>{"GET", "k"}, bulk_string_bytes(bytes));
  EXPECT_EQ(sequence.size(), 4U);
  EXPECT_EQ(sequence.requests(1, 2),
            "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
  for (std::size_t first = 0; first < sequence.size(); ++first) {
    std::string expected;
    sequence.append_expected(first, sequence.size() - first, expected);
    EXPECT_EQ(expected.size(), sequence.reply_bytes(first, sequence.size() - first));
  }
}

}  // namespace
}  // namespace nearlane::harness
