// Keyspace: executes commands over a Store as Redis 7.0 does, for strings, hashes, keys and their expiry. It reads
// no clock, so that a test owns its time.
//
// Units:     WallTime, because EXPIREAT and its kin speak Unix time.
// Errors:    what Redis would answer, word for word, as a Reply of Type::error. A command that is
//            not served here: "ERR unknown command 'X' with the embedded L2; it needs --l2 redis://…".
//            Where the store has no room: "OOM command not allowed when used memory > 'maxmemory'.", and nothing
//            of the command is done.
// Threads:   as Store.
// Lifetime:  replies own their bytes.
// Cost:      what the store's calls cost. KEYS walks everything, SCAN a part.
// Source:    Redis 7.0, t_string.c, t_hash.c, expire.c and db.c; checked against redis-server by
//            keyspace_differential_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/clock.h"
#include "core/l2/embedded/store.h"
#include "core/protocol/reply.h"

namespace nearlane::l2::embedded {

/// Redis's own proto-max-bulk-len.
inline constexpr std::size_t kMaxValue = std::size_t{512} * 1024 * 1024;

class Keyspace {
 public:
  /// `store` outlives this. APPEND and SETRANGE make no value longer than `max_value`.
  explicit Keyspace(Store& store, std::size_t max_value = kMaxValue)
      : store_(store), max_value_(max_value) {}

  /// Executes one command; `args` starts with its name and is not empty.
  [[nodiscard]] protocol::Reply execute(std::uint32_t db, std::span<const std::string_view> args,
                                        WallTime now);

  [[nodiscard]] Store& store() const noexcept { return store_; }

 private:
  Store& store_;
  std::size_t max_value_;
};

}  // namespace nearlane::l2::embedded
