// WatchedStore: a Store that tells what its commands write, for who watches a key (core/cohere/watch.h).
//
// What a command calls is what Redis counts as a change: it sets a value that was there before, and moves a deadline to
// where it was, where Redis says that the key was modified, and calls nothing where Redis does not.
//
// Threads, errors:  as the store behind it.
// Lifetime:         one command's, in one database.
// Cost:             one more virtual call, and what Watches::changed costs.
// Source:           signalModifiedKey in Redis 7.0's commands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/cohere/watch.h"
#include "core/l2/embedded/store.h"

namespace nearlane::l2::embedded {

class WatchedStore final : public Store {
 public:
  WatchedStore(Store& behind, cohere::Watches& watches, std::uint32_t db)
      : behind_(behind), watches_(watches), db_(db) {}

  [[nodiscard]] Entry* find(std::uint32_t db, std::string_view name, std::int64_t now) override {
    return behind_.find(db, name, now);
  }
  void release(Entry& entry) override { behind_.release(entry); }
  [[nodiscard]] bool make_room(std::int64_t growth, std::int64_t now) override {
    return behind_.make_room(growth, now);
  }
  Entry& set(std::uint32_t db, std::string_view name, std::string bytes, Kind kind) override {
    watches_.changed(db, name);
    return behind_.set(db, name, std::move(bytes), kind);
  }
  void set(Entry& entry, std::string bytes) override {
    watches_.changed(db_, entry.first);
    behind_.set(entry, std::move(bytes));
  }
  void overwrite(Entry& entry, std::size_t offset, std::string_view bytes) override {
    watches_.changed(db_, entry.first);
    behind_.overwrite(entry, offset, bytes);
  }
  void expire_at(std::uint32_t db, Entry& entry, std::int64_t when) override {
    // To take away the deadline of a key that has none is no change.
    if (when != kNever || entry.second.expires_at != kNever) watches_.changed(db, entry.first);
    behind_.expire_at(db, entry, when);
  }
  // What is erased, and stays so, is noticed by who watches it.
  void erase(std::uint32_t db, Entry& entry) override { behind_.erase(db, entry); }
  void clear(std::uint32_t db) override { behind_.clear(db); }
  void clear() override { behind_.clear(); }
  std::size_t sweep(std::int64_t now, std::size_t max) override { return behind_.sweep(now, max); }
  [[nodiscard]] std::size_t size(std::uint32_t db) const override { return behind_.size(db); }
  [[nodiscard]] std::size_t size() const override { return behind_.size(); }
  [[nodiscard]] Cursor scan(std::uint32_t db, Cursor from, std::size_t count, std::int64_t now,
                            const Visit& visit) override {
    return behind_.scan(db, from, count, now, visit);
  }

 private:
  Store& behind_;
  cohere::Watches& watches_;
  std::uint32_t db_;
};

}  // namespace nearlane::l2::embedded
