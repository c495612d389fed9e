// What the lane's tests share: a lane over plain bytes, and a journal of what it did in which order.
//
// Threads:   one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/cohere/lane.h"
#include "core/protocol/command_parser.h"

namespace nearlane::cohere {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr TimePoint kStart{seconds(1000)};
inline constexpr std::string_view kMaster =
    "=51\r\ntxt:# Replication\r\nrole:master\r\nmaster_replid:one\r\n\r\n";
inline constexpr std::string_view kHello = "%1\r\n+server\r\n+redis\r\n";
inline constexpr std::string_view kHandshake =
    "%1\r\n+server\r\n+redis\r\n+OK\r\n+OK\r\n=51\r\ntxt:# "
    "Replication\r\nrole:master\r\nmaster_replid:one\r\n\r\n";

/// Records in which order a lane settled calls and announced invalidations.
struct Journal final : Listener {
  void invalidate(std::string_view name) noexcept override {
    events.push_back("invalidate " + std::string(name));
  }
  void hinted(std::string_view hint) noexcept override {
    events.push_back("hinted " + std::string(hint));
  }
  std::vector<std::string> events;
  std::map<std::string, Answer> answers;
};

class Recorded final : public Call {
 public:
  Recorded(Journal& journal, std::string label, Command what)
      : Call(std::move(what)), journal_(journal), label_(std::move(label)) {}
  void settle(const Answer&) noexcept override { journal_.events.push_back("settle " + label_); }
  void complete(Answer answer) noexcept override { journal_.answers[label_] = std::move(answer); }

 private:
  Journal& journal_;
  std::string label_;
};

class LaneTest : public testing::Test {
 protected:
  explicit LaneTest(const LaneConfig& config = {}) : lane(config, view, journal) {}

  void make_ready() {
    lane.connect();
    lane.connected(now);
    (void)sent();
    lane.received(kHandshake, now);
    (void)sent();
    ASSERT_EQ(lane.state(), Lane::State::ready);
  }

  void submit(const std::string& label, Command command) {
    if (command.deadline == kForever) command.deadline = now + milliseconds(500);
    lane.submit(std::make_unique<Recorded>(journal, label, std::move(command)), now);
  }
  void fetch(const std::string& label, const std::string& key) {
    submit(label, {.op = Op::fetch, .key = Key(0, key)});
  }

  /// The commands that the lane has written since the last call, each as words joined by spaces.
  std::vector<std::string> sent() {
    std::vector<std::string> commands;
    std::string bytes = std::exchange(lane.output(), {});
    std::string_view rest = bytes;
    protocol::CommandParser parser;
    while (!rest.empty()) {
      const auto status = parser.parse(rest);
      EXPECT_TRUE(status && *status == protocol::CommandParser::Status::complete);
      std::string line;
      for (const std::string_view word : parser.args()) {
        if (!line.empty()) line += ' ';
        line += word;
      }
      commands.push_back(line);
      rest.remove_prefix(parser.consumed());
    }
    return commands;
  }

  TimePoint now = kStart;
  LaneView view;
  Journal journal;
  Lane lane;
};

using Words = std::vector<std::string>;

}  // namespace nearlane::cohere
