// How keys and values lie in the database.
//
//   data       db (4) · hash (6) · name           ->  version (1) · kind (1) · deadline (8) · the value's bytes
//   deadlines  db (4) · deadline (8) · name       ->  nothing
//   meta       "format"; "size" · db (4)          ->  "1"; entries (8)
//
// Numbers are big-endian, so that bytes sort as they do. The hash orders a database for SCAN: a cursor is a hash.
// An entry with a deadline has exactly one line in `deadlines`, written and erased in the same batch.
//
// Units:     deadlines are Unix milliseconds, kNever for none.
// Errors:    read_record says nothing of bytes that this version did not write.
// Threads:   plain functions.
// Source:    docs/decisions/0015-rocksdb.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/l2/embedded/store.h"

namespace nearlane::l2::rocks {

inline constexpr std::string_view kFormat = "1";  // of the whole directory
inline constexpr std::string_view kFormatKey = "format";
inline constexpr std::string_view kSizeKey = "size";

inline constexpr char kRecordVersion = 1;
inline constexpr std::size_t kHeaderBytes = 10;

enum class RecordKind : char {
  string = 's',
  hash = 'h',
  emptied = 'e',  // its time had passed when it was compacted; it waits to be counted out
};

struct Record {
  RecordKind kind;
  std::int64_t expires_at;
  std::string_view bytes;
};

[[nodiscard]] std::string header(RecordKind kind, std::int64_t expires_at);
[[nodiscard]] std::optional<Record> read_record(std::string_view stored) noexcept;

/// The same in every process and on every machine; never changes.
[[nodiscard]] embedded::Cursor place_of(std::string_view name) noexcept;

[[nodiscard]] std::string data_key(std::uint32_t db, std::string_view name);
[[nodiscard]] std::string data_from(std::uint32_t db, embedded::Cursor place);
[[nodiscard]] std::string deadline_key(std::uint32_t db, std::int64_t when, std::string_view name);
[[nodiscard]] std::string size_key(std::uint32_t db);
[[nodiscard]] std::string number_bytes(std::uint64_t number);  // 8 bytes
/// Where the keys of a database begin; those of the one before end there.
[[nodiscard]] std::string database_begin(std::uint32_t db);
[[nodiscard]] std::string database_end(std::uint32_t db);

struct DataKey {
  embedded::Cursor place;
  std::string_view name;
};
[[nodiscard]] DataKey read_data_key(std::string_view key) noexcept;
struct DeadlineKey {
  std::int64_t when;
  std::string_view name;
};
[[nodiscard]] DeadlineKey read_deadline_key(std::string_view key) noexcept;
[[nodiscard]] std::uint64_t read_number(std::string_view bytes) noexcept;  // all of them, 8 at most

}  // namespace nearlane::l2::rocks
