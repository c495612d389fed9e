// Entry: one cached value, or the knowledge that there is none, immutable in everything but when it may be
// served.
//
// One allocation holds header, key name and payload. The payload is kept as the RESP reply that a
// GET needs ("$5\r\nhello\r\n"), so a hit copies one run of bytes; value() is the middle of it.
// Behind it an entry may have br and gzip forms of the value, which are born with it: whoever makes them
// later builds another entry, so that value, forms and digest change as one.
//
//   header | name | $<size>\r\n value \r\n | digest | length, type | size of br, of gzip | br | gzip
//                                           '------' '------------' where the value has a type of its own
//                                           aligned; from kDigestKept on, and before variants; 0 until it is asked for
//
// Deadline and epoch are atomic header fields: a touch or a confirmation changes them in place and
// copies nothing. Two more belong to the map that holds the entry: its cell, and the mark in which the
// map's policy notes uses, so that a hit writes, if anything, a line that it has read anyway. The last one
// says whether anybody has used what was fetched unasked.
//
// Units:     bytes; deadlines on the monotonic clock, kForever for none.
// Lifetime:  born with one reference, that of the EntryPtr which build() returns. A map holds one;
//            readers hold none but stand under an epoch guard (core/base/epoch.h); what must
//            outlive the guard takes a pin.
// Threads:   payload is written before the entry is published and never after, but for the digest, which whoever
//            asks for it first leaves there for the next. set_deadline and
//            set_epoch may be called by any thread that may write the key (the lane's order
//            decides), reads are relaxed: the map's release/acquire publication orders the payload,
//            and a freshness field needs no order of its own.
// Cost:      a header of 32 bytes beside key and value, rounded up by the allocator; charge() says
//            what it really takes. The hash is not kept: key() makes it again, in one pass over the
//            name, which only writers need.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/clock.h"
#include "core/base/key.h"

namespace nearlane {

/// Number of a lane's connection, in which a value was read (core/cohere/lane_view.h). It wraps after
/// four thousand million lost connections, by when no entry of so long ago can be left.
using Epoch = std::uint32_t;

/// A content coding of HTTP; identity is the value as it is.
enum class Coding : std::uint8_t { identity, gzip, br };

/// Forms of a value, made by core/entry/precompress.h; empty: there is none.
struct Variants {
  std::string gzip = {};
  std::string br = {};

  [[nodiscard]] bool empty() const noexcept { return gzip.empty() && br.empty(); }
};

class Entry;

/// Owner of one reference to an Entry. Copying it is a pin: an atomic increment, so never on the
/// hit path.
class EntryPtr {
 public:
  EntryPtr() noexcept = default;
  EntryPtr(std::nullptr_t) noexcept {}
  EntryPtr(const EntryPtr& other) noexcept;
  EntryPtr(EntryPtr&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  EntryPtr& operator=(EntryPtr other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~EntryPtr();

  /// Takes one more reference to an entry that an epoch guard or another pin keeps alive.
  static EntryPtr pin(const Entry* entry) noexcept;
  /// Takes over a reference given up by release().
  static EntryPtr adopt(const Entry* entry) noexcept;
  [[nodiscard]] const Entry* release() noexcept { return std::exchange(entry_, nullptr); }

  [[nodiscard]] const Entry* get() const noexcept { return entry_; }
  const Entry* operator->() const noexcept { return entry_; }
  const Entry& operator*() const noexcept { return *entry_; }
  explicit operator bool() const noexcept { return entry_ != nullptr; }

 private:
  const Entry* entry_ = nullptr;
};

/// Below this size making a digest again costs less than its eight bytes are worth. Unit: bytes.
inline constexpr std::size_t kDigestKept = 512;

class Entry {
 public:
  /// A new entry. `type`: the Internet media type that was put with this value; empty: none was but its key's
  /// (tier::KeyRules); nothing: nobody has asked. Precondition: key.name at most kMaxKeyBytes, value under 4 GiB, type
  /// at most kMostMediaType.
  [[nodiscard]] static EntryPtr build(const KeyRef& key, std::string_view value, TimePoint deadline,
                                      Epoch epoch, std::optional<std::string_view> type = {});
  /// `plain` again, with these forms of its value; type, deadline, epoch and unused are as they are now. Precondition:
  /// it has no variants yet, and one at least is given.
  [[nodiscard]] static EntryPtr build_with(const Entry& plain, const Variants& variants);
  /// A negative entry: L2 has no such key. It has no value, digest or reply.
  [[nodiscard]] static EntryPtr build_negative(const KeyRef& key, TimePoint deadline, Epoch epoch);

  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  /// Makes the hash anew; to compare, use is().
  [[nodiscard]] KeyRef key() const noexcept { return {db(), {bytes(), key_size()}}; }
  /// For a caller that knows the hash.
  [[nodiscard]] KeyRef key_with(std::uint64_t hash) const noexcept {
    return {db(), {bytes(), key_size()}, hash};
  }
  /// Whether this is the entry of `key`, by its bytes.
  [[gnu::always_inline, nodiscard]] bool is(const KeyRef& key) const noexcept {
    return key_shape_ == shape_of(key) && same(bytes(), key.name.data(), key.name.size());
  }
  [[nodiscard]] bool negative() const noexcept { return negative_ != 0; }
  [[nodiscard]] std::string_view value() const noexcept {
    return {bytes() + key_size() + prefix_size_, value_size_};
  }
  /// The whole RESP bulk reply: "$<size>\r\n<value>\r\n".
  [[nodiscard]] std::string_view resp_bulk() const noexcept {
    if (negative()) return {};
    return {bytes() + key_size(), prefix_size_ + std::size_t{value_size_} + kCrlf.size()};
  }
  /// The same for who found it by `key`: where it begins follows from the key's size, so the value comes from memory
  /// together with the header, not after it. Precondition: is(key).
  [[nodiscard]] std::string_view resp_bulk(const KeyRef& key) const noexcept {
    if (negative()) return {};
    return {bytes() + key.name.size(), prefix_size_ + std::size_t{value_size_} + kCrlf.size()};
  }
  /// The value in this coding; empty where the entry has no such form.
  [[nodiscard]] std::string_view form(Coding coding) const noexcept {
    return coding == Coding::identity ? value() : variant(coding);
  }
  [[nodiscard]] bool has_variants() const noexcept { return variants_ != 0; }
  /// Whether it is known of what type the value is.
  [[nodiscard]] bool type_known() const noexcept { return type_known_ != 0; }
  /// The value's own type; empty: it has none, or that is not known.
  [[nodiscard]] std::string_view own_type() const noexcept {
    return own_type_ == 0 ? std::string_view() : read_own_type();
  }
  /// XXH3 of the value: the same on every instance, hence a strong validator. Made when asked for: by HTTP, for
  /// compressed forms, with a type of its own. Kept with values of kDigestKept bytes and more, and with variants. Cost,
  /// the first time: one pass over the value.
  [[nodiscard]] std::uint64_t digest() const noexcept;
  /// That of an entry with this value.
  [[nodiscard]] static std::uint64_t digest_of(std::string_view value) noexcept;

  [[nodiscard]] TimePoint deadline() const noexcept {
    return TimePoint(Duration(deadline_.load(std::memory_order_relaxed)));
  }
  void set_deadline(TimePoint deadline) const noexcept {
    deadline_.store(deadline.time_since_epoch().count(), std::memory_order_relaxed);
  }
  /// Epoch of the lane when this value was read from L2 (core/cohere/lane_view.h).
  [[nodiscard]] Epoch epoch() const noexcept { return epoch_.load(std::memory_order_relaxed); }
  void set_epoch(Epoch epoch) const noexcept { epoch_.store(epoch, std::memory_order_relaxed); }

  /// How often the value was fetched in the background since it was last used; 0: it was used, or asked for.
  [[nodiscard]] std::uint8_t unused() const noexcept {
    return notes_.load(std::memory_order_relaxed) & kUnused;
  }
  /// Precondition: at most kMostUnused.
  void set_unused(std::uint8_t times) const noexcept {
    const unsigned considered = notes_.load(std::memory_order_relaxed) & kConsidered;
    notes_.store(static_cast<std::uint8_t>(considered | times), std::memory_order_relaxed);
  }
  static constexpr std::uint8_t kMostUnused = 127;

  /// Whether somebody has decided already if there are to be variants, so that nobody need ask again.
  [[nodiscard]] bool considered() const noexcept {
    return (notes_.load(std::memory_order_relaxed) & kConsidered) != 0;
  }
  /// True: the caller is who decides. Two may hear so in a race with set_unused(); variants are put once all the same.
  [[nodiscard]] bool consider() const noexcept {
    return (notes_.fetch_or(kConsidered, std::memory_order_relaxed) & kConsidered) == 0;
  }
  /// Somebody else may decide.
  void reconsider() const noexcept { notes_.fetch_and(kUnused, std::memory_order_relaxed); }

  // For the map that holds the entry; an entry is in one map at most.

  /// What the policy noted of the entry's uses; 0 at first.
  [[nodiscard]] std::uint16_t mark() const noexcept {
    return mark_.load(std::memory_order_relaxed);
  }
  void set_mark(std::uint16_t mark) const noexcept { mark_.store(mark, std::memory_order_relaxed); }
  /// Puts `next` where `expected` still is; false: somebody noted another use meanwhile.
  bool replace_mark(std::uint16_t expected, std::uint16_t next) const noexcept {
    return mark_.compare_exchange_strong(expected, next, std::memory_order_relaxed);
  }
  /// The entry's number in its shard (core/l1/cells.h).
  [[nodiscard]] std::uint32_t cell() const noexcept {
    return cell_.load(std::memory_order_relaxed);
  }
  void set_cell(std::uint32_t cell) const noexcept { cell_.store(cell, std::memory_order_relaxed); }

  /// Bytes of memory that this entry occupies, the allocator's rounding included.
  [[nodiscard]] std::size_t charge() const noexcept;

 private:
  friend class EntryPtr;
  static constexpr std::string_view kCrlf = "\r\n";
  // Of notes_.
  static constexpr std::uint8_t kConsidered = 0x80;
  static constexpr std::uint8_t kUnused = kMostUnused;
  Entry(const KeyRef& key, std::size_t value_size, TimePoint deadline, Epoch epoch) noexcept;
  /// A header, and behind it the name and room for `payload` bytes.
  static Entry* make(const KeyRef& key, std::size_t value_size, std::size_t payload,
                     TimePoint deadline, Epoch epoch);
  void unpin() const noexcept;
  [[nodiscard]] std::string_view variant(Coding coding) const noexcept;
  [[nodiscard]] std::string_view read_own_type() const noexcept;
  /// What is behind reply and digest.
  [[nodiscard]] const char* behind_digest() const noexcept {
    const std::string_view reply = resp_bulk();
    const char* end = reply.data() + reply.size();
    if (!keeps_digest()) return end;
    return end + digest_room(static_cast<std::size_t>(end - reinterpret_cast<const char*>(this)));
  }
  /// Bytes that a digest takes behind the first `offset` of an entry: it is aligned.
  [[nodiscard]] static constexpr std::size_t digest_room(std::size_t offset) noexcept {
    return -offset % alignof(std::uint64_t) + sizeof(std::uint64_t);
  }
  [[nodiscard]] bool keeps_digest() const noexcept {
    return value_size_ >= kDigestKept || has_variants();
  }
  static constexpr unsigned kKeyBits = 23;
  static constexpr unsigned kNameBits = 17;
  static_assert(kMaxKeyBytes < 1U << kNameBits && kDatabases <= 1U << (kKeyBits - kNameBits));
  /// A name's size, and above it the database. They are compared as one number, which says nothing to the compiler of
  /// the size alone: else it would take the entry's own to find the name's end, and that line of memory would be
  /// waited for after the header, not beside it.
  [[nodiscard]] static std::uint32_t shape_of(const KeyRef& key) noexcept {
    return static_cast<std::uint32_t>(key.name.size()) | key.db << kNameBits;
  }
  [[nodiscard]] std::size_t key_size() const noexcept {
    return key_shape_ & ((1U << kNameBits) - 1);
  }
  [[nodiscard]] std::uint32_t db() const noexcept { return key_shape_ >> kNameBits; }
  [[nodiscard]] const char* bytes() const noexcept {
    return reinterpret_cast<const char*>(this + 1);
  }
  /// memcmp() == 0. Names as long as session ids are compared inline, in steps that may overlap, with one
  /// branch at the end: hits are so short that loops and calls would be felt in how many of them overlap.
  [[gnu::always_inline]] static bool same(const char* a, const char* b, std::size_t size) noexcept {
    constexpr std::size_t kStep = 16;
    if (size < kStep || size > 4 * kStep) [[unlikely]] {
      return std::memcmp(a, b, size) == 0;
    }
    const auto step = [a, b](std::size_t at) {
      std::array<std::uint64_t, 2> x;
      std::array<std::uint64_t, 2> y;
      std::memcpy(&x, a + at, kStep);
      std::memcpy(&y, b + at, kStep);
      return (x[0] ^ y[0]) | (x[1] ^ y[1]);
    };
    std::uint64_t differs = step(0) | step(size - kStep);
    if (size > 2 * kStep) differs |= step(kStep) | step(size - 2 * kStep);
    return differs == 0;
  }

  mutable std::atomic<std::int64_t> deadline_;
  mutable std::atomic<Epoch> epoch_;
  mutable std::atomic<std::uint32_t> references_{1};
  mutable std::atomic<std::uint32_t> cell_{0};
  std::uint32_t value_size_;
  std::uint32_t key_shape_ : kKeyBits;  // shape_of()
  std::uint32_t prefix_size_ : 4 = 0;   // length of "$<size>\r\n", up to 13
  std::uint32_t negative_ : 1 = 0;
  std::uint32_t variants_ : 1 = 0;
  std::uint32_t type_known_ : 1 = 0;
  std::uint32_t own_type_ : 1 = 0;
  mutable std::atomic<std::uint8_t> notes_{0};  // kUnused and kConsidered
  mutable std::atomic<std::uint16_t> mark_{0};
};

}  // namespace nearlane
