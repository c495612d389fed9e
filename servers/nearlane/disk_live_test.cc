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

}  // namespace
}  // namespace nearlane::live
