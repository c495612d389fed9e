#include "core/l2/rocksdb/disk_store.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

#include "core/l2/rocksdb/database.h"
#include "core/l2/rocksdb/record.h"
#include "core/l2/rocksdb/slot.h"

namespace nearlane::l2::rocks {

using embedded::Cursor;
using embedded::Kind;
using embedded::kNever;

namespace {

const std::string kClosed = "the directory could not be opened again";
constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();

std::int64_t signed_size(std::size_t size) { return static_cast<std::int64_t>(size); }

std::string_view view(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

bool passed(std::int64_t expires_at, std::int64_t now) {
  return expires_at != kNever && now > expires_at;
}

Kind kind_of(const Record& record) {
  return record.kind == RecordKind::hash ? Kind::hash : Kind::string;
}

}  // namespace

struct DiskStore::State {
  DiskConfig config;
  std::unique_ptr<Database> database;  // null: opening it again has failed
  std::mutex opening;                  // between that and sync(), which another thread calls
  // RocksDB 7.8 ends the process (by an assertion that Debian's has) where a log is synced that could not be written.
  std::atomic<bool> log_failed{false};
  std::unordered_map<std::string, std::unique_ptr<Slot>> slots;  // by data key: since the commit
  std::set<std::uint32_t> cleared;                               // databases, since the commit
  std::map<std::uint32_t, std::uint64_t> sizes;
  std::map<std::uint32_t, std::uint64_t> committed_sizes;
  std::map<std::uint32_t, std::int64_t> no_deadline_before;  // what the sweep need not look for
  std::optional<std::string> failure;
  Entry scratch{"", {}};  // what is changed after a failure
  bool changed = false;
  std::int64_t grown = 0;           // bytes of values, in this unit
  std::size_t read_bytes = 0;       // since those that were only read were dropped, or the commit
  std::int64_t changed_bytes = 0;   // of slots that were changed
  std::int64_t changed_before = 0;  // of them before this unit

  void fail(const rocksdb::Status& status) { fail(status.ToString()); }
  void fail(const std::string& what) {
    if (!failure) failure = what;
  }

  [[nodiscard]] Slot* load(std::uint32_t db, std::string_view name);
  void revive(Slot& slot);
  void kill(Slot& slot);
  void mark(Slot& slot) {
    if (!slot.changed) changed_bytes += signed_size(slot.cost());
    slot.changed = true;
  }
  void touch(Slot& slot) {
    mark(slot);
    changed = true;
  }
  void replace(Slot& slot, std::string bytes) {
    touch(slot);
    changed_bytes += signed_size(bytes.size()) - signed_size(slot.second.bytes.size());
    slot.second.bytes = std::move(bytes);
  }
  void drop_unchanged() {
    std::erase_if(slots, [](const auto& slot) { return !slot.second->changed; });
    read_bytes = 0;
  }
  [[nodiscard]] std::optional<std::string> load_sizes();
  void write(rocksdb::WriteBatch& batch, const std::string& key, const Slot& slot);
  void forget() {
    slots.clear();
    cleared.clear();
    changed = false;
    grown = 0;
    read_bytes = 0;
    changed_bytes = changed_before = 0;
  }
};

/// The slot of a name, with what the disk has if it was not read yet. Null: the disk cannot be read.
Slot* DiskStore::State::load(std::uint32_t db, std::string_view name) {
  std::string key = data_key(db, name);
  if (const auto found = slots.find(key); found != slots.end()) return found->second.get();
  auto slot = std::make_unique<Slot>(db, name);
  if (!database) {
    fail(kClosed);
    return nullptr;
  }
  if (!cleared.contains(db)) {
    rocksdb::PinnableSlice stored;
    const auto status = (*database)->Get(rocksdb::ReadOptions(), database->data, key, &stored);
    if (!status.ok() && !status.IsNotFound()) {
      fail(status);
      return nullptr;
    }
    if (status.ok()) {
      const auto record = read_record(view(stored));
      if (!record) {
        fail("a value in a format that this version does not know");
        return nullptr;
      }
      slot->live = slot->stored = true;
      slot->stored_until = record->expires_at;
      slot->second.bytes = record->bytes;
      slot->second.kind = kind_of(*record);
      // What was emptied has expired, even if the clock was set back since.
      slot->second.expires_at = record->kind == RecordKind::emptied ? 0 : record->expires_at;
    }
  }
  read_bytes += slot->cost();
  return slots.emplace(std::move(key), std::move(slot)).first->second.get();
}

void DiskStore::State::revive(Slot& slot) {
  if (slot.live) return;
  slot.live = true;
  slot.second = {};
  ++sizes[slot.db];
}

void DiskStore::State::kill(Slot& slot) {
  mark(slot);
  changed_bytes -= signed_size(slot.second.bytes.size());
  slot.live = false;
  slot.second = {};
  --sizes[slot.db];
}

std::optional<std::string> DiskStore::State::load_sizes() {
  committed_sizes.clear();
  const std::unique_ptr<rocksdb::Iterator> line(
      (*database)->NewIterator(rocksdb::ReadOptions(), database->meta));
  for (line->Seek(std::string(kSizeKey));
       line->Valid() && line->key().starts_with(std::string(kSizeKey)); line->Next()) {
    const auto db =
        static_cast<std::uint32_t>(read_number(view(line->key()).substr(kSizeKey.size())));
    committed_sizes[db] = read_number(view(line->value()));
  }
  sizes = committed_sizes;
  if (!line->status().ok()) return line->status().ToString();
  return std::nullopt;
}

void DiskStore::State::write(rocksdb::WriteBatch& batch, const std::string& key, const Slot& slot) {
  const std::string& name = slot.first;
  const embedded::Value& value = slot.second;
  const bool kept = slot.live && slot.stored && value.expires_at == slot.stored_until;
  if (slot.stored && slot.stored_until != kNever && !kept) {
    (void)batch.Delete(database->deadlines, deadline_key(slot.db, slot.stored_until, name));
  }
  if (!slot.live) {
    if (slot.stored) (void)batch.Delete(database->data, key);
    return;
  }
  const std::string head =
      header(value.kind == Kind::hash ? RecordKind::hash : RecordKind::string, value.expires_at);
  const rocksdb::Slice whole_key(key);
  const rocksdb::Slice parts[] = {head, value.bytes};
  (void)batch.Put(database->data, rocksdb::SliceParts(&whole_key, 1),
                  rocksdb::SliceParts(parts, 2));
  if (value.expires_at != kNever && !kept) {
    (void)batch.Put(database->deadlines, deadline_key(slot.db, value.expires_at, name),
                    rocksdb::Slice());
    auto& bound = no_deadline_before[slot.db];
    bound = std::min(bound, value.expires_at);
  }
}

DiskStore::DiskStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
DiskStore::~DiskStore() = default;

Result<std::unique_ptr<DiskStore>> DiskStore::open(DiskConfig config) {
  auto database = Database::open(config);
  if (!database) return database.error();
  auto state = std::make_unique<State>();
  state->config = std::move(config);
  state->database = std::move(*database);
  if (const auto failed = state->load_sizes()) {
    return Error{Errc::invalid_argument,
                 "l2: rocksdb:" + state->config.path + ": cannot be read: " + *failed};
  }
  return std::unique_ptr<DiskStore>(new DiskStore(std::move(state)));
}

DiskStore::Entry* DiskStore::find(std::uint32_t db, std::string_view name, std::int64_t now) {
  Slot* slot = state_->load(db, name);
  if (slot == nullptr) return nullptr;
  if (!slot->live) {
    release(*slot);
    return nullptr;
  }
  if (!passed(slot->second.expires_at, now)) return slot;
  state_->kill(*slot);
  return nullptr;
}

void DiskStore::release(Entry& entry) {
  const Slot& slot = slot_of(entry);
  if (slot.changed || state_->read_bytes <= kMostRead) return;
  state_->read_bytes -= std::min(state_->read_bytes, slot.cost());
  state_->slots.erase(data_key(slot.db, slot.first));
}

bool DiskStore::make_room(std::int64_t growth, std::int64_t /*now*/) {
  const std::int64_t most = state_->config.most_uncommitted;
  if (growth > most - state_->grown) return false;
  if (state_->changed_bytes - state_->changed_before > most) return false;
  state_->grown += std::max<std::int64_t>(growth, 0);
  return true;
}

DiskStore::Entry& DiskStore::set(std::uint32_t db, std::string_view name, std::string bytes,
                                 Kind kind) {
  Slot* slot = state_->failure ? nullptr : state_->load(db, name);
  if (slot == nullptr) return state_->scratch;
  state_->revive(*slot);
  state_->replace(*slot, std::move(bytes));
  slot->second.kind = kind;
  return *slot;
}

void DiskStore::set(Entry& entry, std::string bytes) {
  if (state_->failure) return;
  state_->replace(slot_of(entry), std::move(bytes));
}

void DiskStore::overwrite(Entry& entry, std::size_t offset, std::string_view bytes) {
  if (state_->failure) return;
  state_->touch(slot_of(entry));
  std::string& value = entry.second.bytes;
  const std::size_t before = value.size();
  value.resize(std::max(before, offset + bytes.size()));
  state_->changed_bytes += signed_size(value.size() - before);
  bytes.copy(value.data() + offset, bytes.size());
}

void DiskStore::expire_at(std::uint32_t /*db*/, Entry& entry, std::int64_t when) {
  if (state_->failure || entry.second.expires_at == when) return;
  state_->touch(slot_of(entry));
  entry.second.expires_at = when;
}

void DiskStore::erase(std::uint32_t /*db*/, Entry& entry) {
  if (state_->failure) return;
  state_->changed = true;
  state_->kill(slot_of(entry));
}

void DiskStore::clear(std::uint32_t db) {
  if (state_->failure) return;
  std::erase_if(state_->slots, [this, db](const auto& each) {
    const Slot& slot = *each.second;
    if (slot.db == db && slot.changed) state_->changed_bytes -= signed_size(slot.cost());
    return slot.db == db;
  });
  state_->cleared.insert(db);
  state_->sizes[db] = 0;
  state_->changed = true;
}

void DiskStore::clear() {
  for (const auto& [db, size] : std::map(state_->sizes)) clear(db);
}

std::size_t DiskStore::sweep(std::int64_t now, std::size_t max) {
  if (!state_->database) return 0;
  std::size_t erased = 0;
  for (const auto& [db, size] : state_->committed_sizes) {
    auto& bound = state_->no_deadline_before[db];
    if (size == 0 || erased == max || now <= bound || state_->cleared.contains(db)) continue;
    const std::string end = database_end(db);
    const rocksdb::Slice upper(end);
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> line(
        (*state_->database)->NewIterator(options, state_->database->deadlines));
    // From the bound on: what was swept before leaves tombstones that a seek to the beginning would step over.
    for (line->Seek(deadline_key(db, bound, "")); line->Valid() && erased < max; line->Next()) {
      const auto [when, name] = read_deadline_key(view(line->key()));
      bound = when;
      if (now <= when) break;
      // The line says all that is to be known of the record, unless a command has read it since.
      std::string key = data_key(db, name);
      const auto found = state_->slots.find(key);
      if (found == state_->slots.end()) {
        auto slot = std::make_unique<Slot>(db, name);
        slot->live = slot->stored = true;
        slot->stored_until = when;
        state_->kill(*slot);
        state_->slots.emplace(std::move(key), std::move(slot));
        ++erased;
      } else if (found->second->live && passed(found->second->second.expires_at, now)) {
        state_->kill(*found->second);
        ++erased;
      }
    }
    if (!line->status().ok()) {
      state_->fail(line->status());
    } else if (!line->Valid()) {
      bound = kNone;
    }
  }
  return erased;
}

std::size_t DiskStore::size(std::uint32_t db) const {
  const auto found = state_->sizes.find(db);
  return found == state_->sizes.end() ? 0 : found->second;
}

std::size_t DiskStore::size() const {
  std::size_t total = 0;
  for (const auto& [db, size] : state_->sizes) total += size;
  return total;
}

Cursor DiskStore::scan(std::uint32_t db, Cursor from, std::size_t count, std::int64_t now,
                       const Visit& visit) {
  constexpr Cursor kEnd = Cursor{1} << embedded::kCursorBits;
  if (from >= kEnd) return 0;
  if (!state_->database) {
    state_->fail(kClosed);
    return 0;
  }
  Cursor next = kEnd;  // everything before it is visited
  if (!state_->cleared.contains(db)) {
    const std::string end = database_end(db);
    const rocksdb::Slice upper(end);
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &upper;
    options.fill_cache = false;
    const std::unique_ptr<rocksdb::Iterator> line(
        (*state_->database)->NewIterator(options, state_->database->data));
    std::size_t seen = 0;
    for (line->Seek(data_from(db, from)); line->Valid(); line->Next()) {
      const auto [place, name] = read_data_key(view(line->key()));
      if (seen >= count && place >= next) break;
      next = seen + 1 >= count ? place + 1 : kEnd;
      ++seen;
      if (state_->slots.contains(line->key().ToString())) continue;
      const auto record = read_record(view(line->value()));
      if (!record) {
        state_->fail("a value in a format that this version does not know");
        continue;
      }
      if (record->kind == RecordKind::emptied || passed(record->expires_at, now)) continue;
      const Entry entry(name, embedded::Value{.bytes = std::string(record->bytes),
                                              .expires_at = record->expires_at,
                                              .kind = kind_of(*record)});
      visit(entry);
    }
    if (!line->status().ok()) state_->fail(line->status());
    if (!line->Valid()) next = kEnd;
  }
  for (const auto& [key, slot] : state_->slots) {
    if (slot->db != db || !slot->live || passed(slot->second.expires_at, now)) continue;
    const Cursor place = place_of(slot->first);
    if (place >= from && place < next) visit(*slot);
  }
  return next < kEnd ? next : 0;
}

bool DiskStore::take_changed() noexcept { return std::exchange(state_->changed, false); }

std::optional<std::string> DiskStore::take_failure() {
  return std::exchange(state_->failure, std::nullopt);
}

void DiskStore::end_command() {
  if (state_->read_bytes > kMostRead) state_->drop_unchanged();
}

bool DiskStore::end_unit() {
  end_command();
  state_->grown = 0;
  state_->changed_before = state_->changed_bytes;
  return state_->changed_bytes > signed_size(kMostChanged);
}

std::size_t DiskStore::held() const noexcept {
  std::size_t bytes = 0;
  for (const auto& [key, slot] : state_->slots) bytes += slot->second.bytes.size();
  return bytes;
}

std::optional<std::string> DiskStore::commit() {
  if (!state_->database) {
    discard();
    return kClosed;
  }
  const Database& database = *state_->database;
  rocksdb::WriteBatch batch;
  for (const std::uint32_t db : state_->cleared) {
    const std::string begin = database_begin(db);
    const std::string end = database_end(db);
    (void)batch.DeleteRange(database.data, begin, end);
    (void)batch.DeleteRange(database.deadlines, begin, end);
  }
  for (const auto& [key, slot] : state_->slots) {
    if (slot->changed) state_->write(batch, key, *slot);
  }
  for (const auto& [db, size] : state_->sizes) {
    const auto before = state_->committed_sizes.find(db);
    if (before != state_->committed_sizes.end() && before->second == size) continue;
    (void)batch.Put(database.meta, size_key(db), number_bytes(size));
  }
  if (batch.Count() > 0) {
    rocksdb::WriteOptions options;
    options.sync = state_->config.fsync == Fsync::always;
    const auto status = database->Write(options, &batch);
    if (!status.ok()) {
      state_->log_failed = true;
      discard();
      return status.ToString();
    }
  }
  state_->committed_sizes = state_->sizes;
  state_->forget();
  return std::nullopt;
}

void DiskStore::discard() noexcept {
  state_->forget();
  state_->sizes = state_->committed_sizes;
  state_->no_deadline_before.clear();  // what was swept in vain is there still
}

std::optional<std::string> DiskStore::sync() {
  const std::lock_guard lock(state_->opening);
  if (!state_->database) return kClosed;
  if (state_->log_failed) return "its log could not be written";
  const auto status = (*state_->database)->SyncWAL();
  if (!status.ok()) return status.ToString();
  return std::nullopt;
}

std::optional<std::string> DiskStore::resume() {
  if (state_->database && !state_->log_failed && (*state_->database)->Resume().ok() && !sync())
    return std::nullopt;
  // Not every error is one that RocksDB forgives: a log that could not be written or synced cannot be trusted again. Opening
  // anew reads what it holds into a table, which is synced, and begins another log. But as long as the disk takes
  // nothing, what is open is better than nothing: it can be read.
  const std::string probe = state_->config.path + "/PROBE";
  rocksdb::Env* env = state_->config.env != nullptr ? state_->config.env : rocksdb::Env::Default();
  const auto status = rocksdb::WriteStringToFile(env, "can it be written?", probe, true);
  (void)env->DeleteFile(probe);
  if (!status.ok()) return status.ToString();
  discard();
  const std::lock_guard lock(state_->opening);
  state_->database.reset();
  auto opened = Database::open(state_->config);
  if (!opened) return opened.error().detail;
  state_->database = std::move(*opened);
  state_->log_failed = false;
  auto failed = state_->load_sizes();
  // Nobody reads of it before the caller knows that it was opened again.
  if (failed) state_->database.reset();
  return failed;
}

std::string DiskStore::loss() const { return state_->database ? state_->database->loss : ""; }

void DiskStore::compact() {
  const Database& database = *state_->database;
  for (auto* family : {database.meta, database.data, database.deadlines}) {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    (void)database->CompactRange(options, family, nullptr, nullptr);
  }
}

}  // namespace nearlane::l2::rocks
