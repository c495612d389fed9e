// Fields: a hash as the bytes of one value: its fields in the order in which they came, each length before its
// bytes, as Redis's listpack has them. So a store need not know what a hash is, and one is read and written whole.
//
// Units:     lengths are 32 bits, little-endian.
// Errors:    none: the bytes are our own.
// Lifetime:  views into the bytes that were read and what was set, which must outlive this.
// Cost:      every operation is linear in the hash's fields, as in a listpack. Sessions have tens of them.
// Source:    docs/decisions/0015-rocksdb.md.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace nearlane::l2::embedded {

class Fields {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  Fields() = default;
  explicit Fields(std::string_view bytes);

  [[nodiscard]] const std::vector<Field>& all() const noexcept { return fields_; }
  /// Null: there is none.
  [[nodiscard]] const Field* find(std::string_view name) const noexcept;
  /// True: there was no such field.
  bool set(std::string_view name, std::string_view value);
  /// False: there was no such field.
  bool erase(std::string_view name);

  [[nodiscard]] std::string bytes() const;

 private:
  std::vector<Field> fields_;
};

}  // namespace nearlane::l2::embedded
