// Requests are laid out as a receive buffer would hold them: key bytes one behind the other, in the order of
// use. A read hashes the key, looks it up and touches the first and last byte of the value.
#include "harness/bench/in_process.h"

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <unordered_map>

#include <fmt/format.h>

#include "core/base/epoch.h"
#include "core/tier/tiered_cache.h"
#include "harness/bench/timing.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

constexpr std::size_t kSampleEvery = 4;  // leaves enough samples for the 99.9th percentile

constexpr std::size_t kKeyBytes = 20;  // "key:" and 16 digits
using KeyBytes = std::array<char, kKeyBytes>;

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
      return Error{
          Errc::invalid_argument,
          fmt::format("workload {}: an in-process case needs a prefix of four bytes", spec.name)};
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

Measure describe(const InProcessCase& which, std::string_view map) {
  Measure measure;
  measure.id = in_process_id(which, map);
  measure.what = fmt::format("GET in process, {}, {}", which.workload.name, map);
  measure.boundary = "in process";
  measure.clock_starts = "key bytes in hand";
  measure.clock_stops = "first and last value byte read";
  measure.parameters = {{"keys", fmt::format("{}", which.workload.keys)},
                        {"value_bytes", fmt::format("{}", which.workload.sizes.front().first)},
                        {"distribution", which.workload.distribution},
                        {"map", std::string(map)}};
  return measure;
}

void add_timing(Measure& measure, const Timing& timing) {
  Repetition repetition;
  repetition.add("", timing.samples);
  repetition.values["batch_mean_ns"] = timing.ns_per_op;
  repetition.values["rate_per_s"] = 1e9 / timing.ns_per_op;
  measure.repetitions.push_back(std::move(repetition));
}

Timing time_cache(tier::TieredCache& cache, const Stream& stream, std::uint64_t& misses) {
  return time_ops(stream.requests.size(), kSampleEvery, [&](std::size_t begin, std::size_t end) {
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

Timing time_local(const LocalMap& map, const Stream& stream, std::uint64_t& misses) {
  std::string key;
  return time_ops(stream.requests.size(), kSampleEvery, [&](std::size_t begin, std::size_t end) {
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

}  // namespace

std::string in_process_id(const InProcessCase& which, std::string_view map) {
  return fmt::format("in_process/{}/{}", which.workload.name, map);
}

Result<void> time_in_process(const InProcessCase& which, Bench& bench) {
  const auto stream = stream_of(which.workload);
  if (!stream) return stream.error();
  const auto bytes = which.workload.sizes.front().first;
  std::uint64_t misses = 0;
  for (const auto& map : which.maps) {
    bench.meter.phase(fmt::format("in process, {}, {}", which.workload.name, map));
    auto cache = FilledCache::make(map, which.l1_bytes, *stream, bytes);
    if (!cache) return cache.error();
    auto& measure = bench.result.measure(describe(which, map));
    for (int i = 0; i < bench.repetitions; ++i) {
      add_timing(measure, time_cache((*cache)->tier(), *stream, misses));
      bench.meter.advance();
    }
  }
  epoch::drain();
  bench.meter.phase(fmt::format("in process, {}, {}", which.workload.name, kLocalMap));
  LocalMap map;
  for (const auto& key : stream->keys) write_document(key, 1, bytes, map[key]);
  auto& measure = bench.result.measure(describe(which, kLocalMap));
  for (int i = 0; i < bench.repetitions; ++i) {
    add_timing(measure, time_local(map, *stream, misses));
    bench.meter.advance();
  }
  if (misses != 0) {
    return Error{Errc::unavailable, fmt::format("in process, {}: {} reads missed in a full L1",
                                                which.workload.name, misses)};
  }
  return {};
}

std::uint64_t in_process_steps(const InProcessCase& which, const Bench& bench) {
  return (which.maps.size() + 1) * static_cast<std::uint64_t>(bench.repetitions);
}

}  // namespace nearlane::harness
