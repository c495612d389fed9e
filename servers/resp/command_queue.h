// CommandQueue: what a client has queued since MULTI. Redis keeps it for the connection; so do we, where no Redis is
// behind us, and give it to the store as one when EXEC comes.
//
// Units:     bytes are those of the arguments, and what each costs beside them.
// Errors:    why a command is not queued, as an error reply's text; then nothing of the transaction is executed.
// Threads:   its connection's.
// Source:    Redis 7.0, multi.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tier/tiered_cache.h"
#include "servers/resp/command_table.h"

namespace nearlane::resp {

struct CommandQueueLimits {
  std::size_t commands = 65'536;  // and keys that are watched
  std::size_t bytes =
      std::size_t{128} * 1024 * 1024;  // of commands, and of names of keys that are watched
};

class CommandQueue {
 public:
  using Args = std::span<const std::string_view>;

  struct Step {
    const CommandSpec* spec;
    std::vector<std::string> args;

    /// It needs the store; what does not is the connection's own, and is executed by it once the store has answered.
    [[nodiscard]] bool needs_store() const noexcept;
  };

  explicit CommandQueue(const CommandQueueLimits& limits) : limits_(limits) {}

  /// MULTI, EXEC, and what ends a transaction, are not queued.
  [[nodiscard]] static bool is_queued(const CommandSpec& spec) noexcept;

  /// Empty: it is queued, or the transaction is spoiled already.
  [[nodiscard]] std::string queue(const CommandSpec& spec, Args args);
  /// A command was refused: EXEC executes nothing.
  void spoil() noexcept;
  [[nodiscard]] bool spoiled() const noexcept { return spoiled_; }

  [[nodiscard]] std::vector<Step> take() noexcept { return std::move(steps_); }

 private:
  const CommandQueueLimits limits_;
  std::vector<Step> steps_;
  std::size_t bytes_ = 0;
  bool spoiled_ = false;
};

/// What the store is to execute of these steps, whose arguments are moved from. `db`: where the first one is; SELECT takes those behind
/// it to another one below `databases`.
[[nodiscard]] tier::Transaction for_store(std::span<CommandQueue::Step> steps, std::uint32_t db,
                                          std::uint32_t databases);

/// What such names and arguments count as.
[[nodiscard]] std::size_t queued_bytes(CommandQueue::Args args) noexcept;

}  // namespace nearlane::resp
