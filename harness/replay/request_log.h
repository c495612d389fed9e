// A recorded trace in memory, ready to be replayed many times: keys are interned to dense ids with
// their names and hashes made beforehand, and every request says what it does to a cache.
//
// The store.  A cache stands in front of a store, and what a miss finds there does not depend on the
//             cache. So it is worked out once, here, from the trace's own sets, touches, deletes and
//             TTLs: until when a key is held, and what a miss puts into the cache. A read of a key
//             that the store does not hold puts nothing when the trace recorded no bytes for it and
//             does record sets (it is a recorded miss, and its set follows); otherwise somebody whom
//             the trace did not see has written it, and it is put as recorded.
//             Conditional writes are memcached's: an add writes what the store does not hold;
//             replace and cas what it does; incr, decr, append and prepend leave its deadline and
//             its size. One whose condition does not hold changes neither the store nor a cache,
//             and is not replayed. The store is empty at first.
// Units:      seconds since the trace's first record; time never runs backwards. Bytes of values.
// Memory:     kRequestBytes a request, and a key's name and about 100 bytes a key; LogLimits caps it.
// Errors:     the reader's, naming file and record; too_large for a trace over a limit;
//             invalid_argument for one without reads.
// Threads:    read-only once loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "core/base/key.h"
#include "core/base/result.h"
#include "harness/workload/trace.h"

namespace nearlane::harness {

/// A deadline that never comes. Unit: seconds.
inline constexpr std::uint32_t kNoDeadline = std::numeric_limits<std::uint32_t>::max();

struct Request {
  enum class Kind : std::uint8_t {
    read,       // a hit if the cache still holds the key
    cold_read,  // a miss whatever the cache holds: it has expired; the store has it anew
    dead_read,  // a miss, and the store has nothing either
    write,
    touch,
    erase,
  };
  std::uint32_t key = 0;
  std::uint32_t bytes = 0;  // of the value that a write, or a miss, puts
  std::uint32_t second = 0;
  std::uint32_t deadline = kNoDeadline;  // of what is put or touched
  Kind kind = Kind::read;
  WriteIf write_if = WriteIf::always;  // as recorded

  [[nodiscard]] bool is_read() const noexcept { return kind <= Kind::dead_read; }
};
inline constexpr std::size_t kRequestBytes = sizeof(Request);
static_assert(kRequestBytes == 20, "the limits below count on it");

struct LogLimits {
  std::uint64_t requests = 50'000'000;                 // 1 GB, and 0.2 GB more for belady
  std::uint64_t keys = 10'000'000;                     // 1 GB beside their names
  std::uint64_t name_bytes = std::uint64_t{1} << 30U;  // of all keys' names together
};

struct RequestLog {
  RequestLog() = default;
  RequestLog(RequestLog&&) = default;
  RequestLog& operator=(RequestLog&&) = default;
  RequestLog(const RequestLog&) = delete;  // keys view names
  RequestLog& operator=(const RequestLog&) = delete;

  std::string trace;  // its file, for messages
  std::deque<std::string> names;
  std::vector<KeyRef> keys;  // by id; hashed once, with the process's seed
  std::vector<Request> requests;
  std::uint64_t reads = 0;
  std::uint32_t largest_value = 0;
  std::uint64_t largest_record = 0;  // the trace's first record with it, counted from 1
  std::size_t longest_name = 0;
  bool expires = false;                // some deadline comes
  std::uint64_t backward_records = 0;  // are earlier than one before them, and taken to be as late
  std::uint64_t first_backward = 0;    // of these; records are counted from 1
};

[[nodiscard]] Result<RequestLog> load_log(TraceReader& trace, const std::string& name,
                                          const LogLimits& limits = {});

}  // namespace nearlane::harness
