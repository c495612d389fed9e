// L1Map: bounded map in the process, keyed by bytes. Never does I/O; a miss is null, not an error.
//
// Units:     a byte budget that counts entries as the allocator sees them, the map's own slots, and
//            what was retired, until its turn to be freed comes. What a pin keeps alive beyond that is its
//            holder's, and counts nowhere.
// Time:      arrives as an argument, so that tests own it. The map knows deadlines only to sweep;
//            whether an entry may be served is the tier's question.
// Errors:    none; put says what it did.
// Threads:   any thread may call anything. Readers hold an epoch::Guard.
// Lifetime:  an entry that find returns stays valid inside the caller's epoch::Guard
//            (core/base/epoch.h); pin it to keep it longer. Entries that leave the map are retired
//            through epoch::retire.
// Cost:      find: no allocation, one virtual call; what it writes beside the map's own lock is the policy's note in
//            the entry (core/l1/policy says how often).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/key.h"
#include "core/base/result.h"
#include "core/entry/entry.h"

namespace nearlane::l1 {

enum class PutOutcome : std::uint8_t {
  inserted,
  replaced,
  rejected,  // larger than the map's share for one entry, or negative and over the quota of those, or no room: a full
  // map without a policy, or one that has evicted as many for it as one call may. Whatever was under the
  // key is gone too
};

struct L1Stats {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;        // live entries and the map's slots
  std::uint64_t capacity = 0;     // the byte budget
  std::uint64_t evictions = 0;    // made room
  std::uint64_t expirations = 0;  // swept past their deadline
  std::uint64_t rejections = 0;
  std::uint64_t negatives = 0;  // those of the entries that say there is no such key
};

/// How far a walk in steps has come: at first, nowhere.
struct WalkPlace {
  std::uint64_t shard = 0;
  std::uint32_t cell = 0;
};

class L1Map {
 public:
  virtual ~L1Map() = default;

  /// Stable: it names the row in results/.
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  [[nodiscard]] virtual std::string_view policy() const noexcept = 0;

  /// The entry under `key`, or null. Counts as a use for the policy.
  [[nodiscard]] virtual const Entry* find(const KeyRef& key) noexcept = 0;
  /// find() that is no use: for whoever asks on nobody's behalf.
  [[nodiscard]] virtual const Entry* peek(const KeyRef& key) const noexcept = 0;
  /// find for each key; out[i] belongs to keys[i]. Overlaps the cache misses of independent keys
  /// where the map can.
  virtual void find_batch(std::span<const KeyRef> keys, std::span<const Entry*> out) noexcept = 0;

  virtual PutOutcome put(EntryPtr entry) = 0;
  /// Puts `next` only where `expected` still is, which is no use; where `expected` is itself among what has to go for
  /// `next`, that comes in as put() would have it. False: something newer is there, or nothing, or there is no room for
  /// `next`; then `expected` stays, unless it had gone for it already.
  virtual bool replace_if(const Entry* expected, EntryPtr next) = 0;
  /// True: it was there.
  virtual bool erase(const KeyRef& key) noexcept = 0;
  /// The deadline of `entry`, which was found under the guard that still holds, is earlier than it
  /// was. One that moved later needs no call.
  virtual void reschedule(const Entry& entry) noexcept = 0;
  /// Drops entries past their deadline, looking at no more than `max` entries; goes on next time
  /// where it stopped. Returns how many it dropped.
  virtual std::size_t sweep(TimePoint now, std::size_t max) noexcept = 0;
  virtual void clear() noexcept = 0;
  /// A step of a walk over all entries, in no order: goes on at `from` past `max` places at most, calls `visit` for
  /// what they hold, under a shard's lock, so it must not call the map. `worth` compares entries by how likely they
  /// are to be used again, as far as the policy can tell; the hottest have the most. False: that was the end.
  /// Not a snapshot: what is there all the while is visited once.
  virtual bool walk_on(WalkPlace& from, std::size_t max,
                       const std::function<void(const Entry&, float worth)>& visit) const = 0;
  /// All of them.
  void walk(const std::function<void(const Entry&)>& visit) const {
    constexpr std::size_t kStep = 1024;
    WalkPlace from;
    while (walk_on(from, kStep, [&](const Entry& entry, float) { visit(entry); })) {
    }
  }
  [[nodiscard]] virtual L1Stats stats() const noexcept = 0;
};

/// A map that shards, and is limited in entries, gives each shard at least so many: small shards fill unevenly.
inline constexpr std::uint64_t kShardEntries = 4096;

struct L1Config {
  std::string_view map = "native";
  std::string_view policy = "adaptive";
  std::uint64_t bytes = std::uint64_t{256} << 20U;
  std::uint64_t entries = 0;  // 0: no limit
};

/// Makes the map that the configuration names. Errors: invalid_argument, listing the names that
/// exist.
[[nodiscard]] Result<std::unique_ptr<L1Map>> make_l1(const L1Config& config);
[[nodiscard]] std::vector<std::string_view> map_names();
[[nodiscard]] std::vector<std::string_view> policy_names();

}  // namespace nearlane::l1
