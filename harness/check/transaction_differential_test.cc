// MULTI, EXEC, DISCARD and WATCH over the embedded stores against a plain redis-server: two clients say the same to both, in
// the same order, and get the same bytes.
#include <array>
#include <cstdint>
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
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {
namespace {

using protocol::Reply;
using protocol::Type;

struct Setting {
  std::string name;
  int version;
  bool on_disk = false;
  bool pipelined = false;  // each client's commands up to the other's next one are sent together
  std::vector<std::string> flags = {};

  friend void PrintTo(const Setting& setting, std::ostream* out) { *out << setting.name; }
};

struct Said {
  std::size_t client;
  Words words;
};

bool one_in(int n) { return *rc::gen::inRange(0, n) == 0; }

std::string any_key() {
  return *rc::gen::elementOf(std::vector<std::string>{"a", "b", "c", "key:1"});
}

Words any_of_transactions() {
  const int kind = *rc::gen::inRange(0, 20);
  if (kind < 6) return {"MULTI"};
  if (kind < 12) return {"EXEC"};
  if (kind < 13) return {"discard"};
  if (kind < 14) return {"UNWATCH"};
  if (kind < 15) return {"EXEC", "x"};
  if (kind < 16) {
    return *rc::gen::elementOf(std::vector<Words>{{"SELECT", "1"},
                                                  {"SELECT", "0"},
                                                  {"SELECT", "99"},
                                                  {"CLIENT", "SETNAME"},
                                                  {"CONFIG", "NOPE"},
                                                  {"PUBSUB", "NOPE"},
                                                  {"PING"},
                                                  {"PING", "a", "b"},
                                                  {"ECHO", "x"},
                                                  {"RESET"},
                                                  {"WATCH"},
                                                  {"MULTI", "x"},
                                                  {"PUBLISH", "c", "m"},
                                                  {"PUBSUB", "NUMPAT"}});
  }
  Words words = {"WATCH"};
  do {
    words.push_back(any_key());
  } while (one_in(2));
  return words;
}

std::vector<Said> any_conversation() {
  std::vector<Said> said;
  const auto turns = *rc::gen::inRange<std::size_t>(1, 4);
  for (std::size_t i = 0; i < turns; ++i) {
    for (auto& words : *any_commands()) {
      // Mostly of the first one, so that transactions are longer than a command.
      while (one_in(3)) said.push_back({one_in(3) ? 1U : 0U, any_of_transactions()});
      said.push_back({one_in(3) ? 1U : 0U, std::move(words)});
    }
  }
  return said;
}

/// What one client has queued, as the answers say.
struct Queue {
  std::vector<Words> commands;

  void note(const Words& words, const Reply& reply) {
    if (reply == Reply::simple("QUEUED")) {
      commands.push_back(words);
    } else if (words[0] == "RESET" || words[0] == "discard" || words[0] == "EXEC") {
      commands.clear();
    }
  }
};

bool same(const Words& words, const Queue& queue, const RawReply& ours, const RawReply& theirs) {
  if (ours.bytes == theirs.bytes) return true;
  if (words[0] != "EXEC" || ours.reply.type != Type::array || theirs.reply.type != Type::array)
    return agree(words, ours.reply, theirs.reply) && ours.reply != theirs.reply;
  const auto& we = ours.reply.elements;
  const auto& they = theirs.reply.elements;
  if (we.size() != they.size() || we.size() != queue.commands.size()) return false;
  for (std::size_t i = 0; i < we.size(); ++i) {
    if (!agree(queue.commands[i], we[i], they[i])) return false;
  }
  return ours.reply != theirs.reply;
}

class TransactionDifferential : public testing::TestWithParam<Setting> {
 protected:
  void SetUp() override {
    InstanceOptions options;
    options.flags = GetParam().flags;
    if (GetParam().on_disk) options.l2 = "rocksdb:" + directory.path().string() + "/data";
    auto started = Instance::start(options);
    ASSERT_TRUE(started) << started.error().detail;
    nearlane.emplace(std::move(*started));
  }

  static std::array<RawClient, 2> connect(const Endpoint& endpoint) {
    std::array<RawClient, 2> clients = {RawClient::connect(endpoint).value(),
                                        RawClient::connect(endpoint).value()};
    for (RawClient& client : clients) {
      (void)client.send(to_bytes({"HELLO", std::to_string(GetParam().version)}));
      (void)client.read();
    }
    (void)clients[0].send(to_bytes({"FLUSHALL"}));
    EXPECT_EQ(clients[0].read().value().bytes, "+OK\r\n");
    return clients;
  }

  static std::vector<RawReply> replies_of(std::array<RawClient, 2> clients,
                                          const std::vector<Said>& said) {
    std::vector<RawReply> replies;
    for (std::size_t from = 0; from < said.size();) {
      std::size_t end = from + 1;
      std::string bytes = to_bytes(said[from].words);
      for (; GetParam().pipelined && end < said.size() && said[end].client == said[from].client;
           ++end)
        bytes += to_bytes(said[end].words);
      RawClient& client = clients[said[from].client];
      RC_ASSERT(client.send(bytes).has_value());
      for (; from < end; ++from) {
        auto reply = client.read();
        if (!reply) RC_FAIL("after " + to_text(said[from].words) + reply.error().detail);
        replies.push_back(std::move(*reply));
      }
    }
    return replies;
  }

  TempDir directory = TempDir::make().value();
  RedisServer redis = RedisServer::start().value();
  std::optional<Instance> nearlane;
};

TEST_P(TransactionDifferential, AnswersAsRedisDoes) {
  int executed = 0;
  int stopped = 0;
  int aborted = 0;
  EXPECT_TRUE(rc::check([&] {
    const auto said = *rc::gen::noShrink(
        rc::gen::resize(rc::kNominalSize, rc::gen::exec([] { return any_conversation(); })));
    const auto we = replies_of(connect(nearlane->resp()), said);
    const auto they = replies_of(connect(redis.endpoint()), said);
    std::string history;
    std::array<Queue, 2> queues;
    for (std::size_t i = 0; i < said.size(); ++i) {
      const auto& [client, words] = said[i];
      history += std::to_string(client) + ": " + to_text(words) + "\n";
      if (!same(words, queues[client], we[i], they[i]))
        RC_FAIL(history + "ours: " + we[i].bytes + "redis: " + they[i].bytes);
      queues[client].note(words, they[i].reply);
      if (words != Words{"EXEC"}) continue;
      executed += they[i].reply.elements.empty() ? 0 : 1;
      stopped += they[i].reply.is_null() ? 1 : 0;
      aborted += they[i].reply.text.starts_with("EXECABORT") ? 1 : 0;
    }
  }));
  // A comparison that never met them would say nothing.
  EXPECT_GT(executed, 50);
  EXPECT_GT(stopped, 10);
  EXPECT_GT(aborted, 10);
}

INSTANTIATE_TEST_SUITE_P(
    Stores, TransactionDifferential,
    testing::Values(
        Setting{"Memory", 2}, Setting{.name = "MemoryPipelined", .version = 3, .pipelined = true},
        Setting{.name = "MemoryTwoLoops", .version = 3, .flags = {"--threads", "2"}},
        Setting{.name = "MemoryWithoutL1",
                .version = 2,
                .pipelined = true,
                .flags = {"--profile", "v1.0"}},
        Setting{.name = "Disk", .version = 2, .on_disk = true, .flags = {"--threads", "2"}},
        Setting{.name = "DiskPipelined", .version = 3, .on_disk = true, .pipelined = true}),
    [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace nearlane::harness
