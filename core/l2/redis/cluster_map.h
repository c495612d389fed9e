// What a Redis Cluster says of itself: who owns which slots (CLUSTER SLOTS), and where a key is that was asked for at the
// wrong node (MOVED, ASK, TRYAGAIN).
//
// Errors:    protocol: the reply is no map; the text says what is wrong with it. A redirection that cannot be read is none.
// Threads:   plain values and pure functions.
// Source:    redis.io/docs/reference/cluster-spec; redis.io/commands/cluster-slots (Redis 7: a host may be null or empty, which
//            means that of the node that was asked, or "?", which is not known).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/cohere/slots.h"
#include "core/l2/redis/redis_url.h"
#include "core/protocol/reply.h"

namespace nearlane::l2 {

/// So many primaries and replicas of a cluster are looked at.
inline constexpr std::size_t kMostNodes = 1024;

struct SlotMap {
  static constexpr std::uint16_t kNobody = UINT16_MAX;

  std::vector<Endpoint> primaries = {};
  std::vector<Endpoint> replicas = {};
  /// By slot, which of `primaries`, or kNobody.
  std::vector<std::uint16_t> owners = std::vector<std::uint16_t>(cohere::kSlots, kNobody);

  [[nodiscard]] const Endpoint* owner(cohere::Slot slot) const noexcept {
    return owners[slot] == kNobody ? nullptr : &primaries[owners[slot]];
  }
  /// The slot is there, whether or not that node was a primary.
  void move(cohere::Slot slot, const Endpoint& to);

  friend bool operator==(const SlotMap&, const SlotMap&) = default;
};

/// `asked`: who answered.
[[nodiscard]] Result<SlotMap> read_slot_map(const protocol::Reply& reply, const Endpoint& asked);

struct Redirection {
  enum class Kind : std::uint8_t {
    moved,      // the slot has gone there
    ask,        // this key, once; the slot is on its way
    try_again,  // some of the keys are there, some are not yet
  };
  Kind kind;
  cohere::Slot slot = 0;
  Endpoint to = {};  // moved, ask; an empty host is that of the node that answered

  friend bool operator==(const Redirection&, const Redirection&) = default;
};

/// Of an error's text. In each case the command was not executed.
[[nodiscard]] std::optional<Redirection> read_redirection(std::string_view error);

}  // namespace nearlane::l2
