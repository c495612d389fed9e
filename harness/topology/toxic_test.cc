// What a toxic may be, and what is said of one that cannot.
#include "harness/topology/toxic.h"

#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(CheckToxic, SaysWhatCannotBe) {
  const auto detail = [](const Toxic& toxic) {
    const auto done = check(toxic);
    return done ? "" : done.error().detail;
  };
  const std::string named = "n";
  EXPECT_EQ(detail({.name = named, .kind = Latency{.latency = 24h}}), "");
  EXPECT_THAT(detail({.name = "", .kind = Latency{}}), HasSubstr("needs a name"));
  EXPECT_THAT(detail({.name = std::string(257, 'n'), .kind = Latency{}}), HasSubstr("256"));
  for (const double wrong : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(detail({.name = named, .toxicity = wrong, .kind = Latency{}}),
                HasSubstr("toxicity"));
  }
  for (const ToxicKind& wrong : std::vector<ToxicKind>{
           Latency{.latency = -1ns}, Latency{.jitter = 25h}, SlowClose{.delay = -1ns},
           Timeout{.timeout = 25h}, ResetPeer{.timeout = -1ns}, Slicer{.average = 1, .delay = -1ns},
           DelayPushes{.delay = 25h}}) {
    EXPECT_THAT(detail({.name = named, .kind = wrong}), HasSubstr("24 hours"));
  }
  EXPECT_THAT(detail({.name = named, .kind = Bandwidth{.bytes_per_s = Toxic::kMaxRate + 1}}),
              HasSubstr("rate"));
  EXPECT_THAT(detail({.name = named, .kind = Slicer{}}), HasSubstr("average_size"));
  EXPECT_THAT(detail({.name = named, .kind = Slicer{.average = 2, .variation = 2}}),
              HasSubstr("less than"));
  EXPECT_THAT(detail({.name = named, .kind = CutAtFrame{.frame = 0}}), HasSubstr("frame"));
  for (const ToxicKind& wrong : std::vector<ToxicKind>{DropPushes{}, DelayPushes{}}) {
    EXPECT_EQ(detail({.name = named, .kind = wrong}), "");
    EXPECT_THAT(detail({.name = named, .way = Way::to_server, .kind = wrong}),
                HasSubstr("downstream only"));
  }
}

}  // namespace
}  // namespace nearlane::harness
