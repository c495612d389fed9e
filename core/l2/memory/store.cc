#include "core/l2/memory/store.h"

#include <algorithm>

namespace nearlane::l2::memory {

namespace {

std::uint64_t cost(std::string_view name, std::size_t size) {
  return name.size() + size + kEntryOverhead;
}

}  // namespace

Store::Entry* Store::find(std::uint32_t db, std::string_view name, std::int64_t now) {
  const auto database = databases_.find(db);
  if (database == databases_.end()) return nullptr;
  const auto found = database->second.find(name);
  if (found == database->second.end()) return nullptr;
  if (!passed(*found, now)) return &*found;
  erase(db, *found);
  return nullptr;
}

std::int64_t Store::growth(const Entry* old, std::string_view name, std::size_t size) {
  const auto before = old == nullptr ? 0 : cost(name, old->second.bytes.size());
  return static_cast<std::int64_t>(cost(name, size)) - static_cast<std::int64_t>(before);
}

bool Store::make_room(std::int64_t growth, std::int64_t now) {
  const auto fits = [&] {
    return growth <= 0 || bytes_ + static_cast<std::uint64_t>(growth) <= max_bytes_;
  };
  while (!fits()) {
    if (sweep(now, 1) == 0) return false;
  }
  return true;
}

Store::Entry& Store::set(std::uint32_t db, std::string_view name, std::string bytes) {
  Entries& entries = databases_[db];
  const auto found = entries.find(name);
  if (found != entries.end()) {
    set(*found, std::move(bytes));
    return *found;
  }
  bytes_ += cost(name, bytes.size());
  return *entries.emplace(name, Value{std::move(bytes)}).first;
}

void Store::set(Entry& entry, std::string bytes) {
  bytes_ += bytes.size();
  bytes_ -= entry.second.bytes.size();
  entry.second.bytes = std::move(bytes);
}

void Store::overwrite(Entry& entry, std::size_t offset, std::string_view bytes) {
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

void Store::expire_at(std::uint32_t db, Entry& entry, std::int64_t when) {
  std::int64_t& expires_at = entry.second.expires_at;
  if (expires_at != kNever) deadlines_.erase({expires_at, db, &entry});
  expires_at = when;
  if (expires_at != kNever) deadlines_.insert({expires_at, db, &entry});
}

void Store::erase(std::uint32_t db, Entry& entry) {
  expire_at(db, entry, kNever);
  bytes_ -= cost(entry.first, entry.second.bytes.size());
  Entries& entries = databases_.at(db);
  entries.erase(entries.find(entry.first));
}

void Store::clear(std::uint32_t db) {
  const auto database = databases_.find(db);
  if (database == databases_.end()) return;
  for (Entry& entry : database->second) {
    expire_at(db, entry, kNever);
    bytes_ -= cost(entry.first, entry.second.bytes.size());
  }
  databases_.erase(database);
}

void Store::clear() {
  databases_.clear();
  deadlines_.clear();
  bytes_ = 0;
}

std::size_t Store::sweep(std::int64_t now, std::size_t max) {
  std::size_t erased = 0;
  while (erased < max && !deadlines_.empty() && now > deadlines_.begin()->when) {
    const Deadline first = *deadlines_.begin();
    erase(first.db, *first.entry);
    ++erased;
  }
  return erased;
}

std::size_t Store::size(std::uint32_t db) const {
  const auto database = databases_.find(db);
  return database == databases_.end() ? 0 : database->second.size();
}

std::size_t Store::size() const {
  std::size_t total = 0;
  for (const auto& [db, entries] : databases_) total += entries.size();
  return total;
}

void Store::walk(std::uint32_t db, std::int64_t now,
                 const std::function<void(const Entry&)>& visit) const {
  const auto database = databases_.find(db);
  if (database == databases_.end()) return;
  for (const Entry& entry : database->second) {
    if (!passed(entry, now)) visit(entry);
  }
}

const Store::Entry* Store::pick(std::uint32_t db, std::int64_t now, std::uint64_t random) const {
  const auto database = databases_.find(db);
  if (database == databases_.end()) return nullptr;
  const Entries& entries = database->second;
  for (std::size_t step = 0; step < entries.bucket_count(); ++step) {
    const std::size_t bucket = (random % entries.bucket_count() + step) % entries.bucket_count();
    for (auto entry = entries.begin(bucket); entry != entries.end(bucket); ++entry) {
      if (!passed(*entry, now)) return &*entry;
    }
  }
  return nullptr;
}

}  // namespace nearlane::l2::memory
