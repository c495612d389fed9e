// Sources: what the admin pages read. Nothing here changes anything.
//
// Lifetime:  all outlive the pages.  Threads: any.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/tier/tiered_cache.h"
#include "servers/loop/door_stats.h"
#include "servers/loop/loop_group.h"

namespace nearlane::admin {

/// One door's counters by loop, and the names of the commands that they count.
struct DoorSource {
  std::string_view name;  // "resp", "http": the label proto
  std::span<const std::unique_ptr<loop::DoorStats>> stats;
  std::vector<std::string_view> commands;
};

struct Sources {
  tier::TieredCache& tier;
  loop::LoopGroup& loops;
  std::vector<DoorSource> doors;
  std::string version;
  std::string profile;
  std::uint16_t resp_port = 0;
  std::function<unsigned()> relays = {};  // connections to Redis that speak for clients
  std::function<std::uint64_t()> fast_lane_answers = {};  // over HTTP
  TimePoint started = Clock::now();
  std::atomic<std::uint64_t> requests_per_second{0};  // of the last second; sample() keeps it
  std::uint64_t sampled_requests = 0;                 // sample()'s own
  /// The most that a page has said of L1's misses. Each page is summed while others count, and a counter never goes back.
  mutable std::atomic<std::uint64_t> said_misses{0};
};

/// How others' writes are heard of at this moment.
struct Coherence {
  std::string_view mode;
  std::chrono::milliseconds
      bound;           // what is served is no older, against others' acknowledged writes
  std::string reason;  // why L1 serves nothing; empty: it does
};
[[nodiscard]] Coherence coherence_in_force(const Sources& sources);

/// Requests of one command over all loops.
[[nodiscard]] std::uint64_t sum_requests(const DoorSource& door, std::size_t command,
                                         loop::AnsweredBy tier, loop::Outcome outcome);
[[nodiscard]] std::uint64_t sum_requests(const DoorSource& door);
/// To be called once a second, always by the same thread.
void sample(Sources& sources);
/// L1 latency over all loops.
[[nodiscard]] Histogram merged_latency(const DoorSource& door);

[[nodiscard]] std::string_view name_of(loop::AnsweredBy tier) noexcept;
[[nodiscard]] std::string_view name_of(loop::Outcome outcome) noexcept;
[[nodiscard]] std::string_view name_of(tier::Warming warming) noexcept;

/// Resident memory of this process, in bytes; 0 where the system does not say.
[[nodiscard]] std::uint64_t resident_bytes();

}  // namespace nearlane::admin
