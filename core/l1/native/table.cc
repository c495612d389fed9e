#include "core/l1/native/table.h"

#include <algorithm>
#include <memory>
#include <new>

#include <sys/mman.h>

#include "core/base/epoch.h"

namespace nearlane::l1 {
namespace {

/// A table grows when it is this full: beyond it too many homes overflow. Of 8 words a bucket, 5.6.
constexpr std::uint64_t kFullTenths = 56;

/// A table in which more counts have lost track than one bucket in so many, and a few, is replaced by one of its size.
constexpr std::uint64_t kLostPart = 64;
constexpr std::uint64_t kLostAnyway = 2;

/// A table of this size comes from the kernel, which zeroes a page when it is first touched: nobody waits for
/// the whole. Smaller ones stay in the heap, whose huge pages they share; alone they would have none. Unit: bytes.
constexpr std::size_t kPagesFrom = std::size_t{2} << 20U;

}  // namespace

NativeTable::NativeTable() : current_(make(kSmallest).word) {}

NativeTable::~NativeTable() {
  // The map has been cleared; a find that is still under way is its owner's mistake.
  give_up(Buckets{older_.load(std::memory_order_relaxed)});
  give_up(Buckets{current_.load(std::memory_order_relaxed)});
}

NativeTable::Buckets NativeTable::make(unsigned log2) {
  assert(log2 < kLine);
  const std::size_t count = std::size_t{1} << log2;
  if (count * sizeof(Bucket) < kPagesFrom) {
    return {std::bit_cast<std::uint64_t>(new Bucket[count]()) | log2};
  }
  void* pages = mmap(nullptr, count * sizeof(Bucket), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  madvise(pages, count * sizeof(Bucket), MADV_HUGEPAGE);  // a refusal costs speed only
  return {std::bit_cast<std::uint64_t>(pages) | log2};
}

void NativeTable::give_up(Buckets buckets) noexcept {
  if (!buckets) return;
  // What is retired is one address, so it is the word, which knows the size.
  epoch::retire(
      std::bit_cast<void*>(buckets.word),
      [](void* word) {
        const Buckets retired{std::bit_cast<std::uint64_t>(word)};
        const std::size_t bytes = retired.count() * sizeof(Bucket);
        if (bytes < kPagesFrom) {
          delete[] retired.begin();
        } else {
          munmap(retired.begin(), bytes);
        }
      },
      buckets.count() * sizeof(Bucket));
}

const Entry* NativeTable::find_in(Buckets buckets, const KeyRef& key) noexcept {
  std::uint64_t at = buckets.home(key.hash);
  for (std::uint64_t looked = 0; looked < buckets.count();
       ++looked, at = buckets.after(at, key.hash)) {
    const Bucket& bucket = buckets[at];
    if (const Entry* entry = find_in(bucket, key); entry != nullptr) return entry;
    if ((bucket.words[kLast].load(std::memory_order_relaxed) & kPassed) == 0) break;
  }
  return nullptr;
}

const Entry* NativeTable::find_on(const KeyRef& key) const noexcept {
  for (;;) {
    // In this order: if the older table is read as none, no growth from `current` has begun before.
    const Buckets current{current_.load(std::memory_order_acquire)};
    const Buckets older{older_.load(std::memory_order_acquire)};
    if (older) {
      if (const Entry* entry = find_in(older, key); entry != nullptr) return entry;
      // Who saw an entry taken from the older table must see it in the newer one.
      std::atomic_thread_fence(std::memory_order_acquire);
    }
    if (const Entry* entry = find_in(current, key); entry != nullptr) return entry;
    std::atomic_thread_fence(std::memory_order_acquire);
    if (older_.load(std::memory_order_relaxed) == older.word &&
        current_.load(std::memory_order_relaxed) == current.word) {
      return nullptr;
    }
  }
}

void NativeTable::set(Bucket& bucket, unsigned slot, std::uint64_t word) noexcept {
  const std::uint64_t passed = bucket.words[slot].load(std::memory_order_relaxed) & kPassed;
  bucket.words[slot].store(word | passed, std::memory_order_release);
}

void NativeTable::put_in(const Entry* entry, std::uint64_t hash) noexcept {
  const Buckets current{current_.load(std::memory_order_relaxed)};
  for (std::uint64_t at = current.home(hash);; at = current.after(at, hash)) {
    Bucket& bucket = current[at];
    for (unsigned slot = 0; slot < kWords; ++slot) {
      if (entry_of(bucket.words[slot].load(std::memory_order_relaxed)) != nullptr) continue;
      return set(bucket, slot, word_of(entry, hash));
    }
    // Counted before the entry is there, so that no find stops short of it. At its largest the count
    // stays: it has lost track.
    const std::uint64_t last = bucket.words[kLast].load(std::memory_order_relaxed);
    if ((last & kPassed) == kPassed) continue;
    bucket.words[kLast].store(last + 1, std::memory_order_release);
    if (((last + 1) & kPassed) == kPassed) ++lost_;
  }
}

bool NativeTable::look_for(Buckets buckets, const Entry* entry, std::uint64_t hash,
                           Place& found) noexcept {
  if (!buckets) return false;
  std::uint64_t at = buckets.home(hash);
  for (std::uint64_t looked = 0; looked < buckets.count(); ++looked, at = buckets.after(at, hash)) {
    const Bucket& bucket = buckets[at];
    for (unsigned slot = 0; slot < kWords; ++slot) {
      if (entry_of(bucket.words[slot].load(std::memory_order_relaxed)) != entry) continue;
      found = {buckets, at, slot};
      return true;
    }
    if ((bucket.words[kLast].load(std::memory_order_relaxed) & kPassed) == 0) break;
  }
  return false;
}

NativeTable::Place NativeTable::place_of(const Entry* entry, std::uint64_t hash) const noexcept {
  Place place;
  const bool found =
      look_for(Buckets{older_.load(std::memory_order_relaxed)}, entry, hash, place) ||
      look_for(Buckets{current_.load(std::memory_order_relaxed)}, entry, hash, place);
  assert(found);
  static_cast<void>(found);
  return place;
}

void NativeTable::take_out(const Place& place, std::uint64_t hash) noexcept {
  set(place.buckets[place.bucket], place.slot, 0);
  for (std::uint64_t at = place.buckets.home(hash); at != place.bucket;
       at = place.buckets.after(at, hash)) {
    std::atomic<std::uint64_t>& last = place.buckets[at].words[kLast];
    const std::uint64_t word = last.load(std::memory_order_relaxed);
    if ((word & kPassed) != kPassed) last.store(word - 1, std::memory_order_release);
  }
}

void NativeTable::insert(const Entry* entry, std::uint64_t hash) {
  move_buckets(kMoved);
  if (older_.load(std::memory_order_relaxed) == 0) renew();
  put_in(entry, hash);
  ++size_;
}

void NativeTable::replace(const Entry* old, const Entry* next, std::uint64_t hash) noexcept {
  const Place place = place_of(old, hash);
  set(place.buckets[place.bucket], place.slot, word_of(next, hash));
}

void NativeTable::erase(const Entry* entry, std::uint64_t hash) noexcept {
  take_out(place_of(entry, hash), hash);
  --size_;
}

void NativeTable::renew() {
  const Buckets current{current_.load(std::memory_order_relaxed)};
  const bool full = (size_ + 1) * 10 > current.count() * kFullTenths;
  if (!full && lost_ <= current.count() / kLostPart + kLostAnyway) return;
  const Buckets next =
      make(static_cast<unsigned>(std::countr_zero(current.count())) + (full ? 1 : 0));
  next_to_move_ = 0;
  lost_ = 0;
  older_.store(current.word, std::memory_order_release);
  current_.store(next.word, std::memory_order_release);
}

void NativeTable::move_buckets(std::uint64_t count) noexcept {
  const Buckets older{older_.load(std::memory_order_relaxed)};
  if (!older) return;
  const std::uint64_t end = std::min(next_to_move_ + count, older.count());
  for (; next_to_move_ < end; ++next_to_move_) {
    Bucket& bucket = older[next_to_move_];
    std::array<const Entry*, kWords> entries;
    for (unsigned slot = 0; slot < kWords; ++slot) {
      entries[slot] = entry_of(bucket.words[slot].load(std::memory_order_relaxed));
      __builtin_prefetch(entries[slot]);
    }
    for (unsigned slot = 0; slot < kWords; ++slot) {
      if (entries[slot] == nullptr) continue;
      put_in(entries[slot], entries[slot]->key().hash);
      set(bucket, slot, 0);  // the counts stay: what passed this bucket is still to be found
    }
  }
  if (next_to_move_ == older.count()) {
    older_.store(0, std::memory_order_release);
    give_up(older);
  }
}

void NativeTable::clear() {
  const Buckets older{older_.load(std::memory_order_relaxed)};
  const Buckets current{current_.load(std::memory_order_relaxed)};
  current_.store(make(kSmallest).word, std::memory_order_release);
  older_.store(0, std::memory_order_release);
  size_ = 0;
  lost_ = 0;
  give_up(older);
  give_up(current);
}

std::uint64_t NativeTable::left_to_move() const noexcept {
  const Buckets older{older_.load(std::memory_order_relaxed)};
  return older ? older.count() - next_to_move_ : 0;
}

double NativeTable::mean_way() const noexcept {
  const Buckets current{current_.load(std::memory_order_relaxed)};
  std::uint64_t looked = 0;
  for (std::uint64_t home = 0; home < current.count(); ++home) {
    std::uint64_t at = home;
    for (std::uint64_t way = 1; way <= current.count(); ++way) {
      ++looked;
      if ((current[at].words[kLast].load(std::memory_order_relaxed) & kPassed) == 0) break;
      at = current.after(at, home << kTagShift);
    }
  }
  return static_cast<double>(looked) / static_cast<double>(current.count());
}

}  // namespace nearlane::l1
