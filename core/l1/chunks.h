// Chunks: an array that grows by whole chunks, so that growing it copies nothing and wastes little.
//
// Threads:   under the shard's lock.
// Cost:      operator[]: one more load than a vector's, of a pointer that stays in the cache. grow():
//            now and then one allocation of a chunk, and a copy of the pointers to all chunks.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

namespace nearlane::l1 {

template <class T>
class Chunks {
 public:
  static constexpr std::size_t kChunk = 128;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  T& operator[](std::size_t i) noexcept { return (*chunks_[i / kChunk])[i % kChunk]; }
  const T& operator[](std::size_t i) const noexcept { return (*chunks_[i / kChunk])[i % kChunk]; }

  /// New elements are value-initialised.
  void grow(std::size_t size) {
    while (chunks_.size() * kChunk < size) chunks_.push_back(std::make_unique<Chunk>());
    if (size > size_) size_ = size;
  }

 private:
  using Chunk = std::array<T, kChunk>;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::size_t size_ = 0;
};

}  // namespace nearlane::l1
