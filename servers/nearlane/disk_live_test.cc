// A server on rocksdb: that is killed under load, again and again: whatever it acknowledged is there when it is back,
// in every fsync mode.
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "servers/nearlane/live_processes.h"

namespace nearlane::live {
namespace {

constexpr int kWriters = 4;
constexpr int kPipeline = 16;      // writes of one client under way
constexpr int kKillAfter = 3'000;  // acknowledged writes of all clients together
constexpr int kRounds = 3;

struct Writer {
  std::string prefix;
  int acknowledged = 0;

  [[nodiscard]] std::string set(int i) const {
    const std::string number = std::to_string(i);
    return "SET " + prefix + number + " v" + number + "\r\n";
  }

  /// Writes until the server is gone.
  void run(int port, std::atomic<int>& total) {
    const int fd = dial(port);
    for (bool open = true; open;) {
      std::string commands;
      for (int i = 0; i < kPipeline; ++i) commands += set(acknowledged + i);
      open = ::send(fd, commands.data(), commands.size(), MSG_NOSIGNAL) > 0;
      const int wanted = acknowledged + kPipeline;
      std::string replies;
      std::array<char, 4096> chunk{};
      while (open && acknowledged < wanted) {
        const ssize_t got = ::recv(fd, chunk.data(), chunk.size(), 0);
        open = got > 0;
        if (open) replies.append(chunk.data(), static_cast<std::size_t>(got));
        for (std::size_t end = 0; (end = replies.find("\r\n")) != std::string::npos;) {
          EXPECT_EQ(replies.substr(0, end), "+OK");
          replies.erase(0, end + 2);
          ++acknowledged;
          ++total;
        }
      }
    }
    ::close(fd);
  }

  void expect_all(int port) const {
    std::string commands;
    std::string wanted;
    for (int i = 0; i < acknowledged; ++i) {
      const std::string number = std::to_string(i);
      commands += "GET " + prefix + number + "\r\n";
      wanted += "$" + std::to_string(number.size() + 1) + "\r\nv" + number + "\r\n";
    }
    EXPECT_EQ(converse(port, commands), wanted) << prefix;
  }
};

/// Sets all keys of a transaction to one number after the other until the server is gone.
struct Transactor {
  static constexpr int kKeys = 5;
  int acknowledged = 0;

  [[nodiscard]] static std::string exec(const std::string& number) {
    std::string commands = "MULTI\r\n";
    for (int key = 0; key < kKeys; ++key)
      commands += "SET tx:" + std::to_string(key) + " " + number + "\r\n";
    return commands + "HSET tx:hash f " + number + "\r\nEXEC\r\n";
  }
  /// The values of all keys, with the number of commands in front.
  [[nodiscard]] static std::string read_all() {
    std::string commands;
    for (int key = 0; key < kKeys; ++key) commands += "GET tx:" + std::to_string(key) + "\r\n";
    return commands + "HGET tx:hash f\r\n";
  }

  void run(int port, std::atomic<int>& total) {
    const int fd = dial(port);
    std::array<char, 4096> chunk{};
    for (bool open = true; open;) {
      const std::string commands = exec(std::to_string(acknowledged + 1));
      open = ::send(fd, commands.data(), commands.size(), MSG_NOSIGNAL) > 0;
      // EXEC's answer ends with what HSET says: that the field is new once, and old ever after.
      std::string replies;
      while (open && !replies.ends_with("+OK\r\n:0\r\n") && !replies.ends_with("+OK\r\n:1\r\n")) {
        const ssize_t got = ::recv(fd, chunk.data(), chunk.size(), 0);
        open = got > 0;
        if (open) replies.append(chunk.data(), static_cast<std::size_t>(got));
      }
      if (open) ++acknowledged, ++total;
    }
    ::close(fd);
  }
};

class DiskLive : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Fsync, DiskLive, testing::Values("always", "everysec", "no"),
                         [](const auto& tested) { return tested.param; });

TEST_P(DiskLive, AKillCostsNothingThatWasAcknowledged) {
  const Directory directory;
  const std::vector<std::string> flags = {"--l2-fsync", GetParam(), "--threads", "2"};
  std::vector<Writer> all;
  for (int round = 0; round < kRounds; ++round) {
    auto server = std::make_unique<Nearlane>(directory.url(), flags);
    std::vector<Writer> writers(kWriters);
    std::atomic<int> total{0};
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < kWriters; ++i) {
        Writer& writer = writers[static_cast<std::size_t>(i)];
        writer.prefix = "r" + std::to_string(round) + "w" + std::to_string(i) + ":";
        threads.emplace_back([&writer, &total, port = server->resp] { writer.run(port, total); });
      }
      while (total < kKillAfter) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      server.reset();  // SIGKILL
    }
    all.insert(all.end(), writers.begin(), writers.end());
    const Nearlane again(directory.url(), flags);
    for (const Writer& writer : all) writer.expect_all(again.resp);
  }
}

TEST(DiskDirectory, ASecondServerOnTheSameDirectorySaysWhy) {
  const Directory directory;
  const Nearlane first(directory.url());
  const std::string said =
      run(std::string(NEARLANE_BINARY) + " --resp 127.0.0.1:0 --http off --l2 " + directory.url());
  EXPECT_THAT(said, testing::HasSubstr("in use by another process"));
  EXPECT_THAT(said, testing::EndsWith("exit 2"));
}

TEST_P(DiskLive, AKillLeavesAllOfATransactionOrNothing) {
  const Directory directory;
  const std::vector<std::string> flags = {"--l2-fsync", GetParam(), "--threads", "2"};
  constexpr int kTransactions = 300;
  int wanted = 0;
  for (int round = 0; round < kRounds; ++round) {
    auto server = std::make_unique<Nearlane>(directory.url(), flags);
    // What shares the groups with it.
    Writer writer{.prefix = "beside" + std::to_string(round) + ":"};
    Transactor transactor{.acknowledged = wanted};
    std::atomic<int> total{0};
    std::atomic<int> beside{0};
    {
      std::jthread writing([&, port = server->resp] { writer.run(port, beside); });
      std::jthread transacting([&, port = server->resp] { transactor.run(port, total); });
      while (total < kTransactions) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      server.reset();  // SIGKILL
    }
    const Nearlane back(directory.url(), flags);
    const std::string values = converse(back.resp, Transactor::read_all());
    const std::string one = values.substr(0, values.size() / (Transactor::kKeys + 1));
    std::string all;
    for (int key = 0; key <= Transactor::kKeys; ++key) all += one;
    EXPECT_EQ(values, all) << "all keys are of one transaction";
    const int found = std::stoi(one.substr(one.find('\n') + 1));
    EXPECT_TRUE(found == transactor.acknowledged || found == transactor.acknowledged + 1)
        << found << " but " << transactor.acknowledged << " were acknowledged";
    wanted = found;
  }
}

}  // namespace
}  // namespace nearlane::live
