// One connection on which one request at a time is sent and waited for: a session's client as it is.
//
// Units:    `took` runs from the moment the request's bytes are given to the kernel until its whole reply has
//           been read and parsed; zero when it was not answered.
// Errors:   in the answer: not_sent, lost, timeout and what the codec finds. The next call connects anew.
// Threads:  one. Lifetime: an answer's value is valid until the next call.
// Cost:     it polls for `poll_for` before it sleeps, because a wake-up (40 to 50 us between cores of a virtual machine)
//           would be measured as the server's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "harness/driver/codec.h"
#include "harness/driver/request.h"
#include "harness/driver/socket.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

struct Answer {
  Outcome outcome = Outcome::error;
  Failure failure = Failure::none;
  std::string_view value = {};  // of a hit; of an error its text
  Duration took{};
};

[[nodiscard]] constexpr bool found(Outcome outcome) noexcept {
  return outcome == Outcome::hit || outcome == Outcome::hit_l1 || outcome == Outcome::hit_l2 ||
         outcome == Outcome::stale;
}

class Caller {
 public:
  static constexpr Duration kPollFor = std::chrono::milliseconds(2);

  /// `poll_for` zero: it sleeps until there is a reply, as most clients do.
  Caller(Protocol protocol, Endpoint peer, Duration timeout = std::chrono::seconds(5),
         Duration poll_for = kPollFor);

  [[nodiscard]] Answer call(const Request& request);
  [[nodiscard]] const Endpoint& peer() const noexcept { return peer_; }

 private:
  /// True once `done` says so; polls, then sleeps on `events`, until the deadline.
  [[nodiscard]] bool wait(short events, TimePoint polled_until, TimePoint deadline) const;
  [[nodiscard]] bool connect(TimePoint deadline);
  [[nodiscard]] bool send(TimePoint deadline);
  [[nodiscard]] Answer fail(Failure why, std::string_view text);

  Endpoint peer_;
  Duration timeout_;
  Duration poll_for_;
  std::unique_ptr<Codec> codec_;
  Socket socket_;
  std::string out_;
  std::string problem_;
  std::vector<char> in_;
};

}  // namespace nearlane::harness
