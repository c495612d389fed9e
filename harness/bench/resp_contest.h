// Servers that answer the same requests in turn, and the table of what it cost each of them.
//
// A case is one kind of request at one depth; each round plays every case, with all of its servers in turn and each round
// beginning with another, so that what the machine does meanwhile meets all of them. Nearlane is compared with each of the others
// round by round. The load has kClientsCore, the server kServersCore.
//
// Errors:   what goes wrong with one load is a failure of the result; the others still run.
// Threads:  one, which is not pinned.
// Lifetime: peers and sequences outlive the contest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "harness/bench/scenario.h"
#include "harness/driver/sequence.h"
#include "harness/peers/resp_peer.h"
#include "harness/report/result.h"

namespace nearlane::harness {

struct RespEntrant {
  std::string id;    // "redis"
  std::string what;  // for people
  const RespPeer* peer = nullptr;
  const Sequence* sequence = nullptr;
  int processes = 2;  // at work, the load among them
  /// Nearlane's HTTP door, where L1 is to answer all: that it did is asked there. Null: it is not.
  const Endpoint* stats = nullptr;
};

/// What Nearlane's CPU time a request may be, and its requests/s must be, in times another server's. 0: nothing is said.
struct RespLimit {
  std::string id;  // of the other
  double cpu_most = 0;
  double rate_least = 0;
};

struct RespCase {
  std::string id;    // "hit/64/16": its measures are named so, and then by entrant
  std::string what;  // "16 at once"
  std::uint32_t connections = 1;
  std::uint32_t burst = 1;                 // requests in one send
  bool polls = true;                       // false where the load's core is also Redis's
  std::vector<RespEntrant> entrants = {};  // Nearlane first
  std::vector<RespLimit> limits = {};
};

class RespContest {
 public:
  /// Each load takes `load_for`, times the bench's scale, and a tenth before it that does not count.
  RespContest(Duration load_for, Bench& bench);

  void add(RespCase played);
  /// As many rounds as the bench has repetitions; advances its meter once for each.
  void play(const std::string& phase);
  /// The measures so far, to be added to; in the order of cases and entrants.
  [[nodiscard]] Measure& measure(std::size_t which, std::size_t entrant);
  /// Hands over its measures and a table of them; the contest is then over.
  void keep(std::string title);

 private:
  struct Played {
    RespCase which;
    std::vector<Measure> measures;
  };

  Result<void> load(const RespCase& which, const RespEntrant& entrant, std::uint64_t seed,
                    Repetition& repetition) const;
  void play_one(Played& played, std::size_t round);
  [[nodiscard]] static std::vector<std::vector<Cell>> row_of(const Played& played, std::size_t at);

  Duration load_for_;
  Bench& bench_;
  std::vector<Played> all_;
};

/// What every scenario with such a table says of it.
void add_contest_notes(ScenarioResult& result);

/// Reads all of a sequence once, and compares all of it: afterwards L1 has what it asks for.
[[nodiscard]] Result<void> read_once(const Endpoint& server, const Sequence& sequence);

}  // namespace nearlane::harness
