#include "core/tier/tiered_cache.h"

#include <atomic>
#include <utility>

#include "core/base/epoch.h"
#include "core/cohere/flights.h"
#include "core/cohere/install_rules.h"
#include "core/cohere/lane_view.h"

namespace nearlane::tier {

using cohere::Answer;
using cohere::Command;
using cohere::Decision;
using cohere::Op;
using Flights = cohere::Flights<TieredCache::GetHandler>;

namespace {

/// An error of ours, or the error that L2 answered, as the caller gets it.
std::optional<Error> error_of(const Answer& answer) {
  if (answer.error) {
    Counts::add(Count::l2_errors);
    return answer.error;
  }
  if (answer.reply.is_error()) return Error{Errc::l2_error, answer.reply.text};
  return std::nullopt;
}

}  // namespace

class TieredCache::Impl final : public cohere::Listener {
 public:
  Impl(TierConfig config, std::unique_ptr<l1::L1Map> l1, std::unique_ptr<l2::L2Backend> l2)
      : config_(std::move(config)),
        prefixes_({.l1_ttl = config_.l1_ttl,
                   .negative_ttl = config_.negative_ttl,
                   .max_stale = config_.max_stale},
                  config_.prefixes),
        l1_(std::move(l1)),
        l2_(std::move(l2)),
        lanes_(l2_->lanes()) {}

  const cohere::LaneView& lane(std::uint64_t hash) const noexcept {
    return lanes_[cohere::lane_of(hash, lanes_.size())];
  }

  /// The entry, a negative one too, if it may be served as fresh.
  const Entry* fresh(const KeyRef& key, TimePoint now) noexcept {
    return vouched(key, l1_->find(key), now);
  }
  const Entry* vouched(const KeyRef& key, const Entry* entry, TimePoint now) const noexcept {
    if (entry == nullptr) return nullptr;
    const cohere::LaneView& view = lane(key.hash);
    if (!view.vouches(*entry, now)) return nullptr;
    view.note_hit();
    return entry;
  }

  /// How long L1 may keep what was read or written at `sent_at`.
  static Duration keep_for(const KeyRef& key, TimePoint sent_at, Duration l1_ttl) noexcept {
    if (l1_ttl == Duration::max()) return l1_ttl;
    // 24 bits that differ by key and from one fill to the next.
    const auto seed = key.hash ^ static_cast<std::uint64_t>(sent_at.time_since_epoch().count());
    constexpr std::uint64_t kGolden = 0x9E37'79B9'7F4A'7C15U;  // 2^64 / golden ratio
    const auto drawn = static_cast<double>(seed * kGolden >> 40U) / (1U << 24U);
    return std::chrono::duration_cast<Duration>(l1_ttl * (1 - kL1TtlSpread * drawn));
  }

  /// The key may have changed: nothing under way installs what it was, and L1 forgets it.
  void forget(const KeyRef& key) noexcept {
    flights_.revoke(key, [&] { l1_->erase(key); });
  }

  /// A write ended in an error. If L2 may yet execute it, nobody will tell us when: what was sent before
  /// it, and whose reply is still to come, must not be installed either.
  void forget_after(const Error& error, const KeyRef& key) noexcept {
    if (cohere::after_failed_write(error.code).action == Decision::Action::erase) forget(key);
  }

  void invalidate(std::string_view name) noexcept override {
    Counts::add(Count::invalidations);
    // The push does not say in which database.
    forget(name, dbs_.load(std::memory_order_relaxed));
  }

  /// A command of ours that is no transaction may have dropped L2's registration of the key's name, if it
  /// wrote, or if it found that the key had ended. L2 registers a name for all databases at once and tells us
  /// nothing, so what we have under it in the others would never be announced again.
  void forget_in_other_dbs(const KeyRef& key) noexcept {
    const std::uint64_t dbs = dbs_.load(std::memory_order_relaxed);
    forget(key.name, dbs & ~bit_of(key.db));
  }

  /// `dbs`: a bit for each database.
  void forget(std::string_view name, std::uint64_t dbs) noexcept {
    for (std::uint32_t db = 0; dbs != 0; ++db, dbs >>= 1U) {
      if ((dbs & 1U) != 0) forget(KeyRef(db, name));
    }
  }
  static std::uint64_t bit_of(std::uint32_t db) noexcept { return std::uint64_t{1} << (db % 64); }

  /// Remembers the database, before anything of it can be installed.
  void note_db(std::uint32_t db) noexcept {
    const std::uint64_t bit = bit_of(db);
    if ((dbs_.load(std::memory_order_relaxed) & bit) == 0)
      dbs_.fetch_or(bit, std::memory_order_seq_cst);
  }

  void get(Key key, ReadFrom from, TimePoint deadline, GetHandler done, bool may_confirm);
  void fetch(Key key, ReadFrom from, TimePoint deadline, GetHandler done);
  void touch(const KeyRef& key, std::vector<std::string> args, TimePoint deadline,
             ReplyHandler done);
  void barrier(TimePoint deadline, std::function<void(std::optional<Error>)> done);

  const TierConfig config_;
  const PrefixTable prefixes_;
  const std::unique_ptr<l1::L1Map> l1_;
  const std::unique_ptr<l2::L2Backend> l2_;
  const std::span<const cohere::LaneView> lanes_;
  Flights flights_;
  std::atomic<std::uint64_t> dbs_{1};
  std::atomic<std::size_t> revoking_{0};
};

namespace {

/// What a fetch's waiters are told.
Result<Lookup> lookup_of(const Answer& answer, const EntryPtr& entry) {
  if (auto error = error_of(answer)) return *error;
  if (!entry || entry->negative()) return Lookup{};
  return Lookup{entry, Source::l2};
}
/// A negative entry is get()'s to answer.
const Entry* value_of(const Entry* entry) noexcept {
  return entry == nullptr || entry->negative() ? nullptr : entry;
}
/// What L1 answers with an entry that is fresh.
Lookup lookup_of(EntryPtr entry) {
  if (!entry->negative()) return {std::move(entry), Source::l1};
  Counts::add(Count::l1_negatives);
  return {nullptr, Source::l1};
}

}  // namespace

/// What L1 holds no copy of, whatever L2 answered: keys that are not to be in it, and what nobody vouches for.
void restrict(Decision& decision, const KeyRules& rules, const Answer& answer) noexcept {
  if (!rules.l1) decision.action = Decision::Action::leave;
  if (answer.epoch == cohere::kNoEpoch) decision.action = Decision::Action::erase;
}

/// GET from L2: installs, and answers all who joined.
class Fetch final : public cohere::Call {
 public:
  Fetch(TieredCache::Impl& tier, const KeyRules& rules, Key key, TimePoint deadline)
      : Call(Command{
            .op = Op::fetch, .key = std::move(key), .announced = rules.l1, .deadline = deadline}),
        flight(command.key),
        tier_(tier),
        rules_(rules) {}

  void settle(const Answer& answer) noexcept override {
    const KeyRef key = command.key.ref();
    Decision decision;
    if (!answer.error) {
      decision = cohere::after_fetch(
          answer.reply, answer.pttl, answer.sent_at,
          TieredCache::Impl::keep_for(key, answer.sent_at, rules_.l1_ttl), rules_.negative_ttl);
      restrict(decision, rules_, answer);
      if (answer.reply.type == protocol::Type::bulk_string) {
        entry_ = Entry::build(key, answer.reply.text, decision.deadline, answer.epoch);
      } else if (decision.action == Decision::Action::install) {
        entry_ = Entry::build_negative(key, decision.deadline, answer.epoch);
      }
    }
    auto joined = tier_.flights_.settle(flight, [&](bool revoked) {
      if (revoked) {
        Counts::add(Count::fills_revoked);
      } else if (decision.action == Decision::Action::install) {
        tier_.l1_->put(entry_);
      } else if (decision.action == Decision::Action::erase) {
        tier_.l1_->erase(key);
      }
    });
    for (auto& waiter : joined) waiters.push_back(std::move(waiter));
    // GET found the key and PTTL did not: it was PTTL that ended it. What PTTL will find after nobody waits
    // for it any more, nobody will say.
    const bool ended_by_pttl = answer.pttl == -2 && !answer.reply.is_null();
    const bool unheard = answer.error && cohere::after_failed_write(answer.error->code).action ==
                                             Decision::Action::erase;
    if (ended_by_pttl || unheard) tier_.forget_in_other_dbs(key);
  }

  void complete(Answer answer) noexcept override {
    const Result<Lookup> result = lookup_of(answer, entry_);
    for (auto& waiter : waiters) {
      if (result) Counts::add(result->entry ? Count::l2_hits : Count::l2_misses);
      waiter(result);
    }
  }

  Flights::Flight flight;
  std::vector<TieredCache::GetHandler> waiters;  // those who did not join by way of the flight

 private:
  TieredCache::Impl& tier_;
  const KeyRules& rules_;
  EntryPtr entry_;
};

/// Renews a lapsed lease, then looks again.
class Confirm final : public cohere::Call {
 public:
  Confirm(Command what, std::function<void(std::optional<Error>)> done)
      : Call(std::move(what)), done_(std::move(done)) {}
  void settle(const Answer&) noexcept override {}
  void complete(Answer answer) noexcept override { done_(std::move(answer.error)); }

 private:
  std::function<void(std::optional<Error>)> done_;
};

/// SET whose value we know: L1 takes it when L2 has written it and will announce the next change.
class Store final : public cohere::Call {
 public:
  Store(TieredCache::Impl& tier, const KeyRules& rules, Command what, TieredCache::SetHandler done)
      : Call(std::move(what)),
        flight(command.key),
        tier_(tier),
        rules_(rules),
        done_(std::move(done)) {}

  void settle(const Answer& answer) noexcept override {
    Decision decision =
        answer.error ? cohere::after_failed_write(answer.error->code)
                     : cohere::after_store(answer.reply, answer.pttl, answer.sent_at,
                                           TieredCache::Impl::keep_for(
                                               command.key.ref(), answer.sent_at, rules_.l1_ttl));
    if (!answer.error) restrict(decision, rules_, answer);
    if (decision.action == Decision::Action::install) {
      command.value->set_deadline(decision.deadline);
      command.value->set_epoch(answer.epoch);
    }
    tier_.flights_.settle(flight, [&](bool revoked) {
      if (decision.action == Decision::Action::leave) return;
      if (decision.action == Decision::Action::install && !revoked) {
        tier_.l1_->put(command.value);
      } else {
        tier_.l1_->erase(command.key.ref());
      }
    });
    if (answer.error) tier_.forget_after(*answer.error, command.key.ref());
  }

  void complete(Answer answer) noexcept override {
    if (auto error = error_of(answer)) return done_(*error);
    done_(StoreOutcome{.stored = answer.reply.is_ok(), .existed = answer.existed});
  }

  Flights::Flight flight;

 private:
  TieredCache::Impl& tier_;
  const KeyRules& rules_;
  TieredCache::SetHandler done_;
};

/// EXPIRE and its kin: L1 keeps its copy and moves the deadline.
class Touch final : public cohere::Call {
 public:
  Touch(TieredCache::Impl& tier, const KeyRules& rules, Command what,
        TieredCache::ReplyHandler done)
      : Call(std::move(what)),
        flight(command.key),
        tier_(tier),
        rules_(rules),
        done_(std::move(done)) {}

  void settle(const Answer& answer) noexcept override {
    const Decision decision = answer.error ? cohere::after_failed_write(answer.error->code)
                                           : cohere::after_touch(answer.reply, answer.pttl,
                                                                 answer.sent_at, rules_.l1_ttl);
    const epoch::Guard guard;
    const KeyRef key = command.key.ref();
    tier_.flights_.settle(flight, [&](bool revoked) {
      if (decision.action == Decision::Action::leave) return;
      const Entry* entry = tier_.l1_->find(key);
      // Only what has not expired by our own clock is known to be the value that L2 still has: past
      // the deadline the key may have ended and been made anew, unannounced if it was our own
      // command that found it expired.
      if (entry != nullptr && decision.action == Decision::Action::install && !revoked &&
          !entry->negative() && entry->epoch() == answer.epoch &&
          tier_.config_.now() < entry->deadline()) {
        const bool earlier = decision.deadline < entry->deadline();
        // Where the age is capped, the first deadline stands for it: no touch moves it later.
        if (earlier || rules_.l1_ttl == Duration::max()) entry->set_deadline(decision.deadline);
        if (earlier) tier_.l1_->reschedule(*entry);
      } else {
        tier_.l1_->erase(key);
      }
    });
    if (answer.error) tier_.forget_after(*answer.error, key);
  }

  void complete(Answer answer) noexcept override {
    if (auto error = error_of(answer)) return done_(*error);
    done_(std::move(answer.reply));
  }

  Flights::Flight flight;

 private:
  TieredCache::Impl& tier_;
  const KeyRules& rules_;
  TieredCache::ReplyHandler done_;
};

/// Any other command; if it writes, L1 forgets its keys before it is sent and again when it has
/// settled.
class Raw final : public cohere::Call {
 public:
  Raw(TieredCache::Impl& tier, Command what, std::vector<Key> written,
      TieredCache::ReplyHandler done)
      : Call(std::move(what)), tier_(tier), written_(std::move(written)), done_(std::move(done)) {}

  void settle(const Answer&) noexcept override {
    forget_all();
    if (!command.wide) tier_.forget_in_other_dbs(command.key.ref());
  }
  void forget_all() noexcept {
    for (const Key& key : written_) tier_.forget(key.ref());
  }

  void complete(Answer answer) noexcept override {
    if (command.undeclared && !answer.error) {
      // Which keys it wrote nobody knows, but every lane has heard of it once it has answered a
      // command sent now.
      tier_.barrier(command.deadline, [answer = std::move(answer), done = std::move(done_)](
                                          std::optional<Error> error) mutable {
        if (error) return done(*std::move(error));
        answer_with(std::move(answer), done);
      });
      return;
    }
    answer_with(std::move(answer), done_);
  }

 private:
  static void answer_with(Answer answer, const TieredCache::ReplyHandler& done) {
    if (auto error = error_of(answer)) return done(*error);
    done(std::move(answer.reply));
  }

  TieredCache::Impl& tier_;
  std::vector<Key> written_;
  TieredCache::ReplyHandler done_;
};

void TieredCache::Impl::get(Key key, ReadFrom from, TimePoint deadline, GetHandler done,
                            bool may_confirm) {
  note_db(key.db);
  if (from == ReadFrom::l1_first && may_confirm) {
    const epoch::Guard guard;
    const TimePoint now = config_.now();
    const KeyRef ref = key.ref();
    const Entry* entry = l1_->find(ref);
    if (entry != nullptr && lane(key.hash).vouches_but_for_lease(*entry, now)) {
      if (vouched(ref, entry, now) != nullptr) return done(lookup_of(EntryPtr::pin(entry)));
      // Only the lease has run out: one small command instead of fetching the body again.
      Counts::add(Count::confirmations);
      Command ping{.op = Op::confirm, .key = key, .deadline = deadline};
      auto again = [this, key = std::move(key), deadline,
                    done = std::move(done)](std::optional<Error> error) mutable {
        if (error) {
          Counts::add(Count::l2_errors);
          return done(*std::move(error));
        }
        get(std::move(key), ReadFrom::l1_first, deadline, std::move(done), false);
      };
      return l2_->submit(std::make_unique<Confirm>(std::move(ping), std::move(again)));
    }
  }
  fetch(std::move(key), from, deadline, std::move(done));
}

void TieredCache::Impl::fetch(Key key, ReadFrom from, TimePoint deadline, GetHandler done) {
  const TimePoint now = config_.now();
  if (from == ReadFrom::through_l2) {
    const KeyRules& rules = prefixes_.of(key.name);
    auto call = std::make_unique<Fetch>(*this, rules, std::move(key), deadline);
    call->waiters.push_back(std::move(done));
    flights_.begin(call->flight, now);
    Counts::add(Count::fills);
    return l2_->submit(std::move(call));
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
          if (const Entry* entry = fresh(ref, now)) found = EntryPtr::pin(entry);
          return static_cast<bool>(found);
        },
        [&]() -> Flights::Flight& {
          call = std::make_unique<Fetch>(*this, prefixes_.of(ref.name), Key(ref), deadline);
          return call->flight;
        });
  }
  if (found) return done(lookup_of(std::move(found)));
  if (joined) {
    Counts::add(Count::fills_coalesced);
    return;
  }
  Counts::add(Count::fills);
  l2_->submit(std::move(call));
}

void TieredCache::Impl::touch(const KeyRef& key, std::vector<std::string> args, TimePoint deadline,
                              ReplyHandler done) {
  note_db(key.db);
  Counts::add(Count::writes);
  const KeyRules& rules = prefixes_.of(key.name);
  Command command{.op = Op::transact,
                  .key = Key(key),
                  .args = std::move(args),
                  .announced = rules.l1,
                  .deadline = deadline};
  auto call = std::make_unique<Touch>(*this, rules, std::move(command), std::move(done));
  flights_.begin(call->flight, config_.now());
  l2_->submit(std::move(call));
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
    Command ping{.op = Op::confirm, .key = Key(0, std::string()), .lane = i, .deadline = deadline};
    l2_->submit(
        std::make_unique<Confirm>(std::move(ping), [round](const std::optional<Error>& error) {
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

TieredCache::TieredCache(TierConfig config, std::unique_ptr<l1::L1Map> l1,
                         std::unique_ptr<l2::L2Backend> l2)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(l1), std::move(l2))) {}
TieredCache::~TieredCache() = default;

void TieredCache::start() { impl_->l2_->start(*impl_); }
void TieredCache::stop() noexcept { impl_->l2_->stop(); }

const Entry* TieredCache::find(const KeyRef& key, TimePoint now) noexcept {
  const Entry* entry = value_of(impl_->fresh(key, now));
  Counts::add(entry != nullptr ? Count::l1_hits : Count::l1_misses);
  return entry;
}

void TieredCache::find_batch(std::span<const KeyRef> keys, std::span<const Entry*> out,
                             TimePoint now) noexcept {
  impl_->l1_->find_batch(keys, out);
  std::uint64_t hits = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    out[i] = value_of(impl_->vouched(keys[i], out[i], now));
    hits += out[i] != nullptr ? 1 : 0;
  }
  Counts::add(Count::l1_hits, hits);
  Counts::add(Count::l1_misses, keys.size() - hits);
}

void TieredCache::get(Key key, ReadFrom from, TimePoint deadline, GetHandler done) {
  impl_->get(std::move(key), from, deadline, std::move(done), true);
}

void TieredCache::set(const KeyRef& key, std::string_view value, StoreOptions options,
                      TimePoint deadline, SetHandler done) {
  impl_->note_db(key.db);
  Counts::add(Count::writes);
  const KeyRules& rules = impl_->prefixes_.of(key.name);
  Command command{.op = Op::transact,
                  .key = Key(key),
                  .value = Entry::build(key, value, TimePoint{}, 0),
                  .ask_existed = options.ask_existed,
                  .announced = rules.l1,
                  .deadline = deadline};
  command.args = {"SET", std::string(key.name)};
  switch (options.expiry.kind) {
    case Expiry::Kind::never:
      break;
    case Expiry::Kind::keep:
      command.args.emplace_back("KEEPTTL");
      break;
    case Expiry::Kind::in:
      command.args.insert(command.args.end(), {"PX", std::to_string(options.expiry.milliseconds)});
      break;
    case Expiry::Kind::at:
      command.args.insert(command.args.end(),
                          {"PXAT", std::to_string(options.expiry.milliseconds)});
      break;
  }
  if (options.condition == Condition::if_absent) command.args.emplace_back("NX");
  if (options.condition == Condition::if_present) command.args.emplace_back("XX");
  auto call = std::make_unique<Store>(*impl_, rules, std::move(command), std::move(done));
  impl_->flights_.begin(call->flight, impl_->config_.now());
  impl_->l2_->submit(std::move(call));
}

void TieredCache::remove(const KeyRef& key, TimePoint deadline, BoolHandler done) {
  RawCommand command{
      .db = key.db, .args = {"DEL", std::string(key.name)}, .keys = {std::string(key.name)}};
  execute(std::move(command), deadline, [done = std::move(done)](Result<protocol::Reply> reply) {
    if (!reply) return done(reply.error());
    done(reply->integer != 0);
  });
}

void TieredCache::revoke(const KeyRef& key, TimePoint deadline, BoolHandler done) {
  Impl& tier = *impl_;
  const Duration max_stale = tier.prefixes_.of(key.name).max_stale;
  if (max_stale != Duration::zero()) {
    return done(Error{Errc::refused,
                      "the key may be served for " +
                          std::to_string(max_stale / std::chrono::milliseconds(1)) +
                          " ms after L2 was lost (max_stale), so it cannot be revoked strictly; a "
                          "[[prefix]] with max_stale = 0 allows it"});
  }
  const auto wait =
      std::chrono::duration_cast<Duration>(tier.l2_->capabilities().lease * (1 + kClockDrift));
  const bool waits = wait > Duration::zero();
  if (waits && !tier.config_.after) {
    return done(Error{Errc::refused, "nothing here can wait for a strict revocation"});
  }
  if (tier.revoking_.fetch_add(1, std::memory_order_relaxed) >= tier.config_.max_revocations) {
    tier.revoking_.fetch_sub(1, std::memory_order_relaxed);
    return done(Error{Errc::busy, "too many strict revocations wait (max_revocations)"});
  }
  Counts::add(Count::revocations);
  auto finish = [&tier, done = std::move(done)](Result<bool> removed) {
    tier.revoking_.fetch_sub(1, std::memory_order_relaxed);
    done(std::move(removed));
  };
  remove(key, deadline, [&tier, wait, waits, finish = std::move(finish)](Result<bool> removed) {
    if (!removed || !waits) return finish(std::move(removed));
    tier.config_.after(wait, [finish, was_there = *removed] { finish(was_there); });
  });
}
std::size_t TieredCache::revoking() const noexcept {
  return impl_->revoking_.load(std::memory_order_relaxed);
}

void TieredCache::touch(const KeyRef& key, std::chrono::milliseconds ttl, TimePoint deadline,
                        BoolHandler done) {
  std::vector<std::string> args = {"PEXPIRE", std::string(key.name), std::to_string(ttl.count())};
  impl_->touch(key, std::move(args), deadline,
               [done = std::move(done)](Result<protocol::Reply> reply) {
                 if (!reply) return done(reply.error());
                 done(reply->integer != 0);
               });
}

void TieredCache::touch(const KeyRef& key, std::vector<std::string> command, TimePoint deadline,
                        ReplyHandler done) {
  impl_->touch(key, std::move(command), deadline, std::move(done));
}

void TieredCache::execute(RawCommand command, TimePoint deadline, ReplyHandler done) {
  impl_->note_db(command.db);
  std::vector<Key> written;
  if (command.writes) {
    Counts::add(Count::writes);
    for (const std::string& name : command.keys) written.emplace_back(command.db, name);
  }
  const bool wide = command.keys.size() != 1;
  const bool undeclared = command.writes && command.keys.empty();
  Command what{.op = Op::raw,
               .key = Key(command.db, wide ? std::string() : command.keys.front()),
               .args = std::move(command.args),
               .wide = wide,
               .undeclared = undeclared,
               .idempotent = !command.writes,
               .deadline = deadline};
  auto call = std::make_unique<Raw>(*impl_, std::move(what), std::move(written), std::move(done));
  call->forget_all();
  impl_->l2_->submit(std::move(call));
}

std::size_t TieredCache::lane_of(const KeyRef& key) const noexcept {
  return cohere::lane_of(key.hash, impl_->lanes_.size());
}
bool TieredCache::lease_lapsed(const KeyRef& key, TimePoint now) const noexcept {
  return now >= impl_->lane(key.hash).lease_until();
}
std::size_t TieredCache::lanes() const noexcept { return impl_->lanes_.size(); }

void TieredCache::sweep(TimePoint now, std::size_t max) noexcept { impl_->l1_->sweep(now, max); }

l1::L1Stats TieredCache::l1_stats() const noexcept { return impl_->l1_->stats(); }
std::string_view TieredCache::l1_name() const noexcept { return impl_->l1_->name(); }
std::string_view TieredCache::l1_policy() const noexcept { return impl_->l1_->policy(); }
std::string_view TieredCache::l2_name() const noexcept { return impl_->l2_->name(); }
l2::Health TieredCache::l2_health() const { return impl_->l2_->health(); }
l2::Capabilities TieredCache::l2_capabilities() const noexcept {
  return impl_->l2_->capabilities();
}

}  // namespace nearlane::tier
