// Instances that end and begin again, in front of a real redis-server and of the store on disk: what they leave behind,
// when they say that they are ready, what their first reads find, and how they take their leave.

#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "servers/nearlane/live_processes.h"

namespace nearlane::live {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int kKeys = 50;

std::string redis_url(const Redis& redis) {
  return "redis://127.0.0.1:" + std::to_string(redis.port);
}
std::string cli(int port) { return "redis-cli -p " + std::to_string(port) + " "; }

std::string get(const Nearlane& server, const std::string& key) {
  return run("curl -s -m 10 -i " + url(server, "/cache/" + key));
}
std::string readyz(int http) {
  return run("curl -s -m 10 -i http://127.0.0.1:" + std::to_string(http) + "/readyz");
}

std::string key(int i) { return "session:" + std::to_string(i); }

void fill(const Nearlane& server) {
  std::string commands;
  for (int i = 0; i < kKeys; ++i) commands += "SET " + key(i) + " v" + std::to_string(i) + "\r\n";
  std::string wanted;
  for (int i = 0; i < kKeys; ++i) wanted += "+OK\r\n";
  ASSERT_EQ(converse(server.resp, commands), wanted);
}

void expect_all_in_l1(const Nearlane& server) {
  for (int i = 0; i < kKeys; ++i) {
    const std::string answer = get(server, key(i));
    EXPECT_THAT(answer, HasSubstr("X-Cache: L1")) << key(i);
    EXPECT_THAT(answer, testing::EndsWith("\r\n\r\nv" + std::to_string(i)));
  }
}

void end(Nearlane& server) {
  server.child->signal(SIGTERM);
  EXPECT_EQ(server.child->wait(), 0);
}

TEST(Warmup, AnInstanceThatWasToldToEndFindsItsKeysInL1WhenItIsReadyAgain) {
  const Redis redis;
  {
    Nearlane server(redis_url(redis), {"--drain-delay", "0"});
    fill(server);
    end(server);
  }
  EXPECT_THAT(run(cli(redis.port) + "keys 'nearlane:warmup:*'"), HasSubstr("nearlane:warmup:"));
  const Nearlane again(redis_url(redis));
  expect_all_in_l1(again);
}

TEST(Warmup, SoDoesOneThatWasKilledAndAnotherOneBesideIt) {
  const Redis redis;
  auto server = std::make_unique<Nearlane>(redis_url(redis),
                                           std::vector<std::string>{"--warmup-interval", "200ms"});
  fill(*server);
  const std::string begins =
      cli(redis.port) + R"(--raw eval 'local list = redis.call("keys", "nearlane:warmup:*")[1] )" +
      R"(return list and string.match(redis.call("get", list), "%d+")' 0)";
  const std::string of_all = std::to_string(1 + 2 * kKeys) + "\n";
  ASSERT_EQ(run_until(begins, of_all), of_all);
  server.reset();  // SIGKILL
  const Nearlane again(redis_url(redis));
  expect_all_in_l1(again);
  const Nearlane beside(redis_url(redis));
  expect_all_in_l1(beside);
}

TEST(Warmup, AStaleListHarmsNothing) {
  const Redis redis;
  {
    Nearlane server(redis_url(redis), {"--drain-delay", "0"});
    fill(server);
    end(server);
  }
  const std::string direct = cli(redis.port);
  run(direct + "set " + key(1) + " new");
  run(direct + "del " + key(2) + " " + key(3));
  run(direct + "rpush " + key(3) + " x");
  // And what others may have left there.
  for (int i = 0; i < 8; ++i) {
    const auto on_list = [&](const char* command, const char* more) {
      return run(fmt::format("{}{} nearlane:warmup:{} {}", direct, command, i, more));
    };
    if (on_list("exists", "") != "0\n") continue;
    on_list(i % 2 == 0 ? "set" : "rpush", "garbage");
  }
  const Nearlane again(redis_url(redis));
  EXPECT_THAT(get(again, key(0)), HasSubstr("X-Cache: L1"));
  EXPECT_THAT(get(again, key(1)), testing::EndsWith("\r\n\r\nnew"));
  EXPECT_THAT(get(again, key(2)), HasSubstr(" 404 "));
  EXPECT_THAT(run(cli(again.resp) + "get " + key(3)), HasSubstr("WRONGTYPE"));
  EXPECT_EQ(run(cli(again.resp) + "lrange " + key(3) + " 0 -1"), "x\n");
}

TEST(Warmup, IsOffWhereItIsTurnedOff) {
  const Redis redis;
  Nearlane server(redis_url(redis), {"--drain-delay", "0", "--warmup", "false"});
  fill(server);
  EXPECT_THAT(readyz(server.http), HasSubstr("\"warmup\": \"off\""));
  end(server);
  EXPECT_EQ(run(cli(redis.port) + "keys 'nearlane:warmup:*'"), "\n");
}

TEST(Warmup, TheStoreOnDiskKeepsTheListOutOfItsClientsSight) {
  const Directory directory;
  {
    Nearlane server(directory.url(), {"--drain-delay", "0"});
    fill(server);
    end(server);
  }
  const Nearlane again(directory.url());
  expect_all_in_l1(again);
  EXPECT_EQ(run(cli(again.resp) + "dbsize"), std::to_string(kKeys) + "\n");
  EXPECT_EQ(run(cli(again.resp) + "keys 'nearlane:*'"), "\n");
}

/// One of which nobody waits until it is ready.
struct Beginning {
  Beginning(const Redis& redis, std::vector<std::string> more)
      : child([&] {
          std::vector<std::string> args = {NEARLANE_BINARY,  "--resp",      "127.0.0.1:0",
                                           "--http",         "127.0.0.1:0", "--l2",
                                           redis_url(redis), "--l1-bytes",  "64MiB"};
          args.insert(args.end(), more.begin(), more.end());
          return args;
        }()) {
    const std::string ready = child.line_with("nearlane ready");
    EXPECT_EQ(std::sscanf(ready.c_str(), "nearlane ready resp=127.0.0.1:%d http=127.0.0.1:%d",
                          &resp, &http),
              2);
  }
  /// Until its page says so.
  std::string ready_page(std::string_view wanted) const {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    std::string page;
    do {
      page = readyz(http);
    } while (page.find(wanted) == std::string::npos && std::chrono::steady_clock::now() < until);
    return page;
  }

  int resp = 0;
  int http = 0;
  Child child;
};

TEST(Warmup, WhatTakesLongerThanItsLimitKeepsNobodyWaiting) {
  const Redis redis;
  run(cli(redis.port) +
      R"(eval 'local list = {"*2001\r\n$4\r\nNLW1\r\n"} for i = 1000, 1999 do )"
      R"(redis.call("set", "k" .. i, "v") list[#list + 1] = "$1\r\n0\r\n$5\r\nk" .. i .. "\r\n" end )"
      R"(redis.call("set", "nearlane:warmup:0", table.concat(list))' 0)");
  const Beginning server(redis, {"--refresh-rate", "20", "--warmup-timeout", "2s"});
  const std::string warming = server.ready_page("\"l2\"");
  EXPECT_THAT(warming, HasSubstr(" 503 "));
  EXPECT_THAT(warming, HasSubstr("\"warmup\": \"warming\""));
  EXPECT_EQ(run(cli(server.resp) + "get k1500"), "v\n") << "who asks is served";
  const std::string late = server.ready_page(" 200 ");
  EXPECT_THAT(late, HasSubstr(" 200 "));
  EXPECT_THAT(late, HasSubstr("\"warmup\": \"late\""));
}

TEST(Warmup, AnL2ThatHangsKeepsNobodyWaitingEither) {
  const Redis redis;
  redis.child->signal(SIGSTOP);
  const Beginning server(redis, {"--warmup-timeout", "500ms", "--l2-timeout", "200ms"});
  EXPECT_THAT(server.ready_page("\"warmup\": \"late\""), HasSubstr("\"warmup\": \"late\""));
  EXPECT_EQ(run(cli(server.resp) + "ping"), "PONG\n");
  redis.child->signal(SIGCONT);
  EXPECT_THAT(server.ready_page(" 200 "), HasSubstr(" 200 "));
  EXPECT_THAT(server.ready_page("\"warmup\": \"done\""), HasSubstr("\"warmup\": \"done\""));
}

/// The first answer's head, to a request on a connection that stays open if the server lets it.
std::string head_of(int socket, std::string_view path) {
  const std::string request = "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_EQ(::send(socket, request.data(), request.size(), MSG_NOSIGNAL), request.size());
  std::string answer;
  std::array<char, 4096> chunk{};
  while (answer.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = ::recv(socket, chunk.data(), chunk.size(), 0);
    if (got <= 0) break;
    answer.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return answer.substr(0, answer.find("\r\n\r\n"));
}

TEST(Drain, SaysSoServesOnAndTellsClientsToGoElsewhere) {
  Nearlane server("memory:", {"--drain-delay", "3s"});
  ASSERT_EQ(run(cli(server.resp) + "set a b"), "OK\n");
  const int client = dial(server.http);
  EXPECT_THAT(head_of(client, "/cache/a"), Not(HasSubstr("Connection: close")));
  const int pipelining = dial(server.http);
  EXPECT_THAT(readyz(server.http), HasSubstr(" 200 "));

  server.child->signal(SIGTERM);
  const std::string said =
      run_until("curl -s -m 10 -o /dev/null -w '%{http_code}' http://127.0.0.1:" +
                    std::to_string(server.http) + "/readyz",
                "503");
  EXPECT_EQ(said, "503");
  EXPECT_THAT(readyz(server.http), HasSubstr("\"draining\": true"));
  const std::string last = head_of(client, "/cache/a");
  EXPECT_THAT(last, HasSubstr(" 200 "));
  EXPECT_THAT(last, HasSubstr("Connection: close"));
  char byte = 0;
  while (::recv(client, &byte, 1, 0) > 0) {
  }
  ::close(client);
  // Of what came together all is answered before the connection ends.
  const std::string one = "GET /cache/a HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_EQ(::send(pipelining, (one + one).data(), 2 * one.size(), MSG_NOSIGNAL), 2 * one.size());
  std::string answers;
  while (::recv(pipelining, &byte, 1, 0) > 0) answers += byte;
  ::close(pipelining);
  EXPECT_NE(answers.find(" 200 ", answers.find(" 200 ") + 1), std::string::npos) << answers;
  EXPECT_EQ(run(cli(server.resp) + "get a"), "b\n") << "a new connection";
  EXPECT_EQ(server.child->wait(), 0);
}

}  // namespace
}  // namespace nearlane::live
