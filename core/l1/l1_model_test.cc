// A state machine beside every map: what may a hit be, and how far may the budget be passed.
#include <map>
#include <memory>
#include <set>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/state.h>

#include "core/base/epoch.h"
#include "core/l1/l1_map.h"
#include "core/l1/shard.h"

namespace nearlane::l1 {
namespace {

constexpr std::uint64_t kBudget = 16 * 1024;
constexpr std::uint64_t kMostEntries = kNegativePart;  // of which one may be negative
constexpr int kKeys = 20;

/// Commands depend on nothing: what a find may answer is known once the map has said what it did.
struct Model {};

struct Tested {
  std::unique_ptr<L1Map> map;
  /// The value that a find of each key answers, if it answers at all.
  std::map<int, std::string> last = {};
  bool cleared = false;
};

std::string name_of(int key) { return fmt::format("key{}", key); }

TimePoint at(int seconds) { return TimePoint(std::chrono::seconds(seconds)); }

EntryPtr entry(int key, const std::string& value, TimePoint deadline = kForever) {
  return Entry::build(KeyRef(0, name_of(key)), value, deadline, 0);
}

const Entry* find(const Tested& tested, int key) {
  return tested.map->find(KeyRef(0, name_of(key)));
}

/// How many entries the map has thrown out by itself.
std::uint64_t thrown_out(const L1Map& map) {
  const auto stats = map.stats();
  return stats.evictions + stats.expirations;
}

/// What the map did to an entry, and whatever it threw out meanwhile, is all that has happened to it.
class Account {
 public:
  explicit Account(const Tested& tested)
      : map_(*tested.map), entries_(map_.stats().entries), thrown_out_(thrown_out(map_)) {}
  /// `change`: of the number of entries, by what was asked for. `replaced`: a predecessor, which may have been among
  /// what had to go to make room.
  void close(std::int64_t change, bool replaced = false) const {
    const auto thrown = static_cast<std::int64_t>(thrown_out(map_) - thrown_out_);
    const auto left = static_cast<std::int64_t>(map_.stats().entries);
    const auto expected = static_cast<std::int64_t>(entries_) + change - thrown;
    RC_ASSERT(left == expected || (replaced && thrown > 0 && left == expected + 1));
  }

 private:
  const L1Map& map_;
  std::uint64_t entries_;
  std::uint64_t thrown_out_;
};

std::int64_t change_of(PutOutcome outcome, bool was_there) {
  switch (outcome) {
    case PutOutcome::inserted:
      return 1;
    case PutOutcome::replaced:
      return 0;
    case PutOutcome::rejected:
      break;
  }
  return was_there ? -1 : 0;  // what is out of date does not stay
}

/// A hit is the last value that the key was given; a miss has a reason.
void check_hit(const Tested& tested, int key, const Entry* found) {
  const auto last = tested.last.find(key);
  if (found == nullptr) {
    const auto stats = tested.map->stats();
    const bool lost = tested.cleared || stats.evictions + stats.expirations + stats.rejections > 0;
    RC_ASSERT(last == tested.last.end() || lost);
    return;
  }
  RC_ASSERT(last != tested.last.end());
  RC_ASSERT(found->value() == last->second);
  RC_ASSERT(found->key() == KeyRef(0, name_of(key)));
}

void check_bounds(const Tested& tested) {
  const auto stats = tested.map->stats();
  RC_ASSERT(stats.bytes <= stats.capacity + stats.capacity / kLargestPart);
  RC_ASSERT(stats.entries <= kMostEntries);
  RC_ASSERT(stats.negatives <= kMostEntries / kNegativePart);
  RC_ASSERT((stats.entries == 0) == (stats.bytes == 0));
  std::uint64_t walked = 0;
  std::uint64_t negatives = 0;
  tested.map->walk([&](const Entry& each) {
    ++walked;
    negatives += each.negative() ? 1 : 0;
  });
  RC_ASSERT(walked == stats.entries);
  RC_ASSERT(negatives == stats.negatives);
}

using Command = rc::state::Command<Model, Tested>;

/// What is rejected is not there, nor is what was there before.
void note_put(Tested& tested, int key, const std::string& value, PutOutcome outcome) {
  if (outcome == PutOutcome::rejected) {
    tested.last.erase(key);
  } else {
    tested.last[key] = value;
  }
}

/// A key and a value that no other command of the sequence has, with a size that matters.
struct Value {
  int key = *rc::gen::inRange(0, kKeys);
  int stamp = *rc::gen::inRange(0, 1 << 30);
  int size = *rc::gen::element(0, 10, 200, 600, 1000, 1500, 2000, 3000, 20000);
  [[nodiscard]] std::string text() const { return fmt::format("{}:{:v<{}}", stamp, "", size); }
  void show(std::ostream& os, const char* what) const {
    os << what << "(" << key << ", " << stamp << ", " << size << " bytes)";
  }
};

struct Put : Command {
  Value value;
  int deadline = *rc::gen::inRange(1, 100);
  void run(const Model&, Tested& tested) const override {
    const epoch::Guard guard;
    const bool was_there = find(tested, value.key) != nullptr;
    const Account account(tested);
    const auto outcome = tested.map->put(entry(value.key, value.text(), at(deadline)));
    account.close(change_of(outcome, was_there), was_there);
    note_put(tested, value.key, value.text(), outcome);
    const Entry* found = find(tested, value.key);
    RC_ASSERT((outcome == PutOutcome::rejected) == (found == nullptr));
    if (found != nullptr) {
      RC_ASSERT(found->value() == value.text());
      RC_ASSERT((outcome == PutOutcome::replaced) == was_there);
    }
    check_bounds(tested);
  }
  void show(std::ostream& os) const override { value.show(os, "Put"); }
};

struct PutNegative : Command {
  int key = *rc::gen::inRange(0, kKeys);
  void run(const Model&, Tested& tested) const override {
    const epoch::Guard guard;
    const bool was_there = find(tested, key) != nullptr;
    const Account account(tested);
    const auto outcome = tested.map->put(Entry::build_negative(KeyRef(0, name_of(key)), at(50), 0));
    account.close(change_of(outcome, was_there), was_there);
    note_put(tested, key, "", outcome);
    const Entry* found = find(tested, key);
    RC_ASSERT((outcome == PutOutcome::rejected) == (found == nullptr));
    if (found != nullptr) RC_ASSERT(found->negative());
    check_bounds(tested);
  }
  void show(std::ostream& os) const override { os << "PutNegative(" << key << ")"; }
};

struct ReplaceIf : Command {
  Value value;
  bool negative = *rc::gen::weightedElement<bool>({{1, true}, {3, false}});
  bool right = *rc::gen::arbitrary<bool>();
  void run(const Model&, Tested& tested) const override {
    const epoch::Guard guard;
    const Entry* before = find(tested, value.key);
    const auto other = entry(value.key, "other");
    const Entry* expected = right ? before : other.get();
    const Account account(tested);
    const std::string text = negative ? "" : value.text();
    const bool done = tested.map->replace_if(
        expected, negative ? Entry::build_negative(KeyRef(0, name_of(value.key)), at(50), 0)
                           : entry(value.key, text));
    account.close(0, done);
    if (done) tested.last[value.key] = text;
    RC_ASSERT(!done || (right && before != nullptr));
    const Entry* after = find(tested, value.key);
    RC_ASSERT((done ? after->value() == text : after == before || after == nullptr));
    if (done) RC_ASSERT(after->negative() == negative);
    check_bounds(tested);
  }
  void show(std::ostream& os) const override {
    value.show(os, negative ? "ReplaceIfByNegative" : "ReplaceIf");
  }
};

struct Find : Command {
  int key = *rc::gen::inRange(0, kKeys);
  void run(const Model&, Tested& tested) const override {
    const epoch::Guard guard;
    check_hit(tested, key, find(tested, key));
  }
  void show(std::ostream& os) const override { os << "Find(" << key << ")"; }
};

struct FindAll : Command {
  void run(const Model&, Tested& tested) const override {
    const epoch::Guard guard;
    std::vector<std::string> names;
    names.reserve(kKeys);
    for (int key = 0; key < kKeys; ++key) names.push_back(name_of(key));
    std::vector<KeyRef> keys;
    keys.reserve(kKeys);
    for (const auto& name : names) keys.emplace_back(0, name);
    std::vector<const Entry*> found(keys.size());
    tested.map->find_batch(keys, found);
    std::set<const Entry*> seen;
    for (int key = 0; key < kKeys; ++key) {
      const Entry* one = found[static_cast<std::size_t>(key)];
      check_hit(tested, key, one);
      if (one != nullptr) seen.insert(one);
    }
    // Nothing that is there is missed.
    std::set<const Entry*> walked;
    tested.map->walk([&](const Entry& each) { walked.insert(&each); });
    RC_ASSERT(seen == walked);
  }
  void show(std::ostream& os) const override { os << "FindAll"; }
};

struct Erase : Command {
  int key = *rc::gen::inRange(0, kKeys);
  void run(const Model&, Tested& tested) const override {
    const epoch::Guard guard;
    const bool was_there = find(tested, key) != nullptr;
    const Account account(tested);
    RC_ASSERT(tested.map->erase(KeyRef(0, name_of(key))) == was_there);
    account.close(was_there ? -1 : 0);
    tested.last.erase(key);
    RC_ASSERT(find(tested, key) == nullptr);
    check_bounds(tested);
  }
  void show(std::ostream& os) const override { os << "Erase(" << key << ")"; }
};

struct Sweep : Command {
  int now = *rc::gen::inRange(0, 100);
  void run(const Model&, Tested& tested) const override {
    const auto before = tested.map->stats();
    const auto dropped = tested.map->sweep(at(now), kMostEntries * 2);
    // A second round covers what lay before the place where the sweep had stopped.
    const auto rest = tested.map->sweep(at(now), kMostEntries * 2);
    tested.map->walk([&](const Entry& each) { RC_ASSERT(each.deadline() > at(now)); });
    RC_ASSERT(tested.map->stats().entries == before.entries - dropped - rest);
    RC_ASSERT(tested.map->stats().expirations == before.expirations + dropped + rest);
    check_bounds(tested);
  }
  void show(std::ostream& os) const override { os << "Sweep(" << now << ")"; }
};

struct Clear : Command {
  void run(const Model&, Tested& tested) const override {
    tested.map->clear();
    tested.last.clear();
    tested.cleared = true;
    RC_ASSERT(tested.map->stats().entries == 0U);
    check_bounds(tested);
  }
  void show(std::ostream& os) const override { os << "Clear"; }
};

/// The sequences are too short to fill a map that must then evict, so it is full when they begin.
void fill(Tested& tested) {
  for (int key = 0; key < static_cast<int>(kMostEntries); ++key) {
    const Value value{.key = key, .stamp = -1, .size = 600};
    note_put(tested, key, value.text(), tested.map->put(entry(key, value.text())));
  }
}

TEST(L1Model, AHitIsTheLastPutAndTheBudgetHolds) {
  for (const auto map : map_names()) {
    for (const auto policy : policy_names()) {
      const bool held = rc::check(fmt::format("{} + {}", map, policy), [&] {
        epoch::drain();
        Tested tested{
            make_l1({.map = map, .policy = policy, .bytes = kBudget, .entries = kMostEntries})
                .value()};
        fill(tested);
        rc::state::check(Model(), tested,
                         rc::state::gen::execOneOfWithArgs<Put, Put, Put, Put, Put, Put, Put, Put,
                                                           PutNegative, ReplaceIf, Find, FindAll,
                                                           FindAll, Erase, Sweep, Clear>());
        const auto stats = tested.map->stats();
        RC_CLASSIFY(stats.evictions > 0, "evicted");
      });
      EXPECT_TRUE(held) << map << " + " << policy;
    }
  }
}

}  // namespace
}  // namespace nearlane::l1
