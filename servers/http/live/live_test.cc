// What HTTP means, as clients that others wrote see it: Python's http.client, curl, undici and h2load.
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "servers/nearlane/live_processes.h"

namespace nearlane::live {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

std::string check(const Nearlane& server, const std::string& which) {
  return run("/usr/bin/python3 -B " LIVE_FOLDER "/forms.py " + std::to_string(server.http) + " " +
             which);
}

/// A configuration file; it goes with this object.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) { std::ofstream(path_) << text; }
  ~ConfigFile() { std::filesystem::remove(path_); }
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = testing::TempDir() + "nearlane_http_live." + std::to_string(::getpid());
};

const std::string kSecret = "[[prefix]]\nmatch = \"secret:\"\nsecret = true\n";

TEST(HttpForms, AreMadeBehindTheWriter) {
  const ConfigFile file(kSecret);
  const Nearlane alone("memory:", {"--config", file.path()});
  EXPECT_EQ(check(alone, "default"), "");
  const Redis redis;
  const Nearlane server("redis://127.0.0.1:" + std::to_string(redis.port),
                        {"--config", file.path()});
  EXPECT_EQ(check(server, "default"), "");
}

TEST(HttpForms, AreMadeAtTheFirstReadOfWhatWasWrittenOtherwise) {
  const Nearlane server("memory:");
  const std::string cli = "redis-cli -p " + std::to_string(server.resp);
  ASSERT_EQ(run(cli + " set k " + std::string(2000, 'v')), "OK\n");
  EXPECT_EQ(check(server, "first_read"), "");
  EXPECT_THAT(run(cli + " info nearlane"), testing::HasSubstr("\nprecompressed:1\r\n"));
}

TEST(HttpForms, AreMadeOfAllWrittenValuesOrOfNone) {
  const Nearlane server("memory:", {"--precompress", "always"});
  const std::string cli = "redis-cli -p " + std::to_string(server.resp);
  ASSERT_EQ(run(cli + " set k " + std::string(2000, 'v')), "OK\n");
  EXPECT_EQ(run_until(cli + " info nearlane | grep -c precompressed:1", "1\n"), "1\n");
  const Nearlane never("memory:", {"--precompress", "off"});
  EXPECT_EQ(check(never, "never"), "");
}

TEST(HttpForms, AreMadeForEachRequestByTheProfilesThatDidSo) {
  const ConfigFile file(kSecret);
  const Nearlane server("memory:", {"--profile", "v3.0", "--config", file.path()});
  EXPECT_EQ(check(server, "per_request"), "");
}

TEST(HttpForms, AreReadByCurl) {
  const Nearlane server("memory:");
  const std::string at = url(server, "/cache/k");
  const std::string value(5000, 'v');
  ASSERT_EQ(run("curl -s -X PUT -d " + value + " " + at), "");
  for (const char* coding : {"br", "gzip"}) {
    std::string ask = "curl -s -m 10 -H 'Accept-Encoding: ";
    ask.append(coding).append("' ").append(at);
    std::string head = ask;
    head.append(" -I | grep -c 'Content-Encoding: ").append(coding).append("'");
    EXPECT_EQ(run_until(head, "1\n"), "1\n");
    EXPECT_EQ(run(ask.append(" --compressed")), value);
  }
}

TEST(HttpRanges, AreOfTheValueAsItIs) {
  const Nearlane server("memory:");
  EXPECT_EQ(run("/usr/bin/python3 -B " LIVE_FOLDER "/ranges.py " + std::to_string(server.http)),
            "");
  const std::string at = url(server, "/cache/c");
  ASSERT_EQ(run("curl -s -X PUT -d 0123456789 " + at), "");
  EXPECT_EQ(run("curl -s -m 10 -r 2-4 " + at), "234");
  EXPECT_EQ(run("curl -s -m 10 -C 7 -o - " + at), "789");
}

TEST(HttpContentType, IsThatOfThePrefixWhereNoneIsPut) {
  const ConfigFile file("[[prefix]]\nmatch = \"json:\"\ncontent_type = \"application/json\"\n");
  const Nearlane server("memory:", {"--config", file.path()});
  for (const char* key : {"json:k", "k"}) {
    const std::string at = url(server, std::string("/cache/") + key);
    const auto expect_type = [&at](const std::string& type) {
      for (const char* how : {"", "-I ", "-r 0-3 "}) {
        EXPECT_EQ(run("curl -s -m 10 -o /dev/null -w '%{content_type}' " + std::string(how) + at),
                  type)
            << how;
      }
    };
    const std::string put = "printf '{\"a\": 1}' | curl -s -m 10 -T - ";
    ASSERT_EQ(run(put + at), "");
    expect_type(*key == 'j' ? "application/json" : "application/octet-stream");
    ASSERT_EQ(run(put + "-H 'Content-Type: text/plain; charset=utf-8' " + at), "");
    expect_type("text/plain; charset=utf-8");
  }
}

std::string check_types(std::initializer_list<const Nearlane*> servers) {
  std::string line = "/usr/bin/python3 -B " LIVE_FOLDER "/content_types.py";
  for (const Nearlane* server : servers)
    line += " " + std::to_string(server->http) + " " + std::to_string(server->resp);
  return run(line);
}

// No list of hot keys, so that a store is empty at the end.
const std::vector<std::string> kPlain = {"--l2-timeout", "10s", "--warmup", "false"};

TEST(HttpContentType, IsThatWhichWasPutOverTwoInstances) {
  for (const char* coherence : {"lanes", "pubsub"}) {
    const Redis redis;
    const std::string url = "redis://127.0.0.1:" + std::to_string(redis.port);
    std::vector<std::string> flags = kPlain;
    flags.insert(flags.end(), {"--coherence", coherence});
    const Nearlane one(url, flags);
    const Nearlane other(url, flags);
    EXPECT_EQ(check_types({&one, &other}), "") << coherence;
  }
}

TEST(HttpContentType, IsThatWhichWasPutInTheEmbeddedStores) {
  const Nearlane memory("memory:", {"--threads", "2"});
  EXPECT_EQ(check_types({&memory}), "");
  const Directory directory;
  {
    const Nearlane disk(directory.url(), {"--threads", "2", "--warmup", "false"});
    EXPECT_EQ(check_types({&disk}), "");
    ASSERT_EQ(run("curl -s -m 10 -X PUT -d v -H 'Content-Type: text/css' " + url(disk, "/cache/k")),
              "");
  }
  const Nearlane again(directory.url());  // killed, and begun anew
  EXPECT_EQ(run("curl -s -m 10 -o /dev/null -w '%{content_type}' " + url(again, "/cache/k")),
            "text/css");
}

TEST(HttpContentType, IsThatWhichWasPutWhereL1HoldsNothing) {
  const ConfigFile file("[[prefix]]\nmatch = \"k\"\nl1 = false\n");
  const Redis redis;
  const Nearlane server("redis://127.0.0.1:" + std::to_string(redis.port),
                        {"--config", file.path()});
  const std::string at = url(server, "/cache/k");
  ASSERT_EQ(run("curl -s -m 10 -X PUT -d v -H 'Content-Type: text/css' " + at), "");
  EXPECT_EQ(run("curl -s -m 10 -o /dev/null -w '%{content_type}' " + at), "text/css");
}

/// Both are written at once or not at all, and what is not there is not tracked.
TEST(HttpContentType, IsWrittenInTheTransactionOfItsValue) {
  const Redis redis;
  const std::string cli = "redis-cli -p " + std::to_string(redis.port) + " ";
  const Nearlane server("redis://127.0.0.1:" + std::to_string(redis.port), kPlain);
  // While a connection is made it has a transaction of its own, and a key.
  ASSERT_EQ(run_until("redis-cli -p " + std::to_string(server.resp) +
                          " info nearlane | grep -c l2_lanes_up:32",
                      "1\n"),
            "1\n");
  Child monitor({"redis-cli", "-p", std::to_string(redis.port), "monitor"});
  ASSERT_NE(monitor.line_with("OK"), "");
  ASSERT_EQ(run("curl -s -m 10 -X PUT -d v -H 'Content-Type: text/css' " +
                url(server, "/cache/k?ttl=60")),
            "");
  const auto client_of = [](const std::string& line) {
    return line.substr(line.find('['), line.find(']') - line.find('['));
  };
  const std::string begun = monitor.line_with("\"MULTI\"");
  for (const char* what :
       {"\"SET\" \"k\" \"v\" \"PX\" \"60000\"", "\"SET\" \"nearlane:type:{k}\" ", "\"EXEC\""}) {
    const std::string line = monitor.line_with(what);
    EXPECT_EQ(client_of(line), client_of(begun)) << line;
  }
  const std::string count = cli + "info stats | grep '^tracking_total_keys' | tr -d '\\r'";
  const std::string before = run(count);
  const int keys = std::stoi(before.substr(before.find(':') + 1));
  for (const char* key : {"none", "nothing"})
    ASSERT_EQ(run("curl -s -m 10 -o /dev/null -w '%{http_code}' " +
                  url(server, std::string("/cache/") + key)),
              "404");
  const std::string wanted = "tracking_total_keys:" + std::to_string(keys + 2) + "\n";
  EXPECT_EQ(run(count), wanted) << "the keys, and not their sidecars";
}

/// Names of keys that make it hard; Redis itself says where they are.
TEST(HttpContentType, IsInTheSlotOfItsKey) {
  const Redis redis;
  const Nearlane server("redis://127.0.0.1:" + std::to_string(redis.port), kPlain);
  const std::string nodes =
      testing::TempDir() + "nearlane_types_nodes." + std::to_string(::getpid());
  const Redis cluster(0, {"--cluster-enabled", "yes", "--cluster-config-file", nodes});
  const std::string slot = "redis-cli -p " + std::to_string(cluster.port) + " cluster keyslot ";
  const std::string cli = "redis-cli -p " + std::to_string(redis.port) + " ";
  for (const auto& [key, name] : {std::pair<std::string, std::string>{"a", "a"},
                                  {"%7Ba%7Db", "{a}b"},
                                  {"a%7Db", "a}b"},
                                  {"%7B%7Dx", "{}x"},
                                  {"%7B%7D%7Bx%7D", "{}{x}"},
                                  {"%7Da%7B", "}a{"},
                                  {"%7B", "{"},
                                  {"%7D%7D", "}}"}}) {
    ASSERT_EQ(run(cli + "flushall"), "OK\n");
    ASSERT_EQ(run("curl -s -m 10 -X PUT -d v -H 'Content-Type: text/css' " +
                  url(server, "/cache/" + key)),
              "");
    std::string side = run(cli + "keys 'nearlane:type:*'");
    ASSERT_TRUE(side.ends_with("\n")) << side;
    side.pop_back();
    EXPECT_EQ(run(slot + "'" + side + "'"), run(slot + "'" + name + "'")) << side;
  }
  std::filesystem::remove(nodes);
}

TEST(HttpContentType, NeedsAPermissionAndIsMissedByNobodyElse) {
  const Redis redis;
  const std::string cli = "redis-cli -p " + std::to_string(redis.port) + " ";
  ASSERT_EQ(run(cli + "acl setuser app on '>pw' '~app:*' '~nearlane:probe:*' +@all"), "OK\n");
  const std::string url_of_l2 = "app:pw@127.0.0.1:" + std::to_string(redis.port);
  const Nearlane server("redis://" + url_of_l2, kPlain);
  const std::string at = url(server, "/cache/app:k");
  const std::string code = "curl -s -m 10 -o /dev/null -w '%{http_code} %{content_type}' ";
  ASSERT_EQ(run(cli + "set app:k v"), "OK\n");
  EXPECT_EQ(run(code + at), "200 application/octet-stream");
  EXPECT_THAT(run("curl -s -m 10 -i " + at), HasSubstr("X-Cache: L1\r\n"))
      << "what may not be asked for is not waited for each time";
  EXPECT_EQ(run(code + "-T /dev/null " + at), "204 ");
  EXPECT_EQ(run(code + "-T /dev/null -H 'If-Match: *' " + at), "204 ");
  EXPECT_EQ(run(code + "-X POST " + url(server, "/cache/app:k/touch?ttl=60")), "204 ");
  const std::string said = run("curl -s -m 10 -X PUT -d w -H 'Content-Type: text/css' " + at);
  EXPECT_THAT(said, HasSubstr("NOPERM"));
  EXPECT_THAT(said, HasSubstr("~nearlane:type:*"));
  EXPECT_THAT(said, HasSubstr("\"outcome\":\"not written\""));
  EXPECT_EQ(run(cli + "get app:k"), "\n") << "it is as it was";
  EXPECT_THAT(run("curl -s -m 10 -X PUT -d w -H 'If-Match: *' -H 'Content-Type: text/css' " + at),
              HasSubstr("~nearlane:type:*"));
  EXPECT_EQ(run(code + "-X DELETE " + at), "204 ");
  EXPECT_EQ(run(code + at), "404 application/problem+json");
}

/// A connection that has been let in, however long those before it are in going.
int dial_and_ask(std::uint16_t port, const std::string& request, const std::string& answer) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int fd = dial(port);
    std::string got(answer.size(), '\0');
    if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0 &&
        ::recv(fd, got.data(), got.size(), MSG_WAITALL) == static_cast<ssize_t>(got.size()) &&
        got == answer) {
      return fd;
    }
    ::close(fd);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ADD_FAILURE() << "no connection was let in";
  return -1;
}

TEST(HttpLimits, OneAddressHasNoMoreConnectionsThanItsShare) {
  const Nearlane server("memory:", {"--max-connections-per-client", "2"});
  const std::string at = url(server, "/healthz");
  const int first = dial_and_ask(server.resp, "PING\r\n", "+PONG\r\n");
  const int second = dial_and_ask(server.resp, "PING\r\n", "+PONG\r\n");
  const std::string ask = "curl -s -m 10 -o /dev/null -w '%{http_code} %{content_type}' ";
  const std::string refused = "429 application/problem+json";
  const std::string served = "200 text/plain; charset=utf-8";
  EXPECT_EQ(run_until(ask + at, refused), refused);
  EXPECT_THAT(run("curl -s -m 10 " + at), HasSubstr("max-connections-per-client"));
  EXPECT_EQ(run("redis-cli -p " + std::to_string(server.resp) + " ping 2>&1"),
            "ERR max number of clients of this address reached\n\n");
  EXPECT_EQ(run(ask + "--interface 127.0.0.2 " + at), served);
  EXPECT_THAT(run("curl -s -m 10 --interface 127.0.0.2 " + url(server, "/metrics")),
              ContainsRegex("\nnearlane_connections_refused_by_client_total [1-9]"));
  ::close(first);
  ::close(second);
  EXPECT_EQ(run_until(ask + at, served), served);
}

TEST(HttpLimits, WhoAsksForNothingIsHungUpOn) {
  const Nearlane server("memory:", {"--http-idle-timeout", "1s"});
  const int idle = dial(server.http);
  char byte = 0;  // dial() waits longer than that, and not as long as the default
  EXPECT_EQ(::recv(idle, &byte, 1, 0), 0);
  ::close(idle);
}

TEST(RespLimits, WhoTakesNoneOfItsRepliesIsHungUpOn) {
  const Nearlane server("memory:", {"--resp-transfer-timeout", "1s"});
  ASSERT_EQ(run("head -c 8000000 /dev/zero | curl -s -m 10 -X PUT --data-binary @- " +
                url(server, "/cache/big")),
            "");
  const int slow = dial_and_ask(server.resp, "PING\r\n", "+PONG\r\n");
  std::string asks;
  for (int i = 0; i < 8; ++i) asks += "GET big\r\n";
  ASSERT_EQ(::send(slow, asks.data(), asks.size(), 0), static_cast<ssize_t>(asks.size()));
  const std::string clients = "redis-cli -p " + std::to_string(server.resp) +
                              " info clients | grep -c '^connected_clients:1.$'";
  EXPECT_EQ(run_until(clients, "1\n"), "1\n") << "but for the one who asks, all are gone";
  ::close(slow);
}

TEST(HttpFastLane, CountsItsAnswers) {
  const Nearlane server("memory:");
  const std::string at = url(server, "/cache/k");
  ASSERT_EQ(run("curl -s -X PUT -d v " + at), "");
  for (int i = 0; i < 3; ++i) ASSERT_EQ(run("curl -s -m 10 " + at), "v");
  ASSERT_EQ(run("curl -s -m 10 -r 0-0 " + at), "v");
  const std::string page = run("curl -s -m 10 " + url(server, "/metrics"));
  EXPECT_THAT(page, HasSubstr("\nnearlane_http_fast_lane_answers_total 3\n"));
}

TEST(HttpBatch, IsManyOperationsInOneRequest) {
  const Nearlane memory("memory:");
  EXPECT_EQ(run("/usr/bin/python3 -B " LIVE_FOLDER "/batch.py " + std::to_string(memory.http)), "");
  const Redis redis;
  const Nearlane server("redis://127.0.0.1:" + std::to_string(redis.port));
  EXPECT_EQ(run("/usr/bin/python3 -B " LIVE_FOLDER "/batch.py " + std::to_string(server.http)), "");
}

TEST(HttpClients, Undici) {
  const Nearlane server("memory:");
  EXPECT_EQ(run("env NODE_PATH=" NODE_PACKAGES " node " LIVE_FOLDER "/undici.js " +
                std::to_string(server.http)),
            "");
}

/// Every request is answered, and with a 2xx, one at a time and pipelined, from L1 and by way of L2.
TEST(HttpClients, H2load) {
  const Redis redis;
  const ConfigFile file("[[prefix]]\nmatch = \"l2:\"\nl1 = false\n");
  const Nearlane server("redis://127.0.0.1:" + std::to_string(redis.port),
                        {"--config", file.path()});
  for (const auto& [key, size] : {std::pair{"k", 1000}, {"l2:k", 1000}, {"large", 300'000}}) {
    const std::string at = url(server, std::string("/cache/") + key);
    std::string put = "head -c " + std::to_string(size);
    ASSERT_EQ(run(put.append(" /dev/zero | curl -s -m 10 -T - ").append(at)), "");
    for (const char* how : {"", "-m 16", "-m 16 -H 'Accept-Encoding: br'"}) {
      const std::string out = run(std::string("h2load --h1 -n 2000 -c 20 ") + how + " " + at);
      EXPECT_THAT(out, HasSubstr("2000 succeeded, 0 failed, 0 errored, 0 timeout")) << key << how;
      EXPECT_THAT(out, HasSubstr("status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx")) << key << how;
    }
  }
}

/// Others may take the machine away for a while, and a refusal is no update.
const std::vector<std::string> kPatient = {"--l2-timeout", "10s"};

std::string check_conditions(std::initializer_list<const Nearlane*> servers) {
  std::string line = "/usr/bin/python3 -B " LIVE_FOLDER "/conditions.py";
  for (const Nearlane* server : servers) line += " " + std::to_string(server->http);
  return run(line);
}

TEST(HttpConditions, NoUpdateIsLostBetweenTwoInstances) {
  const Redis redis;
  const std::string url = "redis://127.0.0.1:" + std::to_string(redis.port);
  const Nearlane one(url, kPatient);
  const Nearlane other(url, kPatient);
  EXPECT_EQ(check_conditions({&one, &other}), "");
}

TEST(HttpConditions, NoUpdateIsLostWhereInstancesTellEachOther) {
  const Redis redis;
  const std::string url = "redis://127.0.0.1:" + std::to_string(redis.port);
  std::vector<std::string> flags = kPatient;
  flags.insert(flags.end(), {"--coherence", "pubsub"});
  const Nearlane one(url, flags);
  const Nearlane other(url, flags);
  EXPECT_EQ(check_conditions({&one, &other}), "");
}

TEST(HttpConditions, NoUpdateIsLostInTheEmbeddedStores) {
  const Nearlane memory("memory:", {"--threads", "2"});
  EXPECT_EQ(check_conditions({&memory}), "");
  const Directory directory;
  const Nearlane disk(directory.url(), {"--threads", "2"});
  EXPECT_EQ(check_conditions({&disk}), "");
}

}  // namespace
}  // namespace nearlane::live
