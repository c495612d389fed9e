// NoPolicy: keeps nothing and evicts nothing. A put that finds the map full is rejected until something
// is erased or expires, like Redis's noeviction. The null twin: any other policy's cost is a difference
// from this.
#pragma once

#include "core/l1/policy/policy.h"

namespace nearlane::l1 {

class NoPolicy {
 public:
  static constexpr std::string_view kName = "none";
  static constexpr bool kHitNeedsExclusive = false;
  static constexpr std::size_t kBytesPerEntry = 0;

  explicit NoPolicy(Room) noexcept {}
  void insert(CellId, const Entry&, std::uint64_t) noexcept {}
  void hit(const Entry&, std::uint64_t) noexcept {}
  void replace(CellId, const Entry&, const Entry&) noexcept {}
  void erase(CellId, const Entry&) noexcept {}
  [[nodiscard]] CellId victim(const Cells&, std::size_t&) noexcept { return kNoCell; }
  void clear() noexcept {}
};
static_assert(Policy<NoPolicy>);

}  // namespace nearlane::l1
