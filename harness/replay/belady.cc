#include "harness/replay/belady.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>

namespace nearlane::harness {
namespace {

constexpr std::uint32_t kAbsent = 0xffffffffU;
/// Stands for the distance to a use that never comes; longer than any trace. Unit: requests.
constexpr double kForeverAway = 1e12;
/// A heap with fewer places is never cleared of stale ones.
constexpr std::size_t kFewPlaces = 1024;

struct Resident {
  std::uint32_t use = kAbsent;  // its next use, kNoUse, or kAbsent
  std::uint64_t cost = 0;
};

/// Classes an eighth of a power of two wide.
constexpr std::size_t class_of(std::uint64_t cost) noexcept {
  const auto width = static_cast<std::size_t>(std::bit_width(cost));
  return width <= 4 ? static_cast<std::size_t>(cost) : width * 8 + ((cost >> (width - 4)) & 7U);
}
constexpr std::size_t kClasses = 64 * 8 + 8;
static_assert(class_of(~std::uint64_t{0}) < kClasses && class_of(15) < class_of(16));

/// The residents of one size class, the furthest next use on top. A hit adds a place and leaves the old
/// one behind as stale.
class Furthest {
 public:
  struct Place {
    std::uint32_t use;
    std::uint32_t key;
    friend bool operator<(const Place& a, const Place& b) noexcept { return a.use < b.use; }
  };

  template <class IsStale>
  void push(Place place, const IsStale& is_stale) {
    if (places_.size() >= clear_at_) {
      std::erase_if(places_, is_stale);
      std::make_heap(places_.begin(), places_.end());
      clear_at_ = std::max(kFewPlaces, places_.size() * 2);
    }
    places_.push_back(place);
    std::push_heap(places_.begin(), places_.end());
  }

  /// The furthest resident, or null.
  template <class IsStale>
  const Place* top(const IsStale& is_stale) {
    while (!places_.empty() && is_stale(places_.front())) {
      std::pop_heap(places_.begin(), places_.end());
      places_.pop_back();
    }
    return places_.empty() ? nullptr : &places_.front();
  }

 private:
  std::vector<Place> places_;
  std::size_t clear_at_ = kFewPlaces;
};

class Clairvoyant {
  /// Tells the places that their keys have left behind.
  [[nodiscard]] auto stale_in(std::size_t size_class) const {
    return [this, size_class](const Furthest::Place& place) {
      const auto& resident = residents_[place.key];
      return resident.use != place.use || class_of(resident.cost) != size_class;
    };
  }

 public:
  Clairvoyant(std::size_t keys, std::uint64_t capacity) : residents_(keys), capacity_(capacity) {}

  [[nodiscard]] bool holds(std::uint32_t key) const { return residents_[key].use != kAbsent; }

  [[nodiscard]] std::uint64_t cost(std::uint32_t key) const { return residents_[key].cost; }

  void drop(std::uint32_t key) {
    auto& resident = residents_[key];
    if (resident.use == kAbsent) return;
    taken_ -= resident.cost;
    resident.use = kAbsent;
  }

  /// Keeps the key until `use`, whether or not there is room for it.
  void keep(std::uint32_t key, std::uint32_t use, std::uint64_t cost) {
    auto& resident = residents_[key];
    const auto size_class = class_of(cost);
    const bool has_place = resident.use == use && class_of(resident.cost) == size_class;
    if (resident.use != kAbsent) taken_ -= resident.cost;
    taken_ += cost;
    resident = {use, cost};
    if (has_place) return;
    if (!in_use_[size_class]) {
      in_use_[size_class] = true;
      used_.push_back(size_class);
    }
    classes_[size_class].push({use, key}, stale_in(size_class));
  }

  /// Evicts until `more` fits beside what is held. Precondition: it fits alone.
  void make_room(std::uint64_t more, std::uint32_t now) {
    while (taken_ + more > capacity_) drop(worst(now));
  }

 private:
  [[nodiscard]] std::uint32_t worst(std::uint32_t now) {
    double most = -1;
    std::uint32_t key = 0;
    for (const auto size_class : used_) {
      const auto* place = classes_[size_class].top(stale_in(size_class));
      if (place == nullptr) continue;
      const double away = place->use == kNoUse ? kForeverAway : place->use - now;
      const double score = away * static_cast<double>(residents_[place->key].cost);
      if (score > most) {
        most = score;
        key = place->key;
      }
    }
    return key;
  }

  std::vector<Resident> residents_;
  std::array<Furthest, kClasses> classes_;
  std::array<bool, kClasses> in_use_{};
  std::vector<std::size_t> used_;
  std::uint64_t capacity_;
  std::uint64_t taken_ = 0;
};

/// `put(i)` keeps the key of request i: a hit's until its next use, or what a miss or a write brings.
template <class Put>
std::uint64_t count_misses(const RequestLog& log, Clairvoyant& cache, const Put& put) {
  std::uint64_t misses = 0;
  for (std::uint32_t i = 0; i < log.requests.size(); ++i) {
    const Request& request = log.requests[i];
    switch (request.kind) {
      case Request::Kind::read:
        if (!cache.holds(request.key)) ++misses;
        put(i);
        break;
      case Request::Kind::cold_read:
        ++misses;
        put(i);
        break;
      case Request::Kind::dead_read:
        ++misses;
        cache.drop(request.key);
        break;
      case Request::Kind::write:
        put(i);
        break;
      case Request::Kind::touch:
        break;
      case Request::Kind::erase:
        cache.drop(request.key);
        break;
    }
  }
  return misses;
}

}  // namespace

std::vector<std::uint32_t> next_uses(const RequestLog& log) {
  std::vector<std::uint32_t> uses(log.requests.size(), kNoUse);
  std::vector<std::uint32_t> upcoming(log.keys.size(), kNoUse);
  for (std::size_t i = uses.size(); i-- > 0;) {
    auto& next = upcoming[log.requests[i].key];
    switch (log.requests[i].kind) {
      case Request::Kind::read:
        uses[i] = next;
        next = static_cast<std::uint32_t>(i);
        break;
      case Request::Kind::cold_read:
      case Request::Kind::write:
        uses[i] = next;
        next = kNoUse;
        break;
      case Request::Kind::dead_read:
      case Request::Kind::erase:
        next = kNoUse;
        break;
      case Request::Kind::touch:
        break;
    }
  }
  return uses;
}

std::uint64_t belady_misses(const RequestLog& log, const std::vector<std::uint32_t>& uses,
                            std::uint64_t objects) {
  Clairvoyant cache(log.keys.size(), objects);
  return count_misses(log, cache, [&](std::uint32_t i) {
    const auto key = log.requests[i].key;
    if (!cache.holds(key)) cache.make_room(1, i);
    cache.keep(key, uses[i], 1);
  });
}

std::uint64_t belady_size_misses(const RequestLog& log, const std::vector<std::uint32_t>& uses,
                                 std::uint64_t bytes,
                                 const std::function<std::uint64_t(const Request&)>& cost) {
  Clairvoyant cache(log.keys.size(), bytes);
  return count_misses(log, cache, [&](std::uint32_t i) {
    // A hit changes neither the value nor its size.
    const Request& request = log.requests[i];
    const bool hit = request.kind == Request::Kind::read && cache.holds(request.key);
    const auto taken = hit ? cache.cost(request.key) : cost(request);
    if (taken > bytes) return cache.drop(request.key);
    cache.keep(request.key, uses[i], taken);
    cache.make_room(0, i);
  });
}

}  // namespace nearlane::harness
