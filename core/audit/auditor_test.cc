#include "core/audit/auditor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/epoch.h"

namespace nearlane::audit {
namespace {

using namespace std::chrono_literals;
using Standing = Present::Standing;

constexpr Duration kLease = 250ms;

class Audits : public testing::Test {
 protected:
  Audits() { auditor.earn(1000, now); }

  EntryPtr entry_of(std::string_view value, TimePoint deadline = kForever) const {
    return Entry::build(key, value, deadline, 1);
  }
  void hit() { auditor.observe(*in_l1.entry, key.hash, now); }
  std::vector<Question> due() {
    return auditor.due(now, [this](const KeyRef&) { return in_l1; });
  }
  /// The first answer is otherwise, and L1 goes on serving until the lane is asked.
  Question suspect(const L2Answer& answer) {
    hit();
    auto questions = due();
    EXPECT_EQ(questions.size(), 1);
    EXPECT_FALSE(questions.at(0).on_lane);
    EXPECT_FALSE(auditor.answered(questions[0].id, answer, in_l1, now));
    EXPECT_TRUE(due().empty()) << "L1 may be a lease behind";
    now += kLease;
    EXPECT_TRUE(due().empty()) << "to the instant";
    now += 10ms;
    questions = due();
    EXPECT_EQ(questions.size(), 1);
    EXPECT_TRUE(questions.at(0).on_lane);
    return questions.at(0);
  }
  Finding judge(const Question& question, const L2Answer& answer) {
    const auto finding = auditor.answered(question.id, answer, in_l1, now);
    EXPECT_TRUE(finding);
    return finding.value_or(Finding{});
  }
  std::uint64_t verdicts() const {
    std::uint64_t sum = 0;
    for (std::size_t v = 0; v < static_cast<std::size_t>(Verdict::count); ++v) {
      for (std::size_t a = 0; a < static_cast<std::size_t>(Age::count); ++a)
        sum += auditor.found(static_cast<Verdict>(v), static_cast<Age>(a));
    }
    return sum;
  }

  static constexpr L2Answer kSame{.known = true, .exists = true, .same = true};
  static constexpr L2Answer kOther{.known = true, .exists = true, .same = false};
  static constexpr L2Answer kNothing{.known = true, .exists = false};
  static constexpr L2Answer kSilence{.known = false};

  TimePoint now{1000s};
  const KeyRef key{0, "k"};
  Auditor auditor{{.one_in = 1, .lease = kLease}};
  Present in_l1{entry_of("value"), Standing::vouched};
};

TEST_F(Audits, ThatAgreeEndThere) {
  hit();
  const auto questions = due();
  ASSERT_EQ(questions.size(), 1);
  EXPECT_FALSE(auditor.answered(questions[0].id, kSame, in_l1, now));
  EXPECT_EQ(auditor.ended(Outcome::agreed), 1);
  EXPECT_EQ(auditor.under_way(), 0);
  EXPECT_EQ(verdicts(), 0);
}

TEST_F(Audits, AnEntryThatLeftBeforeTheAnswerIsInFlight) {
  hit();
  const auto questions = due();
  in_l1 = {};
  const Finding finding = judge(questions.at(0), kOther);
  EXPECT_EQ(finding.verdict, Verdict::in_flight);
  EXPECT_EQ(finding.age, Age::at_once);
  EXPECT_FALSE(finding.repair());
  EXPECT_EQ(auditor.under_way(), 0);
}

TEST_F(Audits, AnotherEntryOfTheSameValueIsNotTheOneThatWasServed) {
  hit();
  const auto questions = due();
  in_l1.entry = entry_of("value");
  EXPECT_EQ(judge(questions.at(0), kOther).verdict, Verdict::in_flight);
}

TEST_F(Audits, AnEntryThatLeavesWithinTheLeaseIsLate) {
  hit();
  const auto questions = due();
  EXPECT_FALSE(auditor.answered(questions.at(0).id, kOther, in_l1, now));
  in_l1 = {};
  now += kLease + 10ms;
  EXPECT_TRUE(due().empty());
  EXPECT_EQ(auditor.found(Verdict::late, Age::lease), 1);
  EXPECT_EQ(auditor.under_way(), 0);
}

TEST_F(Audits, StaleIsSaidOnceTheLaneItselfHasSaidSo) {
  const Question last = suspect(kOther);
  const Finding finding = judge(last, kOther);
  EXPECT_EQ(finding.verdict, Verdict::stale);
  EXPECT_EQ(finding.age, Age::lease);
  EXPECT_EQ(finding.hash, key.hash);
  EXPECT_TRUE(finding.repair());
}

TEST_F(Audits, APushThatComesBeforeTheLanesAnswerMakesItLate) {
  const Question last = suspect(kOther);
  in_l1 = {};
  EXPECT_EQ(judge(last, kOther).verdict, Verdict::late);
}

TEST_F(Audits, WhereTheLaneAgreesNothingIsSaidAgainstL1) {
  const Question last = suspect(kOther);
  const Finding finding = judge(last, kSame);
  EXPECT_EQ(finding.verdict, Verdict::split);
}

TEST_F(Audits, ADeadlineThatATouchMovedMeanwhileIsLate) {
  in_l1.entry = entry_of("value", now + 60s);
  L2Answer sooner = kSame;
  sooner.ends_by = now + 10s;
  const Question last = suspect(sooner);
  in_l1.entry->set_deadline(now + 5s);
  EXPECT_EQ(judge(last, sooner).verdict, Verdict::late);
}

TEST_F(Audits, AnEntryThatL2DoesNotHaveIsAZombie) {
  EXPECT_EQ(judge(suspect(kNothing), kNothing).verdict, Verdict::zombie);
}

TEST_F(Audits, ANegativeEntryOfAKeyThatIsThereIsAGhost) {
  in_l1.entry = Entry::build_negative(key, kForever, 1);
  EXPECT_EQ(judge(suspect(kOther), kOther).verdict, Verdict::ghost);
}

TEST_F(Audits, OnlyADeadlineAfterL2sIsSkewed) {
  L2Answer answer = kSame;
  answer.ends_by = now + 10s;
  const auto verdict = [&](TimePoint deadline) {
    return compare(*entry_of("v", deadline), answer);
  };
  EXPECT_EQ(verdict(now + 1s), std::nullopt) << "L1 may give it up earlier";
  EXPECT_EQ(verdict(now + 10s + kTtlSkew), std::nullopt);
  EXPECT_EQ(verdict(now + 10s + kTtlSkew + 1ns), Verdict::ttl_skew);
  EXPECT_EQ(verdict(kForever), Verdict::ttl_skew);
  answer.ends_by = kForever;
  EXPECT_EQ(verdict(kForever), std::nullopt);
}

TEST_F(Audits, WhileTheLeaseHasRunOutTheLookIsPutOff) {
  hit();
  const auto questions = due();
  EXPECT_FALSE(auditor.answered(questions.at(0).id, kOther, in_l1, now));
  in_l1.standing = Standing::lapsed;
  for (const Duration age : {Duration(kLease + 10ms), Duration(1s), Duration(10s)}) {
    now = TimePoint(1000s) + age;
    EXPECT_TRUE(due().empty());
    EXPECT_EQ(auditor.under_way(), 1);
  }
  now = TimePoint(1060s);
  EXPECT_TRUE(due().empty());
  EXPECT_EQ(auditor.ended(Outcome::undecided), 1);
  EXPECT_EQ(verdicts(), 0);
}

TEST_F(Audits, AfterAVerdictTheKeyIsLookedAtAtTheAgesThatAreLeft) {
  (void)judge(suspect(kOther), kOther);
  in_l1.entry = entry_of("again stale");
  EXPECT_TRUE(due().empty());
  now = TimePoint(1000s) + 1010ms;
  auto questions = due();
  ASSERT_EQ(questions.size(), 1);
  EXPECT_TRUE(questions[0].on_lane);
  EXPECT_EQ(judge(questions[0], kOther).age, Age::s1);
  in_l1.entry = entry_of("mended");
  now = TimePoint(1010s);
  questions = due();
  ASSERT_EQ(questions.size(), 1);
  EXPECT_FALSE(auditor.answered(questions[0].id, kSame, in_l1, now));
  in_l1 = {};
  now = TimePoint(1060s);
  EXPECT_TRUE(due().empty());
  EXPECT_EQ(auditor.under_way(), 0);
  EXPECT_EQ(auditor.ended(Outcome::differed), 1);
  EXPECT_EQ(auditor.found(Verdict::stale, Age::lease), 1);
  EXPECT_EQ(auditor.found(Verdict::stale, Age::s1), 1);
  EXPECT_EQ(verdicts(), 2);
}

TEST_F(Audits, AnAnswerThatNeverCameIsNoVerdict) {
  hit();
  EXPECT_FALSE(auditor.answered(due().at(0).id, kSilence, in_l1, now));
  EXPECT_EQ(auditor.ended(Outcome::failed), 1);
  auditor.earn(1000, now + 1s);
  now += 1s;
  const Question last = suspect(kOther);
  EXPECT_FALSE(auditor.answered(last.id, kSilence, in_l1, now));
  EXPECT_EQ(auditor.under_way(), 1) << "asked again at the next age";
  EXPECT_EQ(verdicts(), 0);
}

TEST_F(Audits, AreOneInAThousandHitsAtMost) {
  Auditor frugal({.one_in = 1, .rate = 1'000'000, .max_under_way = 1'000'000, .lease = kLease});
  std::uint64_t audits = 0;
  for (int round = 0; round < 500; ++round) {
    now += 100ms;
    frugal.earn(700, now);
    for (int i = 0; i < 700; ++i) frugal.observe(*in_l1.entry, static_cast<std::uint64_t>(i), now);
    for (const Question& question : frugal.due(now, [this](const KeyRef&) { return in_l1; })) {
      ++audits;
      (void)frugal.answered(question.id, kSame, in_l1, now);
    }
  }
  EXPECT_EQ(audits, 350);
}

TEST_F(Audits, KeepToTheirRateAndToTheirNumberUnderWay) {
  Auditor slow({.one_in = 1, .hits_per_audit = 1, .rate = 10, .max_under_way = 4, .lease = kLease});
  const auto observed = [&] {
    for (std::uint64_t i = 0; i < 100; ++i) slow.observe(*in_l1.entry, i, now);
    return slow.due(now, [this](const KeyRef&) { return in_l1; });
  };
  slow.earn(1'000'000, now);
  EXPECT_EQ(observed().size(), 4) << "max_under_way";
  EXPECT_EQ(slow.under_way(), 4);
  EXPECT_TRUE(observed().empty());
  Auditor steady({.one_in = 1, .hits_per_audit = 1, .rate = 10, .lease = kLease});
  std::size_t audits = 0;
  for (int round = 0; round < 100; ++round) {
    now += 100ms;
    steady.earn(1'000'000, now);
    for (std::uint64_t i = 0; i < 100; ++i) steady.observe(*in_l1.entry, i, now);
    for (const auto& question : steady.due(now, [this](const KeyRef&) { return in_l1; })) {
      (void)steady.answered(question.id, kSame, in_l1, now);
      ++audits;
    }
  }
  EXPECT_LE(audits, 10 + 100) << "ten a second for ten seconds, and a second's worth to begin with";
  EXPECT_GE(audits, 100);
}

TEST_F(Audits, PinNoMoreThanTheyMay) {
  Auditor small({.one_in = 1, .hits_per_audit = 1, .max_pinned = 100'000, .lease = kLease});
  small.earn(1000, now);
  const EntryPtr large = entry_of(std::string(60'000, 'x'));
  small.observe(*large, 1, now);
  small.observe(*large, 2, now);
  EXPECT_EQ(small.under_way(), 1);
}

TEST_F(Audits, OfOneKeyThereIsOneAtATime) {
  auditor.earn(100'000, now);
  hit();
  hit();
  EXPECT_EQ(due().size(), 1);
  EXPECT_TRUE(due().empty());
}

TEST_F(Audits, SampleOneKeyInSoMany) {
  const Auditor usual({});
  int sampled = 0;
  for (int i = 0; i < 1 << 18; ++i)
    sampled += usual.sampled(hash_key(0, "key:" + std::to_string(i))) ? 1 : 0;
  EXPECT_NEAR(sampled, 256, 80);
}

TEST_F(Audits, MoveNoMoreThanAWindowAndReachEveryPart) {
  const std::string value(10 * kWindow + 5, 'x');
  in_l1.entry = entry_of(value);
  std::vector<int> seen(11);
  for (int i = 0; i < 300; ++i) {
    now += 1s;
    auditor.earn(1000, now);
    hit();
    const auto questions = due();
    const std::size_t from = questions.at(0).window.from;
    EXPECT_LE(questions[0].window.of(value).size(), kWindow);
    ++seen.at(from / kWindow);
    (void)auditor.answered(questions[0].id, kSame, in_l1, now);
  }
  EXPECT_THAT(seen, testing::Each(testing::Gt(0)));
}

TEST_F(Audits, AskTheLaneAboutThePartThatDiffered) {
  in_l1.entry = entry_of(std::string(50 * kWindow, 'x'));
  for (int i = 0; i < 20; ++i) {
    now += 100s;
    auditor.earn(1000, now);
    hit();
    const auto first = due();
    (void)auditor.answered(first.at(0).id, kOther, in_l1, now);
    now += kLease + 10ms;
    const auto last = due();
    EXPECT_EQ(last.at(0).window.from, first[0].window.from);
    in_l1.standing = Standing::gone;
    (void)auditor.answered(last[0].id, kOther, in_l1, now);
    in_l1.standing = Standing::vouched;
  }
}

TEST_F(Audits, ThatAreStoppedHoldNothing) {
  (void)suspect(kOther);
  auditor.stop();
  EXPECT_EQ(auditor.under_way(), 0);
  hit();
  EXPECT_TRUE(due().empty());
}

}  // namespace
}  // namespace nearlane::audit
