// The real programs: a verdict that must be found, over one count and one block.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/gate/recording.h"
#include "harness/topology/child.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

std::filesystem::path build() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
}

struct Ran {
  int code = -1;
  std::string output;
};

Ran gate(const std::vector<std::string>& arguments) {
  ChildSpec spec{.name = "nearlane-bench", .argv = {build() / "bin" / "nearlane-bench", "gate"}};
  spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
  auto child = Child::start(std::move(spec));
  if (!child) return {.code = -1, .output = child.error().detail};
  const auto status = child->wait(200s);
  if (!status) return {.code = -1, .output = status.error().detail + child->last_output(50)};
  return {.code = status->code, .output = child->last_output(50)};
}

std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Callgrind runs nothing that the address sanitizer was built into. What the thread sanitizer was built into it does run, but a
// minute and a half for each count: the several that one gate makes are longer than a test waits for it.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCounts = false;
#else
constexpr bool kCounts = true;
#endif
#if defined(__SANITIZE_THREAD__)
constexpr bool kEnds = false;
#else
constexpr bool kEnds = true;
#endif

TEST(GateCommand, FailsTwoPercentMoreInstructionsAndWritesWhy) {
  if (!kCounts) GTEST_SKIP() << "nothing can be counted under a sanitizer";
  const auto folder = TempDir::make();
  ASSERT_TRUE(folder) << folder.error().detail;
  const auto ran = gate({"--quick", "--base", build() / "bin" / "nearlane", "--head",
                         build() / "slowed" / "2" / "nearlane", "--out", folder->path(),
                         "--base-revision", "the plain one", "--head-revision", "the slowed one"});
  EXPECT_EQ(ran.code, 1) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("l1_get/instructions: fail"));
  EXPECT_THAT(slurp(folder->path() / "gate.xml"), HasSubstr("failures=\"1\""));
  EXPECT_THAT(slurp(folder->path() / "gate.json"), HasSubstr("\"verdict\": \"fail\""));
  EXPECT_THAT(slurp(folder->path() / "gate.md"), HasSubstr("# Gate: fail"));
  EXPECT_THAT(slurp(folder->path() / "gate.md"),
              testing::ContainsRegex(
                  "nearlane` .the slowed one. against base `.*nearlane` .the plain one.,"));
}

TEST(GateCommand, CannotTellFromOneBlockWhetherAProgramDiffersFromItselfWithoutItsMicro) {
  if (!kCounts) GTEST_SKIP() << "nothing can be counted under a sanitizer";
  const auto folder = TempDir::make();
  ASSERT_TRUE(folder) << folder.error().detail;
  // A base of its own that has no nearlane-micro beside it: older than the program is.
  const auto base = folder->path() / "nearlane";
  std::filesystem::create_symlink(build() / "bin" / "nearlane", base);
  const auto ran = gate(
      {"--quick", "--base", base, "--head", build() / "bin" / "nearlane", "--out", folder->path()});
  EXPECT_EQ(ran.code, 3) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("l1_get/instructions: not comparable: base:"));
  EXPECT_THAT(ran.output, HasSubstr("resp_get/cpu_ns: inconclusive"));
}

TEST(GateCommand, FailsAProgramWhoseMicroCrashesWhereBasesDoesNot) {
  if (!kEnds) GTEST_SKIP() << "counting takes minutes under the thread sanitizer";
  const auto folder = TempDir::make();
  ASSERT_TRUE(folder) << folder.error().detail;
  const auto head = folder->path() / "nearlane";
  std::filesystem::create_symlink(build() / "bin" / "nearlane", head);
  std::filesystem::create_symlink("/bin/false", folder->path() / "nearlane-micro");
  const auto ran = gate(
      {"--quick", "--base", build() / "bin" / "nearlane", "--head", head, "--out", folder->path()});
  EXPECT_EQ(ran.code, 1) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("l1_get/cpu_ns: fail: base has a figure and head has none"));
  if (kCounts) {
    EXPECT_THAT(ran.output, HasSubstr("l1_get/instructions: fail: base has a figure"));
  }
}

TEST(GateCommand, FailsAProgramThatCannotEvenBeTimed) {
  if (!kEnds) GTEST_SKIP() << "counting takes minutes under the thread sanitizer";
  const auto folder = TempDir::make();
  ASSERT_TRUE(folder) << folder.error().detail;
  for (const char* name : {"nearlane", "nearlane-micro"})
    std::filesystem::create_symlink("/bin/false", folder->path() / name);
  const auto ran = gate({"--quick", "--base", build() / "bin" / "nearlane", "--head",
                         folder->path() / "nearlane", "--out", folder->path()});
  EXPECT_EQ(ran.code, 1) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("l1_get/cpu_ns: fail: base has a figure and head has none"));
  EXPECT_THAT(slurp(folder->path() / "gate.md"), HasSubstr("Nothing was timed: "));
}

TEST(GateCommand, RecordsBlocksAndEstimatesFromEnoughOfThem) {
  const auto folder = TempDir::make();
  ASSERT_TRUE(folder) << folder.error().detail;
  const auto file = folder->path() / "blocks.json";
  const auto ran = gate({"--record", file, "--blocks", "1", "--base", build() / "bin" / "nearlane",
                         "--slowed", build() / "slowed" / "5" / "nearlane"});
  ASSERT_EQ(ran.code, 0) << ran.output;
  const auto recording = gate::read_recording(file);
  ASSERT_TRUE(recording) << recording.error().detail;
  ASSERT_EQ(recording->same.size(), 1U);
  ASSERT_EQ(recording->slower.size(), 1U);
  for (const char* id : {"resp_get/cpu_ns", "http_get/cpu_ns", "l1_get/cpu_ns"}) {
    EXPECT_GT(recording->slower[0].samples.at(id).head, 0) << id;
  }
  auto told = gate({"--estimate", file});
  EXPECT_EQ(told.code, 2) << told.output;
  EXPECT_THAT(told.output, HasSubstr("1 A/A and 1 A/B blocks (5 % injected)"));
  EXPECT_THAT(told.output, HasSubstr("blocks.json: too few blocks: 1 "));
  // One block may say by chance that a program is slower than itself, and so would twelve copies of it.
  auto block = recording->same[0];
  for (auto& [id, sample] : block.samples) sample = {sample.base, sample.base, 0};
  auto more = *recording;
  more.same.assign(gate::kFewestBlocks, block);
  ASSERT_TRUE(gate::write_recording(more, file));
  told = gate({"--estimate", file});
  EXPECT_EQ(told.code, 0) << told.output;
  EXPECT_THAT(told.output, HasSubstr("false alarms 0.0 %"));
  EXPECT_THAT(told.output, HasSubstr("caught not known"));
}

TEST(GateCommand, ExitsWith2WhenItCannotRun) {
  for (const auto& wrong : std::vector<std::vector<std::string>>{
           {},
           {"--base", "/nowhere/nearlane", "--head", build() / "bin" / "nearlane"},
           {"--estimate", "/nowhere"},
           {"--record", "/nowhere/blocks.json", "--blocks", "0", "--base",
            build() / "bin" / "nearlane", "--slowed", build() / "slowed" / "5" / "nearlane"},
           {"--no-such-flag"}}) {
    EXPECT_EQ(gate(wrong).code, 2);
  }
}

}  // namespace
}  // namespace nearlane::harness
