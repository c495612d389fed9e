// Keyspace: the embedded store that executes commands as Redis 7.0 does, for strings, keys and
// their expiry. It does no I/O and reads no clock, so that a test owns its time and a log can replay
// it.
//
// Units:     WallTime, because EXPIREAT and its kin speak Unix time.
// Errors:    what Redis would answer, word for word, as a Reply of Type::error. A command that is
//            not served here: "ERR unknown command 'X' with the embedded L2; it needs --l2 redis://…".
//            Over max_bytes: "OOM command not allowed when used memory > 'maxmemory'.", and nothing
//            of the command is done.
// Threads:   one at a time; the owner locks.
// Lifetime:  replies own their bytes.
// Cost:      one hash and one probe a key. KEYS, FLUSHDB and FLUSHALL walk everything.
// Source:    Redis 7.0, t_string.c, expire.c and db.c; checked against redis-server by
//            keyspace_live_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/clock.h"
#include "core/l2/memory/store.h"
#include "core/protocol/reply.h"

namespace nearlane::l2::memory {

struct KeyspaceConfig {
  std::uint64_t max_bytes = std::uint64_t{1} << 30U;  // keys, values and kEntryOverhead for each
  std::size_t max_value = std::size_t{512} * 1024 * 1024;  // Redis's own proto-max-bulk-len
};

class Keyspace {
 public:
  explicit Keyspace(KeyspaceConfig config = {}) : config_(config), store_(config.max_bytes) {}

  /// Executes one command; `args` starts with its name and is not empty.
  [[nodiscard]] protocol::Reply execute(std::uint32_t db, std::span<const std::string_view> args,
                                        WallTime now);

  /// Erases at most `max` entries whose time has passed, the longest passed first; says how many.
  /// Without it they go when they are next asked for, or when room is needed.
  std::size_t expire(WallTime now, std::size_t max);

  /// Entries of all databases.
  [[nodiscard]] std::size_t size() const { return store_.size(); }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return store_.bytes(); }

 private:
  KeyspaceConfig config_;
  Store store_;
};

}  // namespace nearlane::l2::memory
