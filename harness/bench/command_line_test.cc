// What the real program refuses before it begins.
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/topology/child.h"

namespace nearlane::harness {
namespace {

TEST(CommandLine, ALabelIsTheNameOfOneFolder) {
  const auto tests = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  for (const std::string label : {"", ".", "..", "a/b", "/tmp", "a/", "./a"}) {
    auto child = Child::start({.name = "nearlane-bench",
                               .argv = {tests.parent_path() / "bin" / "nearlane-bench", "run",
                                        "no/such", "--label", label}});
    ASSERT_TRUE(child) << child.error().detail;
    const auto status = child->wait(std::chrono::seconds(60));
    ASSERT_TRUE(status) << status.error().detail;
    EXPECT_EQ(status->to_string(), "exit code 2");
    EXPECT_THAT(child->last_output(5), testing::HasSubstr("must be the name of a folder"))
        << '\'' << label << '\'';
  }
}

}  // namespace
}  // namespace nearlane::harness
