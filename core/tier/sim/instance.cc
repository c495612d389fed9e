#include "core/tier/sim/instance.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/epoch.h"
#include "core/cohere/install_rules.h"
#include "core/tier/sim/small_map.h"

namespace nearlane::sim {
namespace {

using std::chrono::milliseconds;
using tier::Lookup;
using tier::ReadFrom;

/// As a lease, short beside a schedule. Touches to less than twice as long always go to L2.
constexpr Duration kLeastSlack = kLease / 4;

Version version_of(const Entry* entry) noexcept {
  if (entry == nullptr || entry->negative()) return kNone;
  Version version = kNone;
  const std::string_view text = entry->value();
  std::from_chars(text.data(), text.data() + text.size(), version);
  return version;
}

/// Every hit, as far as the auditor can.
constexpr audit::AuditConfig kAudited{.one_in = 1, .hits_per_audit = 1, .rate = 1'000'000};

/// Of an answer, as end_write() takes it.
template <class Value>
std::optional<Errc> failure_of(const Result<Value>& answer) noexcept {
  if (answer) return std::nullopt;
  return answer.error().code;
}

std::unique_ptr<l1::L1Map> make_map(std::string_view name) {
  if (name == "small") return std::make_unique<SmallMap>();
  return *l1::make_l1({.map = name, .policy = "lru", .bytes = std::uint64_t{1} << 16U});
}

}  // namespace

Instance::Instance(World& world, Judge& judge, const std::vector<ModelRedis::Name>& keys,
                   std::string_view map, const Means& means)
    : world_(world),
      judge_(judge),
      refs_{KeyRef(keys[0].db, keys[0].name), KeyRef(keys[1].db, keys[1].name)} {
  auto l1 = make_map(map);
  map_ = l1.get();
  auto l2 = std::make_unique<SimulatedBackend>(
      world, *map_,
      SimulatedBackend::Config{
          .outside = means.outside, .hints = means.hints, .announced = means.announced});
  backend_ = l2.get();
  const bool capped = world.random.once_in(8);
  const bool negative = world.random.once_in(2);
  coalesces_ = !capped && !world.random.once_in(3);
  constexpr std::array<Duration, 4> kMaxStale = {Duration::zero(), kLease / 2, kLease * 2,
                                                 kLease * 20};
  max_stale_ = means.degraded ? kMaxStale[world.random.below(4)] : Duration::zero();
  const Duration served_for =
      world.mutant == Mutant::stale_for_longer ? max_stale_ * 4 : max_stale_;
  const tier::KeyRules rules{
      .l1_ttl = capped ? kLease : Duration::max(),
      .negative_ttl = negative ? kLease * 20 : Duration::zero(),
      .max_stale = served_for,
      .touch_coalescing = coalesces_,
      .refresh = !world.random.once_in(3),
      .prefetch = means.hints,
  };
  // How long a fill may be joined.
  const Duration joinable = world.mutant == Mutant::join_old ? Duration::max() : kLease;
  cache_ = std::make_unique<tier::TieredCache>(
      tier::TierConfig{.prefixes = {{.match = "a", .rules = rules}, {.match = "b", .rules = rules}},
                       .lease = joinable,
                       .now = [&world] { return world.now; },
                       .after =
                           [&world](Duration delay, std::function<void()> task) {
                             world.after(delay + world.delay() / 8, std::move(task));
                           },
                       .breaker = means.degraded,
                       .chance = [&world] { return world.random.below(1024); },
                       .audit = means.audited ? kAudited : audit::AuditConfig{},
                       .on_finding = [this](const auto& found) { take_finding(found); },
                       .least_slack = kLeastSlack,
                       .refresh = {.reads_per_s = world.random.once_in(4) ? 100U : 10'000U},
                       .refresh_timeout = kLease * 2},
      std::move(l1), std::move(l2));
  cache_->start();
}

Instance::~Instance() { cache_->stop(); }

template <class Work>
void Instance::on_loop(std::size_t session, Work&& work) {
  backend_->loop = static_cast<unsigned>(session);
  std::forward<Work>(work)();
  backend_->loop = 0;
}

std::string Instance::text(const char* what, std::size_t key, Version version) const {
  return std::string(what) + " key " + std::to_string(key) + " version " + std::to_string(version);
}

bool Instance::may_write(std::size_t session) const noexcept {
  const Session& asker = sessions_[session];
  return !asker.wide && asker.aside == 0;
}

int Instance::floor(std::size_t key) const noexcept {
  return std::max(acknowledged_[key], judge_.revoked(key));
}

void Instance::read(std::size_t session, std::size_t key, TimePoint deadline) {
  const Session& asker = sessions_[session];
  if (asker.wide || (asker.writes != 0 && asker.aside != 0)) return;
  ask(session, key, deadline, false);
}

void Instance::ask(std::size_t session, std::size_t key, TimePoint deadline, bool last) {
  Session& asker = sessions_[session];
  auto question = std::make_shared<Question>(Question{.session = session,
                                                      .key = key,
                                                      .asked = world_.now,
                                                      .floor = floor(key),
                                                      .own_floor = acknowledged_[key],
                                                      .behind = std::nullopt,
                                                      .begun = asker.begun.size(),
                                                      .aside = false,
                                                      .last = last});
  for (const Written& written : asker.written) {
    if (written.key == key) question->behind = written;
  }
  if (judge_.tracing()) judge_.say(text("a client reads", key, kNone));
  const bool follows = asker.writes != 0 && world_.mutant != Mutant::read_overtakes_write;
  if (!follows) {
    const epoch::Guard guard;
    if (const Entry* entry = cache_->find(ref(key), world_.now))
      return judge_answer(*question, version_of(entry));
    const Entry* stale = cache_->find_stale(ref(key), world_.now);
    if (stale == nullptr) stale = carelessly_stale(ref(key));
    if (stale != nullptr) return judge_stale(*question, version_of(stale));
  }
  ReadFrom from = ReadFrom::through_l2;
  if (!follows) {
    const bool alone = asker.unanswered == 0 && !world_.random.once_in(4);
    from = alone ? ReadFrom::l1_first : ReadFrom::l1_in_order;
    question->aside = alone;
  }
  ++questions_;
  ++unanswered_;
  ++asker.unanswered;
  if (question->aside) ++asker.aside;
  tier::TieredCache::GetHandler done = [this, question](const Result<Lookup>& found) {
    take_answer(*question, found);
  };
  if (world_.mutant == Mutant::join_cancelled && !follows && backend_->join(ref(key), done)) return;
  on_loop(session, [&] {
    const bool joined = cache_->get(Key(ref(key)), from, deadline, std::move(done));
    if (!joined || question->aside || world_.mutant == Mutant::write_overtakes_joined) return;
    question->aside = true;
    ++asker.aside;
  });
}

int Instance::ceiling(const Question& question) const noexcept {
  const auto& begun = sessions_[question.session].begun;
  for (std::size_t i = question.begun; i < begun.size(); ++i) {
    if (begun[i].key != question.key) continue;
    if (const int place = world_.history.place_of(begun[i].version); place != kStartPlace)
      return place;
  }
  return kNoCeiling;
}

void Instance::take_answer(Question& question, const Result<Lookup>& found) {
  if (std::exchange(question.answered, true)) return judge_.violate(5, "answered twice");
  Session& asker = sessions_[question.session];
  --unanswered_;
  --asker.unanswered;
  if (question.aside) --asker.aside;
  if (found && found->source == tier::Source::stale)
    return judge_stale(question, version_of(found->entry.get()));
  if (found) return judge_answer(question, version_of(found->entry.get()));
  if (question.last) judge_.violate(5, "cannot read though all is well: " + found.error().detail);
}

void Instance::judge_answer(const Question& question, Version shown) {
  ++judge_.coverage().answers;
  const std::size_t key = question.key;
  const History& history = world_.history;
  world_.record(static_cast<std::uint64_t>(shown));
  if (judge_.tracing()) judge_.say(text("a client is told", key, shown));
  if (question.last &&
      !history.may_answer(key, shown, question.asked, world_.now, Duration::zero(), kStartPlace))
    return judge_.violate(4, text("all is quiet, and a client is told", key, shown));
  if (!history.may_answer(key, shown, question.asked, world_.now, kLease, kStartPlace))
    return judge_.violate(1, text("a client is told of", key, shown));
  if (!history.may_answer(key, shown, question.asked, world_.now, kLease, question.floor))
    return judge_.violate(2, text("acknowledged newer than", key, shown));
  if (!history.may_answer(key, shown, question.asked, world_.now, kLease, question.floor,
                          ceiling(question)))
    return judge_.violate(2, text("a connection is told of what it wrote later:", key, shown));
  if (question.behind) followers_.push_back({*question.behind, shown, question.asked, world_.now});
}

void Instance::judge_stale(const Question& question, Version shown) {
  ++judge_.coverage().stale;
  const std::size_t key = question.key;
  const History& history = world_.history;
  world_.record(static_cast<std::uint64_t>(shown));
  if (judge_.tracing()) judge_.say(text("a client is told, as stale,", key, shown));
  if (asks_l2()) return judge_.violate(7, text("L2 is asked, and stale is", key, shown));
  if (!history.may_serve(key, shown, world_.now, max_stale_ + kLease, question.own_floor))
    return judge_.violate(7, text("too stale is", key, shown));
  const Duration since_unknown = world_.now - unknown_[key];
  if (!history.may_serve(key, shown, world_.now, since_unknown, question.own_floor))
    return judge_.violate(7, text("perhaps overwritten by its own instance was", key, shown));
}

const Entry* Instance::carelessly_stale(const KeyRef& key) const {
  const bool asked = world_.mutant == Mutant::stale_while_asked;
  const bool ended = world_.mutant == Mutant::stale_past_its_end && !asks_l2();
  if (max_stale_ == Duration::zero() || (!asked && !ended)) return nullptr;
  const Entry* entry = map_->find(key);
  if (entry == nullptr || entry->negative()) return nullptr;
  return ended || world_.now < entry->deadline() ? entry : nullptr;
}

void Instance::look() {
  const epoch::Guard guard;
  for (std::size_t key = 0; key < kKeys; ++key) (void)cache_->find(ref(key), world_.now);
}

void Instance::judge_served(TimePoint until) {
  const cohere::LaneView& view = backend_->lanes()[0];
  if (view.lease_until() <= world_.now || until <= world_.now) return;
  const epoch::Guard guard;
  for (std::size_t key = 0; key < kKeys; ++key) {
    const Entry* entry = map_->find(ref(key));
    if (entry == nullptr || !view.vouches(*entry, world_.now, view.lease_until())) continue;
    ++judge_.coverage().served;
    const TimePoint last = std::min({until, view.lease_until(), entry->deadline()}) - Duration(1);
    const Version shown = version_of(entry);
    const auto possible = [&](int floor) {
      return world_.history.may_serve(key, shown, last, kLease, floor);
    };
    if (possible(floor(key))) continue;
    if (shown != kNone && world_.history.place_of(shown) < judge_.revoked(key))
      return judge_.violate(3, text("L1 serves what was revoked:", key, shown));
    if (possible(kStartPlace))
      return judge_.violate(2, text("L1 serves, though newer was acknowledged,", key, shown));
    return judge_.violate(1, text("L1 serves", key, shown));
  }
}

void Instance::ask_everything() {
  for (std::size_t key = 0; key < kKeys; ++key) ask(0, key, kForever, true);
}

void Instance::judge_rest() {
  if (unanswered_ != 0) return judge_.violate(5, "somebody was not answered");
  const cohere::LaneView& view = backend_->lanes()[0];
  const epoch::Guard guard;
  for (std::size_t key = 0; key < kKeys; ++key) {
    const Entry* entry = map_->find(ref(key));
    if (entry == nullptr || !view.vouches(*entry, world_.now, view.lease_until())) continue;
    if (version_of(entry) != world_.redis.value_of(key, world_.now))
      return judge_.violate(4, text("all is quiet, and L1 has", key, version_of(entry)));
  }
  for (const Follower& follower : followers_) {
    if (std::ranges::find(known_, follower.behind.version) == known_.end()) continue;
    if (!world_.history.may_answer(follower.behind.key, follower.shown, follower.asked,
                                   follower.answered, kLease,
                                   world_.history.place_of(follower.behind.version))) {
      return judge_.violate(2, text("a connection that had written was told of",
                                    follower.behind.key, follower.shown));
    }
  }
}

void Instance::take_finding(const audit::Finding& finding) {
  const std::string what(audit::name_of(finding.verdict));
  if (judge_.tracing()) judge_.say("the auditor says " + what);
  if (!audit::in_order(finding.verdict)) return judge_.violate(8, "the auditor says " + what);
  ++judge_.coverage().in_order;
}

void Instance::begin_write(std::size_t session, std::initializer_list<Written> written) {
  Session& writer = sessions_[session];
  ++unanswered_;
  ++writer.unanswered;
  ++writer.writes;
  for (const Written& one : written) {
    writer.written.push_back(one);
    writer.begun.push_back(one);
    if (judge_.tracing()) judge_.say(text("a client writes", one.key, one.version));
  }
}

void Instance::end_write(std::size_t session, std::initializer_list<Written> written,
                         std::optional<Errc> failed, bool wrote) {
  const bool known = !failed;
  const bool perhaps =
      !known && cohere::after_failed_write(*failed).action == cohere::Decision::Action::erase;
  Session& writer = sessions_[session];
  --unanswered_;
  --writer.unanswered;
  --writer.writes;
  writer.wide = false;
  ++(known ? judge_.coverage().acknowledged : judge_.coverage().unknown);
  for (const Written& one : written) {
    std::erase_if(writer.written, [&](const Written& of) { return of.version == one.version; });
    if (judge_.tracing()) judge_.say(text(known ? "acknowledged" : "failed", one.key, one.version));
    if (perhaps) unknown_[one.key] = world_.now;
    if (!wrote) continue;
    const int place = world_.history.place_of(one.version);
    if (place == kStartPlace)
      return judge_.violate(2, text("acknowledged without being written:", one.key, one.version));
    acknowledged_[one.key] = std::max(acknowledged_[one.key], place);
    known_.push_back(one.version);
  }
}

void Instance::write(std::size_t session, std::size_t key, Version version, TimePoint deadline) {
  if (!may_write(session)) return;
  begin_write(session, {{key, version}});
  tier::StoreOptions options;
  Random& random = world_.random;
  if (random.once_in(3)) options.expiry = tier::Expiry::in(milliseconds(1 + random.below(100)));
  if (random.once_in(8)) options.expiry = tier::Expiry::keep();
  if (random.once_in(6)) {
    options.condition =
        random.once_in(2) ? tier::Condition::if_absent : tier::Condition::if_present;
  }
  options.ask_existed = random.once_in(8);
  on_loop(session, [&] {
    cache_->set(
        ref(key), std::to_string(version), options, deadline,
        [this, session, key, version](const Result<tier::StoreOutcome>& outcome) {
          end_write(session, {{key, version}}, failure_of(outcome), outcome && outcome->stored);
        });
  });
}

void Instance::remove(std::size_t session, std::size_t key, Version version, TimePoint deadline,
                      bool strictly) {
  if (!may_write(session)) return;
  begin_write(session, {{key, version}});
  const std::string name(ref(key).name);
  on_loop(session, [&] {
    cache_->execute(
        {.db = ref(key).db, .args = {"DEL", name, "#" + std::to_string(version)}, .keys = {name}},
        deadline, [this, session, key, version, strictly](const Result<protocol::Reply>& reply) {
          end_write(session, {{key, version}}, failure_of(reply), reply.has_value());
          if (reply && strictly) judge_.revoke(key, world_.history.place_of(version));
        });
  });
}

void Instance::look_at(std::size_t session, std::size_t key, TimePoint deadline) {
  if (!may_write(session)) return;
  begin_write(session, {});  // in the same order as a write would be
  const std::string name(ref(key).name);
  on_loop(session, [&] {
    cache_->execute({.db = ref(key).db, .args = {"EXISTS", name}, .keys = {name}, .writes = false},
                    deadline, [this, session](const Result<protocol::Reply>& reply) {
                      end_write(session, {}, failure_of(reply), false);
                    });
  });
}

void Instance::touch(std::size_t session, std::size_t key, TimePoint deadline) {
  if (!may_write(session)) return;
  const milliseconds ttl = ttl_for(key);
  if (slide(session, key, ttl)) return;
  begin_write(session, {});
  const bool alone = sessions_[session].writes == 1;
  // One that joined another's may count from a little earlier, which the slack covers. Redis counts whole milliseconds.
  const bool may_join = alone && coalesces_ && ttl >= 2 * kLeastSlack;
  const Duration short_of = may_join ? tier::slide_slack(ttl, kLeastSlack) : milliseconds(1);
  const auto aside = std::make_shared<bool>(false);
  const auto judge = [this, session, key, aside, least = floor(key),
                      end = world_.now + ttl - short_of, asked = world_.now,
                      lease = may_join ? kLease : Duration::zero()](std::optional<Errc> failed,
                                                                    bool there) {
    if (*aside) --sessions_[session].aside;
    end_write(session, {}, failed, false);
    if (!there) return;
    ++judge_.coverage().touched;
    if (!world_.history.may_touch(key, asked, lease, least, end))
      judge_.violate(6, text("was touched, and ends sooner:", key, kNone));
  };
  on_loop(session, [&] {
    if (alone) {
      *aside = cache_->touch(ref(key), ttl, deadline, [judge](const Result<bool>& there) {
        judge(failure_of(there), there && *there);
      });
      if (*aside) ++sessions_[session].aside;
      return;
    }
    cache_->touch(ref(key), {"PEXPIRE", std::string(ref(key).name), std::to_string(ttl.count())},
                  deadline, [judge](const Result<protocol::Reply>& reply) {
                    judge(failure_of(reply), reply && reply->integer == 1);
                  });
  });
}

/// Any; or, as the next touch of a session does, one that moves the end by little.
milliseconds Instance::ttl_for(std::size_t key) {
  const epoch::Guard guard;
  const Entry* entry = map_->find(ref(key));
  const bool slides = !world_.random.once_in(4) && entry != nullptr &&
                      entry->deadline() != kForever && world_.now < entry->deadline();
  if (!slides) return milliseconds(1 + world_.random.below(150));
  const auto left = (entry->deadline() - world_.now) / milliseconds(1);
  return milliseconds(left + 1 + world_.random.below(kLeastSlack / milliseconds(1) + 2));
}

bool Instance::slide(std::size_t session, std::size_t key, milliseconds ttl) {
  if (sessions_[session].writes != 0) return false;
  const epoch::Guard guard;
  if (!cache_->slide(ref(key), ttl, world_.now)) return false;
  ++judge_.coverage().touched;
  ++judge_.coverage().coalesced;
  if (judge_.tracing()) judge_.say(text("a touch is not sent:", key, kNone));
  if (world_.mutant == Mutant::slide_serves_longer)
    map_->find(ref(key))->set_deadline(world_.now + ttl);
  const TimePoint end = world_.now + ttl - tier::slide_slack(ttl, kLeastSlack);
  if (!world_.history.may_touch(key, world_.now, kLease, floor(key), end))
    judge_.violate(6, text("a touch was not sent, and it ends too soon:", key, kNone));
  return true;
}

void Instance::write_both(std::size_t session, Version first, Version second, TimePoint deadline) {
  if (sessions_[session].unanswered != 0) return;
  begin_write(session, {{0, first}, {1, second}});
  sessions_[session].wide = true;
  const std::string a(ref(0).name);
  const std::string b(ref(1).name);
  on_loop(session, [&] {
    cache_->execute(
        {.args = {"MSET", a, std::to_string(first), b, std::to_string(second)}, .keys = {a, b}},
        deadline, [this, session, first, second](const Result<protocol::Reply>& reply) {
          end_write(session, {{0, first}, {1, second}}, failure_of(reply), reply.has_value());
        });
  });
}

void Instance::flush(std::size_t session, Version first, Version second, TimePoint deadline) {
  if (sessions_[session].unanswered != 0) return;
  begin_write(session, {{0, first}, {1, second}});
  sessions_[session].wide = true;
  on_loop(session, [&] {
    cache_->execute(
        {.args = {"FLUSHALL", "#" + std::to_string(first)}, .keys = {}}, deadline,
        [this, session, first, second](const Result<protocol::Reply>& reply) {
          end_write(session, {{0, first}, {1, second}}, failure_of(reply), reply.has_value());
        });
  });
}

}  // namespace nearlane::sim
