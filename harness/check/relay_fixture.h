// What the tests of relayed commands have in common: a real redis-server, and an instance in front of it whose L1 serves
// whatever it is not told to forget.
#pragma once

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "harness/check/raw_client.h"
#include "harness/topology/eventually.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {

class RelayFixture : public testing::Test {
 protected:
  static constexpr unsigned kLanes = 4;
  /// For what takes milliseconds unless something is wrong.
  static constexpr Duration kPatience = std::chrono::seconds(20);

  void start(std::vector<std::string> flags = {}, const std::string& l2 = {}) {
    std::vector<std::string> all{"--threads", "1",      "--lease",
                                 "30s",       "--pool", std::to_string(kLanes)};
    all.insert(all.end(), flags.begin(), flags.end());
    auto started = Instance::start({.l2 = l2.empty() ? redis.url() : l2, .flags = std::move(all)});
    if (!started) throw std::runtime_error(started.error().detail);
    nearlane.emplace(std::move(*started));
    const auto up = nearlane->lanes_up_within(kLanes, kPatience);
    if (!up) throw std::runtime_error(up.error().detail);
  }
  [[nodiscard]] RawClient connect() const { return RawClient::connect(nearlane->resp()).value(); }

  /// A client of ours and one of `plain`, a Redis to compare with: both in this version, and both stores empty.
  std::pair<RawClient, RawClient> both(const RedisServer& plain, const std::string& version) {
    direct("FLUSHALL");
    auto ours = connect();
    auto theirs = RawClient::connect(plain.endpoint()).value();
    ask(theirs, "FLUSHALL");
    ask(ours, "HELLO " + version);
    ask(theirs, "HELLO " + version);
    return {std::move(ours), std::move(theirs)};
  }

  template <class Condition>
  static bool soon(Condition&& condition) {
    return eventually(std::forward<Condition>(condition), kPatience);
  }
  static std::string ask(RawClient& client, const std::string& inline_command) {
    EXPECT_TRUE(client.send(inline_command + "\r\n"));
    const auto reply = client.read(kPatience);
    return reply ? reply->bytes : "no reply: " + reply.error().detail;
  }
  /// Of Redis itself, without Nearlane between.
  std::string direct(const std::string& inline_command) {
    auto client = RawClient::connect(redis.endpoint()).value();
    return ask(client, inline_command);
  }
  /// Connections by which Nearlane speaks for clients, as Redis sees them; -1: it does not say.
  long relays() {
    const std::string list = direct("CLIENT LIST");
    if (!list.starts_with('$')) return -1;
    long count = 0;
    for (auto at = list.find("name=nearlane-relay"); at != std::string::npos;
         at = list.find("name=nearlane-relay", at + 1))
      ++count;
    return count;
  }

  RedisServer redis = RedisServer::start().value();
  std::optional<Instance> nearlane;
};

}  // namespace nearlane::harness
