// NoneMap: holds nothing. What is left of a request's time with it is not the map's: the null twin.
//
// Every find is a miss and every put is rejected: an entry is larger than a share of nothing.
#pragma once

#include <algorithm>
#include <atomic>

#include "core/l1/l1_map.h"
#include "core/l1/policy/policy.h"

namespace nearlane::l1 {

template <class P>
class NoneMap final : public L1Map {
 public:
  static constexpr std::string_view kName = "none";

  explicit NoneMap(const L1Config&) noexcept {}

  [[nodiscard]] std::string_view name() const noexcept override { return kName; }
  [[nodiscard]] std::string_view policy() const noexcept override { return P::kName; }
  [[nodiscard]] const Entry* find(const KeyRef&) noexcept override { return nullptr; }
  [[nodiscard]] const Entry* peek(const KeyRef&) const noexcept override { return nullptr; }
  void find_batch(std::span<const KeyRef>, std::span<const Entry*> out) noexcept override {
    std::ranges::fill(out, nullptr);
  }
  PutOutcome put(EntryPtr) override {
    rejections_.fetch_add(1, std::memory_order_relaxed);
    return PutOutcome::rejected;
  }
  bool replace_if(const Entry*, EntryPtr) override { return false; }
  bool erase(const KeyRef&) noexcept override { return false; }
  void reschedule(const Entry&) noexcept override {}
  std::size_t sweep(TimePoint, std::size_t) noexcept override { return 0; }
  void clear() noexcept override {}
  bool walk_on(WalkPlace&, std::size_t,
               const std::function<void(const Entry&, float)>&) const override {
    return false;
  }
  [[nodiscard]] L1Stats stats() const noexcept override {
    return {.rejections = rejections_.load(std::memory_order_relaxed)};
  }

 private:
  std::atomic<std::uint64_t> rejections_{0};
};

}  // namespace nearlane::l1
