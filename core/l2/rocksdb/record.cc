#include "core/l2/rocksdb/record.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace nearlane::l2::rocks {

namespace {

constexpr std::size_t kDbBytes = 4;
constexpr std::size_t kPlaceBytes = embedded::kCursorBits / 8;
constexpr std::size_t kTimeBytes = 8;

void append(std::string& out, std::uint64_t number, std::size_t bytes) {
  for (std::size_t i = bytes; i-- > 0;) out += static_cast<char>(number >> (8 * i));
}

}  // namespace

std::uint64_t read_number(std::string_view bytes) noexcept {
  std::uint64_t number = 0;
  for (const char byte : bytes) number = number << 8U | static_cast<unsigned char>(byte);
  return number;
}

std::string header(RecordKind kind, std::int64_t expires_at) {
  std::string out{kRecordVersion, static_cast<char>(kind)};
  append(out, static_cast<std::uint64_t>(expires_at), kTimeBytes);
  return out;
}

std::optional<Record> read_record(std::string_view stored) noexcept {
  if (stored.size() < kHeaderBytes || stored[0] != kRecordVersion) return std::nullopt;
  const auto kind = static_cast<RecordKind>(stored[1]);
  if (kind != RecordKind::string && kind != RecordKind::hash && kind != RecordKind::emptied) {
    return std::nullopt;
  }
  return Record{.kind = kind,
                .expires_at = static_cast<std::int64_t>(read_number(stored.substr(2, kTimeBytes))),
                .bytes = stored.substr(kHeaderBytes)};
}

embedded::Cursor place_of(std::string_view name) noexcept {
  return XXH3_64bits(name.data(), name.size()) >> (64U - embedded::kCursorBits);
}

std::string data_from(std::uint32_t db, embedded::Cursor place) {
  std::string key;
  append(key, db, kDbBytes);
  append(key, place, kPlaceBytes);
  return key;
}

std::string data_key(std::uint32_t db, std::string_view name) {
  std::string key = data_from(db, place_of(name));
  key += name;
  return key;
}

std::string deadline_key(std::uint32_t db, std::int64_t when, std::string_view name) {
  std::string key = database_begin(db);
  append(key, static_cast<std::uint64_t>(when), kTimeBytes);
  key += name;
  return key;
}

std::string size_key(std::uint32_t db) {
  std::string key(kSizeKey);
  append(key, db, kDbBytes);
  return key;
}

std::string number_bytes(std::uint64_t number) {
  std::string out;
  append(out, number, sizeof number);
  return out;
}

std::string database_begin(std::uint32_t db) {
  std::string key;
  append(key, db, kDbBytes);
  return key;
}

std::string database_end(std::uint32_t db) { return database_begin(db + 1); }

DataKey read_data_key(std::string_view key) noexcept {
  return {.place = read_number(key.substr(kDbBytes, kPlaceBytes)),
          .name = key.substr(kDbBytes + kPlaceBytes)};
}

DeadlineKey read_deadline_key(std::string_view key) noexcept {
  return {.when = static_cast<std::int64_t>(read_number(key.substr(kDbBytes, kTimeBytes))),
          .name = key.substr(kDbBytes + kTimeBytes)};
}

}  // namespace nearlane::l2::rocks
