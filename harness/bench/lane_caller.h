// A lane on a socket of its own, driven by the thread that waits for its answers: what its protocol costs, without the
// event loop and the threads that stand between in a server.
//
// Errors:   unavailable (no connection), timeout, and what ends the lane.
// Threads:  one.
// Cost:     it polls, or sleeps until something has come (Caller).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/cohere/lane.h"
#include "harness/driver/socket.h"

namespace nearlane::harness {

class LaneCaller final : cohere::Listener {
 public:
  enum class Waiting : std::uint8_t { polls, sleeps };

  explicit LaneCaller(Waiting waiting = Waiting::polls);

  [[nodiscard]] Result<void> connect(const Endpoint& peer);
  /// Writes a value as the tier does, in the form after which L2 announces the next change by others.
  [[nodiscard]] Result<void> set(std::string_view key, std::string_view value);
  /// Closes the connection: the lane disowns everything. How long that took the lane.
  Duration lose();
  [[nodiscard]] const cohere::LaneView& view() const noexcept { return view_; }

 private:
  void invalidate(std::string_view) noexcept override {}
  /// Moves bytes until `done` says so.
  template <class Done>
  [[nodiscard]] Result<void> pump(Done done);

  cohere::LaneView view_;
  cohere::Lane lane_;
  Waiting waiting_;
  Socket socket_;
  std::vector<char> in_;
};

}  // namespace nearlane::harness
