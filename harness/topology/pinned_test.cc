#include "harness/topology/pinned.h"

#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "harness/topology/child.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

int allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  return CPU_COUNT(&set);
}

TEST(Pinned, LeavesOneCoreToTheThreadAndToWhatItStarts) {
  const int before = allowed();
  Result<Child> child = Error{Errc::unavailable};
  {
    const Pinned here(kServersCore);
    EXPECT_EQ(allowed(), 1);
    child = Child::start({.name = "nproc", .argv = {"nproc"}});
  }
  EXPECT_EQ(allowed(), before);
  ASSERT_TRUE(child) << child.error().detail;
  EXPECT_TRUE(child->wait_line("1", 20s)) << child->last_output();
}

TEST(Pinned, GivesOutTheCoresThatThereAreInTurn) {
  const auto many = static_cast<std::size_t>(allowed());
  const auto core = [](std::size_t nth) {
    const Pinned here(nth);
    return ::sched_getcpu();
  };
  EXPECT_EQ(core(0), core(many));
  EXPECT_EQ(core(kServersCore) == core(kClientsCore), many == 1);
}

/// Which cores each thread of a process may use.
std::vector<cpu_set_t> cores_of_threads(pid_t process) {
  std::vector<cpu_set_t> cores;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    CPU_ZERO(&cores.emplace_back());
    EXPECT_EQ(
        ::sched_getaffinity(std::stoi(task.path().filename()), sizeof(cpu_set_t), &cores.back()),
        0);
  }
  return cores;
}

TEST(Pinned, LeavesOneCoreToEveryThreadOfAProcessThatRuns) {
  const auto redis = RedisServer::start();  // it has threads beside the one that serves
  ASSERT_TRUE(redis) << redis.error().detail;
  const pid_t process = redis->child().pid();
  const int before = allowed();
  for (const auto& cores : cores_of_threads(process)) EXPECT_EQ(CPU_COUNT(&cores), before);
  const auto pinned = pin_process(process, kServersCore);
  ASSERT_TRUE(pinned) << pinned.error().detail;
  const auto after = cores_of_threads(process);
  EXPECT_GT(after.size(), 1U);
  for (const auto& cores : after) {
    EXPECT_EQ(CPU_COUNT(&cores), 1);
    EXPECT_TRUE(CPU_EQUAL(&cores, &after.front()));
  }
  EXPECT_EQ(allowed(), before) << "the caller stays where it was";
}

TEST(Pinned, SaysThatThereIsNoSuchProcess) {
  const auto pinned = pin_process(-1, kServersCore);
  ASSERT_FALSE(pinned);
  EXPECT_EQ(pinned.error().code, Errc::unavailable);
}

}  // namespace
}  // namespace nearlane::harness
