#include "core/cohere/watch.h"

#include <algorithm>

namespace nearlane::cohere {

void Watches::Table::leave(Watch& watch) noexcept {
  for (const auto& [key, was_there] : watch.keys_) {
    const auto found = by_key.find(key);
    if (found == by_key.end()) continue;
    found->second.erase(&watch);
    if (found->second.empty()) by_key.erase(found);
  }
  watch.keys_.clear();
  watched.store(by_key.size(), std::memory_order_relaxed);
}

void Watches::add(Watch& watch, std::uint32_t db, std::string_view name, bool is_there) {
  const std::lock_guard guard(table_->lock);
  if (watch.changed_) return;
  watch.table_ = table_;
  if (!table_->by_key[{db, std::string(name)}].insert(&watch).second) {
    // It came or went meanwhile, or the pass in which it was noted was undone.
    const auto noted = std::ranges::find_if(watch.keys_, [&](const Watch::Watched& watched) {
      return watched.key.first == db && watched.key.second == name;
    });
    if (noted->was_there == is_there) return;
    watch.changed_ = true;
    return table_->leave(watch);
  }
  watch.keys_.push_back({.key = {db, std::string(name)}, .was_there = is_there});
  table_->watched.store(table_->by_key.size(), std::memory_order_relaxed);
}

void Watches::changed(std::uint32_t db, std::string_view name) noexcept {
  const std::lock_guard guard(table_->lock);
  const auto found = table_->by_key.find(std::pair(db, name));
  if (found == table_->by_key.end()) return;
  const std::vector<Watch*> watching(found->second.begin(), found->second.end());
  for (Watch* watch : watching) {
    watch->changed_ = true;
    table_->leave(*watch);
  }
}

bool Watches::holds(Watch& watch, const IsThere& is_there) {
  // Looked for without the lock: that a key has expired may be found out by looking, and is a change then.
  std::vector<Watch::Watched> keys;
  {
    const std::lock_guard guard(table_->lock);
    if (watch.verdict_) return *watch.verdict_;
    keys = watch.keys_;
  }
  const bool same = std::ranges::all_of(keys, [&](const Watch::Watched& watched) {
    return is_there(watched.key.first, watched.key.second) == watched.was_there;
  });
  const std::lock_guard guard(table_->lock);
  watch.verdict_ = same && !watch.changed_;
  table_->leave(watch);
  return *watch.verdict_;
}

Watch::~Watch() {
  if (!table_) return;
  const std::lock_guard guard(table_->lock);
  table_->leave(*this);
}

}  // namespace nearlane::cohere
