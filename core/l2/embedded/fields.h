// Fields: a hash as the bytes of one value: its fields in the order in which they came, each length before its
// bytes, as Redis's listpack has them. So a store need not know what a hash is, and one is read and written whole.
//
// Units:     lengths are 32 bits, little-endian.
// Errors:    none: the bytes are our own.
// Lifetime:  views into the bytes that were read and what was set, which must outlive this.
// Cost:      every operation is linear in the hash's fields, as in a listpack. Sessions have tens of them. Of one command
//            with many fields each is one probe, after expect().
// Source:    docs/decisions/0015-rocksdb.md.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/key.h"

namespace nearlane::l2::embedded {

/// Names of one command that are looked for one after the other. Where there are more, an index of the hash costs no more
/// than they do, however few fields it has.
inline constexpr std::size_t kFewNames = 32;

class Fields {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  Fields() = default;
  explicit Fields(std::string_view bytes);

  [[nodiscard]] const std::vector<Field>& all() const noexcept { return fields_; }
  /// So many calls of find() and set() follow: where they are more than a few, the names are indexed.
  void expect(std::size_t calls);
  /// Null: there is none.
  [[nodiscard]] const Field* find(std::string_view name) const noexcept;
  /// True: there was no such field.
  bool set(std::string_view name, std::string_view value);
  /// Says how many of them there were; one that is named twice was there once.
  std::size_t erase(std::span<const std::string_view> names);

  [[nodiscard]] std::string bytes() const;

 private:
  /// With a seed (core/base/key.h): names are chosen by clients.
  struct Hash {
    std::size_t operator()(std::string_view name) const noexcept { return hash_key(0, name); }
  };

  /// The place of a field; that of the next one, if there is none.
  [[nodiscard]] std::size_t place_of(std::string_view name) const noexcept;

  std::vector<Field> fields_;
  std::unordered_map<std::string_view, std::size_t, Hash> places_;
  bool indexed_ = false;
};

}  // namespace nearlane::l2::embedded
