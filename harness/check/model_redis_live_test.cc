// The simulation's model Redis against a real redis-server: random commands of tracked and untracked
// connections, the same replies and the same invalidations in the same places.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/protocol/writer.h"
#include "core/tier/sim/model_redis.h"
#include "core/tier/sim/random.h"
#include "harness/check/raw_client.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using protocol::Reply;
using sim::ModelRedis;
using Words = std::vector<std::string>;

constexpr std::size_t kPeers = 4;  // the last one tracks nothing

std::string bytes_of(const Words& words) {
  std::string bytes;
  protocol::append_command(bytes, std::span<const std::string>(words));
  return bytes;
}

/// As text; a PTTL, which depends on when it was asked, only as being one.
std::string text_of(Reply reply) {
  for (Reply& element : reply.elements) {
    if (element.type == protocol::Type::integer && element.integer > 1000) element.integer = 1001;
  }
  if (reply.type == protocol::Type::integer && reply.integer > 1000) reply.integer = 1001;
  std::string text;
  protocol::append_reply(text, reply, protocol::Version::resp3);
  return text;
}

class ModelRedisDifferential : public testing::Test {
 protected:
  /// What one connection was told, in order.
  using Stream = std::vector<std::string>;

  /// One script of commands, played to both.
  void play(std::uint64_t seed) {
    sim::Random random(seed);
    const bool two_dbs = random.once_in(2);
    sim::History history;
    ModelRedis model(history,
                     {{0, "a"}, two_dbs ? ModelRedis::Name{1, "a"} : ModelRedis::Name{0, "b"}},
                     ModelRedis::Form::proper);
    std::vector<RawClient> real;
    std::array<Stream, kPeers> theirs;
    std::array<Stream, kPeers> ours;
    std::array<ModelRedis::Client, kPeers> peers{};
    const TimePoint now{std::chrono::seconds(1)};
    std::string script;

    const auto hear_model = [&] {
      for (std::size_t i = 0; i < kPeers; ++i) {
        std::string_view rest = model.output(peers[i]);
        protocol::ReplyParser parser;
        while (!rest.empty()) ours[i].push_back(text_of(parser.next(rest).value().value()));
        model.output(peers[i]).clear();
      }
    };
    const auto hear_real = [&](std::size_t i) {
      bool pushed = true;
      while (pushed) {
        const Reply reply = real[i].read().value().reply;
        pushed = reply.type == protocol::Type::push;
        theirs[i].push_back(text_of(reply));
      }
    };
    const auto say = [&](std::size_t i, const Words& to_real, const Words& to_model) {
      for (const auto& word : to_real) script += word + " ";
      script += "(" + std::to_string(i) + ")\n";
      ASSERT_TRUE(real[i].send(bytes_of(to_real)));
      hear_real(i);
      model.receive(peers[i], bytes_of(to_model), now);
      hear_model();
    };

    for (std::size_t i = 0; i < kPeers; ++i) {
      real.push_back(RawClient::connect(redis.endpoint()).value());
      peers[i] = model.connect();
      say(i, {"HELLO", "3"}, {"HELLO", "3"});
      ours[i].clear();  // it tells more of itself than the model does
      theirs[i].clear();
      const Words tracking = {"CLIENT", "TRACKING", "ON", "OPTIN", "NOLOOP"};
      if (i + 1 < kPeers) say(i, tracking, tracking);
    }
    say(kPeers - 1, {"FLUSHALL"}, {"FLUSHALL", "#900"});
    // SUBSCRIBE is answered by a push, and PING shows that it has come.
    const std::string subscribe = bytes_of({"SUBSCRIBE", "ch"}) + bytes_of({"PING"});
    ASSERT_TRUE(real[0].send(subscribe));
    hear_real(0);
    model.receive(peers[0], subscribe, now);
    hear_model();

    std::array<bool, kPeers> in_multi{};
    int version = 0;
    for (int step = 0; step < 60; ++step) {
      const std::size_t i = random.below(kPeers);
      const std::string key = !two_dbs && random.once_in(2) ? "b" : "a";
      const std::string value = std::to_string(++version);
      Words command;
      switch (random.below(16)) {
        case 15:
          // Whoever has subscribed and publishes himself is not asked for here: where his own message stands
          // depends on Redis's version.
          command = {"PUBLISH", "ch", value};
          if (in_multi[i] || i == 0) command = {"PING"};
          break;
        case 0:
        case 1:
          command = {"SET", key, value};
          break;
        case 2:
          command = {"SET", key, value, "PX", "100000000"};
          break;
        case 3:
          command = {"SET", key, value, random.once_in(2) ? "NX" : "XX"};
          break;
        case 4:
          command = {"DEL", key, "#" + value};
          break;
        case 5:
          command = {"PEXPIRE", key, "100000000"};
          break;
        case 6:
          command = {"PTTL", key};
          break;
        case 7:
          if (random.once_in(2)) {
            command = {"EXISTS", key};
          } else {
            command = {"GETRANGE", key, random.once_in(2) ? "0" : "1", "16383"};
          }
          break;
        case 8:
          command = {"SELECT", two_dbs && random.once_in(2) ? "1" : "0"};
          break;
        case 9:
          command = {in_multi[i] ? "EXEC" : "MULTI"};
          break;
        case 10:
          if (i + 1 < kPeers && !in_multi[i])
            say(i, {"CLIENT", "CACHING", "YES"}, {"CLIENT", "CACHING", "YES"});
          command = {in_multi[i] ? "EXEC" : "MULTI"};
          break;
        case 11:
          if (i + 1 == kPeers && !in_multi[i] && random.once_in(3)) {
            say(i, {"FLUSHALL"}, {"FLUSHALL", "#" + value});
            ++version;
          }
          command = {"PING"};
          break;
        default:
          if (i + 1 < kPeers && !in_multi[i])
            say(i, {"CLIENT", "CACHING", "YES"}, {"CLIENT", "CACHING", "YES"});
          command = {"GET", key};
          break;
      }
      if (command[0] == "MULTI" || command[0] == "EXEC") in_multi[i] = !in_multi[i];
      say(i, command, command);
    }
    for (std::size_t i = 0; i < kPeers; ++i) {
      if (in_multi[i]) say(i, {"EXEC"}, {"EXEC"});
    }
    for (std::size_t i = 0; i < kPeers; ++i) say(i, {"PING"}, {"PING"});
    for (std::size_t i = 0; i < kPeers; ++i) {
      ASSERT_EQ(ours[i], theirs[i]) << "seed " << seed << ", connection " << i << "\n" << script;
    }
  }

  RedisServer redis = RedisServer::start().value();
};

TEST_F(ModelRedisDifferential, TellsEveryConnectionWhatRedisTellsIt) {
  for (std::uint64_t seed = 1; seed <= 150 && !HasFatalFailure(); ++seed) play(seed);
}

}  // namespace
}  // namespace nearlane::harness
