#include "core/tier/tiered_cache_impl.h"

#include <algorithm>

#include "core/base/epoch.h"
#include "core/tier/calls.h"
#include "core/tier/type_sidecar.h"

namespace nearlane::tier {

using cohere::Command;
using cohere::Op;

namespace {

/// What L1 answers with an entry that is fresh.
Lookup lookup_of(EntryPtr entry) {
  if (!entry->negative()) return {std::move(entry), Source::l1};
  Counts::add(Count::l1_negatives);
  return {nullptr, Source::l1};
}

}  // namespace

bool TieredCache::Impl::get(Key key, ReadFrom from, TimePoint deadline, GetHandler done,
                            bool with_type, bool may_confirm) {
  note_db(key.db);
  if (from == ReadFrom::l1_first && may_confirm) {
    const epoch::Guard guard;
    const TimePoint now = config_.now();
    const KeyRef ref = key.ref();
    const cohere::LaneView& view = lane(ref);
    const TimePoint lease = view.lease_until();
    const Entry* entry = l1_->find(ref);
    if (entry != nullptr && suffices(*entry, with_type) &&
        view.vouches_but_for_lease(*entry, now)) {
      if (vouched(view, ref, entry, now, lease) != nullptr) {
        done(lookup_of(EntryPtr::pin(entry)));
        return false;
      }
      renew(std::move(key), now, deadline, std::move(done), with_type);
      return false;
    }
  }
  return fetch(std::move(key), from, deadline, std::move(done), with_type);
}

/// Only the lease has run out: one small command instead of fetching the body again, and one for all whose keys are
/// in the lane, since its reply proves as much of each.
void TieredCache::Impl::renew(Key key, TimePoint now, TimePoint deadline, GetHandler done,
                              bool with_type) {
  const std::size_t of_lane = lane_map_.of(key.ref());
  const Key joint = Renewal::lane_key(of_lane);
  Renewals::Waiter again = [this, key = std::move(key), deadline, done = std::move(done),
                            with_type](const std::optional<Error>& error, TimePoint until) mutable {
    // Whoever was first may have had less time than we have.
    const bool goes_on = !error || (error->code == Errc::timeout && until < deadline);
    if (!goes_on) return done(stale_or(*error, key.ref()));
    get(std::move(key), ReadFrom::l1_first, deadline, std::move(done), with_type, false);
  };
  std::unique_ptr<Renewal> call;
  // What was sent longer ago renews the lease for less than half of its time, or is stuck.
  const bool joined = renewals_.join_or_begin(
      joint.ref(), now, config_.lease / 2, again, [] { return false; },
      [&]() -> Renewals::Flight& {
        call = std::make_unique<Renewal>(*this, of_lane, deadline);
        return call->flight;
      });
  if (joined) return;
  Counts::add(Count::confirmations);
  send(std::move(call));
}

bool TieredCache::Impl::fetch(Key key, ReadFrom from, TimePoint deadline, GetHandler done,
                              bool with_type) {
  const TimePoint now = config_.now();
  if (from == ReadFrom::through_l2) {
    const KeyRules& rules = prefixes_.of(key.name);
    auto call = std::make_unique<Fetch>(*this, rules, std::move(key), deadline, with_type);
    call->waiters.push_back(std::move(done));
    call->may_be_stale = false;
    flights_.begin(call->flight, now);
    Counts::add(Count::fills);
    send(std::move(call));
    return false;
  }
  std::unique_ptr<Fetch> call;
  EntryPtr found;
  const KeyRef ref = key.ref();
  bool joined = false;
  {
    const epoch::Guard guard;
    joined = flights_.join_or_begin(
        ref, now, config_.lease, done,
        [&] {
          // A fill may have settled between the miss and this lock.
          const Entry* entry = fresh(ref, now);
          if (entry != nullptr && suffices(*entry, with_type)) found = EntryPtr::pin(entry);
          return static_cast<bool>(found);
        },
        [&]() -> Flights::Flight& {
          call =
              std::make_unique<Fetch>(*this, prefixes_.of(ref.name), Key(ref), deadline, with_type);
          return call->flight;
        },
        with_type);
  }
  if (found) {
    done(lookup_of(std::move(found)));
    return false;
  }
  if (joined) {
    Counts::add(Count::fills_coalesced);
    return true;
  }
  Counts::add(Count::fills);
  send(std::move(call));
  return false;
}

std::optional<std::string_view> TieredCache::Impl::own_type(const KeyRef& key,
                                                            const StoreOptions& options,
                                                            const KeyRules& rules) const noexcept {
  if (options.type) return *options.type == rules.content_type ? std::string_view() : options.type;
  // Whoever says nothing voids what was said of the value before; but it may be that value again, of which L2 still
  // knows what was said. That nobody has asked does not mean that nothing was.
  const epoch::Guard guard;
  const Entry* before = l1_->peek(key);
  const bool may_have_one = before != nullptr && !before->negative() &&
                            (!before->type_known() || !before->own_type().empty());
  if (l2_stores_ && may_have_one) return std::nullopt;
  return std::string_view();
}

bool TieredCache::Impl::touch(const KeyRef& key, std::vector<std::string> args, TimePoint deadline,
                              ReplyHandler done, std::optional<std::chrono::milliseconds> slide,
                              bool with_type) {
  note_db(key.db);
  const KeyRules& rules = prefixes_.of(key.name);
  const TimePoint now = config_.now();
  std::unique_ptr<Touch> call;
  const auto make = [&] {
    Command command{.op = Op::transact,
                    .key = Key(key),
                    .args = std::move(args),
                    .announced = rules.l1,
                    .deadline = deadline};
    if (with_type) {
      command.beside = command.args;
      command.beside[1] = type_sidecar(key.name);
    }
    call = std::make_unique<Touch>(*this, rules, std::move(command));
  };
  const Duration slack = slide ? slack_of(rules, *slide) : Duration::zero();
  bool may_join = false;
  if (slack != Duration::zero()) {
    // While L1 may serve the copy, no write that this caller knows of came between an equal touch under way and
    // now: it would have taken the copy away, and what brings one back comes down the lane behind that touch.
    const epoch::Guard guard;
    const Entry* entry = fresh(key, now);
    may_join = entry != nullptr && !entry->negative();
  }
  if (may_join) {
    Key joint = Touch::slide_key(key, *slide, with_type);
    const KeyRef ref(joint.db, key.name, joint.hash);
    const bool joined = slides_.join_or_begin(
        ref, now, std::min(config_.lease, slack), done, [] { return false; },
        [&]() -> Slides::Flight& {
          make();
          return call->slide(std::move(joint));
        });
    if (joined) {
      Counts::add(Count::touches_coalesced);
      return true;
    }
  } else {
    make();
    call->waiters.push_back(std::move(done));
  }
  Counts::add(Count::writes);
  flights_.begin(call->flight, now);
  send(std::move(call));
  return false;
}

Duration TieredCache::Impl::slack_of(const KeyRules& rules,
                                     std::chrono::milliseconds ttl) const noexcept {
  // What would overflow the clock is no sliding expiry, and nor is a moment.
  constexpr auto kLongest =
      std::chrono::duration_cast<std::chrono::milliseconds>(Duration::max() / 4);
  if (!rules.touch_coalescing || rules.l1_ttl != Duration::max() || ttl > kLongest) return {};
  const Duration slack = slide_slack(ttl, config_.least_slack);
  return ttl < 2 * slack ? Duration::zero() : slack;
}

bool TieredCache::Impl::slide(const KeyRef& key, std::chrono::milliseconds ttl,
                              TimePoint now) noexcept {
  const Duration slack = slack_of(prefixes_.of(key.name), ttl);
  if (slack == Duration::zero()) return false;
  const Entry* entry = fresh(key, now);
  if (entry == nullptr || entry->negative()) return false;
  // Earlier than what is asked for, since a touch may also bring the end nearer, and not by more than the slack.
  const TimePoint end = entry->deadline();
  const TimePoint asked = saturating_add(now, ttl);
  if (end > asked || end < asked - slack) return false;
  Counts::add(Count::touches_coalesced);
  return true;
}

void TieredCache::Impl::compare(Command what, CompareHandler done) {
  note_db(what.key.db);
  Counts::add(Count::writes);
  what.changed = {what.key.name};
  send(std::make_unique<Compare>(*this, std::move(what), std::move(done)));
}

void TieredCache::Impl::barrier(TimePoint deadline,
                                std::function<void(std::optional<Error>)> done) {
  struct Round {
    std::atomic<std::size_t> left;
    std::atomic<bool> failed{false};
    std::function<void(std::optional<Error>)> done;
  };
  auto round = std::make_shared<Round>();
  round->left = lanes_.size();
  round->done = std::move(done);
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Command ping{.op = Op::confirm,
                 .key = Key(0, std::string()),
                 .lane = i,
                 .undeclared = true,
                 .deadline = deadline};
    l2_->submit(std::make_unique<Confirm>(
        *this, std::move(ping), [round](const std::optional<Error>& error) {
          // A lane whose connection is gone has bumped its epoch: it serves nothing that it had.
          const bool gone =
              error && (error->code == Errc::unavailable || error->code == Errc::connection_lost ||
                        error->code == Errc::shutting_down);
          if (error && !gone) round->failed = true;
          if (round->left.fetch_sub(1) != 1) return;
          if (round->failed) {
            round->done(
                Error{Errc::timeout, "executed, but not every lane has confirmed that it knows"});
          } else {
            round->done(std::nullopt);
          }
        }));
  }
}

}  // namespace nearlane::tier
