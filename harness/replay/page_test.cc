#include "harness/replay/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "harness/replay/reference.h"

namespace nearlane::harness {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

ReplayRow row_of(const std::string& trace, const std::string& policy, std::uint64_t capacity,
                 std::uint64_t misses) {
  return {.trace = trace,
          .policy = policy,
          .capacity = capacity,
          .requests = 1000,
          .misses = misses,
          .map = "mutex",
          .offline = policy.starts_with(kBelady),
          .keys = 4000,
          .file = trace + ".csv",
          .file_hash = "00",
          .revision = "abc",
          .seconds = 0.12345,
          .reference = {}};
}

std::vector<ReplayRow> sample() {
  return {row_of("day", "belady", 1000, 100), row_of("day", "lru", 1000, 200),
          row_of("day", "belady", 100, 300), row_of("day", "lru", 100, 450),
          row_of("night", "lru", 600, 500)};
}

constexpr auto* kReference =
    "note,trace,mode,policy,cache_size,miss_ratio,extra\n"
    ",day,objects,LRU,1000,0.2001,x\n"
    ",day,objects,Sieve,1000,0.16,x\n"
    "\"tiny cache, use own row\",day,objects,lru,1000,0.9,x\r\n"
    ",day,objects,Belady,1000,0.1,x\n"
    ",day,bytes,LRU,1000,0.01,x\n"
    "\n"
    ",night,objects,LRU(own),600,0.5,x";

std::vector<ReplayRow> compared() {
  auto rows = sample();
  const auto reference = Reference::parse(kReference, "r").value();
  for (auto& row : rows) reference.compare(row);
  return rows;
}

TEST(ReplayJson, HasTheFieldsThatOthersReadFirst) {
  const auto array = nlohmann::ordered_json::parse(to_json(sample()));
  ASSERT_TRUE(array.is_array());
  ASSERT_EQ(array.size(), 5U);
  std::vector<std::string> keys;
  for (const auto& [key, value] : array[1].items()) keys.push_back(key);
  keys.resize(7);
  EXPECT_THAT(
      keys, ElementsAre("trace", "policy", "capacity", "unit", "requests", "misses", "miss_ratio"));
  EXPECT_EQ(array[1]["trace"], "day");
  EXPECT_EQ(array[1]["policy"], "lru");
  EXPECT_EQ(array[1]["capacity"], 1000);
  EXPECT_EQ(array[1]["unit"], "objects");
  EXPECT_EQ(array[1]["requests"], 1000);
  EXPECT_EQ(array[1]["misses"], 200);
  EXPECT_EQ(array[1]["miss_ratio"], 0.2);
  EXPECT_EQ(to_json({}), "[\n]\n");
}

TEST(ReplayJson, ComesBackAsItWas) {
  auto rows = compared();
  rows[4].unit = Unit::bytes;
  const auto text = to_json(rows);
  const auto again = rows_from_json(text);
  ASSERT_TRUE(again.has_value()) << again.error().detail;
  EXPECT_EQ(to_json(*again), text);
}

TEST(ReplayJson, HasSecondsThatAReplayCanTake) {
  auto rows = compared();
  rows[0].seconds = 1e300;
  EXPECT_FALSE(rows_from_json(to_json(rows)).has_value());
}

TEST(ReplayJson, SaysThatItIsNone) {
  for (const auto* text : {"", "{}", "[{}]", "[1]", "[{\"trace\": 7}]",
                           R"([{"trace": "t", "policy": "lru", "capacity": -1}])"}) {
    const auto rows = rows_from_json(text);
    ASSERT_FALSE(rows.has_value()) << text;
    EXPECT_EQ(rows.error().code, Errc::protocol);
  }
}

TEST(ReplayPage, HasACapacityARowAndAPolicyAColumnTheCeilingLast) {
  const auto page = render_replay(sample(), true);
  EXPECT_THAT(page,
              ContainsRegex("capacity .objects. \\| of keys \\| lru +\\| belady .offline. \\|"));
  EXPECT_THAT(page, ContainsRegex("\\| 100 +\\| 2.50 %  \\| 0.4500 \\| 0.3000 +\\|\n"
                                  "\\| 1000 +\\| 25.00 % \\| 0.2000 \\| 0.1000 +\\|\n"));
  EXPECT_THAT(page, AllOf(HasSubstr("## day"), HasSubstr("## night"), HasSubstr("(day.svg)"),
                          Not(HasSubstr("reference"))));
  EXPECT_THAT(render_replay(sample(), false), Not(HasSubstr(".svg")));
  EXPECT_EQ(render_replay({}, true), "# Replay\n");
}

TEST(ReplayPage, SaysWhatBytesInclude) {
  auto rows = sample();
  for (auto& row : rows) row.unit = Unit::bytes;
  rows[1].rejections = 12;
  EXPECT_THAT(render_replay(rows, false),
              AllOf(HasSubstr("include keys and the map's overheads"),
                    HasSubstr("lru at 1000: 12 puts refused, larger than the map's "
                              "share for one entry, or without room")));
}

TEST(ReplayPlot, DrawsALineAPolicy) {
  const auto svg = plot_replay(sample(), "day");
  EXPECT_THAT(
      svg,
      AllOf(HasSubstr("<polyline"), HasSubstr(">lru</text>"), HasSubstr(">belady (offline)</text>"),
            HasSubstr("miss ratio over capacity"), HasSubstr(">1k</text>"), Not(HasSubstr("nan"))));
  EXPECT_EQ(svg, plot_replay(sample(), "day"));
  EXPECT_THAT(plot_replay(sample(), "night"), Not(HasSubstr("nan")));
}

TEST(Reference, AddsTheBestOnlinePolicyAndTheSameName) {
  const auto rows = compared();
  ASSERT_TRUE(rows[1].reference.has_value());
  EXPECT_EQ(rows[1].reference->best_policy, "Sieve");
  EXPECT_NEAR(rows[1].reference->excess_percent, 25, 1e-9);
  EXPECT_THAT(rows[1].reference->same, ElementsAre(testing::Pair("LRU", 0.2001)));
  EXPECT_THAT(rows[0].reference->same, ElementsAre(testing::Pair("Belady", 0.1)));
  EXPECT_FALSE(rows[2].reference.has_value()) << "a capacity that it does not know";
  EXPECT_THAT(rows[4].reference->same, ElementsAre(testing::Pair("LRU(own)", 0.5)));
  const auto page = render_replay(rows, false);
  EXPECT_THAT(page, ContainsRegex("day +\\| 1000 +\\| objects \\| 0.1600 Sieve +\\| \\+25.0 % \\| "
                                  "-37.5 %"));
  EXPECT_THAT(page, ContainsRegex("\\| lru +\\| \\+12.5 % \\| \\+25.0 % \\| day at 1000 +\\| 2 "));
  EXPECT_THAT(page, ContainsRegex("\\| lru +\\| LRU +\\| 0.00010"));
}

TEST(Reference, KnowsItsCapacities) {
  const auto reference = Reference::parse(kReference, "r").value();
  EXPECT_THAT(reference.capacities("day", Unit::objects), ElementsAre(1000));
  EXPECT_THAT(reference.capacities("dawn", Unit::objects), ElementsAre());
}

TEST(Reference, NamesPoliciesAsWeDo) {
  EXPECT_EQ(our_name("LRU"), "lru");
  EXPECT_EQ(our_name("S3-FIFO"), "s3fifo");
  EXPECT_EQ(our_name("S3-FIFO(own)"), "s3fifo");
  EXPECT_EQ(our_name("W-TinyLFU-1%"), "wtinylfu");
  EXPECT_EQ(our_name("W-TinyLFU-10%"), "w-tinylfu-10%");
  EXPECT_EQ(our_name("BeladySize"), "belady-size");
}

TEST(Reference, SaysWhatIsWrongWithAFile) {
  const std::pair<const char*, const char*> table[] = {
      {"", "r: empty"},
      {"trace,mode,policy,cache_size\n", "r: no column 'miss_ratio'"},
      {"trace,mode,policy,cache_size,miss_ratio\nday,objects,LRU,1000\n", "r:2: miss_ratio"},
      {"trace,mode,policy,cache_size,miss_ratio\nday,objects,LRU,many,0.1\n", "r:2: cache_size"},
      {"trace,mode,policy,cache_size,miss_ratio\nday,objects,LRU,0,0.1\n", "r:2: cache_size is 0"},
      {"trace,mode,policy,cache_size,miss_ratio\nday,pages,LRU,10,0.1\n", "r:2: mode"},
      {"trace,mode,policy,cache_size,miss_ratio\nday,objects,LRU,10,0.1\nday,objects,,10,0.2\n",
       "r:3: policy is empty"},
      {"trace,mode,policy,cache_size,miss_ratio\nday,objects,LRU,10,nan\n", "between 0 and 1"},
      {"trace,mode,policy,cache_size,miss_ratio\nday,objects,LRU,10,inf\n", "between 0 and 1"},
  };
  for (const auto& [text, wrong] : table) {
    const auto reference = Reference::parse(text, "r");
    ASSERT_FALSE(reference.has_value()) << text;
    EXPECT_THAT(reference.error().detail, HasSubstr(wrong));
  }
  EXPECT_THAT(Reference::read("no/such.csv").error().detail, HasSubstr("cannot be opened"));
}

TEST(ReplayPage, ComparesOtherMapsWithTheFirst) {
  // At 600 objects a map has one shard, whatever else it is.
  std::vector<ReplayRow> rows;
  for (auto row : sample()) {
    if (row.capacity != 600) row.capacity *= 100;
    rows.push_back(row);
  }
  const auto alone = rows;
  for (const auto& row : alone) {
    if (row.offline) continue;
    rows.push_back(row);
    rows.back().map = "native";
    rows.back().misses = row.misses * (row.capacity == 100'000 ? 12 : 9) / 10;
  }
  const auto page = render_replay(rows, false);
  EXPECT_THAT(page, HasSubstr("## Other maps"));
  EXPECT_THAT(page, HasSubstr("in `mutex` at the same trace"));
  EXPECT_THAT(page, ContainsRegex("native +\\| \\+5.0 %, \\+20.0 %"));
  EXPECT_EQ(render_replay(alone, false), page.substr(0, page.find("\n## Other maps")));
  EXPECT_THAT(render_replay(alone, false), Not(HasSubstr("Other maps")));
}

}  // namespace
}  // namespace nearlane::harness
