#include "harness/driver/request.h"

namespace nearlane::harness {

std::string_view to_string(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::hit:
      return "hit";
    case Outcome::hit_l1:
      return "hit_l1";
    case Outcome::hit_l2:
      return "hit_l2";
    case Outcome::stale:
      return "stale";
    case Outcome::miss:
      return "miss";
    case Outcome::ok:
      return "ok";
    case Outcome::error:
      return "error";
  }
  return "unknown";
}

std::string_view to_string(Failure failure) noexcept {
  switch (failure) {
    case Failure::none:
      return "none";
    case Failure::not_sent:
      return "not_sent";
    case Failure::lost:
      return "lost";
    case Failure::timeout:
      return "timeout";
    case Failure::protocol:
      return "protocol";
    case Failure::server_error:
      return "server_error";
    case Failure::rejected:
      return "rejected";
    case Failure::wrong_value:
      return "wrong_value";
  }
  return "unknown";
}

}  // namespace nearlane::harness
