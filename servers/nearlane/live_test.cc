// The server as a process of its own, in front of a real redis-server and of its embedded store,
// spoken to by real clients: redis-cli, redis-benchmark, hiredis and curl; and by hostile ones.

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include "servers/nearlane/live_processes.h"

namespace nearlane::live {
namespace {

/// On 1 and 2 loops, over the embedded stores and over Redis.
class Live : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  Live() {
    const auto [l2, threads] = GetParam();
    std::string store = l2;
    if (store == "redis") {
      redis_ = std::make_unique<Redis>();
      store = "redis://127.0.0.1:" + std::to_string(redis_->port);
    }
    if (store == "rocksdb") store = directory_.url();
    // Others may take the machine and its disk away for a while.
    server_ = std::make_unique<Nearlane>(
        store, std::vector<std::string>{"--threads", threads, "--l2-timeout", "10s"});
    cli_ = "redis-cli -p " + std::to_string(server_->resp) + " ";
  }
  std::string curl(const std::string& args, std::string_view path) const {
    return run("curl -s -m 10 " + args + " " + url(*server_, path));
  }

  /// It was set so many seconds, at most a slow test's time ago.
  void expect_ttl(const std::string& key, int seconds) const {
    const int left = std::atoi(run(cli_ + "ttl " + key).c_str());
    EXPECT_LE(left, seconds);
    EXPECT_GE(left, seconds - 20);
  }

  Directory directory_;
  std::unique_ptr<Redis> redis_;
  std::unique_ptr<Nearlane> server_;
  std::string cli_;
};

INSTANTIATE_TEST_SUITE_P(Stores, Live,
                         testing::Combine(testing::Values("memory:", "rocksdb", "redis"),
                                          testing::Values("1", "2")),
                         [](const auto& param) {
                           const std::string store = std::get<0>(param.param);
                           return (store == "redis"     ? "Redis"
                                   : store == "rocksdb" ? "Rocksdb"
                                                        : "Memory") +
                                  std::string(std::get<1>(param.param)) + "Loops";
                         });

TEST_P(Live, RedisCliSpeaksToIt) {
  EXPECT_EQ(run(cli_ + "set a b ex 60"), "OK\n");
  EXPECT_EQ(run(cli_ + "get a"), "b\n");
  expect_ttl("a", 60);
  EXPECT_EQ(run(cli_ + "-3 mget a none"), "b\n\n");
  EXPECT_EQ(run(cli_ + "-n 3 exists a"), "0\n");
  EXPECT_NE(run(cli_ + "info").find("keyspace_hits:"), std::string::npos);
}

TEST_P(Live, RedisBenchmarkRunsItsTests) {
  const std::string out = run("redis-benchmark -p " + std::to_string(server_->resp) +
                              " -t ping_inline,ping_mbulk,set,get,incr,mset -n 2000 -P 8 -q --csv");
  for (const char* name : {"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET"}) {
    EXPECT_NE(out.find(name), std::string::npos) << out;
  }
  EXPECT_EQ(out.find("rror"), std::string::npos) << out;
  EXPECT_EQ(out.find("exit"), std::string::npos) << out;
}

TEST_P(Live, HiredisPipelinesInOrder) {
  const std::unique_ptr<redisContext, decltype(&redisFree)> client(
      redisConnect("127.0.0.1", server_->resp), redisFree);
  ASSERT_EQ(client->err, 0);
  constexpr int kRounds = 300;
  for (int i = 0; i < kRounds; ++i) {
    redisAppendCommand(client.get(), "SET k%d %d", i % 7, i);
    redisAppendCommand(client.get(), "GET k%d", i % 7);
    redisAppendCommand(client.get(), "INCR k%d", i % 7);
    redisAppendCommand(client.get(), "GET k%d", i % 7);
  }
  for (int i = 0; i < kRounds; ++i) {
    for (const std::string& expected :
         {std::string("OK"), std::to_string(i), std::string(), std::to_string(i + 1)}) {
      void* raw = nullptr;
      ASSERT_EQ(redisGetReply(client.get(), &raw), REDIS_OK);
      auto* reply = static_cast<redisReply*>(raw);
      if (expected.empty()) {
        EXPECT_EQ(reply->integer, i + 1);
      } else {
        EXPECT_EQ(std::string(reply->str, reply->len), expected);
      }
      freeReplyObject(reply);
    }
  }
}

TEST_P(Live, CurlSpeaksToIt) {
  const std::string code = "-o /dev/null -w '%{http_code}' ";
  EXPECT_EQ(curl(code + "-X PUT -d hello", "/cache/a?ttl=60"), "201");
  EXPECT_EQ(curl(code + "-X PUT -d hello2", "/cache/a?ttl=60"), "204");
  EXPECT_EQ(curl("", "/cache/a"), "hello2");
  EXPECT_EQ(run(cli_ + "get a"), "hello2\n");
  expect_ttl("a", 60);
  EXPECT_EQ(curl(code + "-X PUT -d x -H 'If-None-Match: *'", "/cache/a"), "412");
  EXPECT_EQ(curl(code + "-X PUT -d x -H 'If-Match: *'", "/cache/none"), "412");
  EXPECT_EQ(curl(code + "-X PUT -d x -H 'If-Match: \"1\"'", "/cache/a"), "412");
  // A write that did not happen may have cost L1 its copy; this read brings it back.
  EXPECT_EQ(curl("", "/cache/a"), "hello2");
  const std::string head = curl("-I", "/cache/a");
  const std::size_t tag = head.find("ETag: ");
  ASSERT_NE(tag, std::string::npos) << head;
  EXPECT_NE(head.find("Content-Length: 6\r\n"), std::string::npos);
  EXPECT_NE(head.find("X-Cache: L1\r\n"), std::string::npos);
  EXPECT_NE(head.find("Cache-Control: private, no-cache\r\n"), std::string::npos);
  EXPECT_EQ(curl(code + "-H 'If-None-Match: \"x\", " + head.substr(tag + 6, 18) + "'", "/cache/a"),
            "304");
  EXPECT_EQ(curl(code + "-X POST", "/cache/a/touch?ttl=30"), "204");
  expect_ttl("a", 30);
  EXPECT_EQ(curl(code + "-X POST", "/cache/a/touch"), "400");
  EXPECT_EQ(curl(code + "-X POST", "/cache/none/touch?ttl=30"), "404");
  EXPECT_EQ(curl(code + "-X POST", "/cache/a"), "405");
  EXPECT_EQ(curl(code + "-X DELETE", "/cache/a"), "204");
  EXPECT_EQ(curl(code + "-X DELETE", "/cache/a"), "404");
  EXPECT_EQ(curl(code, "/cache/a"), "404");
  EXPECT_EQ(curl(code, "/healthz"), "200");
  EXPECT_EQ(curl(code, "/readyz"), "200");
  EXPECT_EQ(curl(code, "/nope"), "404");
  EXPECT_NE(curl("", "/metrics").find("nearlane_requests_total{proto=\"http\",cmd=\"get\""),
            std::string::npos);
  EXPECT_NE(curl("", "/stats").find("request bytes in user space -> response bytes ready"),
            std::string::npos);
}

TEST_P(Live, LargeValuesPassThroughBothDoors) {
  const std::string value(3'000'000, 'v');
  const std::string set = "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$3000000\r\n" + value + "\r\n";
  EXPECT_EQ(converse(server_->resp, set + "STRLEN big\r\nQUIT\r\n"), "+OK\r\n:3000000\r\n+OK\r\n");
  EXPECT_EQ(converse(server_->resp, "GET big\r\nGET big\r\nQUIT\r\n").size(),
            2 * (3'000'000 + 12) + 5U);
  EXPECT_EQ(curl("", "/cache/big"), value);
}

TEST_P(Live, HostileBytesDisturbNobodyElse) {
  const int witness = dial(server_->resp);
  ASSERT_EQ(converse(server_->resp, "SET w 1\r\nQUIT\r\n"), "+OK\r\n+OK\r\n");
  std::vector<std::string> resp = {"*-5\r\n$abc\r\n",
                                   "*1\r\n$-1\r\n",
                                   "*99999999999\r\n",
                                   "*2\r\n$3\r\nGET\r\n$99999999999\r\n",
                                   std::string(100'000, 'x'),
                                   "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100\r\nshort",
                                   "SET a \"b\r\n",
                                   std::string("\0\xff\r\n\x7f", 5),
                                   "*1048577\r\n",
                                   "GET / HTTP/1.1\r\nHost: x\r\n\r\n"};
  std::vector<std::string> http = {
      "garbage\r\n\r\n",
      "GET /healthz HTTP/1.1\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      "GET /cache/a HTTP/1.1\r\nHost",
      "GET /cache/" + std::string(400'000, 'k') + " HTTP/1.1\r\n\r\n",
      "PUT /cache/a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
      "PUT /cache/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
      "PUT /cache/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "PUT /cache/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nshort",
      "GET /cache/a HTTP/9.9\r\n\r\n",
      std::string("\x16\x03\x01\x02\0\x01", 6),
      "*1\r\n$4\r\nPING\r\n"};
  for (const auto& bytes : resp) {
    const std::string out = converse(server_->resp, bytes);
    EXPECT_TRUE(out.empty() || out.starts_with("-ERR") || out.starts_with("$-1"))
        << out.substr(0, 100);
  }
  for (const auto& bytes : http) {
    const std::string out = converse(server_->http, bytes);
    EXPECT_TRUE(out.empty() || out.starts_with("HTTP/1.1 4")) << out.substr(0, 100);
  }
  // The head of a chunk, and a trailer, may not go on for ever either.
  const std::string chunked =
      "PUT /cache/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string begin : {"1;", "0\r\nX: "}) {
    const std::string out = converse(server_->http, chunked + begin + std::string(500'000, 'x'));
    EXPECT_TRUE(out.empty() || out.starts_with("HTTP/1.1 431")) << out.substr(0, 100);
  }
  // A body whose end is in doubt must not be read as the next request.
  for (const char* coding : {"xchunked", "gzip", "chunked, identity", "gzip, chunked"}) {
    const std::string out = converse(
        server_->http, std::string("PUT /cache/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ") +
                           coding + "\r\n\r\nDELETE /cache/b HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(out.starts_with("HTTP/1.1 400")) << coding;
    EXPECT_EQ(out.find("HTTP/1.1 ", 1), std::string::npos) << coding << ": one answer, no more";
  }
  EXPECT_TRUE(converse(server_->http, http[0]).starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(converse(server_->http, http[4]).starts_with("HTTP/1.1 431"));
  EXPECT_TRUE(converse(server_->http, http[5]).starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(
      converse(server_->resp, resp[3]).starts_with("-ERR Protocol error: invalid bulk length"));
  // The one who was there all along sees nothing of it.
  ASSERT_EQ(::send(witness, "GET w\r\n", 7, 0), 7);
  std::array<char, 7> reply{};
  EXPECT_EQ(::recv(witness, reply.data(), reply.size(), MSG_WAITALL), 7);
  EXPECT_EQ(std::string(reply.data(), 7), "$1\r\n1\r\n");
  ::close(witness);
}

TEST_P(Live, PipelinedHttpIsAnsweredInOrder) {
  ASSERT_EQ(curl("-o /dev/null -w '%{http_code}' -X PUT -d 1", "/cache/p"), "201");
  const std::string host = "Host: x\r\n";
  const std::string out = converse(
      server_->http, "GET /cache/p HTTP/1.1\r\n" + host + "\r\nGET /cache/none HTTP/1.1\r\n" +
                         host + "\r\nDELETE /cache/p HTTP/1.1\r\n" + host +
                         "\r\nGET /cache/p HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n");
  std::vector<std::string> codes;
  for (std::size_t at = out.find("HTTP/1.1 "); at != std::string::npos;
       at = out.find("HTTP/1.1 ", at + 1)) {
    codes.push_back(out.substr(at + 9, 3));
  }
  EXPECT_EQ(codes, (std::vector<std::string>{"200", "404", "204", "404"}));
}

TEST_P(Live, SigtermDrains) {
  const int idle = dial(server_->resp);
  ASSERT_EQ(::send(idle, "PING\r\n", 6, 0), 6);
  std::array<char, 7> reply{};
  ASSERT_EQ(::recv(idle, reply.data(), reply.size(), MSG_WAITALL), 7);
  server_->child->signal(SIGTERM);
  EXPECT_EQ(::recv(idle, reply.data(), reply.size(), 0), 0);
  EXPECT_EQ(server_->child->wait(), 0);
  ::close(idle);
}

// What waits for a Redis that has stopped lies on other loops than its client.
TEST(LiveRedis, ADrainThatIsCutShortAnswersWhoWaits) {
  const Redis redis;
  Nearlane server("redis://127.0.0.1:" + std::to_string(redis.port),
                  {"--threads", "2", "--l2-timeout", "30s", "--drain-timeout", "300ms"});
  redis.child->signal(SIGSTOP);
  std::vector<int> clients;
  for (int i = 0; i < 16; ++i) {
    clients.push_back(dial(server.http));
    const std::string put =
        "PUT /cache/k" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1";
    ASSERT_EQ(::send(clients.back(), put.data(), put.size(), MSG_NOSIGNAL), put.size());
  }
  // They wait: none has an answer yet.
  pollfd waiting{.fd = clients.front(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&waiting, 1, 200), 0);
  server.child->signal(SIGTERM);
  EXPECT_EQ(server.child->wait(), 1);
  for (const int client : clients) {
    std::array<char, 12> head{};
    EXPECT_EQ(::recv(client, head.data(), head.size(), MSG_WAITALL), 12);
    EXPECT_EQ(std::string_view(head.data(), head.size()), "HTTP/1.1 503");
    ::close(client);
  }
  redis.child->signal(SIGCONT);
}

TEST(LiveRedis, AnL2ThatIsDownIsAClearErrorAndRecovers) {
  auto redis = std::make_unique<Redis>();
  const int port = redis->port;
  const Nearlane server("redis://127.0.0.1:" + std::to_string(port), {"--l2-timeout", "300ms"});
  const std::string cli = "redis-cli -p " + std::to_string(server.resp) + " ";
  // It is ready with more than half of its lanes; this key's may be one of the others.
  ASSERT_EQ(run_until(cli + "set a 1", "OK\n"), "OK\n");
  redis.reset();
  EXPECT_NE(run(cli + "set b 1").find("ERR nearlane: "), std::string::npos);
  EXPECT_NE(run(cli + "get never_read").find("ERR nearlane: "), std::string::npos);
  EXPECT_EQ(run("curl -s -m 10 -o /dev/null -w '%{http_code}' " + url(server, "/cache/never_read")),
            "503");
  EXPECT_EQ(run("curl -s -m 10 -o /dev/null -w '%{http_code}' " + url(server, "/healthz")), "200");
  redis = std::make_unique<Redis>(port);
  // Each lane comes back by itself, after a pause of its own. A new, empty Redis: a is gone.
  EXPECT_EQ(run_until(cli + "set b 2", "OK\n"), "OK\n");
  EXPECT_EQ(run_until(cli + "get a", "\n"), "\n");
  EXPECT_EQ(run(cli + "get b"), "2\n");
}

TEST(LiveRedis, AnotherClientsWriteIsSeenWithinTheBound) {
  const Redis redis;
  const Nearlane server("redis://127.0.0.1:" + std::to_string(redis.port));
  const std::string cli = "redis-cli -p " + std::to_string(server.resp) + " ";
  ASSERT_EQ(run(cli + "set a 1"), "OK\n");
  ASSERT_EQ(run(cli + "get a"), "1\n");
  ASSERT_EQ(run("redis-cli -p " + std::to_string(redis.port) + " set a 2"), "OK\n");
  const auto bound = std::chrono::steady_clock::now() + 250ms;
  std::string seen;
  std::chrono::steady_clock::time_point asked;
  do {
    asked = std::chrono::steady_clock::now();
    seen = run(cli + "get a");
  } while (seen == "1\n" && asked < bound);
  EXPECT_EQ(seen, "2\n");
}

TEST(LiveRedis, TheDatabaseOfTheUrlIsWhereBothDoorsStart) {
  const Redis redis;
  const Nearlane server("redis://127.0.0.1:" + std::to_string(redis.port) + "/5");
  const std::string cli = "redis-cli -p " + std::to_string(server.resp) + " ";
  const std::string direct = "redis-cli -p " + std::to_string(redis.port) + " ";
  ASSERT_EQ(run(cli + "set a 1"), "OK\n");
  EXPECT_EQ(run(direct + "-n 5 get a"), "1\n");
  EXPECT_EQ(run(direct + "-n 0 get a"), "\n");
  EXPECT_EQ(run("curl -s -m 10 " + url(server, "/cache/a")), "1");
}

TEST(LiveConfig, EndsWithTwoOnABadConfiguration) {
  for (const char* args :
       {"--resp 0.0.0.0:0", "--nope", "--l2 nope:", "--threads 0", "--threads 4294967295",
        "--pool 400000000", "--http 127.0.0.1:x", "--password-file /nonexistent", "--profile v9"}) {
    const std::string out = run(std::string(NEARLANE_BINARY) + " " + args);
    EXPECT_TRUE(out.starts_with("nearlane: ") && out.ends_with("exit 2")) << args << ": " << out;
  }
}

TEST(LiveConfig, NamesTheStoreThatThereIsNot) {
  const std::string server = std::string(NEARLANE_BINARY) + " --l2 ";
  EXPECT_THAT(run(server + "memory"), testing::HasSubstr("'memory' is not a store"));
  const std::string out = run(server + "mysql://user:secret@host");
  EXPECT_THAT(out, testing::HasSubstr("'mysql:' is not a store"));
  EXPECT_THAT(out, testing::Not(testing::HasSubstr("secret")));
}

TEST(LiveSecrets, AreAskedForOnBothDoors) {
  const std::string path = testing::TempDir() + "nearlane_secret." + std::to_string(::getpid());
  FILE* file = std::fopen(path.c_str(), "w");
  std::fputs("s3cret\r\n\nnewer\n", file);
  std::fclose(file);
  const Nearlane server("memory:", {"--password-file", path, "--api-key-file", path});
  const std::string cli = "redis-cli -p " + std::to_string(server.resp) + " ";
  EXPECT_NE(run(cli + "get a").find("NOAUTH"), std::string::npos);
  EXPECT_EQ(run(cli + "--no-auth-warning -a s3cret get a"), "\n");
  const std::string code = "curl -s -m 10 -o /dev/null -w '%{http_code}' ";
  EXPECT_EQ(run(code + url(server, "/cache/a")), "401");
  EXPECT_EQ(run(code + url(server, "/stats")), "401");
  EXPECT_EQ(run(code + url(server, "/healthz")), "200");
  EXPECT_EQ(run(code + "-H 'Authorization: Bearer s3cret' " + url(server, "/cache/a")), "404");
  EXPECT_EQ(run(code + "-H 'X-API-Key: s3cret' " + url(server, "/cache/a")), "404");
  EXPECT_EQ(run(code + "-H 'X-API-Key: newer' " + url(server, "/cache/a")), "404");
  EXPECT_EQ(run(code + "-H 'X-API-Key;' " + url(server, "/cache/a")), "401");
  EXPECT_NE(run(cli + "--no-auth-warning -a newer get a").find("WRONGPASS"), std::string::npos);
  // Before the body has come, and before it is asked for.
  const std::string put = "PUT /cache/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n";
  for (const std::string expect : {"", "Expect: 100-continue\r\n"}) {
    EXPECT_TRUE(converse(server.http, put + expect + "\r\n").starts_with("HTTP/1.1 401")) << expect;
  }
  EXPECT_EQ(run(code + "-H 'X-API-Key: s3cre' " + url(server, "/cache/a")), "401");
  std::remove(path.c_str());
}

TEST(LiveProfiles, OldGenerationsCompressPerRequest) {
  for (const char* profile : {"v2.0", "v3.0"}) {
    const Nearlane server("memory:", {"--profile", profile});
    const std::string text(5000, 'z');
    ASSERT_EQ(run("curl -s -m 10 -o /dev/null -w '%{http_code}' -X PUT -d " + text + " " +
                  url(server, "/cache/a")),
              "201");
    const std::string plain = run("curl -s -m 10 -i " + url(server, "/cache/a"));
    const std::string packed =
        run("curl -s -m 10 -i -H 'Accept-Encoding: gzip' --output - " + url(server, "/cache/a"));
    EXPECT_NE(packed.find("Content-Encoding: gzip"), std::string::npos);
    EXPECT_NE(packed.find("-gzip\"\r\n"), std::string::npos);
    EXPECT_NE(packed.find("X-Content-Type-Options: nosniff"), std::string::npos);
    EXPECT_EQ(plain.find("Content-Encoding"), std::string::npos);
    EXPECT_EQ(run("curl -s -m 10 --compressed " + url(server, "/cache/a")), text);
  }
}

}  // namespace
}  // namespace nearlane::live
