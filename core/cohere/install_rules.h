// What L1 does when L2 has answered: the table of docs/coherence.md as pure functions.
//
// Units:     pttl in milliseconds as Redis says it (-1 no expiry, -2 no key); deadlines on the
//            monotonic clock.
// Threads:   pure.
// Errors:    none.
// Why sent_at: PTTL was read by L2 at some time after the command was sent, so sent_at + pttl is
// never later than the key's real end. Counting from the reply's arrival would serve a session past
// it.
#pragma once

#include <cstdint>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/protocol/reply.h"

namespace nearlane::cohere {

struct Decision {
  enum class Action : std::uint8_t {
    install,  // L1 may serve the value, or that there is none, until `deadline`
    erase,    // L1 must not keep what it has
    leave,    // L1 stays as it is
  };
  Action action = Action::leave;
  TimePoint deadline = {};

  friend bool operator==(const Decision&, const Decision&) = default;
};

/// After GET and PTTL. Where negative_ttl is not zero, L1 remembers for so long that there is no such key:
/// L2 announces it when somebody makes the key.
[[nodiscard]] Decision after_fetch(const protocol::Reply& reply, std::int64_t pttl,
                                   TimePoint sent_at, Duration l1_ttl,
                                   Duration negative_ttl = Duration::zero()) noexcept;
/// After a SET, with or without a condition, and PTTL in one transaction.
[[nodiscard]] Decision after_store(const protocol::Reply& reply, std::int64_t pttl,
                                   TimePoint sent_at, Duration l1_ttl) noexcept;
/// After an EXPIRE and PTTL in one transaction: install means that the value in L1 lives on until
/// `deadline`.
[[nodiscard]] Decision after_touch(const protocol::Reply& reply, std::int64_t pttl,
                                   TimePoint sent_at, Duration l1_ttl) noexcept;
/// After a write that ended in an error of ours: what was never sent changed nothing, all else is
/// unknown.
[[nodiscard]] Decision after_failed_write(Errc code) noexcept;

}  // namespace nearlane::cohere
