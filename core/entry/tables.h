// Tables: memory that a library asks for and gives back with each value, kept from one value to the next.
//
// What is asked for is served from what was given back, if that is at most twice as large. Small blocks are malloc's: it
// keeps those itself. Of what depends on a value's size, the sizes that are not asked for again go first.
//
// Units:     bytes.
// Errors:    take: null where malloc has nothing, as a library's allocator says it.
// Threads:   one owner.
// Lifetime:  everything taken is given back before the tables end.
// Cost:      a look at kMostTables sizes; up to kMostKept of idle memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace nearlane {

class Tables {
 public:
  /// Less than this malloc has at hand. zlib's tables are 64 KiB each; of brotli's one is a MiB, others grow with the value.
  static constexpr std::size_t kLeastKept = std::size_t{32} << 10U;
  /// Enough for both codings of a value below 64 KiB; for larger ones brotli asks for a window of 8 MiB as well.
  static constexpr std::size_t kMostKept = std::size_t{4} << 20U;
  /// Twice what both codings have at 60 KB: four tables each.
  static constexpr std::size_t kMostTables = 16;

  Tables() { idle_.reserve(kMostTables); }

  [[nodiscard]] void* take(std::size_t size) noexcept {
    const auto idle = std::ranges::find_if(
        idle_, [&](const Table& table) { return table->size >= size && table->size / 2 <= size; });
    void* memory = nullptr;
    if (idle != idle_.end()) {
      memory = idle->release();
      idle_.erase(idle);
    } else {
      memory = std::malloc(sizeof(Header) + size);
      if (memory == nullptr) return nullptr;
      new (memory) Header{size};
    }
    return static_cast<std::byte*>(memory) + sizeof(Header);
  }

  /// Null is nothing, as for free().
  void give_back(void* given) noexcept {
    if (given == nullptr) return;
    Table table(reinterpret_cast<Header*>(static_cast<std::byte*>(given) - sizeof(Header)));
    if (table->size < kLeastKept || table->size > kMostKept) return;
    while (kept() + table->size > kMostKept || idle_.size() == kMostTables)
      idle_.erase(idle_.begin());
    idle_.push_back(std::move(table));
  }

  /// Of all that is idle.
  [[nodiscard]] std::size_t kept() const noexcept {
    std::size_t sum = 0;
    for (const Table& table : idle_) sum += table->size;
    return sum;
  }

 private:
  struct alignas(std::max_align_t) Header {
    std::size_t size;
  };
  struct Free {
    void operator()(Header* table) const noexcept { std::free(table); }
  };
  using Table = std::unique_ptr<Header, Free>;

  std::vector<Table> idle_;  // the oldest first
};

}  // namespace nearlane
