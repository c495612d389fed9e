// Replaces operator new of a whole test program by one that counts: to be included by one of its files.
//
// Threads:   any.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace nearlane {

/// By anybody in this program so far.
inline std::atomic<std::uint64_t> allocations{0};

namespace detail {

// Not inlined: g++ would take new and delete apart and warn that malloc's memory is deleted.
[[gnu::noinline]] inline void* take(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] inline void give_back(void* memory) noexcept { std::free(memory); }

}  // namespace detail
}  // namespace nearlane

// NOLINTBEGIN(misc-definitions-in-headers): one file includes it.
void* operator new(std::size_t size) { return nearlane::detail::take(size); }
void operator delete(void* memory) noexcept { nearlane::detail::give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { nearlane::detail::give_back(memory); }
// NOLINTEND(misc-definitions-in-headers)
