// Reading in the background: what others changed while it was hot here, and what they have made.
//
// A push says that a key changed, not how, so its copy is dropped whatever else happens; what is read again is an
// ordinary fill, with the ordinary rules of what it may install. So losing a hint, a place in the queue or a read
// costs hits and nothing else.
#include <charconv>
#include <optional>
#include <string>

#include "core/base/epoch.h"
#include "core/tier/calls.h"
#include "core/tier/tiered_cache_impl.h"

namespace nearlane::tier {
namespace {

/// Between two looks at a breaker that is not closed.
constexpr Duration kUntilAsked = std::chrono::milliseconds(100);

/// "DB NAME", the name to the end.
std::optional<KeyRef> key_in(std::string_view hint) noexcept {
  std::uint32_t db = 0;
  const auto [end, failed] = std::from_chars(hint.data(), hint.data() + hint.size(), db);
  hint.remove_prefix(static_cast<std::size_t>(end - hint.data()));
  if (failed != std::errc() || db >= kDatabases || hint.size() < 2 || hint[0] != ' ') return {};
  hint.remove_prefix(1);
  if (hint.size() > kMaxKeyBytes) return {};
  return KeyRef(db, hint);
}

Count count_of(Unasked why) noexcept {
  switch (why) {
    case Unasked::refresh:
      return Count::refreshes;
    case Unasked::prefetch:
      return Count::prefetches;
    case Unasked::refill:
      return Count::refills;
    case Unasked::warmup:
    case Unasked::count:
      break;
  }
  return Count::warmups;
}

}  // namespace

void TieredCache::Impl::invalidate(std::string_view name) noexcept {
  Counts::add(Count::invalidations);
  const KeyRules& rules = prefixes_.of(name);
  // While L1 is being filled nobody asks, so that what others change most often would be missing at the end.
  const bool warming = warmup_.state == Warming::yes;
  const bool refreshes = (rules.refresh || warming) && rules.l1 && reads_unasked();
  // The push does not say in which database.
  for_each_db(dbs_.load(std::memory_order_relaxed), name, [&](const KeyRef& key) {
    note(audit::Event::push, key, cohere::kNoEpoch);
    if (!refreshes) return forget(key);
    std::optional<std::uint8_t> unused;
    drop(key, [&] {
      const epoch::Guard guard;
      const Entry* entry = l1_->peek(key);
      if (entry != nullptr && !entry->negative() &&
          lane(key).vouches_but_for_lease(*entry, config_.now())) {
        unused = entry->unused();
      }
    });
    if (!unused) return;
    want(key, warming ? 0 : *unused, Unasked::refresh);
    // Not from here: this is the middle of a lane's stream.
    arm(Duration::zero());
  });
}

void TieredCache::Impl::hinted(std::string_view hint) noexcept {
  Counts::add(Count::hints_heard);
  const auto key = key_in(hint);
  if (!key || !reads_unasked()) return;
  // Whoever may publish must not make us keep books on databases that nobody here uses.
  if ((dbs_.load(std::memory_order_relaxed) & bit_of(key->db)) == 0) return;
  if (l2_->capabilities().coherence == "none") return;  // L1 could take nothing
  const KeyRules& rules = prefixes_.of(key->name);
  if (!rules.prefetch || !rules.l1 || !is_new_here(*key)) return;
  want(*key, 0, Unasked::prefetch);
  arm(Duration::zero());
}

bool TieredCache::Impl::is_new_here(const KeyRef& key) noexcept {
  const epoch::Guard guard;
  const Entry* entry = l1_->peek(key);
  return entry == nullptr || entry->negative() ||
         !lane(key).vouches_but_for_lease(*entry, config_.now());
}

void TieredCache::Impl::hint_at(const KeyRef& key) noexcept {
  Counts::add(Count::hints_sent);
  l2_->hint(std::to_string(key.db) + ' ' + std::string(key.name));
}

void TieredCache::Impl::want(const KeyRef& key, std::uint8_t unused, Unasked why,
                             float worth) noexcept {
  const auto next = static_cast<std::uint8_t>(unused + 1);
  if (unused >= config_.most_unused || !queue_.welcomes(next, worth))
    return Counts::add(Count::refreshes_dropped);
  const Epoch epoch = lane(key).epoch();
  const bool all_fit =
      queue_.want({.key = Key(key), .epoch = epoch, .unused = next, .why = why, .worth = worth});
  if (!all_fit) Counts::add(Count::refreshes_dropped);
}

void TieredCache::Impl::arm(Duration delay) {
  if (armed_.exchange(true)) return;
  config_.after(delay, [this] { pump(); });
}

void TieredCache::Impl::pump() {
  // Whoever wants something from now on arms again.
  armed_.store(false);
  // What the breaker would refuse waits until L2 is asked again.
  if (queue_.waiting() != 0 && breaker_.state(config_.now()) != guard::Breaker::State::closed)
    return arm(kUntilAsked);
  while (auto wanted = queue_.take(config_.now())) read_unasked(*std::move(wanted));
  const TimePoint now = config_.now();
  const TimePoint next = queue_.next(now);
  if (next != kForever) arm(next - now);
}

void TieredCache::Impl::read_unasked(Wanted wanted) {
  const KeyRef ref = wanted.key.ref();
  if (lane(ref).epoch() != wanted.epoch) {
    queue_.refund();
    return Counts::add(Count::refreshes_dropped);
  }
  const TimePoint now = config_.now();
  std::unique_ptr<Fetch> call;
  const bool needless = flights_.begin_if_none(
      ref, now, config_.lease, [&] { return !is_new_here(ref); },
      [&]() -> Flights::Flight& {
        call = std::make_unique<Fetch>(*this, prefixes_.of(ref.name), Key(ref),
                                       saturating_add(now, config_.refresh_timeout), config_.types);
        call->unused = wanted.unused;
        call->unasked = wanted.why;
        call->on_behalf = false;
        return call->flight;
      });
  if (needless) return queue_.refund();
  Counts::add(count_of(wanted.why));
  Counts::add(Count::fills);
  if (wanted.why == Unasked::warmup) warmup_.under_way.fetch_add(1);
  send(std::move(call));
}

}  // namespace nearlane::tier
