// The auditor over a small store of one key, whose pushes take their time, by whatever order chance chooses.
//
// What may happen: hits, writes by others, pushes and leases that arrive late, fills, an untracked connection whose
// answers come late, or that leads to an old primary, losses of the lane. While every change is announced there
// is no verdict against L1, ever; once one was not, there is one, if hits go on.
#include <deque>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "core/audit/auditor.h"

namespace nearlane::audit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Standing = Present::Standing;

constexpr Duration kLease = milliseconds(250);

struct World {
  struct Value {
    int version = 1;  // 0: there is no such key
    TimePoint end = kForever;
  };
  /// On its way to us down the lane, in order.
  struct Message {
    enum class Kind { push, lease, fill, answer } kind;
    TimePoint sent{};
    EntryPtr entry = {};
    Question question = {};
    Value found = {};
  };

  static std::string text(int version) { return "version " + std::to_string(version % 3); }

  L2Answer say(const Question& question, const Value& found) const {
    const Value value = found.end <= now ? Value{.version = 0} : found;
    return {.known = true,
            .exists = value.version != 0,
            .same = text(value.version) == question.entry->value(),
            .ends_by = value.end};
  }
  Present look() const {
    if (!l1 || l1->epoch() != epoch || now >= l1->deadline()) return {};
    return {l1, now < lease_until ? Standing::vouched : Standing::lapsed};
  }
  Value current() const { return store.end <= now ? Value{.version = 0} : store; }

  void change(bool announced) {
    old = current();
    store = {.version = ++versions, .end = kForever};
    if (versions % 5 == 0) store.version = 0;
    if (versions % 4 == 0) store.end = now + seconds(30);
    if (registered && announced) lane.push_back({.kind = Message::Kind::push});
    lost = lost || (registered && !announced);
    registered = false;
  }
  void fill() {
    const Value value = current();
    registered = true;
    if (value.version == 0) {
      lane.push_back({.kind = Message::Kind::fill,
                      .sent = now,
                      .entry = Entry::build_negative(key, kForever, epoch)});
      return;
    }
    lane.push_back({.kind = Message::Kind::fill,
                    .sent = now,
                    .entry = Entry::build(key, text(value.version), value.end, epoch)});
  }
  void arrive() {
    if (lane.empty()) return;
    Message message = std::move(lane.front());
    lane.pop_front();
    switch (message.kind) {
      case Message::Kind::push:
        l1 = nullptr;
        break;
      case Message::Kind::fill:
        l1 = message.entry;
        lease_until = std::max(lease_until, message.sent + kLease);
        break;
      case Message::Kind::lease:
        lease_until = std::max(lease_until, message.sent + kLease);
        break;
      case Message::Kind::answer:
        lease_until = std::max(lease_until, message.sent + kLease);
        hear(message.question, message.found);
        break;
    }
  }
  void hear(const Question& question, const Value& found) {
    const auto finding = auditor.answered(question.id, say(question, found), look(), now);
    if (!finding) return;
    if (finding->repair()) l1 = nullptr;
    if (!in_order(finding->verdict)) {
      (finding->verdict == Verdict::split ? splits : alarms) += 1;
    }
  }
  void tick() {
    auditor.earn(1000, now);
    for (Question& question : auditor.due(now, [this](const KeyRef&) { return look(); })) {
      if (question.on_lane) {
        const TimePoint sent = now;
        lane.push_back({.kind = Message::Kind::answer,
                        .sent = sent,
                        .question = question,
                        .found = current()});
      } else {
        outside.push_back({.kind = Message::Kind::answer,
                           .question = question,
                           .found = deposed ? old : current()});
      }
    }
  }
  void lose_lane() {
    lane.clear();
    ++epoch;
    lease_until = TimePoint::min();
    registered = false;
  }
  void hit() {
    if (look().standing == Standing::vouched) auditor.observe(*l1, key.hash, now);
  }

  TimePoint now{seconds(1000)};
  KeyRef key{0, "k"};
  Value store = {};
  Value old = {};
  bool registered = false;  // the next change is announced
  bool deposed =
      false;          // the untracked connection leads to a store that knows only the value before
  bool lost = false;  // a change was not announced
  int versions = 1;
  std::deque<Message> lane;
  std::deque<Message> outside;
  EntryPtr l1;
  Epoch epoch = 1;
  TimePoint lease_until = TimePoint::min();
  Auditor auditor{{.one_in = 1, .hits_per_audit = 1, .rate = 1000, .lease = kLease}};
  int alarms = 0;
  int splits = 0;
};

/// One thing that may happen.
void step(World& world, int what) {
  switch (what) {
    case 0:
      world.change(true);
      break;
    case 1:
      if (world.look().standing != Standing::vouched) world.fill();
      break;
    case 2:
    case 3:
      world.arrive();
      break;
    case 4:
      world.lane.push_back({.kind = World::Message::Kind::lease, .sent = world.now});
      break;
    case 5:
      if (!world.outside.empty()) {
        const auto message = world.outside.front();
        world.outside.pop_front();
        world.hear(message.question, message.found);
      }
      break;
    case 6:
      world.tick();
      break;
    case 7:
    case 8:
      world.hit();
      break;
    case 9:
      world.now += milliseconds(20);
      break;
    case 10:
      world.now += milliseconds(300);
      break;
    default:
      world.lose_lane();
      break;
  }
}

TEST(Auditor, RaisesNoAlarmWhileEveryChangeIsAnnounced) {
  std::uint64_t agreed = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t late = 0;
  std::uint64_t splits = 0;
  const bool holds = rc::check("no alarm", [&] {
    for (int round = 0; round < 20; ++round) {
      World world;
      world.deposed = *rc::gen::arbitrary<bool>();
      const auto steps =
          *rc::gen::container<std::vector<int>>(600, rc::gen::weightedElement<int>({{2, 0},
                                                                                    {6, 1},
                                                                                    {6, 2},
                                                                                    {6, 3},
                                                                                    {6, 4},
                                                                                    {4, 5},
                                                                                    {4, 6},
                                                                                    {6, 7},
                                                                                    {6, 8},
                                                                                    {6, 9},
                                                                                    {2, 10},
                                                                                    {1, 11}}));
      for (const int what : steps) {
        step(world, what);
        RC_ASSERT(world.alarms == 0);
        if (!world.deposed) RC_ASSERT(world.splits == 0);
      }
      agreed += world.auditor.ended(Outcome::agreed);
      in_flight += world.auditor.found(Verdict::in_flight, Age::at_once);
      late += world.auditor.found(Verdict::late, Age::lease);
      splits += static_cast<std::uint64_t>(world.splits);
    }
  });
  EXPECT_TRUE(holds);
  // It proves something only if L1 and L2 differed often enough.
  EXPECT_GT(agreed, 100);
  EXPECT_GT(in_flight, 10);
  EXPECT_GT(late, 10);
  EXPECT_GT(splits, 0) << "a deposed primary";
}

RC_GTEST_PROP(Auditor, SaysSoOnceAChangeWasNotAnnounced, ()) {
  World world;
  const auto before = *rc::gen::container<std::vector<int>>(
      200, rc::gen::weightedElement<int>(
               {{3, 0}, {3, 1}, {6, 2}, {6, 3}, {6, 4}, {3, 5}, {4, 6}, {6, 7}, {6, 9}, {1, 11}}));
  for (const int what : before) step(world, what);
  // The lane is in order, and L1 has the value, when somebody changes it unannounced.
  while (!world.lane.empty()) world.arrive();
  while (!world.outside.empty()) step(world, 5);
  if (world.look().standing != Standing::vouched || !world.registered) {
    world.fill();
    world.arrive();
  }
  RC_PRE(world.l1 && world.registered);
  const auto was = std::pair(world.l1->negative(), std::string(world.l1->value()));
  do {
    world.registered = true;
    world.change(false);
  } while (std::pair(world.store.version == 0,
                     world.store.version == 0 ? std::string() : World::text(world.store.version)) ==
           was);
  RC_ASSERT(world.alarms == 0);
  // Hits, a lane that answers, and time: not more than an audit under way may still need.
  const TimePoint end = world.now + seconds(70);
  while (world.alarms == 0 && world.now < end && world.l1) {
    step(world, 4);
    step(world, 2);
    world.hit();
    world.tick();
    step(world, 5);
    while (!world.lane.empty()) world.arrive();
    world.now += milliseconds(20);
  }
  RC_ASSERT(world.alarms == 1);
  RC_ASSERT(!world.l1);
}

}  // namespace
}  // namespace nearlane::audit
