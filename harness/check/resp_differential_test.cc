// Nearlane's RESP door against a plain redis-server: the same bytes in, the same bytes out, over
// both kinds of L2, in RESP2 and RESP3, however the commands arrive.
#include <algorithm>
#include <optional>
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

/// two_clients: one by one, each command from the other of two connections.
enum class Delivery : std::uint8_t {
  one_by_one,
  two_clients,
  pipelined,
  in_pieces,
  bytewise,
  inlined
};

struct Setting {
  std::string name;
  bool over_redis;
  int version;
  Delivery delivery;
  std::vector<std::string> flags = {};

  [[nodiscard]] bool waits() const {
    return delivery == Delivery::one_by_one || delivery == Delivery::two_clients;
  }
  friend void PrintTo(const Setting& setting, std::ostream* out) { *out << setting.name; }
};

// Redis's own limit of a line is 64 KiB; longer commands go as arrays.
constexpr std::size_t kLongestLine = 60'000;

std::string bytes_of(const Words& command, Delivery delivery) {
  if (delivery != Delivery::inlined) return to_bytes(command);
  std::string line = to_inline(command);
  return line.size() < kLongestLine ? line : to_bytes(command);
}

// The commands as they go over the wire, in as many sends as the delivery asks for.
std::vector<std::string> sends_of(const std::vector<Words>& commands, const Setting& setting) {
  std::string all;
  std::vector<std::string> sends;
  for (const auto& command : commands) {
    sends.push_back(bytes_of(command, setting.delivery));
    all += sends.back();
  }
  if (setting.waits()) return sends;
  sends.clear();
  std::size_t most = all.size();
  if (setting.delivery == Delivery::in_pieces) most = 1500;
  if (setting.delivery == Delivery::bytewise) most = 1;
  std::string_view rest = all;
  while (!rest.empty()) {
    // Past the first KiBs single bytes would only repeat themselves.
    if (most == 1 && sends.size() > 2000) most = rest.size();
    std::size_t size = std::min(most, rest.size());
    if (setting.delivery == Delivery::in_pieces) {
      size = *rc::gen::noShrink(rc::gen::inRange<std::size_t>(1, size + 1));
    }
    sends.emplace_back(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  return sends;
}

// Puts commands about the connection itself between the others.
std::vector<Words> with_connection_commands(std::vector<Words> commands, bool unknown_too) {
  std::vector<Words> extra = {{"PING"},
                              {"ping", "x\r\ny"},
                              {"PING", "a", "b"},
                              {"ECHO", "back"},
                              {"ECHO"},
                              {"SELECT", "1"},
                              {"SELECT", "0"},
                              {"SELECT", "15"},
                              {"SELECT", "16"},
                              {"SELECT", "63"},
                              {"SELECT", "64"},
                              {"SELECT", "3000000000"},
                              {"SELECT", "-1"},
                              {"SELECT", "x"},
                              {"HELLO", "2"},
                              {"HELLO", "3"},
                              {"HELLO", "4"},
                              {"HELLO", "x"},
                              {"HELLO", "3", "what"},
                              {"HELLO", "3", "SETNAME", "a b"},
                              {"HELLO", "2", "SETNAME", "named"},
                              {"CLIENT", "GETNAME"},
                              {"CLIENT", "SETNAME", "me"},
                              {"CLIENT", "SETNAME", "not me"},
                              {"CLIENT", "SETNAME"},
                              {"CLIENT", "NOPE", "x"},
                              {"CLIENT", "REPLY", "x"},
                              {"AUTH", "x"},
                              {"AUTH", "default", "x"},
                              {"AUTH", "nobody", "x"},
                              {"AUTH", "a", "b", "c"},
                              {"RESET"}};
  if (unknown_too) {
    extra.insert(extra.end(), {{"NOPE"},
                               {"NO\r\nPE", "a\r\nb"},
                               {"NOPE", std::string(200, 'x'), "y"},
                               {std::string(200, 'n'), "y", "", "z"}});
  }
  const auto count = *rc::gen::inRange<std::size_t>(0, 8);
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = *rc::gen::inRange<std::size_t>(0, commands.size() + 1);
    commands.insert(commands.begin() + static_cast<std::ptrdiff_t>(at), *rc::gen::elementOf(extra));
  }
  return commands;
}

bool is_greeting(const RawReply& reply) {
  return reply.bytes.find("proto\r\n") != std::string::npos;
}

/// A greeting names a client by its number, which differs.
bool same(const Words& command, const RawReply& a, const RawReply& b) {
  if (command[0] == "HELLO" && is_greeting(a) && is_greeting(b)) {
    return a.reply.type == b.reply.type && a.reply.elements.size() == b.reply.elements.size();
  }
  return agree(command, a.reply, b.reply) && (a.reply != b.reply || a.bytes == b.bytes);
}

class RespDifferential : public testing::TestWithParam<Setting> {
 protected:
  void SetUp() override {
    InstanceOptions options;
    if (GetParam().over_redis) options.l2 = store.url();
    options.flags = GetParam().flags;
    // The first command may wait for connections that are still being made.
    if (GetParam().over_redis) options.flags.insert(options.flags.end(), {"--l2-timeout", "10s"});
    auto started = Instance::start(options);
    ASSERT_TRUE(started) << started.error().detail;
    nearlane.emplace(std::move(*started));
  }

  static std::vector<RawReply> replies_of(std::vector<RawClient>& clients,
                                          const std::vector<Words>& commands,
                                          const std::vector<std::string>& sends) {
    std::vector<RawReply> replies;
    const auto read = [&](RawClient& client) {
      auto reply = client.read();
      if (!reply) RC_FAIL("after " + to_text(commands[replies.size()]) + reply.error().detail);
      replies.push_back(std::move(*reply));
    };
    for (const auto& bytes : sends) {
      RawClient& client = clients[replies.size() % clients.size()];
      RC_ASSERT(client.send(bytes).has_value());
      if (GetParam().waits()) read(client);
    }
    while (replies.size() < commands.size()) read(clients.front());
    return replies;
  }

  // Both servers empty, and connections fresh but for their version.
  static std::vector<RawClient> connect(const Endpoint& endpoint) {
    std::vector<RawClient> clients;
    for (int i = 0; i < (GetParam().delivery == Delivery::two_clients ? 2 : 1); ++i) {
      clients.push_back(RawClient::connect(endpoint).value());
      (void)clients.back().send(to_bytes({"HELLO", std::to_string(GetParam().version)}));
      (void)clients.back().read();
    }
    (void)clients.front().send(to_bytes({"FLUSHALL"}));
    EXPECT_EQ(clients.front().read().value().bytes, "+OK\r\n");
    return clients;
  }

  RedisServer store = RedisServer::start().value();  // Nearlane's L2
  RedisServer redis = RedisServer::start().value();  // what is right
  std::optional<Instance> nearlane;
};

TEST_P(RespDifferential, AnswersAsRedisDoes) {
  EXPECT_TRUE(rc::check([&] {
    // Shrinking over the wire would take longer than reading the history.
    const auto commands = *rc::gen::noShrink(
        rc::gen::resize(rc::kNominalSize, rc::gen::exec([] {
                          return with_connection_commands(*any_commands(), GetParam().over_redis);
                        })));
    auto ours = connect(nearlane->resp());
    auto theirs = connect(redis.endpoint());
    const auto sends = sends_of(commands, GetParam());
    const auto we = replies_of(ours, commands, sends);
    const auto they = replies_of(theirs, commands, sends);
    std::string history;
    for (std::size_t i = 0; i < commands.size(); ++i) {
      history += to_text(commands[i]) + "\n";
      if (!same(commands[i], we[i], they[i])) {
        RC_FAIL(history + "ours: " + we[i].bytes + "redis: " + they[i].bytes);
      }
    }
  }));
}

INSTANTIATE_TEST_SUITE_P(
    Doors, RespDifferential,
    testing::Values(
        Setting{"RedisPipelined", true, 2, Delivery::pipelined},
        Setting{"RedisOneByOne", true, 3, Delivery::one_by_one},
        Setting{"RedisTwoClientsTwoLoops", true, 3, Delivery::two_clients, {"--threads", "2"}},
        Setting{"RedisInPiecesTwoLoops", true, 3, Delivery::in_pieces, {"--threads", "2"}},
        Setting{"RedisBytewise", true, 2, Delivery::bytewise},
        Setting{"RedisInlined", true, 2, Delivery::inlined},
        Setting{"RedisWithoutL1", true, 2, Delivery::pipelined, {"--profile", "v1.0"}},
        Setting{"RedisMutexL1", true, 3, Delivery::pipelined, {"--profile", "v2.0"}},
        Setting{"RedisTinyL1", true, 3, Delivery::two_clients, {"--l1-bytes", "65536"}},
        Setting{"MemoryOneByOne", false, 2, Delivery::one_by_one},
        Setting{"MemoryTwoClientsTwoLoops", false, 2, Delivery::two_clients, {"--threads", "2"}},
        Setting{"MemoryPipelined", false, 3, Delivery::pipelined},
        Setting{"MemoryInPieces", false, 2, Delivery::in_pieces},
        Setting{"MemoryInlined", false, 3, Delivery::inlined},
        Setting{"MemoryWithoutL1", false, 3, Delivery::pipelined, {"--profile", "v1.0"}}),
    [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace nearlane::harness
