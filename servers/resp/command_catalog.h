// CommandCatalog: what the Redis behind us says of its own commands (COMMAND): whether they write, where their keys
// are, whether they may wait. Read once, when the first command is relayed.
//
// Until it is known, and for commands that it does not name, a command is taken to write keys that nobody knows.
//
// Threads:   any; load() on a loop.
// Lifetime:  outlives the loops' run.
// Cost:      a look-up in a hash map; some 240 entries.
// Source:    redis.io/commands/command; Redis 7.0, server.c.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/protocol/reply.h"

namespace nearlane::resp {

class UpstreamPool;

/// What a command may do to what L1 holds, and to whoever waits for it.
struct Effect {
  std::vector<std::string> keys = {};  // that it writes
  bool undeclared = false;             // it may write others
  bool blocks = false;                 // it may take as long as it likes

  void add(Effect other);
};

class CommandCatalog {
 public:
  CommandCatalog();
  ~CommandCatalog();
  CommandCatalog(const CommandCatalog&) = delete;
  CommandCatalog& operator=(const CommandCatalog&) = delete;

  /// `name` in lower case, as its first argument says it.
  [[nodiscard]] Effect effect_of(std::string_view name,
                                 std::span<const std::string_view> args) const;
  /// Null: it names none, or where is not known here.
  [[nodiscard]] std::optional<std::string_view> first_key(
      std::string_view name, std::span<const std::string_view> args) const;
  [[nodiscard]] bool loaded() const noexcept { return specs_.load() != nullptr; }
  /// Asks Redis, unless it was asked and has answered, or is about to.
  void load(UpstreamPool& pool);
  /// Takes in what COMMAND answered, in RESP2; false: that is no such answer.
  bool take(const protocol::Reply& reply);

 private:
  class Asking;
  struct Spec {
    bool writes = false;
    bool reads_only = false;
    bool movable = false;    // the keys are where its arguments say
    bool container = false;  // of subcommands, which may do anything
    bool blocks = false;
    int first = 0;
    int last = 0;
    int step = 0;
  };
  using Specs = std::unordered_map<std::string, Spec>;

  std::atomic<std::shared_ptr<const Specs>> specs_;
  std::atomic<bool> asks_{false};
  std::unique_ptr<Asking> asking_;  // of whoever has set asks_
};

}  // namespace nearlane::resp
