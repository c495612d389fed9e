#include "harness/check/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr Node kA = 0;
constexpr Node kB = 1;
constexpr std::uint16_t kWriter = 7;

/// Milliseconds since the history's start.
TimePoint at(int ms) { return TimePoint(1h) + std::chrono::milliseconds(ms); }

class OneKey : public testing::Test {
 protected:
  std::uint64_t set(Node through, int begin, int end, Duration ttl = {}) {
    const auto version = history.begin_set("k", kWriter, through, at(begin), ttl);
    history.end_write("k", version, Effect::happened, at(end));
    return version;
  }
  void erase(Node through, int begin, int end) {
    history.end_write("k", history.begin_erase("k", kWriter, through, at(begin)), Effect::happened,
                      at(end));
  }
  Verdict read(Node through, int begin, int end, std::optional<std::uint64_t> version,
               std::uint64_t behind = 0) {
    return history.read("k", through, at(begin), at(end), version, behind);
  }

  History history{{.bound = 250ms, .expiry_slack = 20ms, .memory = 10s}};
};

TEST_F(OneKey, BringsNothingUntilItIsWritten) {
  EXPECT_EQ(read(kA, 0, 1, std::nullopt), Verdict::fresh);
  const auto first = set(kA, 10, 12);
  EXPECT_EQ(read(kB, 13, 14, first), Verdict::fresh);
  EXPECT_EQ(read(kB, 262, 263, std::nullopt), Verdict::late) << "absence was overwritten at 12";
  EXPECT_EQ(read(kB, 263, 264, std::nullopt), Verdict::stale);
}

TEST_F(OneKey, MayBringTheOldValueForOneBoundAfterSomebodyElsesAcknowledgement) {
  const auto first = set(kA, 0, 1);
  set(kA, 10, 20);
  EXPECT_EQ(read(kB, 15, 400, first), Verdict::fresh)
      << "the read began before the acknowledgement";
  EXPECT_EQ(read(kB, 20, 400, first), Verdict::fresh);
  EXPECT_EQ(read(kB, 270, 271, first), Verdict::late);
  EXPECT_EQ(read(kB, 271, 272, first), Verdict::stale);
  const auto report = history.take_report();
  EXPECT_EQ(report.reads, 4U);
  EXPECT_EQ(report.writes, 2U);
  EXPECT_EQ(report.late, 1U);
  EXPECT_EQ(report.stale, 1U);
  EXPECT_EQ(report.lateness.max(), 251ms);
  ASSERT_EQ(report.violations.size(), 1U);
  EXPECT_THAT(report.violations[0], HasSubstr("k: instance 1 brought write 1, 251.000 ms after"));
}

TEST_F(OneKey, IsNeverOlderThanWhatTheSameInstanceAcknowledged) {
  const auto first = set(kB, 0, 1);
  set(kA, 10, 20);
  EXPECT_EQ(read(kA, 19, 30, first), Verdict::fresh);
  EXPECT_EQ(read(kA, 21, 30, first), Verdict::own_lost);
  EXPECT_EQ(read(kB, 21, 30, first), Verdict::late);
}

// Sent together: the read began before the write was acknowledged.
TEST_F(OneKey, IsNeverOlderThanWhatItsConnectionSentBeforeIt) {
  const auto first = set(kA, 0, 10);
  const auto second = set(kA, 20, 30);
  EXPECT_EQ(read(kA, 20, 31, second, second), Verdict::fresh);
  EXPECT_EQ(read(kA, 20, 31, first), Verdict::fresh) << "of another connection";
  EXPECT_EQ(read(kA, 20, 31, first, second), Verdict::own_lost);
  EXPECT_EQ(read(kStore, 20, 31, std::nullopt, second), Verdict::own_lost);
  EXPECT_EQ(read(kA, 20, 31, first, first), Verdict::fresh) << "it is behind the older one alone";
  const auto overlaps = set(kB, 25, 29);
  EXPECT_EQ(read(kA, 20, 31, overlaps, second), Verdict::fresh) << "in either order";
  const auto report = history.take_report();
  EXPECT_EQ(report.own_lost, 2U);
  EXPECT_EQ(report.lateness.max(), 10ms) << "of the absence, which the first had overwritten";
  EXPECT_THAT(report.violations.at(0), HasSubstr("write 1, behind its connection's write 2"));
}

TEST_F(OneKey, MayBeOlderThanWhatItsConnectionSentBeforeItWhereThatIsDoubtful) {
  const auto unknown = history.begin_set("k", kWriter, kA, at(0));
  history.end_write("k", unknown, Effect::unknown, at(10));
  const auto second = set(kA, 20, 30);
  EXPECT_EQ(read(kA, 20, 31, unknown, second), Verdict::fresh) << "it may come only now";
  const auto third = set(kA, 40, 50);
  history.lose(at(45), at(60));
  EXPECT_EQ(read(kA, 40, 51, second, third), Verdict::fresh) << "it may be lost";
}

TEST_F(OneKey, MayHaveEndedThoughItsConnectionSetItJustBefore) {
  const auto brief = set(kA, 20, 30, 100ms);
  EXPECT_EQ(read(kA, 20, 125, std::nullopt, brief), Verdict::fresh);
  EXPECT_EQ(read(kA, 20, 60, std::nullopt, brief), Verdict::own_lost) << "not so soon";
}

TEST_F(OneKey, IsNeverOldWhenTheStoreItselfAnswers) {
  const auto first = set(kA, 0, 1);
  set(kA, 10, 20);
  EXPECT_EQ(read(kStore, 19, 30, first), Verdict::fresh);
  EXPECT_EQ(read(kStore, 21, 30, first), Verdict::own_lost);
}

TEST_F(OneKey, AllowsEitherOrderOfWritesThatOverlap) {
  const auto one = history.begin_set("k", 1, kA, at(0));
  const auto other = history.begin_set("k", 2, kB, at(1));
  history.end_write("k", one, Effect::happened, at(10));
  history.end_write("k", other, Effect::happened, at(5));
  EXPECT_EQ(read(kStore, 1000, 1001, other), Verdict::fresh);
  EXPECT_EQ(read(kStore, 1002, 1003, one), Verdict::fresh);
  set(kA, 2000, 2001);
  EXPECT_EQ(read(kB, 2500, 2501, one), Verdict::stale);
  EXPECT_EQ(read(kB, 2500, 2501, other), Verdict::stale);
}

TEST_F(OneKey, AllowsAnUnknownOutcomeForEverUntilSomebodySawIt) {
  const auto first = set(kA, 0, 1);
  const auto lost = history.begin_set("k", kWriter, kA, at(10));
  history.end_write("k", lost, Effect::unknown, at(20));
  EXPECT_EQ(read(kB, 900, 901, first), Verdict::fresh) << "it may never have happened";
  const auto third = set(kA, 1000, 1001);
  EXPECT_EQ(read(kB, 1990, 2000, lost), Verdict::fresh) << "or it may happen only now";
  EXPECT_EQ(read(kB, 2100, 2101, third), Verdict::fresh) << "in either order with the third";
  EXPECT_EQ(read(kB, 2300, 2301, first), Verdict::stale) << "both are newer than the first";
  set(kA, 3000, 3001);
  EXPECT_EQ(read(kB, 3300, 3301, lost), Verdict::stale) << "it had happened by 2000";
}

TEST_F(OneKey, ARefusedWriteOverwritesNothingAndIsNeverRead) {
  const auto first = set(kA, 0, 1);
  const auto refused = history.begin_set("k", kWriter, kA, at(10));
  history.end_write("k", refused, Effect::none, at(20));
  EXPECT_EQ(read(kA, 900, 901, first), Verdict::fresh);
  EXPECT_EQ(read(kA, 900, 901, refused), Verdict::wrong);
}

TEST_F(OneKey, ADeletionIsAWriteOfAbsence) {
  const auto first = set(kA, 0, 1);
  erase(kA, 10, 20);
  EXPECT_EQ(read(kB, 30, 31, std::nullopt), Verdict::fresh);
  EXPECT_EQ(read(kA, 30, 31, first), Verdict::own_lost);
  EXPECT_EQ(read(kB, 300, 301, first), Verdict::stale);
  set(kA, 400, 401);
  EXPECT_EQ(read(kB, 600, 601, std::nullopt), Verdict::late);
  EXPECT_EQ(read(kB, 700, 701, std::nullopt), Verdict::stale);
}

TEST_F(OneKey, EndsWithItsTtlAndNotBefore) {
  const auto first = set(kA, 0, 10, 1000ms);
  EXPECT_EQ(read(kB, 900, 901, first), Verdict::fresh);
  EXPECT_EQ(read(kB, 900, 901, std::nullopt), Verdict::stale) << "nothing ended it yet";
  EXPECT_EQ(read(kB, 1000, 1001, std::nullopt), Verdict::fresh);
  EXPECT_EQ(read(kB, 1029, 1030, first), Verdict::fresh);
  EXPECT_EQ(read(kB, 1040, 1041, first), Verdict::late);
  EXPECT_EQ(read(kB, 1290, 1291, first), Verdict::stale);
}

TEST_F(OneKey, MayLiveOnOnceTouchedAndMayStillEnd) {
  const auto first = set(kA, 0, 10, 1000ms);
  history.begin_touch("k");
  const auto second = set(kA, 20, 30, 1000ms);
  history.end_touch("k", Effect::happened);
  EXPECT_EQ(read(kB, 5000, 5001, second), Verdict::fresh);
  EXPECT_EQ(read(kB, 5000, 5001, std::nullopt), Verdict::fresh);
  EXPECT_EQ(read(kB, 5000, 5001, first), Verdict::stale) << "of its being overwritten";
  const auto third = set(kA, 6000, 6010, 1000ms);
  EXPECT_EQ(read(kB, 7300, 7301, third), Verdict::stale) << "its TTL was set anew";
  history.begin_touch("k");
  history.end_touch("k", Effect::unknown);
  const auto fourth = set(kA, 8000, 8010, 1000ms);
  EXPECT_EQ(read(kB, 9300, 9301, fourth), Verdict::fresh) << "the touch may come only now";
}

TEST_F(OneKey, RefusesWhatNobodyWrote) {
  const auto first = set(kA, 10, 11);
  EXPECT_EQ(read(kA, 20, 21, Stamp{.writer = kWriter, .number = 2}.packed()), Verdict::wrong);
  EXPECT_EQ(read(kA, 20, 21, Stamp{.writer = 8, .number = 1}.packed()), Verdict::wrong);
  EXPECT_EQ(read(kA, 8, 9, first), Verdict::wrong) << "before it began";
  history.read_damaged("k", kA, "half a document");
  const auto report = history.take_report();
  EXPECT_EQ(report.wrong, 4U);
  EXPECT_EQ(report.violation_count(), 4U);
  EXPECT_THAT(report.violations.back(), HasSubstr("half a document"));
}

TEST_F(OneKey, WhatTheStoreLostIsOverwrittenByAbsence) {
  const auto first = set(kA, 0, 1);
  history.begin_flush(at(10));
  history.end_flush(at(20));
  EXPECT_EQ(read(kB, 30, 31, std::nullopt), Verdict::fresh);
  EXPECT_EQ(read(kB, 300, 301, first), Verdict::stale);
  const auto second = set(kA, 310, 311);
  EXPECT_EQ(read(kB, 312, 313, second), Verdict::fresh);
  EXPECT_EQ(read(kB, 600, 601, std::nullopt), Verdict::stale) << "the loss was before";
}

TEST_F(OneKey, MayAlreadyBeLostWhileTheFlushHasNotEnded) {
  const auto first = set(kA, 0, 1);
  EXPECT_EQ(read(kStore, 5, 6, std::nullopt), Verdict::own_lost) << "nothing was flushed yet";
  history.begin_flush(at(10));
  EXPECT_EQ(read(kStore, 400, 401, std::nullopt), Verdict::fresh);
  EXPECT_EQ(read(kStore, 402, 403, first), Verdict::fresh) << "it may happen only now";
  const auto second = set(kA, 410, 411);
  EXPECT_EQ(read(kA, 700, 701, second), Verdict::fresh);
  EXPECT_EQ(read(kA, 702, 703, std::nullopt), Verdict::fresh) << "it may be what was flushed";
  history.end_flush(at(800));
  EXPECT_EQ(read(kStore, 810, 811, first), Verdict::own_lost);
  const auto third = set(kA, 820, 821);
  EXPECT_EQ(read(kStore, 830, 831, third), Verdict::fresh);
  EXPECT_EQ(read(kStore, 832, 833, std::nullopt), Verdict::own_lost);
}

TEST_F(OneKey, MayBeLostThoughFirstWrittenDuringTheFlush) {
  history.begin_flush(at(10));
  const auto first = set(kA, 20, 21);
  EXPECT_EQ(read(kStore, 22, 23, first), Verdict::fresh);
  EXPECT_EQ(read(kStore, 24, 25, std::nullopt), Verdict::fresh);
  history.end_flush(at(30));
  EXPECT_EQ(read(kStore, 31, 32, std::nullopt), Verdict::fresh);
  EXPECT_EQ(read(kStore, 33, 34, first), Verdict::fresh) << "it may have been written afterwards";
}

TEST_F(OneKey, LosesNothingToAFlushThatEndedBeforeItsFirstWrite) {
  history.begin_flush(at(10));
  history.end_flush(at(20));
  const auto first = set(kA, 30, 31);
  EXPECT_EQ(read(kStore, 32, 33, first), Verdict::fresh);
  EXPECT_EQ(read(kStore, 34, 35, std::nullopt), Verdict::own_lost);
}

TEST_F(OneKey, MayGoBackToWhatANewMasterHad) {
  const auto first = set(kA, 0, 1);
  const auto kept = set(kA, 10, 11);
  const auto lost = set(kA, 20, 21);
  const auto under_way = history.begin_set("k", kWriter, kB, at(29));
  history.lose(at(20), at(40));
  history.end_write("k", under_way, Effect::happened, at(31));
  EXPECT_EQ(read(kA, 35, 36, lost), Verdict::fresh) << "from a cache";
  EXPECT_EQ(read(kB, 400, 401, kept), Verdict::fresh) << "both later ones are lost";
  EXPECT_EQ(read(kB, 410, 411, first), Verdict::stale) << "that one was replicated long before";
  EXPECT_EQ(read(kB, 420, 421, lost), Verdict::fresh) << "or none is";
  EXPECT_EQ(read(kB, 800, 801, kept), Verdict::stale) << "which is proved by then";
}

TEST_F(OneKey, GoesOnFromWhatANewMasterHas) {
  const auto first = set(kA, 0, 1);
  const auto kept = set(kA, 10, 11);
  const auto lost = set(kA, 20, 21);
  const auto under_way = history.begin_set("k", kWriter, kB, at(29));
  history.lose(at(5), at(40));
  history.end_write("k", under_way, Effect::happened, at(31));
  EXPECT_EQ(history.lose_newer("k", kept), 2U) << "one was acknowledged only afterwards";
  EXPECT_EQ(read(kA, 35, 36, lost), Verdict::fresh) << "from a cache, before all had turned";
  EXPECT_EQ(read(kA, 41, 42, lost), Verdict::wrong);
  EXPECT_EQ(read(kA, 41, 42, under_way), Verdict::wrong);
  EXPECT_EQ(read(kA, 41, 42, kept), Verdict::fresh);
  EXPECT_EQ(read(kB, 262, 263, first), Verdict::stale) << "what overwrote it was not lost";
  EXPECT_EQ(read(kStore, 50, 51, first), Verdict::own_lost);
  const auto next = set(kB, 60, 61);
  EXPECT_EQ(read(kA, 312, 313, kept), Verdict::stale);
  EXPECT_EQ(read(kA, 320, 321, next), Verdict::fresh);
}

TEST_F(OneKey, MayBeGoneWithANewMasterThatHasNothing) {
  const auto first = set(kA, 0, 1);
  history.lose(at(0), at(10));
  EXPECT_EQ(history.lose_newer("k", std::nullopt), 1U);
  EXPECT_EQ(read(kA, 20, 21, std::nullopt), Verdict::fresh);
  EXPECT_EQ(read(kA, 20, 21, first), Verdict::wrong);
}

TEST_F(OneKey, MayBeOldWhereItSaysSoAndByNoMore) {
  const auto first = set(kA, 0, 1);
  set(kB, 10, 20);
  const auto said_old = [&](Node through, int begin, std::uint64_t version) {
    return history.read_said_old("k", through, at(begin), at(begin + 1), version, 1000ms);
  };
  EXPECT_EQ(said_old(kA, 1270, first), Verdict::late);
  EXPECT_EQ(said_old(kA, 1271, first), Verdict::stale);
  EXPECT_EQ(said_old(kB, 21, first), Verdict::own_lost) << "it had acknowledged another itself";
  const auto report = history.take_report();
  EXPECT_EQ(report.late, 0U) << "which is about answers that say nothing";
  EXPECT_EQ(report.lateness.count(), 0U);
  EXPECT_EQ(report.said_old.max(), 1251ms);
  EXPECT_EQ(report.violation_count(), 2U);
  EXPECT_THAT(report.violations[0], HasSubstr("write 1 and said that it may be old, 1251.000 ms"));
}

TEST_F(OneKey, MayBeLostWhereItSaysThatItIsOldAndNoLongerThanThat) {
  const auto lost = set(kA, 0, 1);
  history.lose(at(0), at(10));
  history.lose_newer("k", std::nullopt);
  EXPECT_EQ(history.read_said_old("k", kA, at(1009), at(1010), lost, 1000ms), Verdict::fresh);
  EXPECT_EQ(history.read_said_old("k", kA, at(1010), at(1011), lost, 1000ms), Verdict::wrong);
}

TEST_F(OneKey, IsJudgedByWhoAcknowledgedItOnceThatIsKnown) {
  constexpr Node kNobody = kStore - 1;
  const auto first = set(kA, 0, 1);
  const auto second = history.begin_set("k", kWriter, kNobody, at(10));
  EXPECT_EQ(read(kA, 15, 16, first), Verdict::fresh);
  history.end_write("k", second, Effect::happened, at(20), kA);
  EXPECT_EQ(read(kB, 21, 22, first), Verdict::late);
  EXPECT_EQ(read(kA, 21, 22, first), Verdict::own_lost);
}

TEST_F(OneKey, ForgetsNoneThatCouldStillBeRead) {
  const auto first = set(kA, 0, 1);
  const auto lost = history.begin_set("k", kWriter, kA, at(2));
  history.end_write("k", lost, Effect::unknown, at(3));
  std::uint64_t newest = 0;
  for (int ms = 1000; ms < 60'000; ms += 100) newest = set(kB, ms, ms + 1);
  EXPECT_EQ(read(kA, 60'000, 60'001, newest), Verdict::fresh);
  EXPECT_EQ(read(kA, 60'000, 60'001, lost), Verdict::fresh) << "its outcome is still unknown";
  EXPECT_EQ(read(kA, 60'000, 60'001, first), Verdict::stale) << "however long ago";
  EXPECT_EQ(read(kA, 60'000, 60'001, std::nullopt), Verdict::stale);
  EXPECT_GE(history.take_report().lateness.min(), 10s);
}

TEST(History, KeepsKeysApart) {
  History history;
  const auto version = history.begin_set("a", 1, kA, at(0));
  history.end_write("a", version, Effect::happened, at(1));
  EXPECT_EQ(history.read("b", kA, at(2), at(3), version), Verdict::wrong);
  EXPECT_EQ(history.read("b", kA, at(900), at(901), std::nullopt), Verdict::fresh);
}

}  // namespace
}  // namespace nearlane::harness
