// CheckedLoad: reads and writes for a generator, every answer judged by a History while it runs.
//
// A key has one write of this load under way at most, so that the order of these is known. An operation begins when the
// generator is given it, which is a gap between two arrivals before it is due: the history forgives what lies in
// between. Which instance took a write is known at its end, and from then on that one may not be older at all.
//
// Threads:   the generator's.
// Lifetime:  the history outlives it.
// Cost:      a set writes its document when it is given out; about a microsecond an operation for the history.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/clock.h"
#include "harness/check/history.h"
#include "harness/driver/request.h"
#include "harness/report/time_series.h"
#include "harness/workload/random.h"

namespace nearlane::harness {

struct CheckedLoadOptions {
  std::uint64_t keys = 1000;  // named as those of Traffic (harness/check/traffic.h)
  double theta = 0.99;        // Zipf exponent of their popularity
  double rate = 1000;         // requests/s, by Poisson
  double write_share = 0.05;
  std::size_t value_bytes = 1024;
  std::size_t instances = 1;  // connection i goes to instance i modulo their number
  Duration max_stale{};       // of an answer that says itself that it may be old, beyond the bound
  std::uint64_t seed = 42;
};

class CheckedLoad final : public RequestSource {
 public:
  CheckedLoad(const CheckedLoadOptions& options, History& history);

  bool next(Request& into) override;
  /// The number of its key, before judge() has seen it.
  [[nodiscard]] std::uint64_t key_of(const Completion& completion) const noexcept {
    return sent_[completion.tag].key;
  }
  /// To be the generator's Checker. False: a value that is no document of its key.
  bool judge(const Completion& completion);
  [[nodiscard]] std::uint64_t acknowledged() const noexcept { return acknowledged_; }

 private:
  /// An operation under way, by its tag.
  struct Sent {
    std::uint64_t key = 0;
    std::uint64_t version = 0;  // of a write
    TimePoint begin{};
  };

  [[nodiscard]] Node node_of(const Completion& completion) const noexcept;
  bool judge_read(const Completion& completion, const Sent& sent);
  void judge_write(const Completion& completion, const Sent& sent);

  const CheckedLoadOptions options_;
  History& history_;
  Random random_;
  Zipf popularity_;
  double due_s_ = 0;
  std::vector<bool> written_;  // a write of the key is under way
  std::vector<Sent> sent_;
  std::vector<std::uint64_t> free_;  // places in it
  std::uint64_t acknowledged_ = 0;
};

/// To be called as it completes: when it was due is reckoned back from now. `good`: what judge() said of it.
void record_completion(TimeSeriesRecorder& over_time, const Completion& completion, bool good);

}  // namespace nearlane::harness
