// Recency: what only L1 is asked for looks idle to L2, and a Redis that evicts what was not used for the longest time, or
// the least often, would throw out the hottest sessions first. So L1 is walked all the while, and some of what is found, the hotter
// the likelier, are named to L2 in a TOUCH, which changes nothing and is announced to nobody.
//
// It goes outside the lanes: over a lane a command that finds a key ended drops its registration, and nobody is told.
#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "core/base/epoch.h"
#include "core/tier/calls.h"
#include "core/tier/tiered_cache_impl.h"

namespace nearlane::tier {

using cohere::Command;
using cohere::Op;

namespace {

/// Entries of L1 among which a turn chooses, if there are so many.
constexpr std::size_t kEnough = 1024;
/// Steps of the walk in one turn, however little they find: as many as a map has shards.
constexpr unsigned kMostSteps = 64;
/// After a longer pause than this there is no more to say than after this one.
constexpr Duration kLongest = std::chrono::seconds(1);

}  // namespace

void TieredCache::Impl::touch_hottest(TimePoint now) {
  if (config_.hot_touches_per_s == 0 || !l2_->capabilities().evicts) return;
  const Duration since = std::min<Duration>(kLongest, now - std::exchange(touched_at_, now));
  const std::uint64_t hits_now = hits();
  if (std::exchange(touched_hits_, hits_now) == hits_now || breaker_.refuses_all()) return;
  touches_due_ += config_.hot_touches_per_s * std::chrono::duration<double>(since).count();
  const auto most = static_cast<std::size_t>(touches_due_);
  touches_due_ -= static_cast<double>(most);

  for (auto& [db, names] : hottest(most, now)) {
    Counts::add(Count::hot_touches, names.size());
    names.insert(names.begin(), "TOUCH");
    Command touch{.op = Op::raw,
                  .key = Key(db, std::string()),
                  .args = std::move(names),
                  .wide = true,
                  .idempotent = true,
                  .deadline = now + config_.refresh_timeout};
    auto call = std::make_unique<Raw>(*this, std::move(touch), std::vector<Key>(),
                                      [](const Result<protocol::Reply>&) {});
    call->on_behalf = false;
    send(std::move(call));
  }
}

std::map<std::uint32_t, std::vector<std::string>> TieredCache::Impl::hottest(std::size_t most,
                                                                             TimePoint now) {
  struct Found {
    const Entry* entry;
    float worth;
  };
  std::vector<Found> found;
  const epoch::Guard guard;  // over what is found, too
  bool more = true;
  // A step ends with its shard, and there may be few entries in each.
  for (unsigned steps = 0; more && found.size() < kEnough && steps < kMostSteps; ++steps) {
    more = walk_step(touched_to_, [&](const Entry& entry, float worth) {
      if (now < entry.deadline()) found.push_back({&entry, worth});
    });
  }
  if (!more) touched_to_ = {};
  if (found.empty()) return {};
  std::map<std::uint32_t, std::vector<std::string>> names;
  std::uniform_int_distribution<std::size_t> any(0, found.size() - 1);
  for (std::size_t i = 0; i < most; ++i) {
    // The hotter of two: equals have equal chances, and the coldest are hardly ever named.
    const Found& one = found[any(touched_random_)];
    const Found& other = found[any(touched_random_)];
    const Entry& hotter = *(one.worth < other.worth ? other : one).entry;
    const KeyRef key = hotter.key();
    if (hotter.epoch() != lane(key).epoch()) continue;  // nobody is served it
    names[key.db].emplace_back(key.name);
  }
  return names;
}

}  // namespace nearlane::tier
