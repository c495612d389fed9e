// Hints between instances: which channel of L2 carries them, and the call that sends one.
//
// A hint says what may be worth knowing ("the session was made") and is acted on or not. It is lost without notice,
// comes twice, late, or from anybody who may publish; nothing is served for it.
//
// Threads:   the carrier's.
#pragma once

#include <string>
#include <utility>

#include "core/cohere/call.h"

namespace nearlane::cohere {

/// All instances of one Redis hear of each other here, whatever their database.
inline constexpr const char* kHintChannel = "nearlane:hints";

/// PUBLISH: nobody waits for what becomes of it.
class Publish final : public Call {
 public:
  Publish(std::string hint, TimePoint deadline)
      : Call(Command{.op = Op::raw,
                     .key = Key(0, std::string()),
                     .args = {"PUBLISH", kHintChannel, std::move(hint)},
                     .wide = true,
                     .deadline = deadline}) {}
  void settle(const Answer&) noexcept override {}
  void complete(Answer) noexcept override {}
};

}  // namespace nearlane::cohere
