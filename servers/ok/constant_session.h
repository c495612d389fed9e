// ConstantSession: every GET answers the same bulk, every other command OK. What the wire and the
//                  parser cost.
//
// Threads, Lifetime: as any Session.
#pragma once

#include <string>

#include "core/protocol/command_parser.h"
#include "servers/resp/session.h"

namespace nearlane::ok {

class ConstantSession final : public resp::Session {
 public:
  /// `bulk` is the whole reply and outlives the session.
  explicit ConstantSession(const std::string& bulk) : bulk_(bulk) {}

  [[nodiscard]] std::size_t serve(std::string_view input, TimePoint received) override;
  void refill() override {}
  [[nodiscard]] bool blocked() const noexcept override { return blocked_; }
  [[nodiscard]] bool idle() const noexcept override { return true; }
  [[nodiscard]] std::size_t missing() const noexcept override { return parser_.missing(); }
  void detach() noexcept override {}

 private:
  void answer();

  const std::string& bulk_;
  protocol::CommandParser parser_;
  bool blocked_ = false;
};

}  // namespace nearlane::ok
