// Where a figure comes from: the source it was built from, how, and the machine that it was taken on.
//
// Threads:  any. Cost: a few small files are read. Errors: none; what cannot be found out is "unknown".
#pragma once

#include <cstdint>
#include <string>

namespace nearlane::harness {

struct Provenance {
  std::string revision;  // of the source that this program was built from
  bool dirty = false;    // it had changes that no revision holds
  std::string build_type;
  std::string compiler;
  std::string flags;
  std::string library_build_type;  // debug when assertions are compiled in
  std::string cpu;
  unsigned cores = 0;  // that this process may run on
  std::uint64_t memory_bytes = 0;
  std::string kernel;
  std::string transparent_huge_pages;
  std::string date;  // UTC, when asked
};

[[nodiscard]] Provenance provenance();

}  // namespace nearlane::harness
