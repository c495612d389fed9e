// Epoch-based reclamation: readers say "I am reading" with one store, writers wait for them before
// they free.
//
// A reader stands under a Guard. What a writer unlinks it hands to retire(); it is freed once every
// thread that might still see it has left its guard, that is, two epochs later. One domain serves
// the whole process.
//
// Threads:   any; a thread registers itself at its first guard and leaves its slot when it ends.
//            Guards nest.
// Lifetime:  a pointer found under a guard is good until that guard ends, never longer.
// Cost:      a guard is one exchange on the thread's own line, inline; so it is taken once a batch of
//            requests, not once a hit. retire appends to the thread's own list and frees at most kCollectBatch objects
//            a call.
// Errors:    none. A thread that stays under a guard for ever stops reclamation: retired_bytes()
//            shows it.
// Source:    Fraser, "Practical lock-freedom", 2004, section 5.2.3.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace nearlane::epoch {

/// Objects freed by one call of retire() at most, so that no caller pays for a long list.
inline constexpr std::size_t kCollectBatch = 64;
/// No more of them are freed once they were so many bytes, as large ones go back to the kernel page by page.
inline constexpr std::uint64_t kCollectBytes = std::uint64_t{8} << 20U;

namespace detail {

/// What a guard must know of its thread. Trivial, so that access costs no initialisation check.
struct Reader {
  std::atomic<std::uint64_t>* announced =
      nullptr;  // the epoch of its guard, 0: idle; null: not registered
  std::uint32_t depth = 0;
  bool ended = false;  // the thread's destructors run: what registers now leaves at once
};
extern constinit thread_local Reader reader;
/// The epoch.
extern std::atomic<std::uint64_t> now;

void enter() noexcept;
void leave_if_ended() noexcept;

}  // namespace detail

class [[nodiscard]] Guard {
 public:
  Guard() noexcept {
    if (detail::reader.depth++ != 0) return;
    if (detail::reader.announced == nullptr) [[unlikely]]
      detail::enter();
    // The epoch may be old by the time that it is published; then it only holds the next scan up.
    detail::reader.announced->exchange(detail::now.load(std::memory_order_acquire),
                                       std::memory_order_acq_rel);
  }
  ~Guard() {
    if (--detail::reader.depth != 0) return;
    detail::reader.announced->store(0, std::memory_order_release);
    if (detail::reader.ended) [[unlikely]]
      detail::leave_if_ended();
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
};

/// True inside a guard of the calling thread; for assertions.
[[nodiscard]] bool guarded() noexcept;

/// Frees `object` with `free(object)` once no guard can see it. `bytes` is what retired_bytes()
/// counts meanwhile.
void retire(void* object, void (*free)(void*), std::size_t bytes);

/// Tries to move the epoch on and frees what has become free on this thread's list, and on the
/// lists of threads that have ended or rest, kCollectBatch of each at most; event loops call it once in a while so that an idle
/// process gives its memory back. True: it freed as many as it may, so there is probably more.
bool collect() noexcept;

/// The calling thread goes to sleep, and may not retire anything for long: what it could not free is freed by whoever
/// calls collect().
void rest() noexcept;

/// Frees everything retired by anyone. Precondition: no thread is under a guard or retiring. For
/// tests and shutdown.
void drain() noexcept;

/// What was retired and is not freed, but for what other threads have retired last: a few dozen objects or
/// about 256 KiB each. Two loads, of a line that is written once in as many.
[[nodiscard]] std::uint64_t retired_bytes() noexcept;

}  // namespace nearlane::epoch
