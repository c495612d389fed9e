// Warm-up: what keeps an instance that has just begun from being a cold one.
//
// A running instance leaves a list of the names that its L1 found most worth keeping in L2: now and again, for the case
// that it is killed, and once more when it is told to end. One that begins reads all such lists, its own first, and has
// their keys read in the background, the hottest first, within the refresh queue's limits. Until that is done, or its
// limit has passed, it says that it is warming, so that a balancer may leave it alone; whoever asks it is served.
//
//      waiting ──L2 is there──► asking ──all lists──► reading ──none left──► over: a list now and again
//         ▲                       │
//         └──── L2 failed ────────┘         the limit: Warming::late, and all goes on
//
// A list is believed in for what to read and for nothing else: each key is an ordinary fill, by its lane, with the
// ordinary rules of what may be installed. A stale list costs reads; one that nobody can read costs the warm-up.
//
// What others change meanwhile is read again, whatever its prefix says: nobody asks for it yet.
//
// What the store keeps aside for us is read and written outside the lanes, and L1 holds nothing of it.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/tier/calls.h"
#include "core/tier/tiered_cache_impl.h"

namespace nearlane::tier {
namespace {

using cohere::Command;
using cohere::Op;

/// A list outlives the next one's time by so much, and an instance that is gone for longer begins cold: what was hot
/// then has mostly ended, or is not any more.
constexpr auto kOutlives = std::chrono::hours(1);

/// Of a list on its way; whoever ends waits for it.
constexpr Duration kListTimeout = std::chrono::seconds(1);

/// The part of L1 that a warm-up fills. What is colder than all that would throw out what is hotter.
constexpr std::uint64_t kFillTenths = 9;

/// An embedded store has no clients of its own, and no door selects its last database: nobody meets a list there.
Key list_key(const l2::Capabilities& l2, std::size_t list) {
  return {l2.every_command ? l2.default_db : kDatabases - 1,
          std::string(kHotListPrefix) + std::to_string(list)};
}

/// What L2 itself refuses it will refuse again, unless it is not ready to serve anybody.
bool may_pass(const Error& error) {
  if (error.code != Errc::l2_error) return true;
  cohere::Answer answer;
  answer.reply = protocol::Reply::error(error.detail);
  return says_away(answer);
}

}  // namespace

void TieredCache::Impl::begin_warmup(std::size_t own_list) {
  if (!config_.warmup.on || !reads_unasked() || !l2_->capabilities().outlives) return;
  warmup_.own_list = own_list % kHotLists;
  warmup_.ready_by = saturating_add(config_.now(), config_.warmup.limit);
  warmup_.state = Warming::yes;
}

void TieredCache::Impl::warm_up() {
  using Phase = Warmup::Phase;
  if (warmup_.state == Warming::off) return;
  if (warmup_.phase == Phase::waiting && health().ready) ask_for_hot_lists();
  if (warmup_.phase == Phase::reading) read_hot_keys();
  const TimePoint now = config_.now();
  if (warmup_.state == Warming::yes && now >= warmup_.ready_by) end_warmup(false);
  if (warmup_.phase == Phase::over && now >= warmup_.save_at) {
    warmup_.save_at = saturating_add(now, config_.warmup.interval);
    save_hot_keys([] {});
  }
}

TimePoint TieredCache::Impl::list_deadline() const {
  return saturating_add(config_.now(), std::min(config_.refresh_timeout, kListTimeout));
}

void TieredCache::Impl::ask_for_hot_lists() {
  warmup_.phase = Warmup::Phase::asking;
  warmup_.lists.assign(kHotLists, {});
  warmup_.outcome = {};
  warmup_.unanswered = kHotLists;
  warmup_.failed = false;
  for (std::size_t list = 0; list < kHotLists; ++list) {
    Key key = list_key(l2_->capabilities(), list);
    Command get{.op = Op::raw,
                .key = key,
                .args = {"GET", key.name},
                .wide = true,
                .idempotent = true,
                .deadline = list_deadline()};
    auto call = std::make_unique<Raw>(
        *this, std::move(get), std::vector<Key>(), [this, list](Result<protocol::Reply> reply) {
          config_.after(Duration::zero(),
                        [this, list, reply = std::move(reply)] { hear_hot_list(list, reply); });
        });
    call->on_behalf = false;
    send(std::move(call));
  }
}

void TieredCache::Impl::hear_hot_list(std::size_t list, const Result<protocol::Reply>& reply) {
  const auto unreadable = [&](const std::string& why) {
    warmup_.outcome.unreadable.push_back(std::string(kHotListPrefix) + std::to_string(list) + ": " +
                                         why);
  };
  if (!reply && may_pass(reply.error())) {
    warmup_.failed = true;
  } else if (!reply) {
    unreadable(reply.error().detail);
  } else if (!reply->is_null()) {
    auto keys = parse_hot_keys(reply->text);
    if (keys) warmup_.lists[list] = std::move(*keys);
    if (!keys) unreadable(keys.error().detail);
  }
  if (--warmup_.unanswered != 0) return;
  if (warmup_.failed) {
    warmup_.phase = Warmup::Phase::waiting;
    return;
  }
  // clang 14 cannot compile that of ranges.
  std::rotate(warmup_.lists.begin(),
              warmup_.lists.begin() + static_cast<std::ptrdiff_t>(warmup_.own_list),
              warmup_.lists.end());
  auto keys = merge_hot_keys(std::exchange(warmup_.lists, {}), config_.warmup.most_keys);
  warmup_.outcome.keys = keys.size();
  auto worth = static_cast<float>(keys.size());
  for (Key& key : keys) warmup_.pending.push_back({.key = std::move(key), .worth = worth--});
  warmup_.phase = Warmup::Phase::reading;
  read_hot_keys();
}

void TieredCache::Impl::read_hot_keys() {
  const auto wanted = [this](const Warmup::Hot& hot) {
    const KeyRef key = hot.key.ref();
    if (!is_back(lane(key))) return false;
    if (!prefixes_.of(key.name).l1) return true;
    note_db(key.db);
    want(key, 0, Unasked::warmup, hot.worth);
    return true;
  };
  if (std::erase_if(warmup_.pending, wanted) != 0) arm(Duration::zero());
  const l1::L1Stats l1 = l1_->stats();
  const bool full = l1.bytes / kFillTenths >= l1.capacity / 10;
  if (full || all_gone(Unasked::warmup))
    Counts::add(Count::refreshes_dropped, queue_.cancel_all(Unasked::warmup));
  if (warmup_.pending.empty() && queue_.waiting(Unasked::warmup) == 0 && warmup_.under_way == 0) {
    warmup_.phase = Warmup::Phase::over;
    warmup_.save_at = saturating_add(config_.now(), config_.warmup.interval);
    end_warmup(true);
  }
}

void TieredCache::Impl::end_warmup(bool in_time) {
  const Warming before = warmup_.state.exchange(in_time ? Warming::done : Warming::late);
  if (before != Warming::yes || !config_.warmup.on_end) return;
  warmup_.outcome.in_time = in_time;
  warmup_.outcome.left =
      warmup_.pending.size() + queue_.waiting(Unasked::warmup) + warmup_.under_way;
  config_.warmup.on_end(warmup_.outcome);
}

void TieredCache::Impl::save_hot_keys(std::function<void()> done) {
  if (warmup_.state == Warming::off || warmup_.phase != Warmup::Phase::over) return done();
  warmup_.saved.push_back(std::move(done));
  if (warmup_.gathered) return;
  warmup_.gathered.emplace(std::min(config_.warmup.most_keys, kMostHotKeys));
  gather_hot_keys({});
}

void TieredCache::Impl::gather_hot_keys(l1::WalkPlace from) {
  const TimePoint now = config_.now();
  const bool more = walk_step(from, [&](const Entry& entry, float worth) {
    const KeyRef key = entry.key();
    if (now < entry.deadline() && !key.name.starts_with(kHotListPrefix))
      warmup_.gathered->offer(entry, worth);
  });
  if (more) return config_.after(kWalkPause, [this, from] { gather_hot_keys(from); });
  const std::vector<Key> keys = warmup_.gathered->take();
  // Of an L1 that is empty nothing can be learnt; the last list may still be good.
  if (keys.empty()) return hot_list_saved();
  store_hot_list(keys);
}

void TieredCache::Impl::store_hot_list(const std::vector<Key>& keys) {
  Key key = list_key(l2_->capabilities(), warmup_.own_list);
  const auto lives =
      std::chrono::duration_cast<std::chrono::milliseconds>(config_.warmup.interval + kOutlives);
  Command set{.op = Op::raw,
              .key = key,
              .args = {"SET", key.name, format_hot_keys(keys), "PX", std::to_string(lives.count())},
              .wide = true,
              .changed = {key.name},
              .deadline = list_deadline()};
  auto call =
      std::make_unique<Raw>(*this, std::move(set), std::vector<Key>{std::move(key)},
                            [this](const Result<protocol::Reply>& reply) {
                              Counts::add(reply ? Count::hot_lists_saved : Count::hot_lists_failed);
                              config_.after(Duration::zero(), [this] { hot_list_saved(); });
                            });
  call->on_behalf = false;
  call->forget_all();
  send(std::move(call));
}

void TieredCache::Impl::hot_list_saved() {
  warmup_.gathered.reset();
  for (const auto& done : std::exchange(warmup_.saved, {})) done();
}

}  // namespace nearlane::tier
