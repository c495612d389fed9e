#include "core/entry/entry.h"

#include <array>
#include <cassert>
#include <charconv>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/entry/media_type.h"

namespace nearlane {

static_assert(sizeof(Entry) == 32, "docs/l1.md counts on it");

namespace {

/// "$<size>\r\n": '$', up to ten digits, CRLF.
struct BulkHead {
  explicit BulkHead(std::uint32_t size) noexcept {
    text[0] = '$';
    char* end = std::to_chars(text.data() + 1, text.data() + text.size(), size).ptr;
    *end++ = '\r';
    *end++ = '\n';
    length = static_cast<std::uint8_t>(end - text.data());
  }
  std::array<char, 13> text{};
  std::uint8_t length = 0;
};

char* append(char* to, std::string_view bytes) noexcept {
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}

/// Bytes as they lie in memory, which need not be aligned here.
template <class Number>
char* append_number(char* to, const Number& number) noexcept {
  std::memcpy(to, &number, sizeof number);
  return to + sizeof number;
}

/// The same, at the end of `room` bytes.
char* append_last(char* to, std::size_t room, std::uint64_t number) noexcept {
  return append_number(to + room - sizeof number, number);
}

/// A length, and the type; nothing where there is none.
constexpr std::size_t size_of_type(std::string_view type) noexcept {
  return type.empty() ? 0 : 1 + type.size();
}
char* append_type(char* to, std::string_view type) noexcept {
  static_assert(kMostMediaType <= std::numeric_limits<std::uint8_t>::max());
  if (type.empty()) return to;
  assert(type.size() <= kMostMediaType);
  *to++ = static_cast<char>(type.size());
  return append(to, type);
}

/// What stands before an entry's variants.
struct VariantSizes {
  std::uint32_t br;
  std::uint32_t gzip;
};

}  // namespace

// Free by operator delete alone is right only while there is nothing to destroy.
static_assert(std::is_trivially_destructible_v<Entry>);

EntryPtr::EntryPtr(const EntryPtr& other) noexcept : entry_(pin(other.entry_).release()) {}

EntryPtr::~EntryPtr() {
  if (entry_ != nullptr) entry_->unpin();
}

EntryPtr EntryPtr::pin(const Entry* entry) noexcept {
  // Relaxed: whoever pins already holds the entry alive, by a reference or a guard.
  if (entry != nullptr) entry->references_.fetch_add(1, std::memory_order_relaxed);
  return adopt(entry);
}

EntryPtr EntryPtr::adopt(const Entry* entry) noexcept {
  EntryPtr owner;
  owner.entry_ = entry;
  return owner;
}

Entry::Entry(const KeyRef& key, std::size_t value_size, TimePoint deadline, Epoch epoch) noexcept
    : deadline_(deadline.time_since_epoch().count()),
      epoch_(epoch),
      value_size_(static_cast<std::uint32_t>(value_size)),
      key_shape_(shape_of(key) & ((1U << kKeyBits) - 1)) {}

Entry* Entry::make(const KeyRef& key, std::size_t value_size, std::size_t payload,
                   TimePoint deadline, Epoch epoch) {
  assert(key.name.size() <= kMaxKeyBytes);
  assert(key.db < kDatabases);
  assert(value_size <= std::numeric_limits<std::uint32_t>::max());
  void* memory = ::operator new(sizeof(Entry) + key.name.size() + payload);
  auto* entry = new (memory) Entry(key, value_size, deadline, epoch);
  append(static_cast<char*>(memory) + sizeof(Entry), key.name);
  return entry;
}

EntryPtr Entry::build_negative(const KeyRef& key, TimePoint deadline, Epoch epoch) {
  Entry* entry = make(key, 0, 0, deadline, epoch);
  entry->negative_ = 1;
  return EntryPtr::adopt(entry);
}

EntryPtr Entry::build(const KeyRef& key, std::string_view value, TimePoint deadline, Epoch epoch,
                      std::optional<std::string_view> type) {
  const BulkHead head(static_cast<std::uint32_t>(value.size()));
  const bool keep_digest = value.size() >= kDigestKept;
  const std::string_view own = type.value_or("");
  const std::size_t reply = head.length + value.size() + kCrlf.size();
  const std::size_t digest = keep_digest ? digest_room(sizeof(Entry) + key.name.size() + reply) : 0;
  const std::size_t payload = reply + digest + size_of_type(own);
  Entry* entry = make(key, value.size(), payload, deadline, epoch);
  char* to = reinterpret_cast<char*>(entry + 1) + key.name.size();
  to = append(to, {head.text.data(), head.length});
  to = append(to, value);
  to = append(to, kCrlf);
  entry->prefix_size_ = head.length & 0xFU;
  if (keep_digest) to = append_last(to, digest, std::uint64_t{0});
  entry->type_known_ = type.has_value() ? 1 : 0;
  entry->own_type_ = own.empty() ? 0 : 1;
  append_type(to, own);
  return EntryPtr::adopt(entry);
}

EntryPtr Entry::build_with(const Entry& plain, const Variants& variants) {
  assert(!plain.negative() && !plain.has_variants() && !variants.empty());
  const std::string_view reply = plain.resp_bulk();
  const std::string_view own = plain.own_type();
  const std::size_t digest = digest_room(sizeof(Entry) + plain.key_size() + reply.size());
  const std::size_t payload = reply.size() + digest + size_of_type(own) + sizeof(VariantSizes) +
                              variants.br.size() + variants.gzip.size();
  Entry* entry =
      make(plain.key_with(0), plain.value_size_, payload, plain.deadline(), plain.epoch());
  entry->prefix_size_ = plain.prefix_size_;
  entry->variants_ = 1;
  entry->type_known_ = plain.type_known_;
  entry->own_type_ = plain.own_type_;
  entry->notes_.store(plain.unused() | kConsidered, std::memory_order_relaxed);
  char* to = append(reinterpret_cast<char*>(entry + 1) + plain.key_size(), reply);
  to = append_last(to, digest, plain.digest());
  to = append_type(to, own);
  to = append_number(to, VariantSizes{.br = static_cast<std::uint32_t>(variants.br.size()),
                                      .gzip = static_cast<std::uint32_t>(variants.gzip.size())});
  to = append(to, variants.br);
  append(to, variants.gzip);
  return EntryPtr::adopt(entry);
}

void Entry::unpin() const noexcept {
  // Release: our reads of the payload come before the free. Acquire: the last one sees all the others'.
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    ::operator delete(const_cast<Entry*>(this));
  }
}

std::string_view Entry::variant(Coding coding) const noexcept {
  if (!has_variants()) return {};
  const char* from = behind_digest() + size_of_type(own_type());
  VariantSizes sizes{};
  std::memcpy(&sizes, from, sizeof sizes);
  from += sizeof sizes;
  return coding == Coding::br ? std::string_view(from, sizes.br)
                              : std::string_view(from + sizes.br, sizes.gzip);
}

std::string_view Entry::read_own_type() const noexcept {
  const char* from = behind_digest();
  return {from + 1, static_cast<std::uint8_t>(*from)};
}

std::uint64_t Entry::digest() const noexcept {
  if (!keeps_digest()) return digest_of(value());
  char* kept = const_cast<char*>(behind_digest()) - sizeof(std::uint64_t);
  const std::atomic_ref digest(*reinterpret_cast<std::uint64_t*>(kept));
  // Two may make it at once, and a digest that is 0 is made each time.
  std::uint64_t made = digest.load(std::memory_order_relaxed);
  if (made == 0) digest.store(made = digest_of(value()), std::memory_order_relaxed);
  return made;
}

std::uint64_t Entry::digest_of(std::string_view value) noexcept {
  return XXH3_64bits(value.data(), value.size());
}

std::size_t Entry::charge() const noexcept {
#if defined(__GLIBC__)
  // What malloc handed out, and the word in front of it that malloc keeps for itself.
  return malloc_usable_size(const_cast<Entry*>(this)) + sizeof(std::size_t);
#else
  constexpr std::size_t kGrain = 16;  // every allocator we know rounds to 16 bytes at least
  std::size_t size = sizeof(Entry) + key_size() + prefix_size_ + std::size_t{value_size_} +
                     kCrlf.size() + 2 * sizeof(std::uint64_t) + size_of_type(own_type());
  if (has_variants())
    size += sizeof(VariantSizes) + variant(Coding::br).size() + variant(Coding::gzip).size();
  return (size + sizeof(std::size_t) + kGrain - 1) / kGrain * kGrain;
#endif
}

}  // namespace nearlane
