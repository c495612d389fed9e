#include "harness/topology/pinned.h"

#include <gtest/gtest.h>

#include "harness/topology/child.h"

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

TEST(Pinned, LeavesOneCoreToAProcessThatRuns) {
  const auto child = Child::start({.name = "sleep", .argv = {"sleep", "60"}});
  ASSERT_TRUE(child) << child.error().detail;
  const auto cores = [&child] {
    cpu_set_t set;
    CPU_ZERO(&set);
    EXPECT_EQ(::sched_getaffinity(child->pid(), sizeof set, &set), 0);
    return CPU_COUNT(&set);
  };
  const int before = allowed();
  EXPECT_EQ(cores(), before);
  pin_process(child->pid(), kServersCore);
  EXPECT_EQ(cores(), 1);
  EXPECT_EQ(allowed(), before) << "the caller stays where it was";
}

}  // namespace
}  // namespace nearlane::harness
