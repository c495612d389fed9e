// The protocol holds over a million random schedules, and each planted error is caught.
//
// NEARLANE_SCHEDULES=n runs n of them, from seed NEARLANE_SEED (1); what goes wrong is printed with
// its seed and what happened.
#include "core/tier/sim/simulation.h"

#include <cstdlib>
#include <iostream>
#include <string>

#include <gtest/gtest.h>

namespace nearlane::sim {
namespace {

#ifdef NDEBUG
constexpr std::uint64_t kSchedules = 1'000'000;
#else  // debug and sanitizer builds, which take ten times as long for each
constexpr std::uint64_t kSchedules = 20'000;
#endif

std::uint64_t number(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): nobody sets any
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Runs schedules until one fails.
Coverage expect_holds(std::uint64_t schedules, Options options) {
  Coverage coverage;
  const std::uint64_t first = number("NEARLANE_SEED", 1);
  for (std::uint64_t seed = first; seed < first + schedules; ++seed) {
    const Outcome outcome = simulate(seed, options);
    coverage += outcome.coverage;
    if (!outcome.violation) continue;
    options.trace = true;
    ADD_FAILURE() << "seed " << seed << " violates S" << outcome.violation->invariant << ": "
                  << outcome.violation->what << "\n"
                  << simulate(seed, options).trace;
    break;
  }
  return coverage;
}

TEST(Simulation, HoldsOverAMillionSchedules) {
  const std::uint64_t schedules = number("NEARLANE_SCHEDULES", kSchedules);
  const Coverage coverage = expect_holds(schedules, {});
  // That nothing went wrong proves something only if enough has happened.
  EXPECT_GT(coverage.served, 20 * schedules);
  EXPECT_GT(coverage.answers, 5 * schedules);
  EXPECT_GT(coverage.pushes, schedules);
  EXPECT_GT(coverage.acknowledged, schedules);
  EXPECT_GT(coverage.unknown, schedules / 5);
  EXPECT_GT(coverage.losses, schedules / 5);
  EXPECT_GT(coverage.revocations, schedules / 20);
  EXPECT_GT(coverage.failovers, schedules / 20);
  EXPECT_GT(coverage.touched, schedules / 10);
  EXPECT_GT(coverage.coalesced, schedules / 200);
  EXPECT_GT(coverage.unasked, schedules / 20);
  EXPECT_GT(coverage.refills, schedules / 20);
  EXPECT_GT(coverage.hints, schedules / 20);
  EXPECT_GT(coverage.stale, schedules / 200);
}

TEST(Simulation, HoldsWithTheMapThatShips) {
  const std::uint64_t schedules = number("NEARLANE_SCHEDULES", kSchedules) / 20;
  const Coverage coverage = expect_holds(schedules, {.map = "native"});
  EXPECT_GT(coverage.served, 20 * schedules);
}

/// Where the store tells nothing and instances tell each other.
TEST(Simulation, HoldsWhereInstancesTellEachOther) {
  const std::uint64_t schedules = number("NEARLANE_SCHEDULES", kSchedules) / 2;
  const Coverage coverage = expect_holds(schedules, {.announced = true});
  EXPECT_GT(coverage.served, 10 * schedules);
  EXPECT_GT(coverage.answers, 5 * schedules);
  EXPECT_GT(coverage.acknowledged, schedules);
  EXPECT_GT(coverage.losses, schedules / 5);
  EXPECT_GT(coverage.revocations, schedules / 20);
  EXPECT_GT(coverage.failovers, schedules / 20);
  EXPECT_EQ(coverage.pushes, 0U);
}

TEST(Simulation, ReplaysASeedExactly) {
  std::uint64_t before = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const Options options{.announced = seed % 2 == 0, .trace = true};
    const Outcome once = simulate(seed, options);
    const Outcome again = simulate(seed, options);
    ASSERT_EQ(once.digest, again.digest) << "seed " << seed;
    ASSERT_EQ(once.trace, again.trace) << "seed " << seed;
    ASSERT_EQ(once.coverage.events, again.coverage.events) << "seed " << seed;
    ASSERT_NE(once.digest, before)
        << "seeds " << seed - 1 << " and " << seed << " are one schedule";
    before = once.digest;
  }
}

TEST(Simulation, TheAuditorRaisesNoFalseAlarm) {
  const std::uint64_t schedules = number("NEARLANE_SCHEDULES", kSchedules) / 10;
  const Coverage coverage = expect_holds(schedules, {.audit = true});
  EXPECT_GT(coverage.agreed, schedules);
  EXPECT_GT(coverage.in_order, schedules / 30);
}

struct Planted {
  Mutant mutant;
  const char* name;
  int invariant;           // that it must violate
  bool announced = false;  // where instances tell each other
};
std::ostream& operator<<(std::ostream& out, const Planted& planted) { return out << planted.name; }

class PlantedError : public testing::TestWithParam<Planted> {};

TEST_P(PlantedError, IsCaughtAndItsSeedReplaysIt) {
  constexpr std::uint64_t kEnough = 200'000;
  const auto [mutant, name, invariant, announced] = GetParam();
  for (std::uint64_t seed = 1; seed <= kEnough; ++seed) {
    const Outcome caught = simulate(seed, {.mutant = mutant, .announced = announced});
    if (!caught.violation || caught.violation->invariant != invariant) continue;
    RecordProperty("seed", std::to_string(seed));
    RecordProperty("violates", "S" + std::to_string(invariant) + ": " + caught.violation->what);

    const Outcome again = simulate(seed, {.mutant = mutant, .announced = announced, .trace = true});
    ASSERT_TRUE(again.violation);
    EXPECT_EQ(again.violation->invariant, invariant);
    EXPECT_EQ(again.violation->what, caught.violation->what);
    EXPECT_EQ(again.digest, caught.digest);
    const Outcome proper = simulate(seed, {.announced = announced});
    EXPECT_FALSE(proper.violation) << proper.violation->what;
    std::cout << name << ": seed " << seed << " violates S" << invariant << ": "
              << caught.violation->what << "\n";
    return;
  }
  FAIL() << name << " is not caught in " << kEnough << " schedules";
}

class NoticedError : public testing::TestWithParam<Planted> {};

TEST_P(NoticedError, IsNoticedByTheAuditor) {
  constexpr std::uint64_t kEnough = 200'000;
  const auto [mutant, name, invariant, announced] = GetParam();
  ASSERT_FALSE(announced);
  for (std::uint64_t seed = 1; seed <= kEnough; ++seed) {
    const Options options{.mutant = mutant, .audit = true, .only = invariant};
    const Outcome noticed = simulate(seed, options);
    if (!noticed.violation) continue;
    const Outcome proper = simulate(seed, {.audit = true});
    EXPECT_FALSE(proper.violation) << proper.violation->what;
    std::cout << name << ": seed " << seed << ": " << noticed.violation->what << "\n";
    return;
  }
  FAIL() << name << " is not noticed in " << kEnough << " schedules";
}

INSTANTIATE_TEST_SUITE_P(
    All, NoticedError,
    testing::Values(Planted{Mutant::no_multi, "NoMulti", 8},
                    Planted{Mutant::naive_install, "NaiveInstall", 8},
                    Planted{Mutant::evict_without_cancel, "EvictWithoutCancel", 8},
                    Planted{Mutant::install_despite_later, "InstallDespiteLater", 8},
                    Planted{Mutant::late_put, "LatePut", 8}),
    [](const auto& noticed) { return noticed.param.name; });

INSTANTIATE_TEST_SUITE_P(
    All, PlantedError,
    testing::Values(Planted{Mutant::no_multi, "NoMulti", 1},
                    Planted{Mutant::naive_install, "NaiveInstall", 1},
                    Planted{Mutant::naive_install, "NaiveInstallOutlivesARevocation", 3},
                    Planted{Mutant::naive_install, "NaiveInstallStaysForEver", 4},
                    Planted{Mutant::late_bump, "LateBump", 1},
                    Planted{Mutant::lease_from_receipt, "LeaseFromReceipt", 1},
                    Planted{Mutant::broadcast, "BroadcastOnePong", 1},
                    Planted{Mutant::evict_without_cancel, "EvictWithoutCancel", 1},
                    Planted{Mutant::evict_without_cancel, "EvictWithoutCancelStaysForEver", 4},
                    Planted{Mutant::deadline_from_receipt, "DeadlineFromReceipt", 1},
                    Planted{Mutant::install_despite_later, "InstallDespiteLater", 4},
                    Planted{Mutant::read_overtakes_write, "ReadOvertakesWrite", 2},
                    Planted{Mutant::write_overtakes_joined, "WriteOvertakesJoined", 2},
                    Planted{Mutant::join_cancelled, "JoinCancelled", 2},
                    Planted{Mutant::join_old, "JoinOld", 1},
                    Planted{Mutant::late_put, "LatePut", 4},
                    Planted{Mutant::slide_serves_longer, "SlideServesLonger", 1},
                    Planted{Mutant::refresh_keeps_body, "RefreshKeepsBody", 1},
                    Planted{Mutant::refresh_keeps_body, "RefreshKeepsBodyForEver", 4},
                    Planted{Mutant::hint_installs, "HintInstalls", 4},
                    Planted{Mutant::forget_only_before, "ForgetOnlyBefore", 2},
                    Planted{Mutant::stale_while_asked, "StaleWhileAsked", 7},
                    Planted{Mutant::stale_for_longer, "StaleForLonger", 7},
                    Planted{Mutant::stale_past_its_end, "StalePastItsEnd", 7},
                    Planted{Mutant::keeps_overwritten, "KeepsOverwritten", 7},
                    Planted{Mutant::early_news, "EarlyNews", 1, true},
                    Planted{Mutant::early_news, "EarlyNewsStayForEver", 4, true},
                    Planted{Mutant::silent_resubscription, "SilentResubscription", 4, true},
                    Planted{Mutant::lease_from_receipt, "LeaseFromReceiptOfTheHeartbeat", 1, true},
                    Planted{Mutant::evict_without_cancel, "EvictWithoutCancelWhenTold", 4, true},
                    Planted{Mutant::late_put, "LatePutWhenTold", 4, true},
                    Planted{Mutant::install_despite_later, "InstallDespiteLaterWhenTold", 4, true}),
    [](const auto& planted) { return planted.param.name; });

}  // namespace
}  // namespace nearlane::sim
