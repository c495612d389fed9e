// Conversation: what is said over one connection to L2, as a state machine without I/O.
//
// Whoever carries it (core/l2/redis/connection.h, the simulation) reports what becomes of the
// connection, hands over the bytes that arrive and the time, and sends what output() has. A
// conversation outlives its connections: connect(), connected(), closed(), again and again.
//
// Units:     time on the monotonic clock, bytes.
// Errors:    broken() once the connection must be closed, and why; the carrier calls closed() then.
// Threads:   one owner (an event loop).
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace nearlane::cohere {

/// How often tick() is to be called.
[[nodiscard]] constexpr Duration tick_period(Duration lease) noexcept {
  return std::clamp<Duration>(lease / 5, std::chrono::milliseconds(1),
                              std::chrono::milliseconds(10));
}

/// AUTH, with a user where one is named. Precondition: there is a password.
[[nodiscard]] inline std::vector<std::string_view> auth_of(const std::string& user,
                                                           const std::string& password) {
  if (user.empty()) return {"AUTH", password};
  return {"AUTH", user, password};
}

class Conversation {
 public:
  virtual ~Conversation() = default;
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  /// Whether a connection is of any use now.
  [[nodiscard]] virtual bool wanted() const noexcept { return true; }
  /// One is being made.
  virtual void connect() noexcept {}
  virtual void connected(TimePoint now) = 0;
  virtual void received(std::string_view bytes, TimePoint now) = 0;
  /// The connection is gone or could not be made.
  virtual void closed(Error why, TimePoint now) = 0;
  /// Deadlines, heartbeats, dead peers.
  virtual void tick(TimePoint now) = 0;
  /// The handshake is over.
  [[nodiscard]] virtual bool ready() const noexcept = 0;

  /// Bytes to be sent; the caller takes them out.
  [[nodiscard]] std::string& output() noexcept { return output_; }
  [[nodiscard]] const std::optional<Error>& broken() const noexcept { return broken_; }

 protected:
  Conversation() = default;
  void fail(Errc code, std::string detail) { broken_ = Error{code, std::move(detail)}; }

  std::string output_;
  std::optional<Error> broken_;
};

}  // namespace nearlane::cohere
