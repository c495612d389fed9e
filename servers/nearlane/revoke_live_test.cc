// Strict revocation between real processes: instances over one redis-server, one of them behind a road
// on which what Redis says can be held up, so that only its lease ends what it serves.
#include <atomic>
#include <fstream>
#include <optional>
#include <thread>

#include "servers/nearlane/live_processes.h"

namespace nearlane::live {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// One client connection of either door, kept open.
class Client {
 public:
  explicit Client(int port) : fd_(dial(port)) {}
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view bytes) const {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  /// Whether anything comes within so long.
  [[nodiscard]] bool hears_within(std::chrono::milliseconds patience) const {
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    return !read_.empty() || ::poll(&waiting, 1, static_cast<int>(patience.count())) > 0;
  }
  /// A RESP2 reply that is no array, as it came.
  std::string reply() {
    std::string text = through("\r\n");
    if (text.starts_with('$') && !text.starts_with("$-")) {
      text += take(static_cast<std::size_t>(std::atoi(text.c_str() + 1)) + 2);
    }
    return text;
  }
  std::string resp(const std::string& command) {
    send(command + "\r\n");
    return reply();
  }

  struct Response {
    std::string status;
    std::string head;
    std::string body;
    [[nodiscard]] bool from_l1() const { return head.find("X-Cache: L1") != std::string::npos; }
  };
  static std::string request(const std::string& method, const std::string& target) {
    return method + " " + target + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
  }
  Response response() {
    Response got;
    got.head = through("\r\n\r\n");
    got.status = got.head.substr(0, 12).substr(std::min<std::size_t>(9, got.head.size()));
    const std::size_t length = got.head.find("Content-Length: ");
    if (length != std::string::npos) {
      got.body = take(static_cast<std::size_t>(std::atoi(got.head.c_str() + length + 16)));
    }
    return got;
  }
  Response http(const std::string& method, const std::string& target) {
    send(request(method, target));
    return response();
  }

 private:
  bool receive() {
    std::array<char, 4096> chunk{};
    const ssize_t got = ::recv(fd_, chunk.data(), chunk.size(), 0);
    if (got > 0) read_.append(chunk.data(), static_cast<std::size_t>(got));
    return got > 0;
  }
  std::string take(std::size_t size) {
    while (read_.size() < size && receive()) {
    }
    std::string out = read_.substr(0, size);
    read_.erase(0, size);
    return out;
  }
  std::string through(std::string_view end) {
    std::size_t at = read_.find(end);
    while (at == std::string::npos && receive()) at = read_.find(end);
    return take(at == std::string::npos ? read_.size() : at + end.size());
  }

  int fd_;
  std::string read_;
};

/// The road from an instance to Redis. While it is held, what the instance says arrives, and what Redis
/// says does not: nothing is lost or reordered, as when the network stalls.
class Road {
 public:
  explicit Road(int redis) : redis_(redis), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&any), size), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&any), &size);
    port = ntohs(any.sin_port);
    thread_ = std::thread([this] { carry(); });
  }
  ~Road() {
    ended_ = true;
    thread_.join();
    ::close(listener_);
    for (const auto& [instance, redis] : pairs_) {
      ::close(instance);
      ::close(redis);
    }
  }
  Road(const Road&) = delete;
  Road& operator=(const Road&) = delete;

  /// Returns when nothing is under way on the road any more.
  void hold() {
    held_ = true;
    const unsigned now = turns_;
    while (turns_ < now + 2) std::this_thread::yield();
  }
  void release() { held_ = false; }

  int port = 0;

 private:
  void carry() {
    while (!ended_) {
      std::vector<pollfd> waits = {{.fd = listener_, .events = POLLIN, .revents = 0}};
      const bool held = held_;
      for (const auto& [instance, redis] : pairs_) {
        waits.push_back({.fd = instance, .events = POLLIN, .revents = 0});
        waits.push_back({.fd = held ? -1 : redis, .events = POLLIN, .revents = 0});
      }
      ::poll(waits.data(), waits.size(), 1);
      for (std::size_t i = 0; i < pairs_.size(); ++i) {
        if (waits[1 + 2 * i].revents != 0) forward(pairs_[i].first, pairs_[i].second);
        if (waits[2 + 2 * i].revents != 0) forward(pairs_[i].second, pairs_[i].first);
      }
      if (waits[0].revents != 0)
        pairs_.emplace_back(::accept(listener_, nullptr, nullptr), dial(redis_));
      ++turns_;
    }
  }
  static void forward(int from, int to) {
    std::array<char, 65536> chunk{};
    const ssize_t got = ::recv(from, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got > 0) ::send(to, chunk.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
    if (got == 0) ::shutdown(to, SHUT_RDWR);
  }

  int redis_;
  int listener_;
  std::vector<std::pair<int, int>> pairs_;  // the instance's socket, Redis's
  std::atomic<bool> held_{false};
  std::atomic<bool> ended_{false};
  std::atomic<unsigned> turns_{0};
  std::thread thread_;
};

std::string redis_url(int port) { return "redis://127.0.0.1:" + std::to_string(port); }

/// A configuration whose keys s:… can be revoked strictly.
class ConfigFile {
 public:
  ConfigFile() { std::ofstream(path) << "[[prefix]]\nmatch = \"s:\"\nmax_stale = 0\n"; }
  ~ConfigFile() { std::remove(path.c_str()); }
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;

  const std::string path =
      testing::TempDir() + "nearlane_revoke." + std::to_string(::getpid()) + ".toml";
};

class Revoke : public testing::Test {
 protected:
  std::unique_ptr<Nearlane> start(int l2_port, std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--config", config_.path, "--threads", "1", "--pool", "4"});
    return std::make_unique<Nearlane>(redis_url(l2_port), std::move(more));
  }

  Redis redis_;
  ConfigFile config_;
};

/// An instance and a client on each of its doors.
struct Node {
  explicit Node(std::unique_ptr<Nearlane> started)
      : server(std::move(started)), resp(server->resp), http(server->http) {}

  /// Reads until L1 answers; false: it never does.
  bool heat(const std::string& key) {
    const auto until = SteadyClock::now() + kPatience;
    while (SteadyClock::now() < until) {
      if (http.http("GET", "/cache/" + key).from_l1()) return true;
    }
    return false;
  }

  std::unique_ptr<Nearlane> server;
  Client resp;
  Client http;
};

class RevokeAmongInstances : public Revoke,
                             public testing::WithParamInterface<std::tuple<int, const char*>> {};

INSTANTIATE_TEST_SUITE_P(Doors, RevokeAmongInstances,
                         testing::Combine(testing::Values(2, 3), testing::Values("Resp", "Http")),
                         [](const auto& param) {
                           return std::get<1>(param.param) +
                                  std::to_string(std::get<0>(param.param)) + "Instances";
                         });

TEST_P(RevokeAmongInstances, NobodyServesTheKeyOnceTheAnswerIsThere) {
  const auto [count, door] = GetParam();
  const bool over_resp = std::string_view(door) == "Resp";
  Road road(redis_.port);
  std::vector<std::unique_ptr<Node>> nodes;
  nodes.push_back(std::make_unique<Node>(start(road.port)));
  while (static_cast<int>(nodes.size()) < count) {
    nodes.push_back(std::make_unique<Node>(start(redis_.port)));
  }
  Node& cut_off = *nodes[0];

  constexpr int kRounds = 16;
  for (int round = 0; round < kRounds; ++round) {
    const std::string key = "s:" + std::to_string(round);
    const bool held = round % 2 == 1;
    // Whoever is cut off from Redis cannot revoke, so with a held road one of the others does.
    const auto by =
        static_cast<std::size_t>(held ? 1 + round / 2 % (count - 1) : round / 2 % count);
    Node& revoker = *nodes[by];
    ASSERT_EQ(revoker.resp.resp("SET " + key + " secret"), "+OK\r\n");
    bool ready = false;
    for (int attempt = 0; attempt < 20 && !ready; ++attempt) {
      for (const auto& node : nodes) ASSERT_TRUE(node->heat(key));
      if (held) road.hold();
      ready = !held || cut_off.http.http("GET", "/cache/" + key).from_l1();
      if (!ready) road.release();  // the machine was so slow that the lease ran out before
    }
    ASSERT_TRUE(ready);

    const auto asked = SteadyClock::now();
    if (over_resp) {
      ASSERT_EQ(revoker.resp.resp("NEARLANE.REVOKE " + key), ":1\r\n");
    } else {
      ASSERT_EQ(revoker.http.http("DELETE", "/cache/" + key + "?strict").status, "204");
    }
    for (const auto& node : nodes) node->resp.send("GET " + key + "\r\n");
    for (const auto& node : nodes) node->http.send(Client::request("GET", "/cache/" + key));
    EXPECT_GE(SteadyClock::now() - asked, 252ms);
    if (held) {
      // A copy would be served at once; whoever knows that it must ask Redis waits for the road.
      ASSERT_FALSE(cut_off.resp.hears_within(50ms)) << cut_off.resp.reply();
      ASSERT_FALSE(cut_off.http.hears_within(1ms)) << cut_off.http.response().body;
      road.release();
    }
    for (const auto& node : nodes) {
      const std::string got = node->resp.reply();
      const auto response = node->http.response();
      if (held && node.get() == &cut_off && got.starts_with("-ERR nearlane: L2 did not")) continue;
      EXPECT_EQ(got, "$-1\r\n") << "round " << round;
      EXPECT_EQ(response.status, "404") << "round " << round << ": " << response.body;
    }
  }
}

TEST_F(Revoke, WaitsLongerThanL2MayTakeAndHoldsNobodyUp) {
  const auto server = start(redis_.port, {"--lease", "1s", "--l2-timeout", "500ms"});
  Client revoker(server->resp);
  Client web(server->http);
  Client other(server->resp);
  ASSERT_EQ(revoker.resp("SET s:1 v"), "+OK\r\n");
  const auto asked = SteadyClock::now();
  revoker.send("NEARLANE.REVOKE s:1\r\nSET a 1\r\nGET s:1\r\nPING\r\n");
  web.send(Client::request("DELETE", "/cache/s:none?strict") + Client::request("GET", "/cache/a"));
  EXPECT_EQ(other.resp("PING"), "+PONG\r\n");
  EXPECT_EQ(other.resp("SET b 1"), "+OK\r\n");
  EXPECT_FALSE(revoker.hears_within(0ms)) << "the loop went on meanwhile";
  EXPECT_FALSE(web.hears_within(0ms));
  EXPECT_EQ(revoker.reply(), ":1\r\n");
  EXPECT_GE(SteadyClock::now() - asked, 1010ms);
  EXPECT_EQ(revoker.reply(), "+OK\r\n");
  EXPECT_EQ(revoker.reply(), "$-1\r\n");
  EXPECT_EQ(revoker.reply(), "+PONG\r\n");
  EXPECT_EQ(web.response().status, "404");
  EXPECT_GE(SteadyClock::now() - asked, 1010ms) << "a key that is not there may live in a copy";
  EXPECT_EQ(web.response().status, "200");
}

TEST_F(Revoke, AnswersBeforeADrainEnds) {
  const auto server = start(redis_.port, {"--lease", "1s"});
  Client revoker(server->resp);
  Client web(server->http);
  ASSERT_EQ(revoker.resp("SET s:1 v"), "+OK\r\n");
  revoker.send("NEARLANE.REVOKE s:1\r\n");
  web.send(Client::request("DELETE", "/cache/s:2?strict"));
  run_until("redis-cli -p " + std::to_string(redis_.port) + " exists s:1", "0\n");
  server->child->signal(SIGTERM);
  EXPECT_EQ(revoker.reply(), ":1\r\n");
  EXPECT_EQ(web.response().status, "404");
  EXPECT_EQ(server->child->wait(), 0);
}

TEST_F(Revoke, OverTheCapIsAClearError) {
  const auto server = start(redis_.port, {"--lease", "1s", "--max-revocations", "1"});
  Client first(server->resp);
  Client second(server->resp);
  Client web(server->http);
  ASSERT_EQ(first.resp("SET s:1 v"), "+OK\r\n");
  ASSERT_EQ(first.resp("SET s:2 v"), "+OK\r\n");
  first.send("NEARLANE.REVOKE s:1\r\n");
  run_until("redis-cli -p " + std::to_string(redis_.port) + " exists s:1", "0\n");
  EXPECT_EQ(
      second.resp("NEARLANE.REVOKE s:2"),
      "-ERR nearlane: a queue to L2 is full; nothing was sent: too many strict revocations wait "
      "(max_revocations)\r\n");
  EXPECT_EQ(web.http("DELETE", "/cache/s:2?strict").status, "503");
  EXPECT_FALSE(first.hears_within(0ms));
  EXPECT_EQ(second.resp("GET s:2"), "$1\r\nv\r\n");
  EXPECT_EQ(first.reply(), ":1\r\n");
  EXPECT_EQ(web.http("DELETE", "/cache/s:2?strict").status, "204");
}

TEST_F(Revoke, IsRefusedWithTheReasonWhereACopyMayBeServedStale) {
  const auto server = start(redis_.port);
  Client resp(server->resp);
  Client web(server->http);
  ASSERT_EQ(resp.resp("SET t:1 v"), "+OK\r\n");
  EXPECT_TRUE(resp.resp("NEARLANE.REVOKE t:1").starts_with("-ERR nearlane: the key may be served"));
  const auto refused = web.http("DELETE", "/cache/t:1?strict");
  EXPECT_EQ(refused.status, "409");
  EXPECT_NE(refused.head.find("application/problem+json"), std::string::npos);
  EXPECT_NE(refused.body.find("max_stale = 0"), std::string::npos) << refused.body;
  EXPECT_EQ(resp.resp("GET t:1"), "$1\r\nv\r\n");
  EXPECT_EQ(web.http("GET", "/cache/s:1?strict").status, "400");
  EXPECT_EQ(web.http("PUT", "/cache/s:1?strict").status, "400");
  EXPECT_EQ(web.http("POST", "/cache/s:1/touch?strict&ttl=1").status, "400");
  EXPECT_EQ(web.http("DELETE", "/cache/t:1").status, "204");
}

TEST_F(Revoke, IsUnderstoodHoweverTheBytesArrive) {
  const Nearlane server("memory:", {"--config", config_.path, "--threads", "1"});
  const std::string in = Client::request("PUT", "/cache/s:1") +
                         Client::request("DELETE", "/cache/s:1?strict") +
                         Client::request("DELETE", "/cache/s:1?strict") +
                         Client::request("DELETE", "/cache/t:1?strict");
  Client web(server.http);
  for (std::size_t split = 0; split < in.size(); ++split) {
    web.send(in.substr(0, split));
    // One loop: once somebody else is answered, it has read what was sent before.
    if (split % 16 == 0) {
      EXPECT_EQ(Client(server.resp).resp("PING"), "+PONG\r\n");
    }
    web.send(in.substr(split));
    for (const char* status : {"201", "204", "404", "409"}) {
      ASSERT_EQ(web.response().status, status) << split;
    }
  }
}

}  // namespace
}  // namespace nearlane::live
