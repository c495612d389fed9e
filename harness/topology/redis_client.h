// A blocking RESP2 connection for set-up, checks and tests: hiredis, so that our codec is never
// its own witness.
//
// Errors:   unavailable (no connection), timeout, connection_lost; an error reply is a value
//           (RedisReply::error). After an error the next command connects anew.
// Threads:  one user at a time.
// Cost:     one round trip a command; never for measuring.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "harness/topology/endpoint.h"

struct redisContext;

namespace nearlane::harness {

struct RedisReply {
  enum class Kind : std::uint8_t { nil, status, error, integer, string, array };
  Kind kind = Kind::nil;
  std::string text = {};  // of status, error and string
  long long integer = 0;
  std::vector<RedisReply> elements = {};

  [[nodiscard]] bool is_nil() const noexcept { return kind == Kind::nil; }
  [[nodiscard]] bool is_error() const noexcept { return kind == Kind::error; }
};

class RedisClient {
 public:
  explicit RedisClient(Endpoint endpoint, Duration timeout = std::chrono::seconds(2));

  [[nodiscard]] Result<RedisReply> command(std::span<const std::string_view> arguments);
  [[nodiscard]] Result<RedisReply> command(std::initializer_list<std::string_view> arguments) {
    return command(std::span<const std::string_view>(arguments.begin(), arguments.size()));
  }
  /// One field of INFO, such as "process_id"; protocol if there is no such field.
  [[nodiscard]] Result<std::string> info(std::string_view section, std::string_view field);
  /// How often it has executed a command, named in lower case.
  [[nodiscard]] Result<std::uint64_t> calls(std::string_view command);
  /// What it says without being asked, as to a subscriber; nothing: it said nothing in time.
  [[nodiscard]] Result<std::optional<RedisReply>> listen(Duration limit);
  void close() noexcept { context_.reset(); }

 private:
  struct Free {
    void operator()(redisContext* context) const noexcept;
  };
  Result<void> connect();
  [[nodiscard]] Error give_up();

  Endpoint endpoint_;
  Duration timeout_;
  std::unique_ptr<redisContext, Free> context_;
};

}  // namespace nearlane::harness
