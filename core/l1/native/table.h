// NativeTable: a hash table whose finds take no lock and write nothing.
//
//   word     | tag 16 | address of an entry 44 | 4 |        8 of them make a bucket, one cache line
//
// A key's home is the bucket that its hash names; 16 other bits of the hash are its tag. A find compares
// a line's eight tags at once and looks only at entries whose tag fits: one miss for the line, one for
// the entry. Where a home was full, the entry went on, in steps that its tag gives, to a bucket that had
// room, and every bucket that it passed counts it in the four low bits of its last word (addresses are
// multiples of 16); a find goes on only while that count is not zero. Nothing ever moves within a table, so a find
// needs no version numbers.
//
// Growth.  A table of twice the size is put beside the full one, and every insert moves two buckets, so
// that the old one is empty long before the new one is full. A count is never lowered again once it has reached
// 15, because it no longer knows how many passed; entries that come and go for weeks would leave ever longer ways. So a
// table with too many of those is moved in the same way, into one of its own size; should it fill up meanwhile, it is
// moved on when that has ended, by when it is three quarters full at most. An entry that moves is put into the new
// table first and taken from the old one afterwards. A find looks into the old table, then into the new
// one: what it does not find in the old one because it had been moved is in the new one by then. (What
// lies at home in the newest table is found at once, before anything else is asked.) A find
// that took its tables before a growth began, or between two, may look in vain; so a miss counts only
// if the tables are still those that it began with, else it looks again. Under the finder's guard the
// address of a retired table is not used anew, so that equal addresses are equal tables. That there is no
// older one says nothing of the kind, so the newest is asked for first: a whole growth between the two
// questions shows in it.
//
// Memory orders.  A word is stored with release after the entry was built, and loaded with acquire before
// the entry is read: a find that sees the address sees the entry. The eight words are compared relaxed;
// a word that fits is loaded again, with acquire. For misses, a fence stands behind the words of each table:
// it pairs with the release with which a mover clears a word of the older one, after it had published both
// tables and put the entry into the newer. So a find that saw the cleared word sees the entry there, and sees
// both tables when it asks for them again. Writers hold the shard's lock.
//
// Cost:      8 bytes a word, from 0.35 to 0.7 full, on average 0.525: 15.2 bytes an entry. An insert moves at most 16
//            entries; a table that is given up is freed as a whole by the reclamation.
// Source:    the bucket of tags: Fan, Andersen, Kaminsky, "MemC3", NSDI 2013; counted overflow: Bronson
//            and Shi, "Open-sourcing F14", 2019; reads without writes: Fraser's epochs (core/base/epoch.h).
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstdint>
#include <cstdlib>

#include "core/base/key.h"
#include "core/entry/entry.h"
#include "core/l1/table.h"

// A line's tags at once. What is loaded this way is a hint: the word that fits is loaded again, as an atomic.
// TSan would take the hint for a race.
#if defined(__SSE4_1__) && !defined(__SANITIZE_THREAD__)
#include <smmintrin.h>
#define NEARLANE_TAGS_BY_SSE 1
#endif

namespace nearlane::l1 {

class NativeTable {
 public:
  static constexpr std::string_view kName = "native";
  static constexpr bool kFindsUnlocked = true;
  static constexpr bool kShards = true;
  static constexpr std::size_t kBytesPerEntry = 15;
  /// Buckets that an insert moves.
  static constexpr std::uint64_t kMoved = 2;

  NativeTable();
  NativeTable(const NativeTable&) = delete;
  NativeTable& operator=(const NativeTable&) = delete;
  ~NativeTable();

  [[gnu::always_inline, nodiscard]] const Entry* find(const KeyRef& key) const noexcept {
    // Most are at home in the only table there is, and the first whose tag fits; the rest, misses among
    // them, takes the long way.
    const Buckets current{current_.load(std::memory_order_acquire)};
    const Bucket& home = current[current.home(key.hash)];
    if (const unsigned fits = matches(home, key.hash >> kTagShift); fits != 0) [[likely]] {
      const Entry* entry = at(home, fits);
      if (entry != nullptr && entry->is(key)) [[likely]] {
        return entry;
      }
    }
    return find_on(key);
  }
  void prefetch_place(std::uint64_t hash) const noexcept {
    const Buckets buckets{current_.load(std::memory_order_acquire)};
    __builtin_prefetch(&buckets[buckets.home(hash)]);
  }
  void prefetch_entry(std::uint64_t hash) const noexcept {
    const Buckets buckets{current_.load(std::memory_order_acquire)};
    const Bucket& home = buckets[buckets.home(hash)];
    const unsigned fits = matches(home, hash >> kTagShift);
    if (fits == 0) return;
    const auto* entry = reinterpret_cast<const char*>(at(home, fits));
    __builtin_prefetch(entry);
    __builtin_prefetch(entry + kLine);
  }

  void insert(const Entry* entry, std::uint64_t hash);
  void replace(const Entry* old, const Entry* next, std::uint64_t hash) noexcept;
  void erase(const Entry* entry, std::uint64_t hash) noexcept;
  /// Moves some buckets, so that a growth ends although nothing is inserted any more.
  void tidy() noexcept { move_buckets(kTidied); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void clear();

  /// Buckets of a growth that are not moved yet. For tests.
  [[nodiscard]] std::uint64_t left_to_move() const noexcept;
  /// Buckets that a find of a random absent key looks at, on average over the homes. For tests.
  [[nodiscard]] double mean_way() const noexcept;

 private:
  static constexpr std::size_t kLine = 64;
  static constexpr unsigned kWords = 8;
  static constexpr unsigned kLast = kWords - 1;  // the word whose low bits count
  static constexpr unsigned kTagShift = 48;
  static constexpr std::uint64_t kPassed = 0xF;
  static constexpr std::uint64_t kAddress = (std::uint64_t{1} << kTagShift) - 1 - kPassed;
  static constexpr unsigned kSmallest = 4;  // log2 of the buckets of an empty table
  static constexpr std::uint64_t kTidied = 64;

  struct alignas(kLine) Bucket {
    std::array<std::atomic<std::uint64_t>, kWords> words;
  };

  /// A table: the address of its buckets, and log2 of their number in the low bits. 0: none.
  struct Buckets {
    std::uint64_t word = 0;

    explicit operator bool() const noexcept { return word != 0; }
    [[nodiscard]] Bucket* begin() const noexcept {
      return std::bit_cast<Bucket*>(word & ~std::uint64_t{kLine - 1});
    }
    [[nodiscard]] std::uint64_t count() const noexcept {
      return std::uint64_t{1} << (word & (kLine - 1));
    }
    [[nodiscard]] std::uint64_t home(std::uint64_t hash) const noexcept {
      return (hash >> kHomeShift) & (count() - 1);
    }
    /// Where to go on: keys of one home part ways, so that full buckets make no clusters. The step is
    /// odd, so the way comes by every bucket.
    [[nodiscard]] std::uint64_t after(std::uint64_t bucket, std::uint64_t hash) const noexcept {
      return (bucket + (hash >> kTagShift) * 2 + 1) & (count() - 1);
    }
    Bucket& operator[](std::uint64_t bucket) const noexcept { return begin()[bucket]; }
  };

  /// Where an entry lies.
  struct Place {
    Buckets buckets;
    std::uint64_t bucket = 0;
    unsigned slot = 0;
  };

  static Buckets make(unsigned log2);
  static void give_up(Buckets buckets) noexcept;

  /// Bit n: word n has the tag.
  [[gnu::always_inline]] static unsigned matches(const Bucket& bucket, std::uint64_t tag) noexcept {
#if NEARLANE_TAGS_BY_SSE
    // The upper halves of the eight words, of these the upper halves, which are the tags.
    const auto* words = reinterpret_cast<const __m128*>(&bucket);
    const auto uppers = [words](int i) {
      return _mm_srli_epi32(
          _mm_castps_si128(_mm_shuffle_ps(words[i], words[i + 1], _MM_SHUFFLE(3, 1, 3, 1))), 16);
    };
    const __m128i tags = _mm_packus_epi32(uppers(0), uppers(2));
    const __m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16(static_cast<short>(tag)));
    return static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())));
#else
    unsigned fits = 0;
#pragma GCC unroll 8
    for (unsigned slot = 0; slot < kWords; ++slot) {
      const std::uint64_t word = bucket.words[slot].load(std::memory_order_relaxed);
      fits |= static_cast<unsigned>(word >> kTagShift == tag) << slot;
    }
    return fits;
#endif
  }
  static const Entry* entry_of(std::uint64_t word) noexcept {
    return std::bit_cast<const Entry*>(word & kAddress);
  }
  static std::uint64_t word_of(const Entry* entry, std::uint64_t hash) noexcept {
    const auto address = std::bit_cast<std::uint64_t>(entry);
    // The heap of a program that has it tagged (GLIBC_TUNABLES=glibc.mem.tagging on ARM64) has such addresses.
    if ((address & ~kAddress) != 0) [[unlikely]]
      std::abort();
    return (hash >> kTagShift << kTagShift) | address;
  }
  /// The first of those that fit. Null: an empty word looks like the tag 0.
  [[gnu::always_inline]] static const Entry* at(const Bucket& bucket, unsigned fits) noexcept {
    const auto slot = static_cast<unsigned>(std::countr_zero(fits));
    return entry_of(bucket.words[slot].load(std::memory_order_acquire));
  }
  static const Entry* find_in(const Bucket& bucket, const KeyRef& key) noexcept {
    for (unsigned fits = matches(bucket, key.hash >> kTagShift); fits != 0; fits &= fits - 1) {
      const Entry* entry = at(bucket, fits);
      if (entry != nullptr && entry->is(key)) return entry;
    }
    return nullptr;
  }
  static const Entry* find_in(Buckets buckets, const KeyRef& key) noexcept;
  [[nodiscard]] const Entry* find_on(const KeyRef& key) const noexcept;

  void put_in(const Entry* entry, std::uint64_t hash) noexcept;
  static void take_out(const Place& place, std::uint64_t hash) noexcept;
  static void set(Bucket& bucket, unsigned slot, std::uint64_t word) noexcept;
  [[nodiscard]] static bool look_for(Buckets buckets, const Entry* entry, std::uint64_t hash,
                                     Place& found) noexcept;
  [[nodiscard]] Place place_of(const Entry* entry, std::uint64_t hash) const noexcept;
  /// Begins a growth if it is time. Precondition: none is under way.
  void renew();
  void move_buckets(std::uint64_t count) noexcept;

  // Finds read this line, and only a growth writes it.
  alignas(kLine) std::atomic<std::uint64_t> current_;
  std::atomic<std::uint64_t> older_{0};  // 0 but for the time of a growth
  alignas(kLine) std::size_t size_ = 0;
  std::uint64_t next_to_move_ = 0;  // in the older table
  std::uint64_t lost_ = 0;  // buckets of the current one whose count has reached its largest
};
static_assert(Prefetches<NativeTable>);

}  // namespace nearlane::l1
