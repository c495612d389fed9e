// Flights: the calls under way that may install into L1 when they settle, and who waits for them.
//
// Invariant: a call that began before a change of its key became known here does not install after
// it. A change (somebody else's write announced by L2, a command of ours whose result we do not
// know) revokes the key's flights and drops the key from L1 in one step; a flight that settles
// looks at its revocation and puts into L1 in one step; both steps hold the same lock, so one of
// them sees the other. Calls of one lane need no more than that: they settle in the order in which
// L2 executed them, so the last word is L2's.
//
// A fetch is also what later askers join instead of sending their own (single flight), as long as
// it is not revoked and younger than the lease: an older one might answer with a value that was
// overwritten, and the overwriting acknowledged, before the asker came.
//
// Threads:   any.
// Lifetime:  a Flight is owned by its call and must settle() before it dies.
// Cost:      one uncontended lock of a shard each time; never on a hit.
// Source:    docs/coherence.md; Nishtala et al., "Scaling Memcache at
//            Facebook", NSDI 2013 (leases) for the token.
#pragma once

#include <array>
#include <cstddef>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/key.h"

namespace nearlane::cohere {

/// `WaiterType` is whatever the asker wants back.
template <class WaiterType>
class Flights {
 public:
  using Waiter = WaiterType;
  class Flight {
   public:
    explicit Flight(const Key& key) : key_(key) {}

    /// What it brings is enough for those, too, who ask for more than the value. Before it is registered.
    bool whole = false;

   private:
    friend class Flights;
    const Key& key_;  // the call's own, which outlives the flight
    TimePoint began_{};
    bool revoked_ = false;
    bool joinable_ = false;
    std::vector<Waiter> waiters_;
  };

  /// Joins a fetch in flight, or makes the caller the one who fetches. `again` looks once more
  /// whether L1 has it by now; it runs under the lock. True: nothing is left to do but wait, or
  /// `again` said so. False: `make` has returned a new Flight that is now registered, and the
  /// caller must send its call. `whole`: only one that is whole is joined.
  template <class Again, class Make>
  bool join_or_begin(const KeyRef& key, TimePoint now, Duration max_age, Waiter& waiter,
                     Again&& again, Make&& make, bool whole = false) {
    Shard& shard = shard_of(key.hash);
    const std::lock_guard lock(shard.mutex);
    if (Flight* flight = joinable(shard, key, now, max_age, whole)) {
      flight->waiters_.push_back(std::move(waiter));
      return true;
    }
    if (std::forward<Again>(again)()) return true;
    Flight& flight = std::forward<Make>(make)();
    flight.began_ = now;
    flight.joinable_ = true;
    flight.waiters_.push_back(std::move(waiter));
    shard.flights.emplace(key.hash, &flight);
    return false;
  }

  /// Registers a fetch that nobody waits for, unless one is under way that somebody waits for, or `again` says that
  /// nothing is left to do; then true. Nobody joins it: its deadline and its failures are not those of an asker.
  template <class Again, class Make>
  bool begin_if_none(const KeyRef& key, TimePoint now, Duration max_age, Again&& again,
                     Make&& make) {
    Shard& shard = shard_of(key.hash);
    const std::lock_guard lock(shard.mutex);
    if (joinable(shard, key, now, max_age, false) != nullptr || std::forward<Again>(again)())
      return true;
    Flight& flight = std::forward<Make>(make)();
    flight.began_ = now;
    shard.flights.emplace(key.hash, &flight);
    return false;
  }

  /// Registers a flight that nobody joins: a write, or a read that must follow one.
  void begin(Flight& flight, TimePoint now) {
    Shard& shard = shard_of(flight.key_.hash);
    const std::lock_guard lock(shard.mutex);
    flight.began_ = now;
    shard.flights.emplace(flight.key_.hash, &flight);
  }

  /// Ends a flight. `install(revoked)` runs under the lock and does to L1 what is due. Returns
  /// those who joined.
  template <class Install>
  std::vector<Waiter> settle(Flight& flight, Install&& install) {
    Shard& shard = shard_of(flight.key_.hash);
    const std::lock_guard lock(shard.mutex);
    auto [first, last] = shard.flights.equal_range(flight.key_.hash);
    for (auto it = first; it != last; ++it) {
      if (it->second == &flight) {
        shard.flights.erase(it);
        break;
      }
    }
    std::forward<Install>(install)(flight.revoked_);
    return std::move(flight.waiters_);
  }

  /// As settle(), and nothing else under way for the key installs any more: of another lane it may be older.
  template <class Install>
  std::vector<Waiter> settle_alone(Flight& flight, Install&& install) {
    return settle(flight, [&](bool revoked) {
      revoke_all(shard_of(flight.key_.hash), flight.key_.ref());
      std::forward<Install>(install)(revoked);
    });
  }

  /// The key changed: nothing under way for it installs any more. `drop` runs under the lock and
  /// takes it out of L1.
  template <class Drop>
  void revoke(const KeyRef& key, Drop&& drop) {
    Shard& shard = shard_of(key.hash);
    const std::lock_guard lock(shard.mutex);
    revoke_all(shard, key);
    std::forward<Drop>(drop)();
  }

  /// Runs `what` in one step, as far as the key's revocations and settlements are concerned.
  template <class What>
  void in_one_step(const KeyRef& key, What&& what) {
    const std::lock_guard lock(shard_of(key.hash).mutex);
    std::forward<What>(what)();
  }

 private:
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_multimap<std::uint64_t, Flight*> flights;
  };

  static void revoke_all(Shard& shard, const KeyRef& key) {
    auto [first, last] = shard.flights.equal_range(key.hash);
    for (auto it = first; it != last; ++it) {
      if (it->second->key_.ref() != key) continue;
      it->second->revoked_ = true;
      it->second->joinable_ = false;
    }
  }

  /// A fetch of the key under way that may be joined, or null.
  static Flight* joinable(Shard& shard, const KeyRef& key, TimePoint now, Duration max_age,
                          bool whole) {
    auto [first, last] = shard.flights.equal_range(key.hash);
    for (auto it = first; it != last; ++it) {
      Flight& flight = *it->second;
      if (flight.joinable_ && (flight.whole || !whole) && now - flight.began_ < max_age &&
          flight.key_.ref() == key) {
        return &flight;
      }
    }
    return nullptr;
  }
  static constexpr std::size_t kShards =
      64;  // far more than threads, so that two misses rarely meet
  Shard& shard_of(std::uint64_t hash) noexcept { return shards_[hash % kShards]; }
  std::array<Shard, kShards> shards_;
};

}  // namespace nearlane::cohere
