#include "core/audit/recorder.h"

#include <algorithm>

namespace nearlane::audit {

std::string_view name_of(Event event) noexcept {
  static constexpr std::array<std::string_view, 9> kNames = {
      "fill", "fill_dropped", "write",   "write_dropped", "touch",
      "push", "evict",        "verdict", "bump"};
  return kNames[static_cast<std::size_t>(event)];
}

// A place that is being written has number kWriting. A reader that sees one of the new fields sees that too, or a
// later number, so it never takes the fields of two events for one. Nor do two writers ever fill one place: whoever
// comes round the ring to where another still writes, or has written what is newer, lets its own event go. That
// takes a thread that stood still while all others filled a ring.
template <std::size_t kSize>
void Recorder::Ring<kSize>::add(Event event, std::uint64_t hash, Epoch epoch,
                                TimePoint now) noexcept {
  const std::uint64_t number = last.fetch_add(1, std::memory_order_relaxed) + 1;
  Place& place = (*places)[number % kSize];
  std::uint64_t former = place.number.load(std::memory_order_relaxed);
  // Acquire: the former writer's fields come before ours.
  if (former == kWriting || former > number ||
      !place.number.compare_exchange_strong(former, kWriting, std::memory_order_acquire))
    return;
  place.hash.store(hash, std::memory_order_release);
  place.at.store(now.time_since_epoch().count(), std::memory_order_release);
  place.what.store(std::uint64_t{epoch} << 8U | static_cast<std::uint64_t>(event),
                   std::memory_order_release);
  place.number.store(number, std::memory_order_release);
}

template <std::size_t kSize>
void Recorder::Ring<kSize>::collect(std::uint64_t hash, std::vector<Happened>& out) const {
  for (const Place& place : *places) {
    const std::uint64_t number = place.number.load(std::memory_order_acquire);
    if (number == kEmpty || number == kWriting ||
        place.hash.load(std::memory_order_acquire) != hash)
      continue;
    const std::int64_t at = place.at.load(std::memory_order_acquire);
    const std::uint64_t what = place.what.load(std::memory_order_acquire);
    if (place.number.load(std::memory_order_relaxed) != number) continue;
    out.push_back({static_cast<Event>(what & 0xFFU), TimePoint(Duration(at)),
                   static_cast<Epoch>(what >> 8U)});
  }
}

void Recorder::record(Event event, std::uint64_t hash, Epoch epoch, bool keep,
                      TimePoint now) noexcept {
  if (keep || watched(hash)) {
    kept_.add(event, hash, epoch, now);
  } else {
    recent_.add(event, hash, epoch, now);
  }
}

void Recorder::watch(std::uint64_t hash) noexcept {
  if (watched(hash)) return;
  const std::size_t at = next_watched_.fetch_add(1, std::memory_order_relaxed);
  watched_[at % kWatched].store(hash, std::memory_order_relaxed);
}

bool Recorder::watched(std::uint64_t hash) const noexcept {
  if (next_watched_.load(std::memory_order_relaxed) == 0) return false;  // as a rule
  return std::ranges::any_of(watched_, [hash](const auto& watched) {
    return watched.load(std::memory_order_relaxed) == hash;
  });
}

std::vector<Happened> Recorder::of(std::uint64_t hash) const {
  std::vector<Happened> events;
  recent_.collect(hash, events);
  kept_.collect(hash, events);
  std::ranges::stable_sort(events, {}, &Happened::at);
  return events;
}

template <std::size_t kSize>
TimePoint Recorder::Ring<kSize>::complete_since() const noexcept {
  const std::uint64_t events = last.load(std::memory_order_relaxed);
  if (events < kSize) return TimePoint::min();
  const Place& oldest = (*places)[(events + 1) % kSize];
  return TimePoint(Duration(oldest.at.load(std::memory_order_relaxed)));
}

TimePoint Recorder::complete_since() const noexcept {
  return std::max(recent_.complete_since(), kept_.complete_since());
}

}  // namespace nearlane::audit
