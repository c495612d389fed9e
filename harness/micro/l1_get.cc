// Reads of an L1 map, all of them hits: what a front end pays for the map once a command is parsed.
//
// Clock starts with the key's bytes at hand and stops with the answer: hash, guard, find, may it be served
// (l1_target.cc), and then the first byte of the reply (ref), its copy into an output buffer (copy), or the
// first byte again but under one guard and one find_batch for sixteen keys (batch16). One iteration is
// one key in all three. With writes that share of the draws puts a new value instead. The rows of the map
// `none` are what this file itself costs.
//
// A row has threads of its own (crew.h) and not Google Benchmark's, whose rows could only end in
// /threads:<t>. Time is wall time by operations of all threads, as theirs would be; CPU is the first
// thread's. ops_per_s is each thread's by its own clock, summed. p50_ns, p99_ns and p999_ns are isolated
// reads, one sample each (batch16: sixteen keys), taken by all threads after the timed loop; clock_ns, what
// reading the clock costs, has been subtracted from them.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "harness/micro/micro.h"
#include "harness/micro/rows.h"
#include "harness/micro/slowed.h"
#include "harness/micro/ticks.h"

namespace nearlane::micro {
namespace {

/// Isolated samples of a row: one for so many timed draws, so that a short run has few,
constexpr std::size_t kDrawsPerSample = 8;
/// and at most so many, of which a hundred lie beyond the p99.9.
constexpr std::size_t kMostSamples = 100000;

/// The filled maps that rows can still use.
class Shelf {
 public:
  Target* get(std::string_view map, const RowOptions& options, const Fill& fill) {
    std::erase_if(places_, [&](const Place& place) {
      return place.fill != fill || (!options.together && place.map != map);
    });
    for (const Place& place : places_) {
      if (place.map == map) return place.target.get();
    }
    // What was made first goes first. Random order over too little memory means to fill again and again.
    if (places_.size() >= places_for(fill)) places_.erase(places_.begin());
    auto target = make_target(map, options.policy, fill);
    if (options.slowed != 0) target = slowed(std::move(target), options.slowed);
    places_.push_back({std::string(map), fill, std::move(target)});
    return places_.back().target.get();
  }

 private:
  struct Place {
    std::string map;
    Fill fill;
    std::unique_ptr<Target> target;
  };
  std::vector<Place> places_;
};

void sample(benchmark::State& state, Measurement& measurement, std::size_t from) {
  const std::size_t unit = measurement.unit();
  const std::size_t samples = std::clamp(from / kDrawsPerSample / unit * unit, unit, kMostSamples);
  const auto isolated = measurement.sample(from, samples / unit * unit);
  if (isolated.empty()) return;
  state.counters["p50_ns"] = quantile(isolated, 0.5);
  state.counters["p99_ns"] = quantile(isolated, 0.99);
  state.counters["p999_ns"] = quantile(isolated, 0.999);
  state.counters["clock_ns"] = clock_ticks() * ticks_to_ns();
}

void run(benchmark::State& state, std::string_view map, const RowOptions& options,
         const Case& what) {
  static Shelf shelf;
  Target* target = shelf.get(map, options, what.fill);
  if (target == nullptr) {
    fail();
    state.SkipWithError("the map does not hold what was put");
    return;
  }
  Measurement measurement(*target, what, order_for(what));
  const auto iterations = static_cast<std::size_t>(state.max_iterations);
  const std::size_t unit = measurement.unit();
  const std::size_t count = (iterations + unit - 1) / unit * unit;
  measurement.run(0, count, [&](const std::function<void()>& go) {
    while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(count))) go();
  });
  state.counters["ops_per_s"] = measurement.rate();
  if (options.draws == 0) sample(state, measurement, count);
  if (!measurement.right()) {
    fail();
    state.SkipWithError("a read missed");
  }
}

void register_rows(std::string_view map, const RowOptions& options, const Fill& fill) {
  // Writes come last: they scatter a map's values over memory.
  for (const unsigned writes : {0U, 5U, 50U}) {
    for (const bool zipf : {true, false}) {
      for (const How how : {How::ref, How::copy, How::batch16}) {
        for (const unsigned threads : {1U, 2U}) {
          const Case what{fill, zipf, how, threads, writes};
          auto* row = benchmark::RegisterBenchmark(
              row_name(map, what).c_str(),
              [=](benchmark::State& state) { run(state, map, options, what); });
          if (options.draws != 0) row->Iterations(static_cast<std::int64_t>(options.draws));
        }
      }
    }
  }
}

}  // namespace

void register_l1_get(const RowOptions& options) {
  static constexpr std::array kFills{Fill{1000, 64}, Fill{1000, 1024}, Fill{1000000, 64},
                                     Fill{1000000, 1024}, Fill{10000000, 64}};
  for (const Fill& fill : kFills) {
    for (const auto map : target_names()) register_rows(map, options, fill);
  }
}

}  // namespace nearlane::micro
