// Scenario kind `l1_get`: what a read that L1 answers costs, in process and in the server (claims A1, A3).
//
// In process, requests are laid out as a receive buffer would hold them: key bytes one behind the other, in
// the order of use. A read hashes the key, looks it up and touches the first and last byte of the value.
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <unordered_map>

#include <fmt/format.h>

#include "core/base/epoch.h"
#include "core/tier/tiered_cache.h"
#include "harness/bench/scenario.h"
#include "harness/bench/timing.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

constexpr std::size_t kKeyBytes = 20;  // "key:" and 16 digits
using KeyBytes = std::array<char, kKeyBytes>;

struct Case {
  std::string name;  // hot, zipf, uniform
  WorkloadSpec workload;
  bool scaled = false;  // its keys grow with the suite
};

struct InProcess {
  std::vector<std::string> maps;
  std::vector<Case> cases;
  std::uint64_t l1_bytes = 0;
};

/// The requests of a case in the order of use, and each key once.
struct Stream {
  std::vector<KeyBytes> requests;
  std::vector<std::string> keys;
};

Result<Stream> stream_of(const WorkloadSpec& spec) {
  Stream stream;
  auto opened = open_workload(spec, "");
  if (!opened) return opened.error();
  Operation operation;
  for (;;) {
    const auto more = opened->stream->next(operation);
    if (!more) return more.error();
    if (!*more) break;
    if (operation.key.size() != kKeyBytes) {
      return Error{Errc::invalid_argument, "the prefix of an l1_get workload must be four bytes"};
    }
    KeyBytes bytes;
    std::memcpy(bytes.data(), operation.key.data(), kKeyBytes);
    stream.requests.push_back(bytes);
  }
  for (std::uint64_t number = 0; number < spec.keys; ++number) {
    write_key_name(spec.prefix, number, operation.key);
    stream.keys.push_back(operation.key);
  }
  return stream;
}

std::string_view view(const KeyBytes& key) { return {key.data(), key.size()}; }

/// Reading a value: its first and last byte.
void read_value(std::string_view value) { keep(value.front() + value.back()); }

/// A cache whose L2 remembers nothing, filled with every key of the stream.
class FilledCache {
 public:
  static Result<std::unique_ptr<FilledCache>> make(std::string_view map, std::uint64_t bytes,
                                                   const Stream& stream, std::size_t value_bytes) {
    l1::L1Config l1;
    l1.map = map;
    l1.policy = map == "none" ? "none" : "lru";
    l1.bytes = bytes;
    auto made = l1::make_l1(l1);
    if (!made) return made.error();
    l2::L2Config l2;
    l2.url = "none:";
    auto store = l2::make_l2(l2, {});
    if (!store) return store.error();
    auto cache = std::make_unique<FilledCache>();
    cache->tier_ = std::make_unique<tier::TieredCache>(tier::TierConfig{}, std::move(*made),
                                                       std::move(*store));
    cache->tier_->start();
    std::string value;
    std::atomic<std::size_t> stored{0};
    for (const auto& key : stream.keys) {
      write_document(key, 1, value_bytes, value);
      cache->tier_->set(KeyRef(0, key), value, {}, kForever,
                        [&stored](const Result<tier::StoreOutcome>& outcome) {
                          if (outcome && outcome->stored) ++stored;
                        });
    }
    if (stored != stream.keys.size()) {
      return Error{Errc::unavailable, fmt::format("map {}: {} of {} writes were stored", map,
                                                  stored.load(), stream.keys.size())};
    }
    const epoch::Guard guard;
    for (const auto& key : stream.keys) {
      const auto* entry = cache->tier_->find(KeyRef(0, key), Clock::now());
      if (entry == nullptr || !verify_document(key, entry->value())) {
        return Error{Errc::unavailable,
                     fmt::format("map {}: L1 does not hold {} as it was written", map, key)};
      }
    }
    return cache;
  }
  ~FilledCache() {
    if (tier_) tier_->stop();
  }

  tier::TieredCache& tier() { return *tier_; }

 private:
  std::unique_ptr<tier::TieredCache> tier_;
};

Measure describe(const std::string& id, const Case& which, const std::string& map) {
  Measure measure;
  measure.id = id;
  measure.what = fmt::format("GET in process, {}, {}", which.name, map);
  measure.boundary = "in process";
  measure.clock_starts = "key bytes in hand";
  measure.clock_stops = "first and last value byte read";
  measure.parameters = {{"keys", fmt::format("{}", which.workload.keys)},
                        {"value_bytes", fmt::format("{}", which.workload.sizes.front().first)},
                        {"distribution", which.workload.distribution},
                        {"map", map}};
  return measure;
}

void add_timing(Measure& measure, const Timing& timing) {
  Repetition repetition;
  repetition.add("", timing.samples);
  repetition.values["batch_mean_ns"] = timing.ns_per_op;
  repetition.values["rate_per_s"] = 1e9 / timing.ns_per_op;
  measure.repetitions.push_back(std::move(repetition));
}

Timing time_cache(tier::TieredCache& cache, const Stream& stream, std::size_t every,
                  std::uint64_t& misses) {
  return time_ops(stream.requests.size(), every, [&](std::size_t begin, std::size_t end) {
    const epoch::Guard guard;
    const auto now = Clock::now();
    for (std::size_t i = begin; i < end; ++i) {
      const auto* entry = cache.find(KeyRef(0, view(stream.requests[i])), now);
      if (entry == nullptr) {
        ++misses;
        continue;
      }
      read_value(entry->value());
    }
  });
}

using LocalMap = std::unordered_map<std::string, std::string>;

Timing time_local(const LocalMap& map, const Stream& stream, std::size_t every,
                  std::uint64_t& misses) {
  std::string key;
  return time_ops(stream.requests.size(), every, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      key.assign(view(stream.requests[i]));
      const auto found = map.find(key);
      if (found == map.end()) {
        ++misses;
        continue;
      }
      read_value(found->second);
    }
  });
}

constexpr std::size_t kSampleEvery = 4;
constexpr const char* kLocal = "std::unordered_map";

Result<void> run_case(const InProcess& plan, const Case& which, Bench& bench, Table& table) {
  auto scaled = which;
  if (which.scaled) scaled.workload.keys = bench.scaled(which.workload.keys);
  const auto stream = stream_of(scaled.workload);
  if (!stream) return stream.error();
  const auto bytes = scaled.workload.sizes.front().first;
  const auto id_of = [&](const std::string& map) {
    return fmt::format("in_process/{}/{}", which.name, map);
  };
  std::uint64_t misses = 0;
  for (const auto& map : plan.maps) {
    bench.meter.phase(fmt::format("in process, {}, {}", which.name, map));
    auto cache = FilledCache::make(map, plan.l1_bytes, *stream, bytes);
    if (!cache) return cache.error();
    auto& measure = bench.result.measure(describe(id_of(map), scaled, map));
    for (int i = 0; i < bench.repetitions; ++i) {
      add_timing(measure, time_cache((*cache)->tier(), *stream, kSampleEvery, misses));
      bench.meter.advance();
    }
  }
  epoch::drain();
  {
    bench.meter.phase(fmt::format("in process, {}, {}", which.name, kLocal));
    LocalMap map;
    for (const auto& key : stream->keys) write_document(key, 1, bytes, map[key]);
    auto& measure = bench.result.measure(describe(id_of(kLocal), scaled, kLocal));
    for (int i = 0; i < bench.repetitions; ++i) {
      add_timing(measure, time_local(map, *stream, kSampleEvery, misses));
      bench.meter.advance();
    }
  }
  if (misses != 0) {
    return Error{Errc::unavailable,
                 fmt::format("in process, {}: {} reads missed in a full L1", which.name, misses)};
  }
  auto maps = plan.maps;
  maps.emplace_back(kLocal);
  for (const auto& map : maps) {
    const auto id = id_of(map);
    table.rows.push_back(
        {{Cell::of(fmt::format("{}: {} keys, {} B", which.name, scaled.workload.keys, bytes))},
         {Cell::of(map)},
         {Cell::of(id, "batch_mean_ns")},
         {Cell::of(id, "p50_ns")},
         {Cell::of(id, "p99_ns")},
         {Cell::of(id, "p999_ns")}});
  }
  return {};
}

Result<void> run_in_process(const InProcess& plan, Bench& bench) {
  auto& cost = bench.result.measure({.id = "clock",
                                     .what = "two readings of the clock with nothing between",
                                     .boundary = "in process",
                                     .clock_starts = "a reading of the clock",
                                     .clock_stops = "the next reading"});
  for (int i = 0; i < bench.repetitions; ++i) {
    cost.repetitions.emplace_back().add("", clock_cost());
  }
  Table table;
  table.title = "GET in process: key bytes to value bytes (published: 1.5 µs; v3.0 4.65 µs)";
  table.columns = {"keys", "map", "mean, batches of 64", "p50", "p99", "p99.9"};
  for (const auto& which : plan.cases) {
    if (const auto done = run_case(plan, which, bench, table); !done) return done.error();
  }
  table.rows.push_back({{Cell::of("the clock alone")},
                        {Cell::of("none")},
                        {Cell::of("clock", "mean_ns")},
                        {Cell::of("clock", "p50_ns")},
                        {Cell::of("clock", "p99_ns")},
                        {Cell::of("clock", "p999_ns")}});
  bench.result.tables.push_back(std::move(table));
  bench.result.notes.emplace_back(
      "In process, the percentiles are of single reads and include one reading of the clock, whose "
      "own row "
      "stands last; the mean is of whole passes with one guard and one clock reading for 64 "
      "reads.");
  return {};
}

}  // namespace

Body read_l1_get(Section& file) {
  InProcess plan;
  auto in_process = file.section("in_process");
  plan.maps = in_process.texts("maps", {"sharded"});
  plan.l1_bytes =
      in_process.bytes("l1_bytes", std::uint64_t{4} << 30U, 1U << 20U, std::uint64_t{1} << 40U);
  for (auto& section : in_process.sections("case")) {
    Case which;
    which.scaled = section.flag("scaled", false);
    which.workload = read_workload(section);
    which.name = which.workload.name;
    if (which.workload.source != "generated") section.problem("source", "must be generated");
    if (which.workload.keys > 50'000'000) section.problem("keys", "must be at most 50,000,000");
    plan.cases.push_back(std::move(which));
  }
  return [plan](Bench& bench) -> Result<void> {
    const auto rounds = static_cast<std::uint64_t>(bench.repetitions);
    bench.meter.begin(bench.result.scenario, rounds * plan.cases.size() * (plan.maps.size() + 1));
    return run_in_process(plan, bench);
  };
}

}  // namespace nearlane::harness
