// Whether L2 is asked: what the breaker is told, what becomes of a call that it refuses, and what L1 may serve
// meanwhile.
#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "core/base/epoch.h"
#include "core/tier/calls.h"
#include "core/tier/tiered_cache_impl.h"

namespace nearlane::tier {
namespace {

using cohere::Answer;
using cohere::Command;

/// A probe that is not answered by then has failed.
constexpr Duration kProbeTimeout = std::chrono::milliseconds(500);

/// What a store answers that cannot serve anybody now.
constexpr std::array<std::string_view, 3> kAway = {"LOADING ", "MASTERDOWN ", "CLUSTERDOWN "};

/// Of ours, those that say something of L2.
constexpr std::array kFailures = {Errc::timeout, Errc::connection_lost, Errc::protocol, Errc::busy};

bool is_failure(const Answer& answer) noexcept {
  if (answer.error) return std::ranges::find(kFailures, answer.error->code) != kFailures.end();
  return says_away(answer);
}

}  // namespace

bool says_away(const Answer& answer) noexcept {
  return !answer.error && answer.reply.is_error() &&
         std::ranges::any_of(
             kAway, [&](std::string_view code) { return answer.reply.text.starts_with(code); });
}

std::uint32_t TieredCache::Impl::chance() const {
  if (config_.chance) return config_.chance();
  // What one thread draws is no other's line of the cache.
  thread_local std::minstd_rand random{std::random_device{}()};
  return static_cast<std::uint32_t>(random());
}

void TieredCache::Impl::send(std::unique_ptr<Guarded> call) noexcept {
  if (breaker_.admits(config_.now(), chance())) return l2_->submit(std::move(call));
  Counts::add(Count::refused);
  call->refuse(
      {Errc::unavailable,
       "most calls failed of late, so it is not asked; it is tried again within a second"});
}

void TieredCache::Impl::note_size(const Command& command, const Answer& answer) noexcept {
  // What came late or not at all has held up the lane, too; of that only what went is known.
  std::size_t came = answer.error ? 0 : answer.reply.text.size();
  for (const protocol::Reply& element : answer.reply.elements) came += element.text.size();
  std::size_t went = command.value ? command.value->value().size() : 0;
  // Behind the command's name and the key's.
  for (std::size_t i = 2; i < command.args.size(); ++i) went += command.args[i].size();
  const std::size_t bytes = std::max(came, went);
  if (bytes < LargeValues::kLeast || !l2_->capabilities().in_line) return;
  if (command.wide || command.op == cohere::Op::compare) return;  // outside the lanes
  const KeyRef key = command.key.ref();
  if (lane_map_.is_bulk(lane_map_.of(key))) return;
  Counts::add(Count::large_in_line);
  if (!config_.on_large) return;
  if (const auto told = large_values_.note(prefixes_, key, bytes, config_.now()))
    config_.on_large(*told);
}

const Entry* TieredCache::Impl::stale(const KeyRef& key, TimePoint now) noexcept {
  const Duration max_stale = prefixes_.of(key.name).max_stale;
  if (max_stale <= Duration::zero()) return nullptr;
  const cohere::LaneView& view = lane(key);
  const TimePoint lease = view.lease_until();  // before the entry: LaneView::vouches
  const Entry* entry = l1_->peek(key);
  if (entry == nullptr || entry->negative() || now >= entry->deadline()) return nullptr;
  const TimePoint until = view.vouched_until(*entry, lease);
  if (until == TimePoint::min() || now >= saturating_add(until, max_stale)) return nullptr;
  // A lease that was asked for since then proves that what the write changed was announced.
  const TimePoint undeclared(Duration(undeclared_at_.load(std::memory_order_acquire)));
  if (undeclared != TimePoint::min() && until < undeclared + l2_->capabilities().lease)
    return nullptr;
  Counts::add(Count::l1_stale);
  return entry;
}

Result<Lookup> TieredCache::Impl::stale_or(const Error& error, const KeyRef& key) noexcept {
  const TimePoint now = config_.now();
  if (breaker_.state(now) == guard::Breaker::State::closed) return error;
  const epoch::Guard guard;
  const Entry* entry = stale(key, now);
  if (entry == nullptr) return error;
  return Lookup{EntryPtr::pin(entry), Source::stale};
}

void TieredCache::Impl::note_outcome(const Command& command, const Answer& answer) noexcept {
  if (!config_.breaker || (answer.error && answer.error->code == Errc::shutting_down)) return;
  const TimePoint now = config_.now();
  // A connection that is being made, or cannot be had, costs its callers nothing; without any, nobody is served.
  if (answer.error && answer.error->code == Errc::unavailable) {
    if (l2_->health().lanes_up == 0) breaker_.trip(now, chance());
    return;
  }
  // Part of a cluster, and its nodes say so at once: it costs nobody a timeout, and ends when a replica has taken over.
  if (slots_ != nullptr && !answer.error && answer.reply.text.starts_with("CLUSTERDOWN ")) return;
  // That others write its key all the time, or that it waits for those who compare such keys. L2 has answered each look.
  const bool contended =
      command.op == cohere::Op::compare && answer.error && answer.error->code == Errc::busy;
  if (contended) return;
  breaker_.note(is_failure(answer), now, chance());
}

l2::Health TieredCache::Impl::health() const {
  l2::Health health = l2_->health();
  const auto state = breaker_.state(config_.now());
  if (state == guard::Breaker::State::open || state == guard::Breaker::State::half_open) {
    health.ready = false;
    health.detail = "not asked, since most calls failed; " + health.detail;
  }
  return health;
}

void TieredCache::Impl::probe() {
  const TimePoint now = config_.now();
  // While nobody is asked, nobody notices either that every connection is lost, or that they are there again.
  if (breaker_.state(now) == guard::Breaker::State::open) {
    const l2::Health health = l2_->health();
    if (health.lanes_up == 0) breaker_.trip(now, chance());
    if (health.ready) breaker_.back(now);
  }
  const unsigned due = breaker_.probes_due(now);
  if (due == 0) return;
  // Down those that are up; which lanes are not says nothing of the others.
  std::vector<std::size_t> up;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (is_back(lanes_[i])) up.push_back(i);
  }
  for (unsigned i = 0; i < due; ++i) {
    const std::size_t lane = up.empty() ? lanes_.size() * i / due : up[up.size() * i / due];
    Command ping{.op = cohere::Op::confirm,
                 .key = Key(0, std::string()),
                 .lane = lane,
                 .deadline = now + kProbeTimeout};
    l2_->submit(std::make_unique<Confirm>(
        *this, std::move(ping), [this](const std::optional<Error>& error) {
          breaker_.probed(error.has_value(), config_.now(), chance());
        }));
  }
}

}  // namespace nearlane::tier
