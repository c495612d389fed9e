// The real program against a real redis-server, as a person would run it.
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): SIGINT is POSIX, not C++

#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

Result<Child> start_load(const std::vector<std::string>& arguments) {
  const auto tests = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  ChildSpec spec{.name = "nearlane-bench",
                 .argv = {tests.parent_path() / "bin" / "nearlane-bench", "load"}};
  spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
  return Child::start(std::move(spec));
}

TEST(LoadCommand, TellsWhatItFound) {
  auto redis = RedisServer::start();
  ASSERT_TRUE(redis) << redis.error().detail;
  auto load = start_load({redis->url(), "--duration", "0.3", "--warmup", "0.1", "--mix",
                          "80:10:5:5", "--keys", "200", "--conns", "4", "--pipeline", "4"});
  ASSERT_TRUE(load) << load.error().detail;
  auto status = load->wait(60s);
  ASSERT_TRUE(status) << status.error().detail;
  EXPECT_EQ(status->to_string(), "exit code 0") << load->last_output(50);
  const auto output = load->last_output(50);
  EXPECT_THAT(output, HasSubstr("closed loop"));
  EXPECT_THAT(output, HasSubstr("get 80 % set 10 % touch 5 % erase 5 %"));
  EXPECT_THAT(output, HasSubstr("service_time"));
  EXPECT_THAT(output, HasSubstr("hit rate"));
  EXPECT_THAT(output, Not(HasSubstr("failed,")));
}

TEST(LoadCommand, ExitsWith1WhereRequestsFailedAlthoughAllWereAnswered) {
  auto redis = RedisServer::start();
  ASSERT_TRUE(redis) << redis.error().detail;
  // One error for each request: no write is taken any more.
  ASSERT_TRUE(redis->client().command({"CONFIG", "SET", "min-replicas-to-write", "1"}));
  auto load = start_load({redis->url(), "--duration", "0.2", "--warmup", "0", "--mix", "0:100:0:0",
                          "--keys", "10", "--no-fill"});
  ASSERT_TRUE(load) << load.error().detail;
  auto status = load->wait(60s);
  ASSERT_TRUE(status) << status.error().detail;
  const auto output = load->last_output(50);
  EXPECT_EQ(status->to_string(), "exit code 1") << output;
  EXPECT_THAT(output,
              testing::ContainsRegex("load: ([0-9]+) of [0-9]+ requests failed; the first: .*"
                                     "NOREPLICAS"));
}

TEST(LoadCommand, TellsWhatItFoundSoFarWhenInterrupted) {
  auto redis = RedisServer::start();
  ASSERT_TRUE(redis) << redis.error().detail;
  auto load = start_load({redis->url(), "--duration", "600", "--warmup", "0", "--rate", "500"});
  ASSERT_TRUE(load) << load.error().detail;
  ASSERT_TRUE(load->wait_line("1.", 60s)) << "the progress of the first second";
  ASSERT_TRUE(load->signal(SIGINT));
  auto status = load->wait(60s);
  ASSERT_TRUE(status) << status.error().detail;
  EXPECT_FALSE(status->signalled);
  EXPECT_THAT(load->last_output(50), HasSubstr("response_time"));
}

TEST(LoadCommand, ARampThatIsInterruptedHasNoAnswer) {
  auto redis = RedisServer::start();
  ASSERT_TRUE(redis) << redis.error().detail;
  // So little that nothing holds, whatever the machine.
  auto load = start_load({redis->url(), "--duration", "0.2", "--warmup", "0", "--keys", "10",
                          "--rate", "50000", "--ramp-p99", "0.001"});
  ASSERT_TRUE(load) << load.error().detail;
  ASSERT_TRUE(load->wait_line("       50000/s", 60s)) << load->last_output(50);
  ASSERT_TRUE(load->signal(SIGINT));
  auto status = load->wait(60s);
  ASSERT_TRUE(status) << status.error().detail;
  EXPECT_EQ(status->to_string(), "exit code 1");
  EXPECT_THAT(load->last_output(50), HasSubstr("interrupted; so far no rate held"));
}

TEST(LoadCommand, RefusesALimitThatCannotBe) {
  auto load = start_load({"resp://127.0.0.1:1", "--ramp-p99", "-1"});
  ASSERT_TRUE(load) << load.error().detail;
  auto status = load->wait(60s);
  ASSERT_TRUE(status) << status.error().detail;
  EXPECT_EQ(status->to_string(), "exit code 2");
  EXPECT_THAT(load->last_output(50), HasSubstr("limit of p99"));
}

TEST(LoadCommand, ExitsWith2WhenItCannotRun) {
  for (const auto& wrong : std::vector<std::vector<std::string>>{
           {"resp://127.0.0.1:1"}, {"nonsense"}, {}, {"resp://127.0.0.1:1", "--no-such-flag"}}) {
    auto load = start_load(wrong);
    ASSERT_TRUE(load) << load.error().detail;
    auto status = load->wait(60s);
    ASSERT_TRUE(status) << status.error().detail;
    EXPECT_EQ(status->to_string(), "exit code 2") << load->last_output();
  }
}

}  // namespace
}  // namespace nearlane::harness
