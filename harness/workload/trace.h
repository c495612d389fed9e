// Recorded request logs, read as a stream: libCacheSim's oracleGeneral and Twitter's cache-trace
// CSV, each plain or compressed with zstd.
//
// oracleGeneral: packed little-endian records of 24 bytes, no header:
//                u32 seconds, u64 object, u32 bytes, i64 next access (-1 = none); every one a read.
// Twitter CSV:   timestamp,key,key size,value size,client id,operation,TTL; a first line is a
//                header if it has seven fields of which the first starts with "timestamp", or
//                none that should be a number holds a digit. A timestamp's fraction of a second is
//                dropped.
// Units:    seconds since the log began its count; bytes of the value, 0 or 1 where none was recorded.
// Errors:   invalid_argument when the file cannot be opened or its name has no known ending; protocol for
//           what is truncated or malformed, naming the file and the record or line; too_large for a
//           line over kMaxLine. A trace is somebody else's file: nothing in it throws or aborts.
// Threads:  one a reader. Memory: a fixed buffer and zstd's window (128 MiB at most).
// Source:   github.com/1a1a11a/libCacheSim, github.com/twitter/cache-trace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace nearlane::harness {

enum class Op : std::uint8_t { get, set, touch, erase };
[[nodiscard]] std::string_view to_string(Op op) noexcept;

/// Where a recorded write does anything; only who follows what a store holds can tell.
enum class WriteIf : std::uint8_t {
  always,   // set
  absent,   // add
  held,     // replace, cas
  amended,  // incr, decr, append, prepend: where the key is held, and its deadline stays
};

struct TraceRecord {
  std::uint64_t second = 0;
  std::string key;
  std::uint64_t bytes = 0;
  Op op = Op::get;
  WriteIf write_if = WriteIf::always;
  std::uint64_t ttl_s = 0;  // 0 = none recorded
};

/// Where a reader's bytes come from.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills the front of `into`; 0 at the end.
  [[nodiscard]] virtual Result<std::size_t> read(std::span<char> into) = 0;
};

[[nodiscard]] Result<std::unique_ptr<ByteSource>> open_file(const std::string& path);
[[nodiscard]] std::unique_ptr<ByteSource> from_memory(std::string bytes);
/// What `inner` holds, decompressed. A frame that ends early is an error.
[[nodiscard]] std::unique_ptr<ByteSource> unzstd(std::unique_ptr<ByteSource> inner);

class TraceReader {
 public:
  static constexpr std::size_t kMaxLine = std::size_t{128} * 1024;

  virtual ~TraceReader() = default;
  /// False at the end. `record` is reused, so that a long trace allocates no key twice.
  [[nodiscard]] virtual Result<bool> next(TraceRecord& record) = 0;
};

/// `name` goes into messages.
[[nodiscard]] std::unique_ptr<TraceReader> read_oracle_general(std::unique_ptr<ByteSource> bytes,
                                                               std::string name);
[[nodiscard]] std::unique_ptr<TraceReader> read_twitter_csv(std::unique_ptr<ByteSource> bytes,
                                                            std::string name);

/// By the file's ending: .oracleGeneral, .csv, either with .zst behind it.
[[nodiscard]] Result<std::unique_ptr<TraceReader>> open_trace(const std::string& path);

/// Which file a name stands for where a trace exists in both forms.
enum class TraceForm : std::uint8_t {
  twitter_csv,     // records operations and TTLs
  oracle_general,  // reads alone
};

/// The file of the trace called `name` in `directory`, `first` before the other form; empty when
/// there is none, or `directory` is empty.
[[nodiscard]] std::string find_trace(const std::string& directory, std::string_view name,
                                     TraceForm first = TraceForm::twitter_csv);

/// What a trace file is called: its name without folder and known endings.
[[nodiscard]] std::string trace_name(const std::string& path);

/// The names that find_trace would find, sorted.
[[nodiscard]] std::vector<std::string> trace_names(const std::string& directory);

}  // namespace nearlane::harness
