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
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/clock.h"
#include "core/cohere/call.h"
#include "core/cohere/watch.h"
#include "core/l2/embedded/store.h"
#include "core/protocol/reply.h"

namespace nearlane::l2::embedded {

/// Redis's own proto-max-bulk-len.
inline constexpr std::size_t kMaxValue = std::size_t{512} * 1024 * 1024;

/// Bytes of what one command or one EXEC answers with, counted roughly; more is an error instead of the answer. As much as a
/// client may leave lying (servers/resp).
inline constexpr std::size_t kMaxAnswer = std::size_t{256} * 1024 * 1024;

/// The error of a command that is not served here, for whoever knows that before the store is asked.
[[nodiscard]] std::string unknown_command(std::string_view name);

class Keyspace {
 public:
  /// `store` outlives this. APPEND and SETRANGE make no value longer than `max_value`; answers are no longer than
  /// `max_answer`.
  explicit Keyspace(Store& store, std::size_t max_value = kMaxValue,
                    std::size_t max_answer = kMaxAnswer)
      : store_(store), max_value_(max_value), max_answer_(max_answer) {}

  /// Executes one command; `args` starts with its name and is not empty.
  [[nodiscard]] protocol::Reply execute(std::uint32_t db, std::span<const std::string_view> args,
                                        WallTime now);

  using Sized = std::pair<std::string_view, std::size_t>;  // a name, and the size of a value
  /// Whether values of these sizes find room under these names, all of them, in place of what is there.
  [[nodiscard]] bool fit(std::uint32_t db, std::span<const Sized> values, WallTime now);
  /// WATCH: from now on `watch` watches these keys.
  void watch(cohere::Watch& watch, std::uint32_t db, std::span<const std::string> names,
             WallTime now);
  /// EXEC: the commands one by one, each seeing what those before it have done, unless a key that `watch` watches was
  /// changed; their replies, or null. An error of one changes nothing for the others. `after` is called behind each with its reply.
  /// Where the replies are more than an answer may be together, an error stands for what is over it; it was executed.
  [[nodiscard]] protocol::Reply execute_all(std::span<const cohere::Queued> commands,
                                            cohere::Watch* watch, WallTime now,
                                            const std::function<void(protocol::Reply&)>& after);

  [[nodiscard]] Store& store() const noexcept { return store_; }

 private:
  Store& store_;
  std::size_t max_value_;
  std::size_t max_answer_;
  cohere::Watches watches_;
};

}  // namespace nearlane::l2::embedded
