// Zeroed: an array of zeros. A large one comes from the kernel, which zeroes a page when it is first touched, so
// nobody waits for the whole.
//
// Errors:    where there is no memory, it is empty.
// Threads:   as a unique_ptr to an array: a const one hands out elements that may be written.
// Cost:      what is smaller than malloc's threshold for pages of their own (core/base/allocator.h) is zeroed at once.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <type_traits>
#include <utility>

namespace nearlane::l1 {

template <class T>
class Zeroed {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  Zeroed() noexcept = default;
  explicit Zeroed(std::size_t size) noexcept : memory_(std::calloc(size + kSlack, sizeof(T))) {
    if (!memory_) return;
    void* at = memory_.get();
    std::size_t space = (size + kSlack) * sizeof(T);
    first_ = static_cast<T*>(std::align(alignof(T), size * sizeof(T), at, space));
    size_ = size;
  }
  Zeroed(Zeroed&& other) noexcept { *this = std::move(other); }
  Zeroed& operator=(Zeroed&& other) noexcept {
    memory_ = std::move(other.memory_);
    first_ = std::exchange(other.first_, nullptr);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  T& operator[](std::size_t at) const noexcept { return first_[at]; }

 private:
  // calloc aligns for any scalar, and no further.
  static constexpr std::size_t kSlack = alignof(T) > alignof(std::max_align_t) ? 1 : 0;

  struct Free {
    void operator()(void* memory) const noexcept { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  T* first_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace nearlane::l1
