#include "harness/topology/process_cpu.h"

#include <gtest/gtest.h>

#include "harness/topology/child.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr const char* kBurn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";

/// A shell that does so, says that it has, and stays.
Child start(const std::string& script) {
  auto child = Child::start({.name = "shell", .argv = {"sh", "-c", script}});
  EXPECT_TRUE(child) << child.error().detail;
  EXPECT_TRUE(child->wait_line("done", 60s)) << child->last_output();
  return std::move(*child);
}

TEST(ProcessTree, IsWhatProcSaysInTicksOfTenMilliseconds) {
  const Child child = start(std::string(kBurn) + "; echo done; kill -STOP $$");
  const auto ticks = child.usage().cpu();
  const auto precise = ProcessTree(child.pid()).cpu();
  EXPECT_GT(precise, 20ms);
  EXPECT_NEAR(static_cast<double>(precise.count()), static_cast<double>(ticks.count()), 30e6);
}

TEST(ProcessTree, IncludesThatOfItsChildren) {
  const Child child = start(std::string("sh -c '") + kBurn + "; echo done; exec sleep 1000'; :");
  EXPECT_GT(ProcessTree(child.pid()).cpu(), 20ms);
  EXPECT_LT(child.usage().cpu(), 20ms) << "its own";
}

TEST(ProcessTree, IsNothingOfNobody) {
  Child child = start("echo done; exec sleep 1000");
  const pid_t pid = child.pid();
  child.kill();
  EXPECT_EQ(ProcessTree(pid).cpu(), 0ns);
}

}  // namespace
}  // namespace nearlane::harness
