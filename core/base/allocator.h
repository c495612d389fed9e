// What is asked of malloc, which holds nearly all of L1.
//
// Large values: each has pages of its own and gives them back when it goes. glibc by itself would raise the
// size from which that is so to the largest that it has seen go, and what then comes and goes in one heap,
// 350 KB beside 2 MB, leaves holes of a fifth of it.
//
// Huge pages: the entries of a large L1 lie far apart, so with pages of 4 KiB nearly every read misses the TLB
// as well as the cache. glibc asks the kernel for huge ones (madvise) where GLIBC_TUNABLES says so as the
// program starts, and has no call for it; so a program that wants them starts itself once more, with that in
// its environment. Whoever sets glibc.malloc.hugetlb there, to 0 for instance, is left with what they said.
//
// Errors:    none; where something cannot be had, memory is as it always was.
// Threads:   before there are others.
// Cost:      a large value's pages are new to the process each time: some 0.3 ms a MB beside one in a heap.
// Source:    mallopt(3); glibc manual, "Memory Allocation Tunables"; docs/decisions/0009-what-malloc-is-asked-for.md.
#pragma once

namespace nearlane {

/// From this size on a value has its own pages: not keys and sessions, but what is a fair part of a shard.
/// Unit: bytes.
inline constexpr int kOwnPagesFrom = 512 * 1024;

void keep_large_values_apart() noexcept;

/// The first call of a main. Comes back if there is nothing to do, or at the second start.
void prefer_huge_pages(char* const* argv) noexcept;

}  // namespace nearlane
