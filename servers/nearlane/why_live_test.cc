// nearlane why and the auditor, over a real Redis and the server as people run it.
#include <chrono>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>

#include "servers/nearlane/live_processes.h"

namespace nearlane::live {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string redis_url(const Redis& redis) {
  return "redis://127.0.0.1:" + std::to_string(redis.port);
}
std::string cli(const Redis& redis, const std::string& command) {
  return run("redis-cli -p " + std::to_string(redis.port) + " " + command);
}
std::string get(const Nearlane& server, const std::string& key) {
  return run("redis-cli -p " + std::to_string(server.resp) + " get " + key);
}
std::string why(const Nearlane& server, const std::string& more) {
  return run(std::string(NEARLANE_BINARY) + " why --http 127.0.0.1:" + std::to_string(server.http) +
             " " + more);
}
/// The value of one series at /metrics; 0 where there is none.
std::uint64_t metric(const Nearlane& server, const std::string& series) {
  const std::string page = run("curl -s " + url(server, "/metrics"));
  const std::size_t at = page.find("\n" + series + " ");
  return at == std::string::npos
             ? 0
             : static_cast<std::uint64_t>(std::stod(page.substr(at + series.size() + 2)));
}

/// In parts, so that no side waits for the other.
void read_all(const Nearlane& server, const std::string& gets) {
  for (std::size_t from = 0; from < gets.size();) {
    const std::size_t end = std::min(gets.find("\r\n", from + 16'000), gets.size() - 2) + 2;
    converse(server.resp, gets.substr(from, end - from));
    from = end;
  }
}

TEST(Why, ShowsTheLastEventsOfAKeyThatHasManyAndSaysSinceWhenTheyAreAll) {
  const Redis redis;
  const Nearlane server(redis_url(redis));
  std::string touches = "SET k v\r\n";
  for (int i = 0; i < 400; ++i) touches += "EXPIRE k " + std::to_string(1000 + i) + "\r\n";
  EXPECT_THAT(converse(server.resp, touches), HasSubstr(":1\r\n"));
  const std::string json = why(server, "k --json");
  std::size_t events = 0;
  for (std::size_t at = json.find("\"ago_ms\""); at != std::string::npos;
       at = json.find("\"ago_ms\"", at + 1)) {
    ++events;
  }
  EXPECT_EQ(events, 256);
  EXPECT_THAT(json, Not(HasSubstr("\"complete_for_ms\": null"))) << "there were more";
}

TEST(Why, TellsWhatAKeyIsServedFrom) {
  const Redis redis;
  const Nearlane server(redis_url(redis));
  cli(redis, "set k secret-value ex 600");
  EXPECT_THAT(why(server, "k"), AllOf(HasSubstr("from L2: L1 has no copy: L2 is asked\n"),
                                      HasSubstr("L1        no copy\n"),
                                      HasSubstr("L2        has it, for 10.0 min more\n")));
  ASSERT_EQ(get(server, "k"), "secret-value\n");
  const std::string served = why(server, "k");
  EXPECT_THAT(served, HasSubstr("key       \"k\" in database 0, hash "));
  EXPECT_THAT(served, HasSubstr("answer    from L1: L1 "));
  EXPECT_THAT(served, HasSubstr("L1        12 bytes, of epoch "));
  EXPECT_THAT(served, HasSubstr(", its lane's\n"));
  EXPECT_THAT(served, HasSubstr("deadline  in "));
  EXPECT_THAT(served, HasSubstr("L1's copy is the same\n"));
  EXPECT_THAT(served, HasSubstr("ago  fill (epoch "));
  EXPECT_THAT(served, Not(HasSubstr("secret-value")));

  cli(redis, "set k other");
  run_until("redis-cli -p " + std::to_string(server.resp) + " get k", "other\n");
  EXPECT_THAT(why(server, "k"), AllOf(HasSubstr("ago  push "), HasSubstr("ago  evict ")));
}

TEST(Why, TellsOfALostLane) {
  const Redis redis;
  const Nearlane server(redis_url(redis), {"--refresh-rate", "0"});  // nothing is read again
  cli(redis, "set k v");
  ASSERT_EQ(get(server, "k"), "v\n");
  cli(redis, "client kill type normal");
  const auto until = std::chrono::steady_clock::now() + kPatience;
  std::string told;
  // The lane's epoch says so at once, the history of bumps when the lanes are next looked at.
  const auto tells = AllOf(HasSubstr("bump (epoch "), HasSubstr("another epoch of its lane"),
                           HasSubstr("while its lane's is "));
  do {
    told = why(server, "k");
  } while (!testing::Matches(tells)(told) && std::chrono::steady_clock::now() < until);
  EXPECT_THAT(told, tells);
}

TEST(Why, IsJsonForPrograms) {
  const Redis redis;
  const Nearlane server(redis_url(redis));
  cli(redis, "set 'a/b c' v");
  const std::string page = why(server, "--json 'a/b c'");
  EXPECT_THAT(page, AllOf(HasSubstr("\"key\": \"a/b c\""), HasSubstr("\"exists\": true"),
                          HasSubstr("\"service\": \"absent\"")));
  EXPECT_EQ(page.front(), '{');
  EXPECT_EQ(run("curl -s -o /dev/null -w '%{http_code} %{content_type}' " + url(server, "/why/k")),
            "200 application/json");
  EXPECT_EQ(run("curl -s -X POST -o /dev/null -w '%{http_code}' " + url(server, "/why/k")), "405");
  EXPECT_EQ(run("curl -s -I -o /dev/null -w '%{http_code}' " + url(server, "/why/k")), "200");
}

TEST(Why, LooksIntoTheDatabaseThatIsNamed) {
  const Redis redis;
  const Nearlane server(redis_url(redis));
  cli(redis, "-n 3 set k v");
  EXPECT_THAT(why(server, "k --db 3"), AllOf(HasSubstr("in database 3"), HasSubstr("has it")));
  EXPECT_THAT(why(server, "k --db 20"), HasSubstr("did not say: l2_error: ERR DB index"));
}

TEST(Why, SaysWhatIsWrongWhenItCannotTell) {
  const Redis redis;
  const std::string file = testing::TempDir() + "why_key." + std::to_string(::getpid());
  const std::string other = file + ".other";
  std::ofstream(file) << "right\n";
  std::ofstream(other) << "wrong\n";
  const Nearlane server(redis_url(redis), {"--api-key-file", file});
  const std::string door = "127.0.0.1:" + std::to_string(server.http);
  EXPECT_EQ(why(server, "k"),
            "nearlane why: " + door + " asks for an API key: give --api-key-file\nexit 1");
  EXPECT_EQ(why(server, "k --api-key-file " + other),
            "nearlane why: " + door + " refuses the API key in --api-key-file\nexit 1");
  EXPECT_THAT(why(server, "k --api-key-file " + file),
              AllOf(HasSubstr("L2        no such key\n"),
                    HasSubstr("nearlane why: neither L1 nor L2 has such a key\nexit 1")));
  EXPECT_THAT(why(server, "k --api-key-file /nowhere"),
              AllOf(HasSubstr("cannot read a line from /nowhere"), HasSubstr("exit 2")));
  EXPECT_THAT(why(server, ""), AllOf(HasSubstr("KEY is required"), HasSubstr("exit 2")));
  const std::string binary = NEARLANE_BINARY;
  EXPECT_THAT(run(binary + " why k --http 127.0.0.1:" + std::to_string(free_port())),
              AllOf(HasSubstr("cannot reach 127.0.0.1:"), HasSubstr("Connection refused"),
                    HasSubstr("exit 1")));
  EXPECT_THAT(run(binary + " why k --http somewhere"),
              AllOf(HasSubstr("--http: "), HasSubstr("exit 2")));
  EXPECT_THAT(run(binary + " why --help"), HasSubstr("--api-key-file"));
  std::remove(file.c_str());
  std::remove(other.c_str());
}

TEST(Why, ExplainsAnEmbeddedStoreToo) {
  const Nearlane server("memory:");
  run("redis-cli -p " + std::to_string(server.resp) + " set k v");
  EXPECT_THAT(why(server, "k"),
              AllOf(HasSubstr("L1 serves its copy"), HasSubstr("needs no lease"),
                    HasSubstr("L1's copy is the same"), HasSubstr("ago  write ")));
}

TEST(Why, SaysThatRedisIsAway) {
  auto redis = std::make_unique<Redis>();
  const Nearlane server(redis_url(*redis));
  cli(*redis, "set k v");
  ASSERT_EQ(get(server, "k"), "v\n");
  redis.reset();
  EXPECT_THAT(why(server, "k"), HasSubstr("L2        did not say: "));
}

// A thousandth of the hits of usual traffic are audited, no more; what nobody announced is found.
TEST(Auditor, FindsWhatASwapMadeStaleWithAThousandthOfTheHits) {
  const Redis redis;
  const Nearlane server(redis_url(redis));
  constexpr int kKeys = 20'000;
  std::string old_values;
  std::string new_values = "SELECT 1\r\n";
  std::string gets;
  for (int i = 0; i < kKeys; ++i) {
    const std::string key = "key:" + std::to_string(i);
    old_values += "SET " + key + " old\r\n";
    new_values += "SET " + key + " new\r\n";
    gets += "GET " + key + "\r\n";
  }
  converse(redis.port, old_values);
  converse(redis.port, new_values);
  for (int round = 0; round < 20; ++round) read_all(server, gets);
  const auto audits = [&] {
    std::uint64_t sum = 0;
    for (const char* outcome : {"agreed", "differed", "left", "failed", "undecided"})
      sum += metric(server, "nearlane_audits_total{outcome=\"" + std::string(outcome) + "\"}");
    return sum;
  };
  const auto wrong = [&] {
    std::uint64_t sum = 0;
    for (const char* verdict : {"stale", "zombie", "ghost", "ttl_skew", "split"}) {
      for (const char* age : {"lease", "1s", "10s", "60s"}) {
        sum += metric(server, "nearlane_inconsistency_total{verdict=\"" + std::string(verdict) +
                                  "\",age=\"" + age + "\"}");
      }
    }
    return sum;
  };
  // An audit ends a lease after it began; the rounds may have taken less.
  const auto first = std::chrono::steady_clock::now() + kPatience;
  while (audits() == 0 && std::chrono::steady_clock::now() < first) read_all(server, gets);
  EXPECT_GT(audits(), 0);
  EXPECT_EQ(wrong(), 0);
  cli(redis, "swapdb 0 1");
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (wrong() == 0 && std::chrono::steady_clock::now() < until) read_all(server, gets);
  EXPECT_GT(metric(server, "nearlane_inconsistency_total{verdict=\"stale\",age=\"lease\"}"), 0);
  const std::uint64_t hits = metric(server, "nearlane_l1_lookups_total{outcome=\"hit\"}");
  std::cout << audits() << " audits of " << hits << " hits, " << wrong() << " verdicts\n";
  EXPECT_LE((audits() + metric(server, "nearlane_audits_under_way")) * 1000, hits);
}

TEST(Auditor, IsOffWhenItsRateIsZero) {
  const Redis redis;
  const Nearlane server(redis_url(redis), {"--audit-rate", "0"});
  std::string sets;
  std::string gets;
  for (int i = 0; i < 10'000; ++i) {  // so many that some are sampled
    sets += "SET key:" + std::to_string(i) + " v\r\n";
    gets += "GET key:" + std::to_string(i) + "\r\n";
  }
  converse(redis.port, sets);
  for (int round = 0; round < 6; ++round) read_all(server, gets);
  EXPECT_GT(metric(server, "nearlane_l1_lookups_total{outcome=\"hit\"}"), 30'000);
  EXPECT_EQ(metric(server, "nearlane_audits_total{outcome=\"agreed\"}"), 0);
}

}  // namespace
}  // namespace nearlane::live
