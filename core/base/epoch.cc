// How the proof of safety goes, because it decides every memory order below.
//
// The global epoch G only grows. A reader's slot is 0 (idle) or the epoch that it read when its guard
// began. retire() gathers objects in the thread's own bag; seal() stamps what was gathered with the
// epoch r that a read-modify-write of G returns. G moves from g to g + 1 only after a scan has seen
// every slot either idle or equal to g, and what is stamped r is freed when G has reached r + 2.
//
// Take an object stamped r that is freed, so that some scan S moved G from r + 1 to r + 2. The seal was
// a read-modify-write of G that returned r, hence it comes before the one that wrote r + 1, which reads
// from it (release, acquire): all that the sealing thread unlinked happens before G = r + 1 is seen by
// anybody, S included. Now look at any guard and at what S found in its slot:
//   - idle, before the guard began: S wrote the idle slot back (compare_exchange), so the guard's
//     exchange reads from S or later and synchronises with it: the guard cannot find the object any more;
//   - the epoch r + 1: the guard read G = r + 1 (acquire), so again it cannot find the object;
//   - idle or a later guard of that thread: the guard had ended with a release store that S acquired,
//     and the thread that frees has acquired G >= r + 2: every use of the object comes before its free;
//   - anything else: the scan fails, G stays, and the object is not freed.
// Only release/acquire edges and the total order of one atomic's modifications are used, never a
// store-load fence. So the argument is the same on x86-64 and ARM64, and TSan, which does not model
// fences, can check it. Slots that are registered while a scan runs are ordered by Domain::mutex.
#include "core/base/epoch.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <mutex>
#include <new>

namespace nearlane::epoch {
namespace detail {

constinit thread_local Reader reader;
// On a line of its own: every guard reads it.
alignas(128) constinit std::atomic<std::uint64_t> now{1};

}  // namespace detail

namespace {

using detail::now;
using detail::reader;

/// A thread seals its bag at this many objects: each seal writes the shared epoch's cache line, which
/// every guard reads, so it should be rare beside guards.
constexpr std::size_t kSealObjects = 32;
/// Or at this many bytes, so that a few large values do not wait for company. Unit: bytes.
constexpr std::size_t kSealBytes = std::size_t{256} * 1024;
/// Distance that keeps two slots off one cache line and its neighbour, which x86 fetches in pairs.
constexpr std::size_t kLine = 128;

struct Retired {
  void* object;
  void (*free)(void*);
  std::size_t bytes;
  std::uint64_t epoch;
};

using Bag = std::deque<Retired>;

/// One thread's place in the domain. Slots are never freed: a new thread takes over an ended one's.
struct alignas(kLine) Slot {
  std::atomic<std::uint64_t> epoch{
      0};  // 0: idle. Written by the owner at each guard, and by scans.

  // The rest belongs to the owning thread, but for `taken`, which Domain::mutex protects.
  alignas(kLine) Bag bag;
  std::size_t unsealed = 0;        // objects at the bag's end without a stamp
  std::size_t unsealed_bytes = 0;  // of them; not in Domain::bytes yet
  bool collecting = false;         // free functions may retire; they must not start a second round
  bool taken = true;
  Slot* next = nullptr;
};

struct Domain {
  alignas(kLine) std::mutex mutex;    // scans, registration, orphans
  std::atomic<Slot*> slots{nullptr};  // pushed under the mutex, walked without it
  Bag orphans;                        // sealed; under the mutex
  std::atomic<std::size_t> orphan_count{0};
  // Sealed and not yet freed. On a line of its own: every put of a map reads it.
  alignas(kLine) std::atomic<std::uint64_t> bytes{0};
};

Domain& domain() {
  static auto* instance = new Domain;  // never destroyed: threads may end after main
  return *instance;
}

/// The thread's slot. Trivial like detail::reader; Leaver below brings the destructor.
constinit thread_local Slot* own = nullptr;

void seal(Slot& slot) noexcept {
  if (slot.unsealed == 0) return;
  // A write on purpose: a plain load could be older than the unlinks it is to stamp.
  const std::uint64_t stamp = now.fetch_add(0, std::memory_order_acq_rel);
  for (auto it = slot.bag.end() - static_cast<std::ptrdiff_t>(slot.unsealed); it != slot.bag.end();
       ++it) {
    it->epoch = stamp;
  }
  domain().bytes.fetch_add(slot.unsealed_bytes, std::memory_order_relaxed);
  slot.unsealed = 0;
  slot.unsealed_bytes = 0;
}

/// Leaves what the thread has retired to the domain. Under its mutex.
void hand_over(Slot& slot) noexcept {
  Domain& all = domain();
  all.orphans.insert(all.orphans.end(), slot.bag.begin(), slot.bag.end());
  all.orphan_count.store(all.orphans.size(), std::memory_order_relaxed);
  slot.bag.clear();
}

/// Gives the slot back, and what it had retired to the domain.
void leave() noexcept {
  Slot& slot = *own;
  seal(slot);
  const std::lock_guard lock(domain().mutex);
  hand_over(slot);
  slot.taken = false;
  own = nullptr;
  reader.announced = nullptr;
}

/// The thread's destructors run and nothing of ours is on its stack: go at once, nobody will come again.
void leave_if_ended() noexcept {
  if (reader.ended && reader.depth == 0 && own != nullptr && !own->collecting) leave();
}

struct Leaver {
  void arm() const noexcept {}
  ~Leaver() {
    reader.ended = true;
    if (own != nullptr) leave();
  }
};
thread_local Leaver leaver;

Slot& enter() {
  Domain& all = domain();
  const std::lock_guard lock(all.mutex);
  Slot* head = all.slots.load(std::memory_order_relaxed);
  Slot* mine = head;
  while (mine != nullptr && mine->taken) mine = mine->next;
  if (mine == nullptr) {
    mine = new Slot;
    mine->next = head;
    all.slots.store(mine, std::memory_order_release);
  }
  mine->taken = true;
  own = mine;
  reader.announced = &mine->epoch;
  if (!reader.ended) leaver.arm();  // constructs it, so that it is destroyed with the thread
  return *mine;
}

Slot& own_slot() noexcept { return own != nullptr ? *own : enter(); }

/// Moves the epoch on by one if every reader has seen the present one.
void advance() noexcept {
  Domain& all = domain();
  const std::unique_lock lock(all.mutex, std::try_to_lock);
  if (!lock) return;  // somebody else is at it
  const std::uint64_t present = now.load(std::memory_order_acquire);
  for (Slot* slot = all.slots.load(std::memory_order_acquire); slot != nullptr; slot = slot->next) {
    std::uint64_t seen = slot->epoch.load(std::memory_order_acquire);
    if (seen == 0) {
      // Writing the idle slot back is what orders the next guard after this scan; on failure `seen`
      // becomes the epoch of the guard that has just begun.
      slot->epoch.compare_exchange_strong(seen, 0, std::memory_order_acq_rel,
                                          std::memory_order_acquire);
    }
    if (seen != 0 && seen != present) return;
  }
  now.fetch_add(1, std::memory_order_acq_rel);
}

[[nodiscard]] bool is_free(const Retired& retired, std::uint64_t present) noexcept {
  return retired.epoch + 2 <= present;
}

/// What one call has freed.
struct Freed {
  std::size_t objects = 0;
  std::uint64_t bytes = 0;

  void add(const Retired& retired) noexcept {
    ++objects;
    bytes += retired.bytes;
  }
  /// As many as one call may.
  [[nodiscard]] bool full() const noexcept {
    return objects == kCollectBatch || bytes >= kCollectBytes;
  }
};

Freed free_own(Slot& slot) noexcept {
  if (slot.collecting) return {};
  slot.collecting = true;
  const std::uint64_t present = now.load(std::memory_order_acquire);
  Freed freed;
  while (!freed.full()) {
    if (slot.bag.size() == slot.unsealed || !is_free(slot.bag.front(), present)) break;
    const Retired retired = slot.bag.front();
    slot.bag.pop_front();
    freed.add(retired);
    retired.free(retired.object);
  }
  if (freed.bytes != 0) domain().bytes.fetch_sub(freed.bytes, std::memory_order_relaxed);
  slot.collecting = false;
  return freed;
}

/// Nothing also when another thread holds the domain.
Freed free_orphans() noexcept {
  Domain& all = domain();
  if (all.orphan_count.load(std::memory_order_relaxed) == 0) return {};
  std::array<Retired, kCollectBatch> batch;
  Freed freed;
  {
    const std::unique_lock lock(all.mutex, std::try_to_lock);
    if (!lock) return {};
    const std::uint64_t present = now.load(std::memory_order_acquire);
    while (!freed.full() && !all.orphans.empty() && is_free(all.orphans.front(), present)) {
      batch[freed.objects] = all.orphans.front();
      freed.add(all.orphans.front());
      all.orphans.pop_front();
    }
    all.orphan_count.store(all.orphans.size(), std::memory_order_relaxed);
  }
  for (std::size_t i = 0; i < freed.objects; ++i) {  // outside the lock: a free function may retire
    all.bytes.fetch_sub(batch[i].bytes, std::memory_order_relaxed);
    batch[i].free(batch[i].object);
  }
  return freed;
}

}  // namespace

void detail::enter() noexcept { static_cast<void>(epoch::enter()); }
void detail::leave_if_ended() noexcept { epoch::leave_if_ended(); }

bool guarded() noexcept { return reader.depth != 0; }

void retire(void* object, void (*free)(void*), std::size_t bytes) {
  Slot& slot = own_slot();
  slot.bag.push_back({object, free, bytes, 0});
  ++slot.unsealed;
  slot.unsealed_bytes += bytes;
  if (slot.unsealed >= kSealObjects || slot.unsealed_bytes >= kSealBytes) {
    seal(slot);
    advance();
    free_own(slot);
  }
  leave_if_ended();
}

bool collect() noexcept {
  Slot& slot = own_slot();
  seal(slot);
  advance();
  const Freed mine = free_own(slot);
  const Freed orphans = free_orphans();
  leave_if_ended();
  return mine.full() || orphans.full();
}

void rest() noexcept {
  if (own == nullptr || own->bag.empty()) return;
  Slot& slot = *own;
  seal(slot);
  advance();
  free_own(slot);
  if (slot.bag.empty()) return;
  const std::lock_guard lock(domain().mutex);
  hand_over(slot);
}

void drain() noexcept {
  Domain& all = domain();
  for (bool found = true; found;) {  // a free function may retire more
    found = false;
    for (Slot* slot = all.slots.load(std::memory_order_acquire); slot != nullptr;
         slot = slot->next) {
      seal(*slot);
      while (!slot->bag.empty()) {
        const Retired retired = slot->bag.front();
        slot->bag.pop_front();
        all.bytes.fetch_sub(retired.bytes, std::memory_order_relaxed);
        retired.free(retired.object);
        seal(*slot);  // what it retired
        found = true;
      }
    }
    now.fetch_add(2, std::memory_order_acq_rel);  // nobody looks: all orphans are free
    while (free_orphans().objects != 0) found = true;
  }
}

std::uint64_t retired_bytes() noexcept {
  return domain().bytes.load(std::memory_order_relaxed) +
         (own != nullptr ? own->unsealed_bytes : 0);
}

}  // namespace nearlane::epoch
