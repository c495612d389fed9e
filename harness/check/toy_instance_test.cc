// The checker against instances of a hundred lines: one that caches without listening to anybody and two that let a
// connection's writes overtake its reads, or its reads its writes, which it must catch, and one that asks Redis every
// time, which it must not accuse.
#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/protocol/command_parser.h"
#include "harness/check/history.h"
#include "harness/check/traffic.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kBound = 250ms;

/// Speaks enough RESP for the traffic; a thread for each connection.
class ToyInstance {
 public:
  enum class Fault : std::uint8_t { none, never_invalidates, writes_overtake, reads_overtake };

  ToyInstance(Endpoint redis, Fault fault)
      : redis_(std::move(redis)),
        fault_(fault),
        listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    (void)::bind(listener_, generic, size);
    (void)::listen(listener_, 64);
    (void)::getsockname(listener_, generic, &size);
    endpoint_ = {.host = "127.0.0.1", .port = ntohs(address.sin_port)};
    accepting_ = std::thread([this] {
      for (int peer = 0; (peer = ::accept(listener_, nullptr, nullptr)) >= 0;) {
        serving_.emplace_back([this, peer] { serve(peer); });
      }
    });
  }
  /// Its clients have gone by then.
  ~ToyInstance() {
    ::shutdown(listener_, SHUT_RDWR);
    accepting_.join();
    for (auto& thread : serving_) thread.join();
    ::close(listener_);
  }

  [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }

 private:
  void serve(int peer) {
    RedisClient redis(redis_);
    protocol::CommandParser parser;
    std::string input;
    std::array<char, 65536> chunk{};
    for (ssize_t got = 0; (got = ::recv(peer, chunk.data(), chunk.size(), 0)) > 0;) {
      input.append(chunk.data(), static_cast<std::size_t>(got));
      std::vector<std::vector<std::string>> commands;
      std::size_t taken = 0;
      for (;;) {
        const auto status = parser.parse(std::string_view(input).substr(taken));
        if (!status || *status != protocol::CommandParser::Status::complete) break;
        commands.emplace_back(parser.args().begin(), parser.args().end());
        taken += parser.consumed();
      }
      input.erase(0, taken);
      const std::string output = execute(redis, commands);
      for (std::string_view left = output; !left.empty();) {
        const auto sent = ::send(peer, left.data(), left.size(), MSG_NOSIGNAL);
        if (sent <= 0) break;
        left.remove_prefix(static_cast<std::size_t>(sent));
      }
    }
    ::close(peer);
  }

  /// What came in together; the replies in its order.
  std::string execute(RedisClient& redis, const std::vector<std::vector<std::string>>& commands) {
    std::vector<std::string> replies(commands.size());
    const auto some = [&](bool reads) {
      for (std::size_t i = 0; i < commands.size(); ++i) {
        if ((commands[i][0] == "GET") == reads) replies[i] = execute(redis, commands[i]);
      }
    };
    if (fault_ == Fault::writes_overtake || fault_ == Fault::reads_overtake) {
      const bool reads_first = fault_ == Fault::reads_overtake;
      some(reads_first);
      some(!reads_first);
    } else {
      for (std::size_t i = 0; i < commands.size(); ++i) replies[i] = execute(redis, commands[i]);
    }
    std::string output;
    for (const auto& reply : replies) output += reply;
    return output;
  }
  std::string execute(RedisClient& redis, const std::vector<std::string>& words) {
    const std::vector<std::string_view> command(words.begin(), words.end());
    const std::string& key = words[1];
    const bool caches = fault_ == Fault::never_invalidates;
    if (command[0] != "GET") {
      // What it writes itself it knows; only what others write it never hears of.
      const auto reply = redis.command(command);
      const std::lock_guard lock(mutex_);
      values_.erase(key);
      if (!reply) return "-ERR no Redis\r\n";
      return command[0] == "SET" ? "+OK\r\n" : ":" + std::to_string(reply->integer) + "\r\n";
    }
    if (caches) {
      const std::lock_guard lock(mutex_);
      if (const auto found = values_.find(key); found != values_.end()) return bulk(found->second);
    }
    const auto reply = redis.command(command);
    if (!reply) return "-ERR no Redis\r\n";
    if (reply->is_nil()) return "$-1\r\n";
    if (caches) {
      const std::lock_guard lock(mutex_);
      values_[key] = reply->text;
    }
    return bulk(reply->text);
  }

  static std::string bulk(const std::string& value) {
    return "$" + std::to_string(value.size()) + "\r\n" + value + "\r\n";
  }

  const Endpoint redis_;
  const Fault fault_;
  const int listener_;
  Endpoint endpoint_;
  std::thread accepting_;
  std::vector<std::thread> serving_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::string> values_;
};

struct Found {
  HistoryReport report;
  Settled settled;
};

Found check(ToyInstance::Fault fault) {
  Found found;
  auto redis = RedisServer::start();
  EXPECT_TRUE(redis) << redis.error().detail;
  if (!redis) return found;
  ToyInstance toys[] = {{redis->endpoint(), fault}, {redis->endpoint(), fault}};
  History history({.bound = kBound});
  {
    Traffic traffic({.doors = {{.node = 0, .endpoint = toys[0].endpoint()},
                               {.node = 1, .endpoint = toys[1].endpoint()},
                               {.node = kStore, .endpoint = redis->endpoint()}},
                     .keys = 200},
                    history);
    traffic.start();
    std::this_thread::sleep_for(1s);
    traffic.stop();
    const auto settled = traffic.settle();
    EXPECT_TRUE(settled) << settled.error().detail;
    if (settled) found.settled = *settled;
    EXPECT_EQ(traffic.counts().failed, 0U);
  }
  found.report = history.take_report();
  EXPECT_GT(found.report.reads, 1000U);
  return found;
}

TEST(ToyInstances, ThatNeverInvalidateAreCaught) {
  const auto found = check(ToyInstance::Fault::never_invalidates);
  EXPECT_GT(found.report.stale, 0U);
  EXPECT_GT(found.report.lateness.max(), kBound);
  EXPECT_FALSE(found.report.violations.empty());
  EXPECT_GT(found.settled.different, 0U) << "and some of it stays for ever";
}

TEST(ToyInstances, ThatLetWritesOvertakeReadsAreCaught) {
  const auto found = check(ToyInstance::Fault::writes_overtake);
  EXPECT_GT(found.report.wrong, 0U);
  EXPECT_EQ(found.report.stale, 0U);
  EXPECT_THAT(found.report.violations,
              testing::Each(testing::HasSubstr("its connection wrote it later")));
}

TEST(ToyInstances, ThatLetReadsOvertakeWritesAreCaught) {
  const auto found = check(ToyInstance::Fault::reads_overtake);
  EXPECT_GT(found.report.own_lost, 0U);
  EXPECT_EQ(found.report.stale, 0U);
  EXPECT_EQ(found.settled.different, 0U) << "what is there in the end is right";
  EXPECT_THAT(found.report.violations,
              testing::Each(testing::HasSubstr("behind its connection's write")));
}

TEST(ToyInstances, ThatCacheNothingAreNotAccused) {
  const auto found = check(ToyInstance::Fault::none);
  EXPECT_EQ(found.report.violations, std::vector<std::string>{});
  EXPECT_EQ(found.report.lateness.count(), 0U) << "no read was even late";
  EXPECT_EQ(found.settled.different, 0U);
}

}  // namespace
}  // namespace nearlane::harness
