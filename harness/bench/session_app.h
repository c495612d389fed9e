// An application with sessions: it sends a workload to instances, and knows what each answer ought to be.
//
// It waits for each answer before it sends the next request, so for every read it knows the last version
// that was acknowledged. A read is right when it brings that version, or a later one whose write's outcome
// is unknown. A session that its TTL has ended exists no longer: it is not lost, and must not be found.
//
// Units:    counts of requests. Errors: those of the workload; what servers do wrong is counted.
// Threads:  one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

#include "core/base/histogram.h"
#include "core/base/result.h"
#include "harness/bench/approach.h"
#include "harness/bench/session_end.h"
#include "harness/workload/random.h"
#include "harness/workload/workload.h"

namespace nearlane::harness {

struct AppCounts {
  std::uint64_t requests = 0;
  std::uint64_t reads = 0;
  std::uint64_t existing = 0;   // reads of sessions that exist
  std::uint64_t found = 0;      // of those, answered with the last version
  std::uint64_t not_found = 0;  // of those, answered "no such session"
  std::uint64_t stale = 0;      // answered with what a write, a delete or its TTL had ended
  std::uint64_t corrupt = 0;    // answered with something that nobody wrote
  std::uint64_t l1 = 0;         // reads that the server says L1 answered
  std::uint64_t l2 = 0;         // and L2
  std::uint64_t could_be_l1 =
      0;  // reads that an unlimited L1 could answer: this instance has served the
          // session's value, and no other one has written, touched or deleted it since
  std::uint64_t retried = 0;  // requests that failed on one instance and were sent to another
  std::uint64_t failed = 0;   // requests that failed on every instance
  Duration stalest{};         // longest time from then to a read that was stale
  Histogram found_took;       // of reads that were found

  [[nodiscard]] double found_share() const;
  /// Of the reads that were found.
  [[nodiscard]] double l1_share() const;
};

enum class Balance : std::uint8_t {
  affinity,  // an instance for each session, by the session's name
  random,    // any instance, for each request anew
};

class SessionApp {
 public:
  SessionApp(Approach& approach, Balance balance, std::uint64_t seed)
      : approach_(approach), balance_(balance), random_(seed) {}

  /// Sends all of a stream. `after_each` may change what is going on; false ends the run.
  [[nodiscard]] Result<void> run(Workload& stream, const std::function<bool()>& after_each = {});
  /// Creates every session of a generated workload; counted as requests, not as reads.
  void log_in(const WorkloadSpec& spec);
  void send(const Operation& operation);

  struct ReadBack {
    std::uint64_t acknowledged = 0;
    std::uint64_t lost = 0;  // gone, or older than acknowledged
    std::uint64_t failed = 0;
    std::uint64_t l1 = 0;
    Histogram took;
  };
  /// Reads every session that exists through one instance; one that its TTL ends meanwhile is not counted.
  [[nodiscard]] ReadBack read_back(std::size_t instance);

  [[nodiscard]] const AppCounts& counts() const noexcept { return counts_; }
  [[nodiscard]] std::uint64_t sessions() const noexcept { return sessions_.size(); }
  void forget_counts() { counts_ = {}; }

 private:
  struct Session {
    std::uint64_t acknowledged = 0;
    std::uint64_t attempted = 0;  // at least `acknowledged`
    bool exists = false;
    TimePoint changed{};        // when the last write or delete was acknowledged, or it ended
    SessionEnd end = {};        // by its TTL
    std::uint64_t holders = 0;  // a bit for each instance whose L1 may hold the last version
  };

  [[nodiscard]] std::size_t pick(const Operation& operation);
  /// Before an answer is judged: whether the session's TTL had ended it for certain.
  static void look_for_end(Session& session, TimePoint asked);
  void judge_read(const Answer& answer, TimePoint asked, Session& session, std::size_t instance);

  Approach& approach_;
  Balance balance_;
  Random random_;
  std::size_t instance_ = 0;  // that served the operation before
  Request request_;
  std::uint64_t version_ = 0;
  std::unordered_map<std::string, Session> sessions_;
  AppCounts counts_;
};

}  // namespace nearlane::harness
