#include "core/tier/tiered_cache.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "core/tier/calls.h"
#include "core/tier/tiered_cache_impl.h"
#include "core/tier/type_sidecar.h"

namespace nearlane::tier {

using cohere::Command;
using cohere::Op;

namespace {

/// Keys of a batch whose leases are read before any of them is looked for.
constexpr std::size_t kLeasesAtOnce = 64;

/// SET without its value.
std::vector<std::string> set_command(std::string_view name, const StoreOptions& options) {
  std::vector<std::string> args = {"SET", std::string(name)};
  switch (options.expiry.kind) {
    case Expiry::Kind::never:
      break;
    case Expiry::Kind::keep:
      args.emplace_back("KEEPTTL");
      break;
    case Expiry::Kind::in:
      args.insert(args.end(), {"PX", std::to_string(options.expiry.milliseconds)});
      break;
    case Expiry::Kind::at:
      args.insert(args.end(), {"PXAT", std::to_string(options.expiry.milliseconds)});
      break;
  }
  if (options.condition == Condition::if_absent) args.emplace_back("NX");
  if (options.condition == Condition::if_present) args.emplace_back("XX");
  return args;
}

/// What goes with a SET of `value`, so that the sidecar says of it what its writer said.
void say_type(Command& command, const StoreOptions& options) {
  if (!options.type) return;
  const Entry& value = *command.value;
  std::string name = type_sidecar(command.key.name);
  command.needs_beside = !value.own_type().empty();
  if (!command.needs_beside) {
    command.beside = {"DEL", std::move(name)};
    return;
  }
  command.beside = set_command(name, options);
  command.beside.insert(command.beside.begin() + 2, sidecar_text(value.own_type(), value.digest()));
}

/// L1 holds no sidecar under its own name: it is written with a value, so nobody would take away what somebody had read
/// of it. All else is as the configuration says.
TierConfig without_sidecars(TierConfig config) {
  Prefix all{.match = std::string(kTypePrefix), .rules = {.max_stale = config.max_stale}};
  std::size_t longest = 0;
  bool is_there = false;
  for (Prefix& prefix : config.prefixes) {
    if (prefix.match.starts_with(kTypePrefix)) prefix.rules.l1 = false;
    is_there = is_there || prefix.match == kTypePrefix;
    if (!kTypePrefix.starts_with(prefix.match) || prefix.match.size() < longest) continue;
    longest = prefix.match.size();
    all.rules = prefix.rules;
  }
  all.rules.l1 = false;
  if (!is_there) config.prefixes.push_back(std::move(all));
  return config;
}

/// A negative entry is get()'s to answer.
const Entry* value_of(const Entry* entry) noexcept {
  return entry == nullptr || entry->negative() ? nullptr : entry;
}

}  // namespace

TieredCache::TieredCache(TierConfig config, std::unique_ptr<l1::L1Map> l1,
                         std::unique_ptr<l2::L2Backend> l2)
    : impl_(std::make_unique<Impl>(without_sidecars(std::move(config)), std::move(l1),
                                   std::move(l2))) {}
TieredCache::~TieredCache() = default;

void TieredCache::start(std::size_t own_list) {
  impl_->l2_->start(*impl_);
  impl_->begin_warmup(own_list);
}
void TieredCache::stop() noexcept {
  impl_->precompress_queue_.stop();
  impl_->l2_->stop();
  impl_->auditor_.stop();
}

const Entry* TieredCache::find(const KeyRef& key, TimePoint now) noexcept {
  const Entry* entry = value_of(impl_->fresh(key, now));
  Counts::add(entry != nullptr ? Count::l1_hits : Count::l1_misses);
  return entry;
}

const Entry* TieredCache::find_typed(const KeyRef& key, TimePoint now) noexcept {
  const Entry* entry = value_of(impl_->fresh(key, now));
  if (entry != nullptr && !entry->type_known()) entry = nullptr;
  Counts::add(entry != nullptr ? Count::l1_hits : Count::l1_misses);
  return entry;
}

void TieredCache::find_batch(std::span<const KeyRef> keys, std::span<const Entry*> out,
                             TimePoint now) noexcept {
  std::array<const cohere::LaneView*, kLeasesAtOnce> views;
  std::array<TimePoint, kLeasesAtOnce> leases;
  std::uint64_t hits = 0;
  const std::size_t count = keys.size();
  while (!keys.empty()) {
    const auto some = keys.first(std::min(keys.size(), leases.size()));
    for (std::size_t i = 0; i < some.size(); ++i) {
      views[i] = &impl_->lane(some[i]);
      leases[i] = views[i]->lease_until();
    }
    impl_->l1_->find_batch(some, out.first(some.size()));
    for (std::size_t i = 0; i < some.size(); ++i) {
      out[i] = value_of(impl_->vouched(*views[i], some[i], out[i], now, leases[i]));
      hits += out[i] != nullptr ? 1 : 0;
    }
    keys = keys.subspan(some.size());
    out = out.subspan(some.size());
  }
  Counts::add(Count::l1_hits, hits);
  Counts::add(Count::l1_misses, count - hits);
}

const Entry* TieredCache::find_stale(const KeyRef& key, TimePoint now) noexcept {
  return impl_->breaker_.refuses_all() ? impl_->stale(key, now) : nullptr;
}

void TieredCache::want_forms(const Entry& entry) noexcept {
  if (entry.considered()) return;
  impl_->want_forms(entry, impl_->prefixes_.of(entry.key_with(0).name), true);
}
bool TieredCache::may_compress(std::string_view name) const noexcept {
  return !impl_->prefixes_.of(name).secret;
}

std::string_view TieredCache::content_type(const Entry& entry) const noexcept {
  const std::string_view own = entry.own_type();
  return own.empty() ? impl_->prefixes_.content_type(entry.key_with(0).name) : own;
}

bool TieredCache::get(Key key, ReadFrom from, TimePoint deadline, GetHandler done, bool with_type) {
  return impl_->get(std::move(key), from, deadline, std::move(done), with_type, true);
}

void TieredCache::set(const KeyRef& key, std::string_view value, StoreOptions options,
                      TimePoint deadline, SetHandler done) {
  impl_->note_db(key.db);
  Counts::add(Count::writes);
  const KeyRules& rules = impl_->prefixes_.of(key.name);
  Command command{
      .op = Op::transact,
      .key = Key(key),
      .args = set_command(key.name, options),
      .value = Entry::build(key, value, TimePoint{}, 0, impl_->own_type(key, options, rules)),
      .ask_existed = options.ask_existed,
      .announced = rules.l1,
      .deadline = deadline};
  say_type(command, options);
  auto call = std::make_unique<Store>(*impl_, rules, std::move(command), std::move(done));
  call->asks_forms = options.asks_forms;
  call->new_here = rules.prefetch && rules.l1 && impl_->is_new_here(key);
  impl_->flights_.begin(call->flight, impl_->config_.now());
  impl_->send(std::move(call));
}

void TieredCache::set_if(const KeyRef& key, std::string_view value, const StoreOptions& options,
                         cohere::Holds holds, TimePoint deadline, CompareHandler done) {
  const KeyRules& rules = impl_->prefixes_.of(key.name);
  Command command{
      .op = Op::compare,
      .key = Key(key),
      .args = set_command(key.name, options),
      .value = Entry::build(key, value, TimePoint{}, 0, impl_->own_type(key, options, rules)),
      .holds = std::move(holds),
      .deadline = deadline};
  say_type(command, options);
  impl_->compare(std::move(command), std::move(done));
}

void TieredCache::remove_if(const KeyRef& key, cohere::Holds holds, TimePoint deadline,
                            CompareHandler done) {
  impl_->compare({.op = Op::compare,
                  .key = Key(key),
                  .args = {"DEL", std::string(key.name)},
                  .beside = {"DEL", type_sidecar(key.name)},
                  .holds = std::move(holds),
                  .deadline = deadline},
                 std::move(done));
}

void TieredCache::remove(const KeyRef& key, TimePoint deadline, BoolHandler done) {
  RawCommand command{.db = key.db,
                     .args = {"DEL", std::string(key.name)},
                     .keys = {std::string(key.name)},
                     .beside = {"DEL", type_sidecar(key.name)}};
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
  const bool waits = tier.l2_->capabilities().lease > Duration::zero();
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
  remove(key, deadline, [&tier, waits, finish = std::move(finish)](Result<bool> removed) {
    if (!removed || !waits) return finish(std::move(removed));
    // Asked now: what carried the deletion has found out by then whether it could tell the others.
    const l2::Capabilities l2 = tier.l2_->capabilities();
    const auto wait =
        std::chrono::duration_cast<Duration>(std::max(l2.lease, l2.untold) * (1 + kClockDrift));
    tier.config_.after(wait, [finish, was_there = *removed] { finish(was_there); });
  });
}
std::size_t TieredCache::revoking() const noexcept {
  return impl_->revoking_.load(std::memory_order_relaxed);
}

bool TieredCache::slide(const KeyRef& key, std::chrono::milliseconds ttl, TimePoint now) noexcept {
  return impl_->slide(key, ttl, now);
}

bool TieredCache::touch(const KeyRef& key, std::chrono::milliseconds ttl, TimePoint deadline,
                        BoolHandler done) {
  std::vector<std::string> args = {"PEXPIRE", std::string(key.name), std::to_string(ttl.count())};
  return impl_->touch(
      key, std::move(args), deadline,
      [done = std::move(done)](Result<protocol::Reply> reply) {
        if (!reply) return done(reply.error());
        done(reply->integer != 0);
      },
      ttl, true);
}

bool TieredCache::touch(const KeyRef& key, std::vector<std::string> command, TimePoint deadline,
                        ReplyHandler done, std::optional<std::chrono::milliseconds> slide) {
  return impl_->touch(key, std::move(command), deadline, std::move(done), slide, false);
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
               .key = Key(command.db, command.keys.empty() ? std::string() : command.keys.front()),
               .args = std::move(command.args),
               .beside = std::move(command.beside),
               .wide = wide,
               .undeclared = undeclared,
               .changed = command.writes ? command.keys : std::vector<std::string>(),
               .idempotent = !command.writes,
               .deadline = deadline};
  auto call = std::make_unique<Raw>(*impl_, std::move(what), std::move(written), std::move(done));
  call->forget_all();
  impl_->send(std::move(call));
}

void TieredCache::watch(std::uint32_t db, std::vector<std::string> names,
                        std::shared_ptr<cohere::Watch> watch, TimePoint deadline,
                        BoolHandler done) {
  Command what{.op = Op::watch,
               .key = Key(db, names.front()),
               .args = std::move(names),
               .wide = true,
               .watch = std::move(watch),
               .deadline = deadline};
  impl_->send(std::make_unique<Raw>(*impl_, std::move(what), std::vector<Key>(),
                                    [done = std::move(done)](Result<protocol::Reply> reply) {
                                      if (!reply) return done(reply.error());
                                      done(true);
                                    }));
}

void TieredCache::transact(Transaction what, TimePoint deadline, ReplyHandler done) {
  std::vector<Key> written;
  Command command{.op = Op::exec,
                  .key = Key(0, std::string()),
                  .wide = true,
                  .watch = std::move(what.watch),
                  .deadline = deadline};
  for (Transaction::Command& each : what.commands) {
    impl_->note_db(each.db);
    const bool writes = each.undeclared || !each.keys.empty();
    if (writes) Counts::add(Count::writes);
    for (std::string& name : each.keys) written.emplace_back(each.db, std::move(name));
    command.undeclared = command.undeclared || each.undeclared;
    command.queued.push_back({.db = each.db, .args = std::move(each.args)});
  }
  auto call =
      std::make_unique<Raw>(*impl_, std::move(command), std::move(written), std::move(done));
  call->forget_all();
  impl_->send(std::move(call));
}

void TieredCache::written_elsewhere(std::uint32_t db, std::vector<std::string> names,
                                    bool undeclared, TimePoint deadline,
                                    std::function<void(std::optional<Error>)> done) {
  for (const std::string& name : names) impl_->forget(KeyRef(db, name));
  if (undeclared) impl_->note_undeclared();
  if (names.empty() && !undeclared) return done(std::nullopt);
  auto announced = [impl = impl_.get(), undeclared, deadline,
                    done = std::move(done)](std::optional<Error> error) mutable {
    if (error || !undeclared) return done(std::move(error));
    impl->barrier(deadline, std::move(done));
  };
  if (!impl_->l2_->capabilities().announces) return announced(std::nullopt);
  Command news{.op = Op::announce,
               .key = Key(db, std::string()),
               .wide = true,
               .undeclared = undeclared,
               .changed = std::move(names),
               .deadline = deadline};
  impl_->l2_->submit(std::make_unique<Announce>(std::move(news), std::move(announced)));
}

std::size_t TieredCache::lane_of(const KeyRef& key) const noexcept {
  return impl_->lane_map_.of(key);
}
std::size_t TieredCache::refreshing() const noexcept { return impl_->queue_.waiting(); }
std::size_t TieredCache::precompressing() const noexcept {
  return impl_->precompress_queue_.waiting();
}
bool TieredCache::precompress_once() { return impl_->precompress_queue_.work_once(); }
bool TieredCache::lease_lapsed(const KeyRef& key, TimePoint now) const noexcept {
  return now >= impl_->lane(key).lease_until();
}
std::size_t TieredCache::lanes() const noexcept { return impl_->lanes_.size(); }
const cohere::LaneMap& TieredCache::lane_map() const noexcept { return impl_->lane_map_; }
bool TieredCache::keys_change_lanes() const noexcept { return impl_->slots_ != nullptr; }
bool TieredCache::may_be_together(std::span<const std::string_view> names) const noexcept {
  if (impl_->slots_ == nullptr || names.empty()) return true;
  const cohere::Slot slot = cohere::slot_of(names[0]);
  return std::ranges::all_of(
      names, [slot](std::string_view name) { return cohere::slot_of(name) == slot; });
}

void TieredCache::sweep(TimePoint now, std::size_t max) noexcept { impl_->l1_->sweep(now, max); }

void TieredCache::probe() { impl_->probe(); }
guard::Breaker::State TieredCache::breaker() const {
  return impl_->breaker_.state(impl_->config_.now());
}
void TieredCache::refill() { impl_->refill(); }
void TieredCache::touch_hottest(TimePoint now) { impl_->touch_hottest(now); }
void TieredCache::warm_up() { impl_->warm_up(); }
Warming TieredCache::warming() const noexcept { return impl_->warmup_.state.load(); }
void TieredCache::save_hot_keys(std::function<void()> done) {
  impl_->save_hot_keys(std::move(done));
}
void TieredCache::audit(TimePoint now) { impl_->audit(now); }
const audit::Auditor& TieredCache::auditor() const noexcept { return impl_->auditor_; }
void TieredCache::explain(const KeyRef& key, TimePoint deadline,
                          std::function<void(Explanation)> done) {
  impl_->explain(key, deadline, std::move(done));
}

l1::L1Stats TieredCache::l1_stats() const noexcept { return impl_->l1_->stats(); }
std::string_view TieredCache::l1_name() const noexcept { return impl_->l1_->name(); }
std::string_view TieredCache::l1_policy() const noexcept { return impl_->l1_->policy(); }
std::string_view TieredCache::l2_name() const noexcept { return impl_->l2_->name(); }
l2::Health TieredCache::l2_health() const { return impl_->health(); }
l2::Capabilities TieredCache::l2_capabilities() const noexcept {
  return impl_->l2_->capabilities();
}

}  // namespace nearlane::tier
