// FastLane: answers hits of L1 straight from the receive buffer into the connection's output, without Beast. The
//           "fast lane" of DESIGN section 5.
//
// An optimisation of the Beast lane, and no other server: byte for byte it answers what the routes answer
// (lanes_test.cc feeds both the same), and whatever it does not understand, may not answer or does not find it leaves to
// them, with the buffer intact. It is offered only where no stage is configured and nothing is compressed per request.
//
// Threads:   any; a reader and a caller are their connection's.
// Lifetime:  the cache outlives it.
// Cost:      a hit: one pass over the request, one find, one copy of a ready head and of the value; one epoch guard a
//            call. No allocation but what `out` grows by, and what the reader keeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/counters.h"
#include "core/entry/entry.h"
#include "core/tier/tiered_cache.h"
#include "servers/http/api_keys.h"
#include "servers/http/fast_request.h"

namespace nearlane::http {

/// A body that is sent from where it lies.
struct PinnedBody {
  EntryPtr entry = {};
  Coding coding = Coding::identity;

  explicit operator bool() const noexcept { return static_cast<bool>(entry); }
  [[nodiscard]] std::string_view bytes() const noexcept { return entry->form(coding); }
};

/// What became of the front of a receive buffer.
struct FastAnswers {
  std::size_t bytes = 0;  // of the requests that are answered
  std::uint32_t gets = 0;
  std::uint32_t heads = 0;
  /// The next request is complete, and L1 was asked for it, though the answer is not ours to give: what L1 has, or
  /// nothing. Asking again would count twice.
  std::optional<tier::Lookup> looked_up = {};
  /// The body of the last answer, where it is too large to be copied: to be sent behind `out`.
  PinnedBody body = {};
};

enum class FastLaneCount : std::uint8_t { answers, count };
using FastLaneCounts = ThreadCounters<FastLaneCount>;

class FastLane {
 public:
  explicit FastLane(tier::TieredCache& tier)
      : tier_(tier), db_(tier.l2_capabilities().default_db) {}

  /// Answers requests from the front of `input`, in order, until one that it leaves, or until there are kFlushBytes of
  /// answers. The reader and the caller are the connection's.
  [[nodiscard]] FastAnswers answer(std::string_view input, TimePoint now, FastReader& reader,
                                   Caller& caller, std::string& out) const;

 private:
  tier::TieredCache& tier_;
  const std::uint32_t db_;  // HTTP has no SELECT
};

}  // namespace nearlane::http
