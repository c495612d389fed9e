// PUBLISH and SUBSCRIBE with the embedded store against a plain redis-server: the same bytes in the same order, but for the
// order of the frames that one message makes.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "harness/check/command_gen.h"
#include "harness/check/raw_client.h"
#include "harness/topology/eventually.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using protocol::Reply;

bool one_in(int n) { return *rc::gen::inRange(0, n) == 0; }

std::string any_channel() {
  return *rc::gen::elementOf(std::vector<std::string>{"news", "newer", "a", "", "\r\n\xff"});
}
std::string any_pattern() {
  return *rc::gen::elementOf(std::vector<std::string>{"new*", "*", "n[a-f]ws", "a", "?", "\\a"});
}

Words named(std::string word, std::string (*any)(), bool may_be_none) {
  Words words = {std::move(word)};
  if (may_be_none && one_in(3)) return words;
  do {
    words.push_back(any());
  } while (one_in(2));
  return words;
}

/// What a subscriber says. Without names, what is left is dropped in any order, so that only one may be.
Words any_of_subscriber() {
  switch (*rc::gen::inRange(0, 9)) {
    case 0:
    case 1:
      return named("SUBSCRIBE", any_channel, false);
    case 2:
    case 3:
      return named("psubscribe", any_pattern, false);
    case 4:
      return named("UNSUBSCRIBE", any_channel, true);
    case 5:
      return named("PUNSUBSCRIBE", any_pattern, true);
    case 6:
      return *rc::gen::elementOf(std::vector<Words>{{"PING"}, {"ping", "x"}, {"PING", "a", "b"}});
    case 7:
      return *rc::gen::elementOf(std::vector<Words>{{"GET", "k"},
                                                    {"SET", "k", "v"},
                                                    {"MULTI"},
                                                    {"EXEC"},
                                                    {"CLIENT", "GETNAME"},
                                                    {"SUBSCRIBE"},
                                                    {"RESET"}});
    default:
      return {"PUBSUB", "NUMPAT"};
  }
}

Words any_of_publisher() {
  switch (*rc::gen::inRange(0, 8)) {
    case 0:
      return {"PUBSUB", "CHANNELS"};
    case 1:
      return {"PUBSUB", "channels", any_pattern()};
    case 2:
      return {"pubsub", "NUMSUB", any_channel(), any_channel()};
    case 3:
      return *rc::gen::elementOf(std::vector<Words>{{"PUBSUB", "NUMSUB"},
                                                    {"PUBSUB", "NUMPAT"},
                                                    {"PUBSUB", "NUMPAT", "x"},
                                                    {"PUBSUB", "CHANNELS", "a", "b"},
                                                    {"PUBSUB", "nope"},
                                                    {"PUBSUB"},
                                                    {"PUBLISH", "a"}});
    default:
      return {"PUBLISH", any_channel(), *rc::gen::arbitrary<std::string>()};
  }
}

struct Said {
  bool publishes;
  Words words;
};

/// A subscriber, and somebody who publishes; both in one version of the protocol.
struct Pair {
  Pair(const Endpoint& endpoint, int version)
      : subscriber(RawClient::connect(endpoint).value()),
        publisher(RawClient::connect(endpoint).value()) {
    for (RawClient* client : {&subscriber, &publisher}) {
      (void)client->send(to_bytes({"HELLO", std::to_string(version)}));
      (void)client->read();
    }
  }

  static std::string bytes_of(RawClient& client) {
    auto reply = client.read();
    return reply ? reply->bytes : "nothing: " + reply.error().detail;
  }
  static std::string sorted(std::vector<std::string> frames) {
    std::sort(frames.begin(), frames.end());
    std::string all;
    for (const std::string& frame : frames) all += frame;
    return all;
  }
  static std::size_t frames_of(const Words& words, std::size_t subscriptions) {
    if (words.size() > 1) return words.size() - 1;
    return std::max<std::size_t>(subscriptions, 1);
  }

  /// What comes of it, at whichever of the two.
  std::string say(const Said& said, std::size_t channels, std::size_t patterns) {
    RawClient& client = said.publishes ? publisher : subscriber;
    if (!client.send(to_bytes(said.words))) return "not sent";
    const std::string& word = said.words[0];
    if (word == "PUBLISH") {
      auto reply = publisher.read();
      if (!reply) return reply.error().detail;
      std::vector<std::string> frames;
      for (std::int64_t i = 0; i < reply->reply.integer; ++i)
        frames.push_back(bytes_of(subscriber));
      return reply->bytes + sorted(std::move(frames));
    }
    if (word == "UNSUBSCRIBE" || word == "PUNSUBSCRIBE") {
      std::vector<std::string> frames;
      const std::size_t count = frames_of(said.words, word == "UNSUBSCRIBE" ? channels : patterns);
      for (std::size_t i = 0; i < count; ++i) frames.push_back(bytes_of(subscriber));
      // In which order all are left is each one's own affair, and the numbers in the frames follow it.
      if (said.words.size() == 1 && count > 1) return std::to_string(count);
      return sorted(std::move(frames));
    }
    if ((word == "SUBSCRIBE" || word == "psubscribe") && said.words.size() > 1) {
      std::string all;
      for (std::size_t i = 1; i < said.words.size(); ++i) all += bytes_of(subscriber);
      return all;
    }
    auto reply = client.read();
    if (!reply) return reply.error().detail;
    if (said.words[0] == "PUBSUB" && reply->reply.type == protocol::Type::array) {
      std::vector<std::string> names;
      for (const Reply& name : reply->reply.elements)
        names.push_back(name.text + std::to_string(name.integer) + "\n");
      return sorted(std::move(names));
    }
    return reply->bytes;
  }

  RawClient subscriber;
  RawClient publisher;
};

/// How many subscriptions the client has, by what it has said.
struct Subscriptions {
  std::vector<std::string> channels;
  std::vector<std::string> patterns;

  void note(const Words& words) {
    const std::string& word = words[0];
    if (word == "RESET") *this = {};
    const bool of_patterns = word == "psubscribe" || word == "PUNSUBSCRIBE";
    auto& names = of_patterns ? patterns : channels;
    const bool leaves = word == "UNSUBSCRIBE" || word == "PUNSUBSCRIBE";
    if (!leaves && word != "SUBSCRIBE" && word != "psubscribe") return;
    if (leaves && words.size() == 1) names.clear();
    for (std::size_t i = 1; i < words.size(); ++i) {
      std::erase(names, words[i]);
      if (!leaves) names.push_back(words[i]);
    }
  }
};

class ChannelsDifferential : public testing::TestWithParam<int> {
 protected:
  /// Whether nobody is subscribed any more: a client that has gone is let go of by the loop that served it.
  [[nodiscard]] bool left_by_all() const {
    RawClient client = RawClient::connect(nearlane.resp()).value();
    return eventually([&] {
      (void)client.send(to_bytes({"PUBSUB", "CHANNELS"}) + to_bytes({"PUBSUB", "NUMPAT"}));
      const std::string channels = Pair::bytes_of(client);
      return channels + Pair::bytes_of(client) == "*0\r\n:0\r\n";
    });
  }

  RedisServer redis = RedisServer::start().value();
  Instance nearlane = Instance::start({.flags = {"--threads", "2"}}).value();
};
INSTANTIATE_TEST_SUITE_P(Versions, ChannelsDifferential, testing::Values(2, 3));

TEST_P(ChannelsDifferential, AnswersAndTellsAsRedisDoes) {
  EXPECT_TRUE(rc::check([&] {
    const auto conversation = *rc::gen::noShrink(rc::gen::resize(
        rc::kNominalSize, rc::gen::exec([] {
          std::vector<Said> said;
          const auto count = *rc::gen::inRange(1, 40);
          for (int i = 0; i < count; ++i) {
            const bool publishes = one_in(2);
            said.push_back({publishes, publishes ? any_of_publisher() : any_of_subscriber()});
          }
          return said;
        })));
    RC_ASSERT(left_by_all());
    Pair ours(nearlane.resp(), GetParam());
    Pair theirs(redis.endpoint(), GetParam());
    Subscriptions subscriptions;
    std::string history;
    bool reset = false;  // from there on it speaks RESP2
    for (const Said& said : conversation) {
      history += (said.publishes ? "P " : "S ") + to_text(said.words) + "\n";
      // Inside MULTI, and among answers, frames would have to be told apart otherwise.
      if (!said.publishes && (said.words[0] == "MULTI" || said.words[0] == "EXEC") &&
          (GetParam() == 3 || subscriptions.channels.size() + subscriptions.patterns.size() == 0))
        continue;
      if (reset && GetParam() == 3) break;
      const auto channels = subscriptions.channels.size();
      const auto patterns = subscriptions.patterns.size();
      const std::string we = ours.say(said, channels, patterns);
      const std::string they = theirs.say(said, channels, patterns);
      if (we != they) RC_FAIL(history.append(we).append("\nredis: ").append(they));
      if (!said.publishes) subscriptions.note(said.words);
      reset = reset || said.words[0] == "RESET";
    }
  }));
}

}  // namespace
}  // namespace nearlane::harness
