// SmallMap: the smallest L1Map there is, for the few keys of a schedule, so that a million
// schedules fit into a minute.
//
// Lifetime:  what left the map lives as long as the map, whatever guard is held.
// Threads:   one owner.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "core/l1/l1_map.h"

namespace nearlane::sim {

class SmallMap final : public l1::L1Map {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "small"; }
  [[nodiscard]] std::string_view policy() const noexcept override { return "none"; }

  [[nodiscard]] const Entry* find(const KeyRef& key) noexcept override { return peek(key); }
  [[nodiscard]] const Entry* peek(const KeyRef& key) const noexcept override {
    const auto found = at(key);
    return found == entries_.end() ? nullptr : found->get();
  }
  void find_batch(std::span<const KeyRef> keys, std::span<const Entry*> out) noexcept override {
    std::ranges::transform(keys, out.begin(), [this](const KeyRef& key) { return find(key); });
  }
  l1::PutOutcome put(EntryPtr entry) override {
    const auto found = at(entry->key());
    if (found == entries_.end()) {
      entries_.push_back(std::move(entry));
      return l1::PutOutcome::inserted;
    }
    departed_.push_back(std::exchange(*found, std::move(entry)));
    return l1::PutOutcome::replaced;
  }
  bool replace_if(const Entry* expected, EntryPtr next) override {
    if (find(next->key()) != expected) return false;
    put(std::move(next));
    return true;
  }
  bool erase(const KeyRef& key) noexcept override {
    const auto found = at(key);
    if (found == entries_.end()) return false;
    departed_.push_back(std::move(*found));
    entries_.erase(found);
    return true;
  }
  void reschedule(const Entry&) noexcept override {}
  std::size_t sweep(TimePoint now, std::size_t) noexcept override {
    return std::erase_if(entries_, [&](EntryPtr& entry) {
      if (now < entry->deadline()) return false;
      departed_.push_back(std::move(entry));
      return true;
    });
  }
  void clear() noexcept override { entries_.clear(); }
  bool walk_on(l1::WalkPlace& from, std::size_t,
               const std::function<void(const Entry&, float)>& visit) const override {
    if (from.shard++ != 0) return false;
    for (const EntryPtr& entry : entries_) visit(*entry, 0);
    return false;
  }
  [[nodiscard]] l1::L1Stats stats() const noexcept override { return {.entries = entries_.size()}; }

 private:
  std::vector<EntryPtr>::iterator at(const KeyRef& key) noexcept {
    return std::ranges::find_if(entries_, [&](const EntryPtr& entry) { return entry->is(key); });
  }
  std::vector<EntryPtr>::const_iterator at(const KeyRef& key) const noexcept {
    return std::ranges::find_if(entries_, [&](const EntryPtr& entry) { return entry->is(key); });
  }
  std::vector<EntryPtr> entries_;
  std::vector<EntryPtr> departed_;
};

}  // namespace nearlane::sim
