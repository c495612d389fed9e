// simulate(): one random schedule of instances, direct writers and mishaps over one store, judged.
//
// Two instances, each a real TieredCache over real lanes with two client connections, and somebody
// else who writes directly. What is checked is section "How it is tested" of docs/coherence.md:
//   S1  what L1 would serve, at the last moment before anything else happens, was current a lease
//       ago or later, and its TTL is not over
//   S2  an instance never answers older than what it has acknowledged, nor a client's connection
//       older than what it wrote itself
//   S3  when a strict delete has returned, no instance serves what was deleted
//   S4  when all is quiet, every entry that L1 would serve, and every answer, is what the store has
//   S5  everyone who asked is answered once, with no more fetches than questions and what was read unasked
//       (which is counted and has a budget), and all comes to rest
//   S6  after a touch that was answered, the key ends no sooner than it may: where touches are coalesced, by the
//       slack, seen from a lease ago
//   S7  what is served stale is served while the breaker is not closed, was current max_stale and a lease ago or later,
//       its TTL is not over, and its instance has neither acknowledged nor perhaps made a later write of it
//
// Threads:   one; schedules share nothing but the seed of the keys' hash, which is fixed.
// Cost:      tens of microseconds a schedule with the small map.
// Source:    docs/coherence.md; FoundationDB's deterministic simulation for the method.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/tier/sim/mutant.h"

namespace nearlane::sim {

struct Violation {
  int invariant;  // 1 to 7; 8: the auditor gave a verdict against L1
  std::string what;
};

/// How much of what can happen did happen, so that a run that proves nothing shows it.
struct Coverage {
  std::uint64_t served = 0;        // entries whose last moment was judged
  std::uint64_t answers = 0;       // reads that ended in a value, or in that there is none
  std::uint64_t acknowledged = 0;  // writes
  std::uint64_t unknown = 0;       // writes that ended in an error
  std::uint64_t revocations = 0;   // strict deletes that returned
  std::uint64_t pushes = 0;
  std::uint64_t losses = 0;  // connections closed by the instances
  std::uint64_t failovers = 0;
  std::uint64_t agreed = 0;     // audits that found no difference
  std::uint64_t in_order = 0;   // verdicts that L1 was allowed to be behind
  std::uint64_t touched = 0;    // touches that were answered
  std::uint64_t coalesced = 0;  // of them without L2
  std::uint64_t unasked = 0;    // fetches in the background
  std::uint64_t refills = 0;    // of them after a lane was lost
  std::uint64_t hints = 0;      // heard
  std::uint64_t stale = 0;      // answers that were said to be
  std::uint64_t events = 0;

  Coverage& operator+=(const Coverage& other) noexcept;
};

struct Outcome {
  std::optional<Violation> violation = {};
  std::uint64_t digest = 0;  // of everything that happened: equal in a replay
  Coverage coverage = {};
  std::string trace = {};
};

struct Options {
  Mutant mutant = Mutant::none;
  std::string_view map = "small";  // or one of l1::map_names()
  bool audit = false;              // every hit is audited, as far as the auditor can
  bool announced =
      false;  // a store that tells nothing, so that instances tell each other; nobody else writes
  int only = 0;        // the one invariant that is judged; 0: all
  bool trace = false;  // say what happened, for people
};

[[nodiscard]] Outcome simulate(std::uint64_t seed, const Options& options = {});

}  // namespace nearlane::sim
