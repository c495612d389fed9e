// Refilling: a lost lane has disowned all that L1 holds of it, and its keys would miss one by one, each when it is
// next asked for. So once the lane is back they are read again unasked, the hottest first, as fast as the
// refresh queue's limits allow; what somebody asks for meanwhile does not wait for that.
//
// L1 is walked in small steps with pauses between, on the thread that config_.after chooses. The entries that are found are
// read like any other: nothing is served for what they were. A lane that is lost again cancels what waits for it.
#include <vector>

#include "core/base/epoch.h"
#include "core/tier/tiered_cache_impl.h"

namespace nearlane::tier {
namespace {

/// So many keys in a row that L2 has no more: it was flushed, or another one took its place.
constexpr unsigned kMostGone = 64;

/// Places of L1 that are looked at in one step.
constexpr std::size_t kStep = 1024;

}  // namespace

void TieredCache::Impl::refill() {
  if (!reads_unasked()) return;
  bool lost = false;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const Epoch epoch = lanes_[i].epoch();
    if (refilled_[i] == epoch || !is_back(lanes_[i])) continue;
    refilled_[i] = epoch;
    lost = true;
  }
  // A walk that is under way may have passed entries of a lane that had not been back by then; one more follows it.
  if (!lost) return;
  note_gone(Unasked::refill, true);
  if (refills_due_.fetch_add(1) == 0) refill_from({}, 1);
}

void TieredCache::Impl::note_gone(Unasked why, bool there) noexcept {
  auto& gone = gone_[static_cast<std::size_t>(why)];
  if (there) return gone.store(0, std::memory_order_relaxed);
  if (gone.fetch_add(1, std::memory_order_relaxed) + 1 != kMostGone) return;
  Counts::add(Count::refreshes_dropped, queue_.cancel_all(why));
}

bool TieredCache::Impl::all_gone(Unasked why) const noexcept {
  return gone_[static_cast<std::size_t>(why)].load(std::memory_order_relaxed) >= kMostGone;
}

void TieredCache::Impl::refill_from(l1::WalkPlace from, unsigned answered) {
  if (find_disowned(from))
    return config_.after(kWalkPause, [this, from, answered] { refill_from(from, answered); });
  // Only now is it known which are the hottest.
  arm(Duration::zero());
  const unsigned left = refills_due_.fetch_sub(answered) - answered;
  if (left != 0) config_.after(kWalkPause, [this, left] { refill_from({}, left); });
}

bool TieredCache::Impl::find_disowned(l1::WalkPlace& from) {
  const TimePoint now = config_.now();
  const bool more = walk_step(from, [&](const Entry& entry, float worth) {
    if (all_gone(Unasked::refill)) return;
    const KeyRef key = entry.key();
    const cohere::LaneView& view = lane(key);
    // One that cannot be read yet is found by the walk that follows when its lane is back.
    if (entry.epoch() == view.epoch() || !is_back(view) || now >= entry.deadline()) return;
    want(key, entry.unused(), Unasked::refill, worth);
  });
  return more && !all_gone(Unasked::refill);
}

bool TieredCache::Impl::walk_step(l1::WalkPlace& from,
                                  const std::function<void(const Entry&, float worth)>& visit) {
  struct Found {
    const Entry* entry;
    float worth;
  };
  std::vector<Found> found;
  found.reserve(kStep);
  const epoch::Guard guard;
  const bool more = l1_->walk_on(from, kStep, [&](const Entry& entry, float worth) {
    if (!entry.negative()) found.push_back({&entry, worth});
  });
  for (const auto& [entry, worth] : found) visit(*entry, worth);
  return more;
}

}  // namespace nearlane::tier
