#include "core/l2/memory/map_store.h"

#include <algorithm>
#include <utility>

namespace nearlane::l2::memory {

using embedded::Cursor;
using embedded::Kind;
using embedded::kNever;
using embedded::Value;

MapStore::Entry* MapStore::find(std::uint32_t db, std::string_view name, std::int64_t now) {
  const auto database = databases_.find(db);
  if (database == databases_.end()) return nullptr;
  const Name wanted(name);
  Entries& entries = database->second->shard_of(wanted);
  const auto found = entries.find(wanted);
  if (found == entries.end()) return nullptr;
  if (!passed(*found, now)) return &*found;
  erase(db, *found);
  return nullptr;
}

bool MapStore::make_room(std::int64_t growth, std::int64_t now) {
  const auto fits = [&] {
    return growth <= 0 || bytes_ + static_cast<std::uint64_t>(growth) <= max_bytes_;
  };
  while (!fits()) {
    if (sweep(now, 1) == 0) return false;
  }
  return true;
}

MapStore::Entry& MapStore::set(std::uint32_t db, std::string_view name, std::string bytes,
                               Kind kind) {
  auto& database = databases_[db];
  if (!database) database = std::make_unique<Database>();
  const Name wanted(name);
  Entries& entries = database->shard_of(wanted);
  const auto found = entries.find(wanted);
  if (found != entries.end()) {
    set(*found, std::move(bytes));
    found->second.kind = kind;
    return *found;
  }
  Entry& entry =
      *entries.emplace(name, Value{.bytes = std::move(bytes), .expires_at = kNever, .kind = kind})
           .first;
  ++database->size;
  bytes_ += cost(entry);
  return entry;
}

void MapStore::set(Entry& entry, std::string bytes) {
  bytes_ += bytes.size();
  bytes_ -= entry.second.bytes.size();
  entry.second.bytes = std::move(bytes);
}

void MapStore::overwrite(Entry& entry, std::size_t offset, std::string_view bytes) {
  std::string& value = entry.second.bytes;
  bytes_ -= value.size();
  if (offset == value.size()) {
    value.append(bytes);
  } else {
    value.resize(std::max(value.size(), offset + bytes.size()));
    bytes.copy(value.data() + offset, bytes.size());
  }
  bytes_ += value.size();
}

void MapStore::expire_at(std::uint32_t db, Entry& entry, std::int64_t when) {
  std::int64_t& expires_at = entry.second.expires_at;
  if (expires_at != kNever) deadlines_.erase({expires_at, db, &entry});
  expires_at = when;
  if (expires_at != kNever) deadlines_.insert({expires_at, db, &entry});
}

void MapStore::erase(std::uint32_t db, Entry& entry) {
  expire_at(db, entry, kNever);
  bytes_ -= cost(entry);
  Database& database = *databases_.at(db);
  const Name name(entry.first);
  Entries& entries = database.shard_of(name);
  entries.erase(entries.find(name));
  --database.size;
}

void MapStore::clear(std::uint32_t db) {
  const auto database = databases_.find(db);
  if (database == databases_.end()) return;
  for (Entries& entries : database->second->shards) {
    for (Entry& entry : entries) {
      expire_at(db, entry, kNever);
      bytes_ -= cost(entry);
    }
  }
  databases_.erase(database);
}

void MapStore::clear() {
  databases_.clear();
  deadlines_.clear();
  bytes_ = 0;
}

std::size_t MapStore::sweep(std::int64_t now, std::size_t max) {
  std::size_t erased = 0;
  while (erased < max && !deadlines_.empty() && now > deadlines_.begin()->when) {
    const Deadline first = *deadlines_.begin();
    erase(first.db, *first.entry);
    ++erased;
  }
  return erased;
}

std::size_t MapStore::size(std::uint32_t db) const {
  const auto database = databases_.find(db);
  return database == databases_.end() ? 0 : database->second->size;
}

std::size_t MapStore::size() const {
  std::size_t total = 0;
  for (const auto& [db, database] : databases_) total += database->size;
  return total;
}

Cursor MapStore::scan(std::uint32_t db, Cursor from, std::size_t count, std::int64_t now,
                      const Visit& visit) {
  // A cursor is a shard's number in the upper bits, so that a random one is a random shard.
  constexpr unsigned kShift = embedded::kCursorBits - kShardBits;
  const auto database = databases_.find(db);
  if (database == databases_.end()) return 0;
  std::size_t visited = 0;
  Cursor shard = from >> kShift;
  for (; shard < kShards && visited < count; ++shard) {
    for (const Entry& entry : database->second->shards[shard]) {
      if (passed(entry, now)) continue;
      visit(entry);
      ++visited;
    }
  }
  return shard < kShards ? shard << kShift : 0;
}

}  // namespace nearlane::l2::memory
