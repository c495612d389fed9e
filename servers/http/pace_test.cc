#include "servers/http/pace.h"

#include <gtest/gtest.h>

namespace nearlane::http {
namespace {

using std::chrono::seconds;

constexpr seconds kGrace{30};
constexpr std::uint64_t kSlowest = 1000;
const TimePoint kBegan{seconds(1'000'000)};

/// When a peer that moves so many bytes each second is given up, which goes on for an hour at most.
seconds given_up_after(std::uint64_t bytes_each_second) {
  Pace pace(kGrace, kSlowest, kBegan);
  TimePoint now = kBegan;
  while (now < pace.overdue_at() && now < kBegan + seconds(3600)) {
    now += seconds(1);
    pace.moved(bytes_each_second, now);
  }
  return std::chrono::duration_cast<seconds>(now - kBegan);
}

TEST(Pace, GivesUpWhoMovesNothing) {
  EXPECT_EQ(Pace(kGrace, kSlowest, kBegan).overdue_at(), kBegan + kGrace);
}

TEST(Pace, GivesUpWhoTrickles) {
  EXPECT_EQ(given_up_after(1), seconds(31));
  EXPECT_EQ(given_up_after(kSlowest / 2), seconds(60));
}

TEST(Pace, LetsWhoIsFastEnoughGoOn) { EXPECT_EQ(given_up_after(kSlowest), seconds(3600)); }

TEST(Pace, AFastBeginningBuysNoLongRest) {
  Pace pace(kGrace, kSlowest, kBegan);
  pace.moved(1'000'000 * kSlowest, kBegan + seconds(5));
  EXPECT_EQ(pace.overdue_at(), kBegan + seconds(5) + kGrace);
}

}  // namespace
}  // namespace nearlane::http
