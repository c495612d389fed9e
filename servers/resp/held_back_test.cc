// What a session holds back so that a client that reads is never dropped, and who is dropped, over
// a real socket too.
#include <algorithm>
#include <array>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include "servers/loop/socket_pair.h"
#include "servers/resp/cache_session_fixture.h"
#include "servers/resp/connection.h"

namespace nearlane::resp {
namespace {

constexpr std::size_t kMost = 1'000'000;  // max_held of these tests
constexpr std::size_t kValue = 50'000;

class HeldBack : public CacheSessionTest {
 protected:
  HeldBack() { context_->limits.max_held = kMost; }

  /// Values that L1 does not have.
  void fill(std::size_t count, std::size_t size = kValue) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string value(size, 'v');
      EXPECT_EQ(serve(command({"MSET", key(i), value})), "+OK\r\n");
    }
  }
  static std::string command(const std::vector<std::string>& words) {
    std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words)
      bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    return bytes;
  }
  static std::string key(std::size_t number) { return "key" + std::to_string(number); }
  static std::string reads(std::size_t from, std::size_t end) {
    std::string bytes;
    for (std::size_t i = from; i < end; ++i) bytes += get(key(i));
    return bytes;
  }
  static std::size_t reply_size(std::size_t value = kValue) {
    return 1 + std::to_string(value).size() + 2 + value + 2;
  }
  /// Of the client's commands that wait for the store, one by one; the most that did at once.
  std::size_t answer_all(Client& client, std::string& replies) {
    std::size_t most = 0;
    while (l2_->held() > 0) {
      most = std::max(most, l2_->held());
      l2_->release(1);
      replies += client.settle();
    }
    // What L1 has by now waits for nothing but room.
    for (std::string more; !(more = client.serve("")).empty();) replies += more;
    return most;
  }
};

TEST_F(HeldBack, ReadsOfLargeValuesBehindTheFirstBurst) {
  fill(120);
  l2_->hold();
  const auto client = second();
  std::string replies = client->serve(reads(0, 60));
  EXPECT_EQ(answer_all(*client, replies), 60U) << "nothing is known of the first";
  replies += client->serve(reads(60, 120));
  EXPECT_TRUE(client->session->blocked());
  EXPECT_LE(answer_all(*client, replies), kMost / 2 / kValue);
  EXPECT_EQ(replies.size(), 120 * reply_size());
}

TEST_F(HeldBack, SmallRepliesAreAsManyAsEver) {
  fill(1100, 10);
  l2_->hold();
  const auto client = second();
  std::string replies = client->serve(reads(0, 1));
  answer_all(*client, replies);
  replies += client->serve(reads(1, 1100));
  EXPECT_EQ(l2_->held(), context_->limits.max_unanswered);
  answer_all(*client, replies);
  EXPECT_EQ(replies.size(), 1100 * reply_size(10));
}

TEST_F(HeldBack, WritesByTheirBytes) {
  l2_->hold();
  const auto client = second();
  std::string writes;
  for (std::size_t i = 0; i < 60; ++i) writes += command({"SET", key(i), std::string(kValue, 'v')});
  std::string replies = client->serve(writes);
  EXPECT_TRUE(client->session->blocked());
  EXPECT_LE(answer_all(*client, replies), kMost / 2 / kValue);
  EXPECT_EQ(replies.size(), 60 * std::string_view("+OK\r\n").size());
}

TEST_F(HeldBack, WhatIsLargerThanTheLimitGoesAlone) {
  const std::string large(2 * kMost, 'v');
  l2_->hold();
  const auto client = second();
  std::string replies =
      client->serve(command({"MSET", "a", large}) + command({"MSET", "b", large}) + get("a") +
                    get("b") + get("a") + get("b"));
  EXPECT_EQ(answer_all(*client, replies), 2U) << "two reads of the first burst";
  EXPECT_EQ(replies.size(), 10 + 4 * reply_size(2 * kMost));
}

TEST_F(HeldBack, AnMgetAsksForNothingOnceItIsTooLong) {
  fill(40);
  serve(reads(0, 21));  // L1 has more of them than may be
  l2_->hold();
  const auto client = second();
  std::vector<std::string> words = {"MGET"};
  for (std::size_t i = 0; i < 40; ++i) words.push_back(key(i));
  EXPECT_EQ(client->serve(command(words)),
            "-ERR nearlane: over a configured limit: the values of one MGET are too many bytes "
            "together\r\n");
  EXPECT_EQ(l2_->held(), 0U);
}

TEST_F(HeldBack, AnMgetWhoseValuesAreTooLongTogetherIsRefusedAndWhatFollowsIsAnswered) {
  fill(40);
  l2_->hold();
  const auto client = second();
  std::vector<std::string> words = {"MGET"};
  for (std::size_t i = 0; i < 40; ++i) words.push_back(key(i));
  std::string replies = client->serve(command(words) + get("none"));
  answer_all(*client, replies);
  EXPECT_EQ(replies,
            "-ERR nearlane: over a configured limit: the values of one MGET are too many bytes "
            "together\r\n$-1\r\n");
}

TEST_F(HeldBack, AMessageBehindABurstOfAnswersDropsNobody) {
  fill(60);
  const auto client = second();
  client->serve("HELLO 3\r\n");
  client->serve("SUBSCRIBE c\r\n");
  l2_->hold();
  client->serve(reads(0, 60));
  l2_->release(60);
  (void)context_->channels.publish("c", "m");
  loop_.context().restart();
  loop_.context().poll();
  EXPECT_FALSE(client->session->closing());
  std::string all;
  for (std::string more = client->settle(); !more.empty(); more = client->serve("")) all += more;
  EXPECT_EQ(all.size(), 60 * reply_size() + std::string_view(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n"
                                                             "$1\r\nm\r\n")
                                                .size());
}

/// A client with a real connection.
class HeldBackConnection : public HeldBack {
 protected:
  void connect(ConnectionLimits limits) {
    loop_.add(std::make_shared<Connection>(loop_, ends_[1], limits, [this](Session::Host& host) {
      auto session = CacheSession::make(*context_, host, ClientInfo{.address = "1.2.3.4:5"});
      return session;
    }));
  }
  ~HeldBackConnection() override {
    ::close(ends_[0]);
    run();
  }
  void run() {
    loop_.context().restart();
    loop_.context().poll();
  }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(ends_[0], bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
      run();
    }
  }
  /// A burst whose replies are all there before the client takes the first of them.
  void let_replies_pile_up() {
    fill(60);
    l2_->hold();
    send(reads(0, 60));
    ASSERT_EQ(l2_->held(), 60U);
    l2_->release(60);
    run();
  }
  std::size_t take(std::size_t want) {
    std::array<char, 65536> bytes;
    std::size_t taken = 0;
    for (int idle = 0; taken < want && idle < 100; ++idle) {
      ssize_t got = 0;
      while ((got = ::recv(ends_[0], bytes.data(), bytes.size(), 0)) > 0) {
        taken += static_cast<std::size_t>(got);
        idle = 0;
      }
      run();
    }
    return taken;
  }

  std::array<int, 2> ends_ = loop::unix_pair();
};

TEST_F(HeldBackConnection, WhoReadsIsNotDroppedThoughMoreWaitsThanMay) {
  connect({});
  let_replies_pile_up();
  EXPECT_EQ(loop_.connections(), 1U);
  EXPECT_EQ(take(60 * reply_size()), 60 * reply_size());
  EXPECT_EQ(loop_.connections(), 1U);
}

TEST_F(HeldBackConnection, WhoTakesNothingIsDroppedAndTheLogSaysSo) {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  connect({.transfer = std::chrono::milliseconds(0)});
  let_replies_pile_up();
  loop_.close_overdue(Clock::now());
  spdlog::set_default_logger(before);
  EXPECT_EQ(loop_.connections(), 0U);
  for (const std::string_view said :
       {"[warning]", "addr=1.2.3.4:5", "it has taken nothing for 0 ms", "1000000 may"})
    EXPECT_NE(log.str().find(said), std::string::npos) << said << " in " << log.str();
}

}  // namespace
}  // namespace nearlane::resp
