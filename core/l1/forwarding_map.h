// ForwardingMap: an L1Map that hands everything on to another one. What tests put in a map's way overrides what it
// changes.
//
// Threads, lifetime, errors:  those of the map behind it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "core/l1/l1_map.h"

namespace nearlane::l1 {

class ForwardingMap : public L1Map {
 public:
  explicit ForwardingMap(std::unique_ptr<L1Map> behind) : behind_(std::move(behind)) {}

  [[nodiscard]] std::string_view name() const noexcept override { return behind_->name(); }
  [[nodiscard]] std::string_view policy() const noexcept override { return behind_->policy(); }
  [[nodiscard]] const Entry* find(const KeyRef& key) noexcept override {
    return behind_->find(key);
  }
  [[nodiscard]] const Entry* peek(const KeyRef& key) const noexcept override {
    return behind_->peek(key);
  }
  void find_batch(std::span<const KeyRef> keys, std::span<const Entry*> out) noexcept override {
    behind_->find_batch(keys, out);
  }
  PutOutcome put(EntryPtr entry) override { return behind_->put(std::move(entry)); }
  bool replace_if(const Entry* expected, EntryPtr next) override {
    return behind_->replace_if(expected, std::move(next));
  }
  bool erase(const KeyRef& key) noexcept override { return behind_->erase(key); }
  void reschedule(const Entry& entry) noexcept override { behind_->reschedule(entry); }
  std::size_t sweep(TimePoint now, std::size_t max) noexcept override {
    return behind_->sweep(now, max);
  }
  void clear() noexcept override { behind_->clear(); }
  bool walk_on(WalkPlace& from, std::size_t max,
               const std::function<void(const Entry&, float)>& visit) const override {
    return behind_->walk_on(from, max, visit);
  }
  [[nodiscard]] L1Stats stats() const noexcept override { return behind_->stats(); }

 protected:
  const std::unique_ptr<L1Map> behind_;
};

}  // namespace nearlane::l1
