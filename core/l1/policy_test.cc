// What policies share, and what the maps cannot see of them: bounds, weights, fingerprints, counts.
#include "core/l1/policy/policy.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "core/base/epoch.h"
#include "core/l1/bit_tree.h"
#include "core/l1/cells.h"
#include "core/l1/ghost.h"
#include "core/l1/l1_map.h"
#include "core/l1/policy/adaptive.h"
#include "core/l1/policy/clock.h"
#include "core/l1/policy/s3fifo.h"
#include "core/l1/policy/sieve.h"
#include "core/l1/policy/wtinylfu.h"
#include "core/l1/queues.h"
#include "core/l1/sketch.h"

namespace nearlane::l1 {
namespace {

/// A shard without a table.
template <class P>
struct Held {
  explicit Held(std::size_t count) : policy(Room{.bytes = 0, .entries = count}) {
    for (std::size_t i = 0; i < count; ++i) {
      const auto name = fmt::format("k{}", i);
      entries.push_back(Entry::build(KeyRef(0, name), "v", kForever, 0));
      const Entry& entry = *entries.back();
      policy.insert(cells.take(&entry), entry, entry.key().hash);
    }
  }
  void use_all(int times) {
    for (int i = 0; i < times; ++i) {
      for (const auto& entry : entries) policy.hit(*entry, entry->key().hash);
    }
  }
  [[nodiscard]] std::vector<std::uint16_t> marks() const {
    std::vector<std::uint16_t> marks;
    marks.reserve(entries.size());
    for (const auto& entry : entries) marks.push_back(entry->mark());
    return marks;
  }

  P policy;
  Cells cells;
  std::vector<EntryPtr> entries;
};

/// An entry where nobody can write: a store, even of what is there already, ends the program.
class ReadOnlyCopy {
 public:
  explicit ReadOnlyCopy(const Entry& entry)
      : page_(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    std::memcpy(page_, static_cast<const void*>(&entry), sizeof(Entry) + entry.key().name.size());
    mprotect(page_, kBytes, PROT_READ);
  }
  ReadOnlyCopy(const ReadOnlyCopy&) = delete;
  ReadOnlyCopy& operator=(const ReadOnlyCopy&) = delete;
  ~ReadOnlyCopy() { munmap(page_, kBytes); }
  [[nodiscard]] const Entry& entry() const noexcept { return *static_cast<const Entry*>(page_); }

 private:
  static constexpr std::size_t kBytes = 4096;
  void* page_;
};

template <class P>
class MarkingPolicy : public testing::Test {};

struct Names {
  template <class P>
  static std::string GetName(int) {
    return std::string(P::kName);
  }
};
using MarkingPolicies = testing::Types<Clock, Sieve, S3Fifo>;
TYPED_TEST_SUITE(MarkingPolicy, MarkingPolicies, Names);

TYPED_TEST(MarkingPolicy, VictimsAreFoundAfterABoundedNumberOfUsedOnes) {
  Held<TypeParam> held(1000);
  held.use_all(3);
  const auto before = held.marks();
  std::size_t passes = 400;
  // The first one passes as many as it may; those that follow go as they are.
  for (int i = 0; i < 3; ++i) {
    const CellId victim = held.policy.victim(held.cells, passes);
    ASSERT_NE(victim, kNoCell);
    EXPECT_EQ(passes, 0U);
    EXPECT_NE(held.cells.at(victim)->mark(), 0) << "it was used";
    held.policy.erase(victim, *held.cells.at(victim));
    held.cells.give_back(victim);
  }
  const auto after = held.marks();
  std::size_t passed = 0;
  for (std::size_t i = 0; i < before.size(); ++i) passed += before[i] != after[i] ? 1 : 0;
  EXPECT_EQ(passed, 400U);
}

TYPED_TEST(MarkingPolicy, HitsWriteNoMoreOnceTheMarkIsFull) {
  Held<TypeParam> held(1);
  held.use_all(3);
  const ReadOnlyCopy copy(*held.entries.front());
  for (int i = 0; i < 100; ++i) held.policy.hit(copy.entry(), copy.entry().key().hash);
}

TYPED_TEST(MarkingPolicy, AnEmptyShardHasNoVictim) {
  Held<TypeParam> held(3);
  for (const auto& entry : held.entries) held.policy.erase(entry->cell(), *entry);
  std::size_t passes = kMostPassed;
  EXPECT_EQ(held.policy.victim(held.cells, passes), kNoCell);
}

TEST(WTinyLfu, AVictimMovesABoundedNumberOfOthers) {
  const auto victim = [](Held<WTinyLfu>& held, std::size_t passes) {
    const std::size_t before = passes;
    const CellId cell = held.policy.victim(held.cells, passes);
    held.policy.erase(cell, *held.cells.at(cell));
    held.cells.give_back(cell);
    return before - passes;
  };
  // Whatever was used is protected, four fifths of the main part's 990 may be.
  Held<WTinyLfu> used(1000);
  used.use_all(1);
  EXPECT_EQ(victim(used, 50), 50U);
  EXPECT_EQ(victim(used, 1000), 148U) << "what the first has left";
  EXPECT_EQ(victim(used, 1000), 0U);

  // One in a hundred began in the window. Once the others are gone it holds all there is.
  Held<WTinyLfu> left(20'000);
  for (CellId cell = 0; cell < left.cells.end(); ++cell) {
    if (cell % 100 == 0) continue;
    left.policy.erase(cell, *left.cells.at(cell));
    left.cells.give_back(cell);
  }
  EXPECT_EQ(victim(left, 50), 50U);
  EXPECT_EQ(victim(left, 1000), 148U) << "the window's share of 199 is one";
}

/// A policy whose lists have shares. What it weighs are parts of 256 bytes, so that the few bytes by which malloc
/// rounds the same size now and then more, now and then less, do not show.
template <class P>
class SharingPolicy : public testing::Test {
 protected:
  static constexpr std::size_t kPart = 256;
  static constexpr std::size_t kRoom = 2000;

  struct Holding {
    P policy{Room{.bytes = kRoom * kPart, .entries = kRoom}};
    Cells cells;
    std::map<CellId, EntryPtr> entries;

    static EntryPtr build(int key, std::size_t parts) {
      const std::string value(parts * kPart + kPart / 4, 'v');
      return Entry::build(KeyRef(0, fmt::format("k{}", key)), value, kForever, 0);
    }
    CellId insert(int key, std::size_t parts) {
      EntryPtr entry = build(key, parts);
      const CellId cell = cells.take(entry.get());
      policy.insert(cell, *entry, entry->key().hash);
      entries[cell] = std::move(entry);
      return cell;
    }
    void replace(CellId cell, int key, std::size_t parts) {
      EntryPtr next = build(key, parts);
      next->set_mark(entries[cell]->mark());
      cells.set(cell, next.get());
      policy.replace(cell, *entries[cell], *next);
      entries[cell] = std::move(next);
    }
    void hit(CellId cell) { policy.hit(*entries[cell], entries[cell]->key().hash); }
    std::string evict() {
      std::size_t passes = kMostPassed;
      const CellId cell = policy.victim(cells, passes);
      std::string name(entries[cell]->key().name);
      policy.erase(cell, *entries[cell]);
      cells.give_back(cell);
      entries.erase(cell);
      return name;
    }
  };
};
using SharingPolicies = testing::Types<S3Fifo, WTinyLfu>;
TYPED_TEST_SUITE(SharingPolicy, SharingPolicies, Names);

TYPED_TEST(SharingPolicy, AnOverwriteWeighsWhatItIsNow) {
  typename TestFixture::Holding overwritten;
  typename TestFixture::Holding plain;
  std::mt19937_64 random(5);
  for (int key = 0; key < 5000; ++key) {
    const std::size_t parts = 1 + random() % 20;
    const CellId cell = plain.insert(key, parts);
    ASSERT_EQ(overwritten.insert(key, 1 + random() % 20), cell);
    overwritten.replace(cell, key, parts);
    // Some are used more than others.
    for (int use = 0; use < 4; ++use) {
      const auto used = static_cast<CellId>(random() % (1 + random() % plain.cells.end()));
      if (plain.cells.at(used) == nullptr) continue;
      plain.hit(used);
      overwritten.hit(used);
    }
    if (key < 200) continue;
    ASSERT_EQ(overwritten.evict(), plain.evict()) << key;
  }
}

TEST(BitTree, FindsTheNextOneAsAStandardSetDoes) {
  std::mt19937_64 random(3);
  for (const std::uint32_t most : {1U, 63U, 64U, 65U, 4096U, 4097U, 300'000U}) {
    BitTree tree;
    std::set<std::uint32_t> model;
    EXPECT_EQ(tree.next(0), BitTree::kNone);
    for (int step = 0; step < 3000; ++step) {
      // Now many, now few.
      const bool filling = step / 500 % 2 == 0;
      const auto number = static_cast<std::uint32_t>(random() % most);
      if (random() % 8 < (filling ? 7 : 1)) {
        if (model.insert(number).second) tree.insert(number);
      } else if (!model.empty()) {
        auto leaving = model.lower_bound(number);
        if (leaving == model.end()) leaving = model.begin();
        tree.erase(*leaving);
        model.erase(leaving);
      }
      const auto from = static_cast<std::uint32_t>(random() % (most + 100));
      const auto next = model.lower_bound(from);
      ASSERT_EQ(tree.next(from), next == model.end() ? BitTree::kNone : *next) << from;
    }
  }
}

TEST(Cells, FindTheFewThatAreLeft) {
  Cells cells;
  std::vector<EntryPtr> entries;
  for (int i = 0; i < 10000; ++i) {
    entries.push_back(Entry::build(KeyRef(0, fmt::format("k{}", i)), "v", kForever, 0));
    ASSERT_EQ(cells.take(entries.back().get()), static_cast<CellId>(i));
  }
  for (CellId cell = 0; cell < 10000; ++cell) {
    if (cell != 70 && cell != 8000) cells.give_back(cell);
  }
  EXPECT_EQ(cells.next(0), 70U);
  EXPECT_EQ(cells.next(70), 70U);
  EXPECT_EQ(cells.next(71), 8000U);
  EXPECT_EQ(cells.next(8001), 70U) << "it begins again";
  EXPECT_EQ(cells.next(20000), 70U);
  cells.give_back(70);
  cells.give_back(8000);
  EXPECT_EQ(cells.next(0), kNoCell);
}

// Large values take the place of many small ones: then nearly all cells are free, and looking for an entry
// must not become a walk over all of them. That it is none is BitTree's affair and shows in the time alone; here,
// each of the few is found.
TEST(Adaptive, FindsAVictimAmongFewEntriesInManyCells) {
  constexpr std::size_t kMany = 50'000;
  Adaptive::Shared shared(Room{.bytes = 0, .entries = kMany});
  Adaptive policy(Room{.bytes = 0, .entries = kMany}, shared, 1);
  Cells cells;
  std::vector<EntryPtr> entries;
  for (std::size_t i = 0; i < kMany; ++i) {
    entries.push_back(Entry::build(KeyRef(0, fmt::format("k{}", i)), "v", kForever, 0));
    const Entry& entry = *entries.back();
    policy.insert(cells.take(&entry), entry, entry.key().hash);
  }
  std::set<CellId> left;
  for (CellId cell = 0; cell < kMany; ++cell) {
    if (cell % 1000 == 0) {
      left.insert(cell);
    } else {
      policy.erase(cell, *entries[cell]);
      cells.give_back(cell);
    }
  }
  std::size_t passes = kMostPassed;
  while (!left.empty()) {
    const CellId victim = policy.victim(cells, passes);
    ASSERT_EQ(left.erase(victim), 1U);
    policy.erase(victim, *entries[victim]);
    cells.give_back(victim);
  }
  EXPECT_EQ(policy.victim(cells, passes), kNoCell);
}

TEST(Adaptive, FindsWorthMoreWhatIsUsedMore) {
  constexpr std::size_t kMany = 3200;  // so that a hundred insertions are a tick
  const auto map = *make_l1({.map = "native", .bytes = std::uint64_t{64} << 20U, .entries = kMany});
  const auto put = [&](const std::string& name) {
    map->put(Entry::build(KeyRef(0, name), "v", kForever, 0));
  };
  const epoch::Guard guard;
  put("hot");
  put("cold");
  for (int i = 0; i < 3000; ++i) {
    put(fmt::format("k{}", i));
    if (i % 50 != 0) continue;
    ASSERT_NE(map->find(KeyRef(0, "hot")), nullptr);
  }
  std::map<std::string, float, std::less<>> worth;
  WalkPlace from;
  while (map->walk_on(from, 100, [&](const Entry& entry, float value) {
    worth.emplace(entry.key().name, value);
  })) {
  }
  EXPECT_GT(worth.at("hot"), 2 * worth.at("cold"));
}

// A large value among many small entries is a tick by itself, and nothing has to leave for it.
TEST(Adaptive, AgesDoNotWrapHoweverFewAreInsertedATick) {
  constexpr std::size_t kSmall = 1000;
  constexpr std::size_t kEach = 256;
  const Room room{.bytes = 3200 * kEach, .entries = 3200};  // a tick is a weight of 100
  Adaptive::Shared shared(room);
  Adaptive policy(room, shared, 1);
  Cells cells;
  std::vector<EntryPtr> entries;
  const auto insert = [&](std::string_view value) {
    entries.push_back(
        Entry::build(KeyRef(0, fmt::format("k{}", entries.size())), value, kForever, 0));
    const Entry& entry = *entries.back();
    policy.insert(cells.take(&entry), entry, entry.key().hash);
    policy.refresh(cells);
    return entry.cell();
  };
  for (std::size_t i = 0; i < kSmall; ++i) insert("v");
  const std::string large(100 * kEach, 'v');
  const std::uint32_t filled = shared.model.now();
  while (shared.model.now() - filled < 3 * Use::kTicks) {
    const CellId cell = insert(large);
    policy.erase(cell, *entries.back());
    cells.give_back(cell);
    entries.pop_back();
    const std::uint32_t now = shared.model.now();
    if (now - filled < ReuseModel::kHorizon) continue;
    for (const EntryPtr& entry : entries) {
      ASSERT_GE(Use(entry->mark()).age(now), ReuseModel::kHorizon - 1) << now;
    }
  }
}

// The whole shard would be rewritten under the lock by the insertion that comes after a pause.
TEST(Adaptive, AnInsertionRefreshesABoundedNumberOfMarks) {
  constexpr std::size_t kMany = 1000;
  const Room room{.bytes = 0, .entries = kMany};
  Adaptive::Shared shared(room);
  Adaptive policy(room, shared, 1);
  Cells cells;
  std::vector<EntryPtr> entries;
  for (std::size_t i = 0; i < kMany; ++i) {
    entries.push_back(Entry::build(KeyRef(0, fmt::format("k{}", i)), "v", kForever, 0));
    policy.insert(cells.take(entries.back().get()), *entries.back(), entries.back()->key().hash);
  }
  const std::uint32_t start = shared.model.now();
  while (shared.model.now() < start + ReuseModel::kHorizon + 40) shared.model.inserted(1, kMany);
  const auto too_old = [&] {
    return static_cast<std::size_t>(std::ranges::count_if(entries, [&](const EntryPtr& entry) {
      return Use(entry->mark()).age(shared.model.now()) >= ReuseModel::kHorizon;
    }));
  };
  std::size_t left = too_old();
  ASSERT_EQ(left, kMany);
  for (int insertion = 0; left > 0; ++insertion) {
    ASSERT_LT(insertion, 16);
    policy.refresh(cells);
    const std::size_t after = too_old();
    ASSERT_EQ(left - after, std::min<std::size_t>(left, 64));
    left = after;
  }
}

TEST(Adaptive, DrawsNoMoreThanFourTimesWhereReadersUseAllThatWasDrawn) {
  for (const int used : {0, 1, 4, 1000}) {  // draws whose entries are used at once
    int draws = 0;
    const CellId cell =
        Adaptive::drawn([&] { return draws > used ? CellId{7} : kNoCell; }, [&] { ++draws; });
    EXPECT_EQ(draws, std::min(4, used + 1));
    EXPECT_EQ(cell, used < 4 ? CellId{7} : kNoCell);
  }
}

TEST(Queues, KnowWhatEachWeighs) {
  Queues<2> queues;
  queues.push_front(0, 0, 10);
  queues.push_front(0, 1, 20);
  queues.push_front(1, 2, 40);
  queues.move_to_front(1, 0, 10);
  EXPECT_EQ(queues.weight(0), 20U);
  EXPECT_EQ(queues.weight(1), 50U);
  queues.reweigh(2, 40, 5);
  queues.reweigh(1, 20, 100);
  EXPECT_EQ(queues.weight(0), 100U);
  EXPECT_EQ(queues.weight(1), 15U);
  EXPECT_EQ(queues.back(1), 2U);
  queues.erase(2, 5);
  EXPECT_EQ(queues.total(), 110U);
  EXPECT_EQ(queues.front(1), 0U);
  queues.clear();
  EXPECT_EQ(queues.total(), 0U);
  EXPECT_EQ(queues.back(0), kNoCell);
}

std::vector<std::uint64_t> hashes(std::size_t count) {
  std::mt19937_64 random(7);
  std::vector<std::uint64_t> all(count);
  for (auto& hash : all) hash = random();
  return all;
}

TEST(Ghost, RemembersAsManyOfTheLastAsItIsTold) {
  for (const std::size_t reach : {1, 9, 100, 7000}) {
    Ghost ghost;
    ghost.reach(reach);
    const auto all = hashes(20 * reach);
    for (const auto hash : all) ghost.add(hash);
    for (std::size_t i = 0; i < all.size() - reach; ++i) ASSERT_FALSE(ghost.take(all[i])) << reach;
    std::size_t kept = 0;
    for (std::size_t i = all.size() - reach; i < all.size(); ++i)
      kept += ghost.take(all[i]) ? 1 : 0;
    EXPECT_GE(kept, reach - reach / 500) << "few were lost to full lines, of " << reach;
    EXPECT_FALSE(ghost.take(all.back())) << "it was taken";
  }
}

TEST(Ghost, RoundsTimesWhereItIsLarge) {
  constexpr std::size_t kReach = 300'000;
  constexpr std::size_t kRounding = kReach / 1000;
  Ghost ghost;
  ghost.reach(kReach);
  const auto all = hashes(3 * kReach);
  for (const auto hash : all) ghost.add(hash);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool taken = ghost.take(all[i]);
    kept += taken ? 1 : 0;
    ASSERT_FALSE(taken && i < all.size() - kReach - kRounding) << i;
  }
  EXPECT_NEAR(static_cast<double>(kept), kReach, kReach / 200.0);
}

TEST(Ghost, ForgetsWhenItIsClearedOrOutgrown) {
  Ghost ghost;
  ghost.reach(10);
  ghost.add(1);
  ghost.clear();
  EXPECT_FALSE(ghost.take(1));
  ghost.add(1);
  ghost.reach(11);
  EXPECT_TRUE(ghost.take(1)) << "there was still room";
  ghost.add(1);
  ghost.reach(10000);
  EXPECT_FALSE(ghost.take(1));
}

TEST(Sketch, NeverCountsTooLittleAndRarelyTooMuch) {
  constexpr std::size_t kEntries = 10000;
  Sketch sketch;
  sketch.grow(kEntries);
  const auto all = hashes(kEntries);
  std::size_t too_much = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t use = 0; use < i % 8; ++use) sketch.add(all[i]);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_GE(sketch.count(all[i]), i % 8);
    too_much += sketch.count(all[i]) > i % 8 ? 1 : 0;
  }
  EXPECT_LT(too_much, kEntries / 5);
}

TEST(Sketch, HalvesWhatItCountedAfterTenUsesAnEntry) {
  constexpr std::size_t kEntries = 1000;
  Sketch sketch;
  sketch.grow(kEntries);
  const auto all = hashes(kEntries);
  for (int i = 0; i < 100; ++i) sketch.add(all[0]);
  EXPECT_EQ(sketch.count(all[0]), Sketch::kMost);
  for (std::size_t i = 100; i < 10 * kEntries; ++i) sketch.add(all[1]);
  EXPECT_EQ(sketch.count(all[0]), Sketch::kMost);
  for (int i = 0; i < 100; ++i) sketch.add(all[1]);
  EXPECT_EQ(sketch.count(all[0]), Sketch::kMost / 2);
  for (std::size_t i = 0; i < 5 * kEntries; ++i) sketch.add(all[1]);
  EXPECT_EQ(sketch.count(all[0]), Sketch::kMost / 4) << "half of the uses are seen already";
  sketch.clear();
  EXPECT_EQ(sketch.count(all[0]), 0U);
}

TEST(Sketch, GrowingForgetsNothing) {
  Sketch sketch;
  sketch.grow(100);
  const auto all = hashes(100);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t use = 0; use < i % 4; ++use) sketch.add(all[i]);
  }
  std::vector<unsigned> before;
  before.reserve(all.size());
  for (const auto hash : all) before.push_back(sketch.count(hash));
  sketch.grow(101);
  for (const std::size_t entries : {1000, 100'000}) {
    sketch.grow(entries);
    for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(sketch.count(all[i]), before[i]);
    // The uses that follow copy the lines; those counted twice as often meanwhile keep what they had.
    ASSERT_GT(sketch.pending(), 0U);
    for (std::size_t i = 0; i < all.size() && sketch.pending() != 0; ++i) {
      sketch.add(all[i]);
      ++before[i];
    }
    ASSERT_EQ(sketch.pending(), 0U);
    for (std::size_t i = 0; i < all.size(); ++i) EXPECT_GE(sketch.count(all[i]), before[i]);
  }
}

TEST(Sketch, DoesABoundedPieceOfItsWorkWithEachUse) {
  Sketch sketch;
  std::size_t grown = 0;
  const auto all = hashes(300'000);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t before_growing = sketch.pending();
    sketch.grow(i + 1);
    const std::size_t before = sketch.pending();
    grown += before != before_growing ? 1 : 0;
    sketch.add(all[i]);
    // A use does a piece, or begins a halving; and what is begun is done long before there is more to do.
    const std::size_t done = before - std::min(before, sketch.pending());
    ASSERT_LE(done, Sketch::kAtOnce);
    ASSERT_LE(sketch.pending(), i / 4 + 1);
  }
  EXPECT_GT(grown, 12U) << "it doubled so often";
  EXPECT_LT(grown, 20U);
}

}  // namespace
}  // namespace nearlane::l1
