// Nearlane's RESP door against a plain redis-server: the same bytes in, the same bytes out, over
// both kinds of L2, in RESP2 and RESP3, however the commands arrive.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "harness/check/command_gen.h"
#include "harness/check/raw_client.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

enum class Delivery : std::uint8_t { one_by_one, pipelined, in_pieces, bytewise, inlined };

struct Setting {
  bool over_redis;
  int version;
  Delivery delivery;
  int threads = 1;
};

std::string name_of(const testing::TestParamInfo<Setting>& info) {
  static constexpr std::string_view kDeliveries[] = {"OneByOne", "Pipelined", "InPieces",
                                                     "Bytewise", "Inlined"};
  return std::string(info.param.over_redis ? "Redis" : "Memory") + "Resp" +
         std::to_string(info.param.version) +
         std::string(kDeliveries[static_cast<std::size_t>(info.param.delivery)]) +
         std::to_string(info.param.threads) + "Loops";
}

void say_hello(RawClient& client, int version) {
  const std::string number = std::to_string(version);
  ASSERT_TRUE(client.send(to_bytes({"HELLO", number})));
  ASSERT_TRUE(client.read());
}

class RespDifferential : public testing::TestWithParam<Setting> {
 protected:
  void SetUp() override {
    InstanceOptions options;
    if (GetParam().over_redis) options.l2 = store.url();
    options.flags = {"--threads", std::to_string(GetParam().threads)};
    auto started = Instance::start(options);
    ASSERT_TRUE(started) << started.error().detail;
    nearlane.emplace(std::move(*started));
  }

  // The commands as they go over the wire, in as many sends as the delivery asks for.
  [[nodiscard]] static std::vector<std::string> sends_of(const std::vector<Words>& commands) {
    std::string all;
    std::vector<std::string> sends;
    for (const auto& command : commands) {
      const bool inlined = GetParam().delivery == Delivery::inlined;
      const std::string bytes = inlined ? to_inline(command) : to_bytes(command);
      if (GetParam().delivery == Delivery::one_by_one) sends.push_back(bytes);
      all += bytes;
    }
    if (GetParam().delivery == Delivery::one_by_one) return sends;
    std::size_t most = all.size();
    if (GetParam().delivery == Delivery::in_pieces) most = 1500;
    if (GetParam().delivery == Delivery::bytewise) most = 1;
    while (!all.empty()) {
      // Past the first KiBs single bytes would only repeat themselves.
      if (most == 1 && sends.size() > 2000) most = all.size();
      const auto size =
          std::min(most > 1 ? *rc::gen::noShrink(rc::gen::inRange<std::size_t>(1, most + 1)) : 1,
                   all.size());
      sends.push_back(all.substr(0, size));
      all.erase(0, size);
    }
    return sends;
  }

  static std::vector<RawReply> replies_of(RawClient& client, const std::vector<Words>& commands,
                                          const std::vector<std::string>& sends) {
    std::vector<RawReply> replies;
    for (const auto& bytes : sends) {
      RC_ASSERT(client.send(bytes).has_value());
      if (GetParam().delivery == Delivery::one_by_one) {
        replies.push_back(client.read().value());
      }
    }
    while (replies.size() < commands.size()) replies.push_back(client.read().value());
    return replies;
  }

  RedisServer store = RedisServer::start().value();  // Nearlane's L2
  RedisServer redis = RedisServer::start().value();  // what is right
  std::optional<Instance> nearlane;
};

TEST_P(RespDifferential, AnswersAsRedisDoes) {
  auto ours = RawClient::connect(nearlane->resp()).value();
  auto theirs = RawClient::connect(redis.endpoint()).value();
  say_hello(ours, GetParam().version);
  say_hello(theirs, GetParam().version);
  EXPECT_TRUE(rc::check([&] {
    // Shrinking over the wire would take longer than reading the history.
    std::vector<Words> commands = *rc::gen::noShrink(any_commands());
    commands.insert(commands.begin(), {"FLUSHALL"});
    const auto sends = sends_of(commands);
    const auto we = replies_of(ours, commands, sends);
    const auto they = replies_of(theirs, commands, sends);
    std::string history;
    for (std::size_t i = 0; i < commands.size(); ++i) {
      history += to_text(commands[i]) + "\n";
      const bool same = agree(commands[i], we[i].reply, they[i].reply) &&
                        (we[i].reply != they[i].reply || we[i].bytes == they[i].bytes);
      if (!same) RC_FAIL(history + "ours: " + we[i].bytes + "redis: " + they[i].bytes);
    }
  }));
}

INSTANTIATE_TEST_SUITE_P(
    Doors, RespDifferential,
    testing::Values(Setting{true, 2, Delivery::pipelined}, Setting{true, 3, Delivery::one_by_one},
                    Setting{true, 3, Delivery::in_pieces, 2}, Setting{true, 2, Delivery::bytewise},
                    Setting{true, 2, Delivery::inlined}, Setting{false, 2, Delivery::one_by_one},
                    Setting{false, 3, Delivery::pipelined, 2},
                    Setting{false, 2, Delivery::in_pieces}, Setting{false, 3, Delivery::inlined}),
    name_of);

}  // namespace
}  // namespace nearlane::harness
