// The real program on traces made here.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "harness/replay/small_traces.h"
#include "harness/topology/child.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

struct Told {
  std::string status;
  std::string output;
};

class ReplayCommand : public testing::Test {
 protected:
  ReplayCommand()
      : folder_(std::filesystem::path(testing::TempDir()) /
                ("nearlane_replay_" +
                 std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ / "traces");
    write("traces/both.oracleGeneral", oracle_trace(zipf_keys(300, 3000, 1)));
    write("traces/both.twitter.csv", "0,a,1,0,0,get,0\n0,a,1,9,0,set,5\n5,a,1,0,0,get,0\n");
    write("traces/cut.oracleGeneral", oracle_trace({1, 2}).substr(0, 30));
    write("reference.csv",
          "trace,mode,policy,cache_size,miss_ratio\nboth,objects,LRU,70,0.5\n"
          "both,objects,FIFO,70,0.4\n");
    write("nothing.csv", "trace,mode,policy,cache_size,miss_ratio\nboth,objects,LRU,0,0.5\n");
  }
  ~ReplayCommand() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream in(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  /// `nearlane-bench replay`, with what a shell makes of `arguments`.
  [[nodiscard]] Told replay(const std::string& arguments) const {
    const auto tests = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    const auto program = tests.parent_path() / "bin" / "nearlane-bench";
    auto child = Child::start({.name = "replay",
                               .argv = {"sh", "-c",
                                        "cd '" + folder_.string() + "' && '" + program.string() +
                                            "' replay " + arguments},
                               .env = {"NEARLANE_TRACES=traces"}});
    if (!child) return {child.error().detail, ""};
    const auto status = child->wait(60s);
    return {status ? status->to_string() : status.error().detail, child->last_output(5000)};
  }

  std::filesystem::path folder_;
};

TEST_F(ReplayCommand, PrintsJsonAndNothingElse) {
  const auto told = replay("--policy lru,belady both --objects 10,20 --json 2>/dev/null");
  EXPECT_EQ(told.status, "exit code 0") << told.output;
  const auto array = nlohmann::json::parse(told.output, nullptr, false);
  ASSERT_TRUE(array.is_array()) << told.output;
  ASSERT_EQ(array.size(), 4U);
  EXPECT_EQ(array[0]["trace"], "both");
  EXPECT_EQ(array[0]["policy"], "lru");
  EXPECT_EQ(array[0]["capacity"], 10);
  EXPECT_EQ(array[0]["unit"], "objects");
  EXPECT_EQ(array[0]["requests"], 3000) << "a name takes the form that holds reads alone";
  EXPECT_EQ(array[0]["file"], "both.oracleGeneral");
  EXPECT_GE(array[2]["miss_ratio"], array[3]["miss_ratio"]);
}

TEST_F(ReplayCommand, TakesExactlyTheFileOfAPath) {
  const auto told = replay("traces/both.twitter.csv --objects 5 --policy lru --json 2>/dev/null");
  const auto array = nlohmann::json::parse(told.output, nullptr, false);
  ASSERT_TRUE(array.is_array()) << told.output;
  EXPECT_EQ(array[0]["requests"], 2);
  EXPECT_EQ(array[0]["misses"], 2) << "its TTL has passed";
}

TEST_F(ReplayCommand, WritesPagesThatFollowFromTheirJson) {
  const auto told = replay("both --out found 2>/dev/null");
  EXPECT_EQ(told.status, "exit code 0") << told.output;
  EXPECT_THAT(told.output, AllOf(HasSubstr("## both"), HasSubstr("belady (offline)")));
  EXPECT_THAT(read("found/REPLAY.md"), HasSubstr("![Miss ratio over capacity](both.svg)"));
  EXPECT_THAT(read("found/both.svg"), StartsWith("<svg"));
  EXPECT_TRUE(nlohmann::json::accept(read("found/replay.json")));
}

TEST_F(ReplayCommand, ATraceIsNamedByItsFileWhereverThatLies) {
  const auto told = replay("../traces/both --traces traces --out found 2>/dev/null");
  EXPECT_EQ(told.status, "exit code 0") << told.output;
  EXPECT_THAT(told.output, HasSubstr("## both"));
  EXPECT_THAT(read("found/both.svg"), StartsWith("<svg"));
}

TEST_F(ReplayCommand, TakesByteBudgetsWithUnits) {
  const auto told = replay("both --bytes 8KiB,1MiB --json 2>/dev/null");
  const auto array = nlohmann::json::parse(told.output, nullptr, false);
  ASSERT_TRUE(array.is_array()) << told.output;
  EXPECT_EQ(array[0]["capacity"], 8192);
  EXPECT_EQ(array[0]["unit"], "bytes");
  EXPECT_EQ(array.back()["policy"], "belady-size");
}

TEST_F(ReplayCommand, ReplaysEachCapacityOnce) {
  const auto capacities = [&](const std::string& arguments) {
    std::vector<std::uint64_t> found;
    const auto told = replay("--policy lru --json " + arguments + " 2>/dev/null");
    const auto array = nlohmann::json::parse(told.output, nullptr, false);
    for (const auto& row : array) found.push_back(row.at("capacity").get<std::uint64_t>());
    return found;
  };
  EXPECT_THAT(capacities("both --objects 5,7,5,6,7"), testing::ElementsAre(5, 7, 6));
  EXPECT_THAT(capacities("both --bytes 1MiB,1024KiB"), testing::ElementsAre(1U << 20U));
  // Of two keys 1, 10 and 25 % are one object.
  write("traces/tiny.oracleGeneral", oracle_trace({1, 2, 1}));
  EXPECT_THAT(capacities("tiny"), testing::ElementsAre(1));
}

TEST_F(ReplayCommand, ComparesWithAReferenceAtItsCapacities) {
  const auto told = replay("both --reference reference.csv 2>/dev/null");
  EXPECT_EQ(told.status, "exit code 0") << told.output;
  EXPECT_THAT(told.output,
              AllOf(HasSubstr("| 70 "), HasSubstr("0.4000 FIFO"), HasSubstr("| LRU ")));
}

TEST_F(ReplayCommand, WarnsOnceOfATraceWhoseTimeRunsBackwards) {
  write("back.csv", "9,a,1,1,0,get,0\n5,a,1,1,0,get,0\n6,a,1,1,0,get,0\n");
  const auto told = replay("back.csv both --policy lru --objects 1,2 2>&1 >/dev/null");
  EXPECT_EQ(told.status, "exit code 0") << told.output;
  EXPECT_THAT(told.output,
              HasSubstr("warning: back.csv: record 2 is earlier than one before it, the "
                        "first of 2 that are"));
  EXPECT_EQ(told.output.find("warning"), told.output.rfind("warning")) << told.output;
}

TEST_F(ReplayCommand, ItsHelpNamesTheFilesAndLimitsThereAre) {
  const auto told = replay("--help | tr -s '\\n ' ' '");
  EXPECT_THAT(told.output,
              AllOf(HasSubstr("NAME.oracleGeneral or NAME.twitter.csv"), HasSubstr("10000000 keys"),
                    HasSubstr("1073741824 bytes"), HasSubstr("belady-size")));
}

TEST_F(ReplayCommand, SaysWhatIsWrongAndExitsWith2) {
  const std::pair<const char*, const char*> table[] = {
      {"absent", "absent: no such file, nor a trace in traces; there are both, cut"},
      {"both --policy lru,oracle", "unknown policy 'oracle'; there are none, lru"},
      {"both --map paper", "unknown L1 map 'paper'; there are"},
      {"both both", "both: named twice"},
      {"cut", "cut.oracleGeneral: record 2: 6 of 24 bytes, the file is truncated"},
      // Before anything is replayed: "cut", which is read before, is not complained of.
      {"cut --objects 0", "no capacity"},
      {"cut --objects 100000,0", "no capacity"},
      {"cut --bytes 1GiB,0", "no capacity"},
      {"cut --objects -1", "--objects: '-1' is no number"},
      {"cut --objects 10,-7 --json", "--objects: '-7' is no number"},
      {"cut --objects 1e6", "--objects: '1e6' is no number"},
      {"cut --objects 99999999999999999999",
       "--objects: 99999999999999999999 is over the limit of 50000000"},
      {"cut --objects 50000001", "--objects: 50000001 is over the limit of 50000000"},
      {"cut --reference nothing.csv", "nothing.csv:2: cache_size is 0"},
      {"both --bytes lots", "'lots' is no size"},
      {"both --fraction 1.5", "1.5 is no fraction"},
      {"both --objects 5 --bytes 5", "excludes"},
      {"both --reference absent.csv", "absent.csv: cannot be opened"},
      {"both --out /proc/nowhere", "cannot be written"},
      {"both --bytes 8KiB --map none --policy belady", "map 'none' holds nothing"},
      {"", "trace is required"},
  };
  for (const auto& [arguments, message] : table) {
    const auto told = replay(arguments);
    EXPECT_EQ(told.status, "exit code 2") << arguments << told.output;
    EXPECT_THAT(told.output, HasSubstr(message)) << arguments;
  }
}

}  // namespace
}  // namespace nearlane::harness
