#include "harness/workload/workload.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "harness/workload/document.h"
#include "harness/workload/random.h"

namespace nearlane::harness {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

WorkloadSpec spec_of(const std::string& text) {
  auto settings = Settings::parse("[[workload]]\n" + text, "w.toml");
  EXPECT_TRUE(settings.has_value()) << settings.error().detail;
  auto root = settings->root();
  auto sections = root.sections("workload");
  auto spec = read_workload(sections.at(0));
  const auto finished = settings->finish();
  EXPECT_TRUE(finished.has_value()) << finished.error().detail;
  return spec;
}

std::string problems_of(const std::string& text) {
  auto settings = Settings::parse("[[workload]]\n" + text, "w.toml");
  auto root = settings->root();
  auto sections = root.sections("workload");
  (void)read_workload(sections.at(0));
  const auto finished = settings->finish();
  return finished ? "" : finished.error().detail;
}

std::vector<Operation> all_of(const WorkloadSpec& spec, const std::string& traces = "") {
  std::vector<Operation> operations;
  auto opened = open_workload(spec, traces);
  EXPECT_TRUE(opened.has_value()) << opened.error().detail;
  Operation operation;
  for (;;) {
    const auto more = opened->stream->next(operation);
    EXPECT_TRUE(more.has_value()) << more.error().detail;
    if (!more || !*more) return operations;
    operations.push_back(operation);
  }
}

TEST(Zipf, DrawsRanksAsOftenAsTheirWeights) {
  for (const double theta : {0.5, 0.99, 1.0, 1.4}) {
    constexpr std::uint64_t kRanks = 100;
    constexpr int kDraws = 200'000;
    double total = 0;
    for (std::uint64_t rank = 1; rank <= kRanks; ++rank) {
      total += std::pow(static_cast<double>(rank), -theta);
    }
    Random random(7);
    const Zipf zipf(kRanks, theta);
    std::vector<int> seen(kRanks);
    for (int i = 0; i < kDraws; ++i) ++seen.at(zipf(random));
    for (const std::uint64_t rank : {1U, 2U, 3U, 10U, 50U, 100U}) {
      const double expected = kDraws * std::pow(static_cast<double>(rank), -theta) / total;
      EXPECT_NEAR(seen[rank - 1], expected, 6 * std::sqrt(expected)) << theta << " " << rank;
    }
  }
}

TEST(Random, DrawsWithTheMomentsThatItPromises) {
  Random random(3);
  double exponential = 0;
  double normal = 0;
  double square = 0;
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    exponential += random.exponential(5);
    const double x = random.normal();
    normal += x;
    square += x * x;
    ASSERT_LT(random.below(3), 3U);
  }
  EXPECT_NEAR(exponential / kDraws, 5, 0.1);
  EXPECT_NEAR(normal / kDraws, 0, 0.02);
  EXPECT_NEAR(square / kDraws, 1, 0.03);
}

TEST(Workload, IsTheSameForTheSameSeedAndAnotherForAnother) {
  auto spec = spec_of("name = 'a'\noperations = 500\nmix = {get = 0.7, set = 0.3}\nrate = 1000\n");
  const auto first = all_of(spec);
  const auto again = all_of(spec);
  spec.seed = 43;
  const auto other = all_of(spec);
  ASSERT_EQ(first.size(), 500U);
  bool differs = false;
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].key, again[i].key);
    EXPECT_EQ(first[i].at, again[i].at);
    EXPECT_EQ(first[i].op, again[i].op);
    differs = differs || first[i].key != other[i].key;
  }
  EXPECT_TRUE(differs);
}

TEST(Workload, KeepsMixRateAndSizes) {
  const auto operations = all_of(
      spec_of("name = 'a'\noperations = 20000\nkeys = 5000\ndistribution = 'uniform'\nrate = 1000\n"
              "ttl = '30m'\nmix = {get = 0.6, set = 0.3, touch = 0.06, delete = 0.04}\n"
              "value_sizes = [[256, 0.25], [3500, 0.75]]\n"));
  std::map<Op, int> ops;
  std::map<std::string, std::set<std::size_t>> sizes;
  int large = 0;
  for (const auto& operation : operations) {
    ++ops[operation.op];
    if (operation.op != Op::set) continue;
    sizes[operation.key].insert(operation.value_bytes);
    EXPECT_EQ(operation.ttl, std::chrono::minutes(30));
    large += operation.value_bytes == 3500 ? 1 : 0;
  }
  EXPECT_NEAR(ops[Op::get], 12000, 300);
  EXPECT_NEAR(ops[Op::set], 6000, 300);
  EXPECT_NEAR(ops[Op::touch], 1200, 150);
  EXPECT_NEAR(ops[Op::erase], 800, 120);
  EXPECT_NEAR(large / static_cast<double>(ops[Op::set]), 0.75, 0.03);
  for (const auto& [key, seen] : sizes) EXPECT_EQ(seen.size(), 1U) << key;
  EXPECT_NEAR(std::chrono::duration<double>(operations.back().at).count(), 20, 1);
}

TEST(Workload, SpacesConstantArrivalsEvenly) {
  const auto operations =
      all_of(spec_of("name = 'a'\noperations = 11\nrate = 100\narrivals = 'constant'\n"));
  EXPECT_EQ(operations[10].at, std::chrono::milliseconds(100));
}

TEST(Workload, IsClosedLoopWithoutARate) {
  for (const auto& operation : all_of(spec_of("name = 'a'\noperations = 5\n"))) {
    EXPECT_EQ(operation.at, Duration::zero());
  }
}

TEST(Workload, StandInIsShapedLikeTheRecordedDay) {
  const auto spec = spec_of(
      "name = 'nasa'\nsource = 'trace'\ntrace = 'nasa-sessions'\nstand_in = 'sessions'\n"
      "session_ttl = '1800s'\nttl = '1800s'\nvalue_bytes = 3500\n");
  auto opened = open_workload(spec, "");
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(opened->absent, "nasa-sessions");
  EXPECT_THAT(opened->origin, HasSubstr("trace nasa-sessions was not available"));
  const auto operations = all_of(spec);
  std::map<Op, double> ops;
  std::set<std::string> clients;
  for (const auto& operation : operations) {
    ++ops[operation.op];
    clients.insert(operation.key.substr(0, 21));
  }
  EXPECT_EQ(clients.size(), 2365U);
  EXPECT_EQ(ops[Op::get], ops[Op::set] + ops[Op::touch]);
  EXPECT_NEAR(ops[Op::get], 29000, 4000);
  EXPECT_NEAR(ops[Op::set] / ops[Op::get], 0.0965, 0.02);  // as the log: 9.65 % open a session
}

TEST(Workload, MakesRequestsOfARecordedLog) {
  const auto directory = std::filesystem::path(testing::TempDir()) / "nearlane_workload_test";
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "day.twitter.csv")
      << "0,a,1,0,0,get,0\n0,a,1,0,0,set,60\n30,a,1,0,0,get,0\n30,a,1,0,0,touch,60\n"
      << "200,a,1,0,0,get,0\n200,a,1,0,0,set,60\n";
  const auto operations =
      all_of(spec_of("name = 'day'\nsource = 'trace'\ntrace = 'day'\nsession_ttl = '60s'\n"
                     "ttl = '60s'\nvalue_bytes = 3500\n"),
             directory.string());
  std::filesystem::remove_all(directory);
  std::string shape;
  for (const auto& operation : operations) {
    shape += std::string(to_string(operation.op)) + " " + operation.key + ", ";
  }
  EXPECT_EQ(shape, "get a, set a, get a, touch a, get a.1, set a.1, ");
  EXPECT_EQ(operations[1].value_bytes, 3500U);
  EXPECT_EQ(operations[1].ttl, seconds(60));
}

TEST(Workload, SaysWhereATraceIsLookedForWhenItIsNotThere) {
  const auto opened =
      open_workload(spec_of("name = 'x'\nsource = 'trace'\ntrace = 'no-such'\n"), "");
  ASSERT_FALSE(opened.has_value());
  EXPECT_THAT(opened.error().detail, HasSubstr("NEARLANE_TRACES"));
}

TEST(Workload, RefusesWhatItCannotMean) {
  EXPECT_THAT(problems_of("name = 'a'\n"), HasSubstr("'operations' is missing"));
  EXPECT_THAT(problems_of("operations = 1\n"), HasSubstr("'name' is missing"));
  EXPECT_THAT(problems_of("name = 'a'\noperations = 1\nmix = {get = 0.5}\n"),
              HasSubstr("must add up to 1"));
  EXPECT_THAT(problems_of("name = 'a'\noperations = 1\nmix = {get = 0.5, touch = 0.5}\n"),
              HasSubstr("touches need it"));
  EXPECT_THAT(problems_of("name = 'a'\noperations = 1\nmix = {gte = 1.0}\n"),
              HasSubstr("did you mean 'get'?"));
  EXPECT_THAT(problems_of("name = 'a'\nsource = 'trace'\ntrace = '../../etc'\n"),
              HasSubstr("without a directory"));
  EXPECT_THAT(problems_of("name = 'a'\noperations = 1\nvalue_sizes = [[256, 0.5]]\n"),
              HasSubstr("shares that add to 1"));
  EXPECT_THAT(problems_of("name = 'a'\nsource = 'trace'\ntrace = 't'\nkeys = 5\n"),
              HasSubstr("unknown key 'keys'"));
}

TEST(Document, IsVerifiedOnlyAsItWasWritten) {
  EXPECT_TRUE(rc::check("document", [] {
    const auto key = *rc::gen::arbitrary<std::string>();
    const auto version = *rc::gen::arbitrary<std::uint64_t>();
    const auto bytes = *rc::gen::inRange<std::size_t>(0, 200'000);
    std::string value;
    write_document(key, version, bytes, value);
    RC_ASSERT(value.size() == std::max(bytes, kMinDocumentBytes));
    const auto read = verify_document(key, value);
    RC_ASSERT(read.has_value());
    RC_ASSERT(*read == version);
    RC_ASSERT(!verify_document(key + "x", value).has_value());
    auto bad = value;
    const auto at = *rc::gen::inRange<std::size_t>(0, bad.size());
    bad[at] = static_cast<char>(bad[at] ^ 1);
    RC_ASSERT(!verify_document(key, bad).has_value());
    RC_ASSERT(!verify_document(key, value.substr(0, value.size() - 1)).has_value());
  }));
}

TEST(Document, SharesNoBodyBetweenVersions) {
  std::string first;
  std::string second;
  write_document("k", 1, 3500, first);
  write_document("k", 2, 3500, second);
  EXPECT_NE(first.substr(100), second.substr(100));
}

}  // namespace
}  // namespace nearlane::harness
