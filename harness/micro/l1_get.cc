// Reads of an L1 map, all of them hits: what a front end pays for the map once a command is parsed.
//
// Clock starts with the key's bytes at hand and stops with the answer: hash, guard, find, deadline
// check, and then the first byte of the reply (ref), its copy into an output buffer (copy), or the
// first byte again but under one guard and one find_batch for sixteen keys (batch16). One iteration is
// one key in all three. The rows of the map `none` are what this file itself costs.
//
// The names are drawn beforehand and lie in the order of use, so that fetching them is a sequential
// read and not a cache miss that a server would not have. ops_per_s is wall time, summed over threads;
// Google Benchmark's own items_per_second would be CPU time and flatter a map that waits for a lock.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "core/base/clock.h"
#include "core/base/epoch.h"
#include "core/l1/l1_map.h"
#include "harness/micro/micro.h"
#include "harness/workload/random.h"

namespace nearlane::micro {
namespace {

constexpr std::size_t kNameBytes = 16;
constexpr std::size_t kBatch = 16;
/// Draws in the order of use, the same for every thread but for where it starts: 16 MiB of names, so that
/// a million keys are asked for in an order that no cache remembers.
constexpr std::size_t kDraws = std::size_t{1} << 20U;
/// Exponent of the Zipf rows, YCSB's.
constexpr double kTheta = 0.99;
constexpr std::uint64_t kSeed = 42;

enum class How : std::uint8_t { ref, copy, batch16 };

struct Row {
  std::string_view map;
  std::string_view policy;
  std::uint64_t keys;
  std::size_t value_bytes;
  bool zipf;
  How how;
};

using Name = std::array<char, kNameBytes>;

Name name_of(std::uint64_t key) {
  Name name;
  fmt::format_to_n(name.data(), name.size(), "session:{:08x}", key);
  return name;
}

KeyRef ref_of(const Name& name) { return {0, {name.data(), name.size()}}; }

/// A filled map.
struct Filled {
  Filled(const Row& row)
      : map_name(row.map), keys(row.keys), value_bytes(row.value_bytes), map(make(row)) {
    const std::string value(row.value_bytes, 'v');
    for (std::uint64_t key = 0; key < row.keys; ++key) {
      map->put(Entry::build(ref_of(name_of(key)), value, kForever, 0));
    }
  }
  static std::unique_ptr<l1::L1Map> make(const Row& row) {
    // Twice what the entries take, so that no shard evicts and every read is a hit.
    const std::uint64_t bytes = 2 * row.keys * (row.value_bytes + 256) + (std::uint64_t{16} << 20U);
    return l1::make_l1({.map = row.map, .policy = row.policy, .bytes = bytes}).value();
  }
  [[nodiscard]] bool fits(const Row& row) const {
    return map_name == row.map && keys == row.keys && value_bytes == row.value_bytes;
  }
  std::string_view map_name;
  std::uint64_t keys;
  std::size_t value_bytes;
  std::unique_ptr<l1::L1Map> map;
};

/// The names that a row asks for, in order.
struct Order {
  Order(const Row& row) : keys(row.keys), zipf(row.zipf), names(kDraws) {
    harness::Random random(kSeed);
    const harness::Zipf ranks(row.keys, kTheta);
    for (auto& name : names) {
      // Which keys are hot has nothing to do with the order in which they were put.
      name = name_of(row.zipf ? harness::mix64(ranks(random)) % row.keys : random.below(row.keys));
    }
  }
  [[nodiscard]] bool fits(const Row& row) const { return keys == row.keys && zipf == row.zipf; }
  std::uint64_t keys;
  bool zipf;
  std::vector<Name> names;
};

/// The last one made is kept while rows can use it; a row's threads all come here first.
template <class Part>
const Part& prepared(const Row& row) {
  static std::mutex mutex;
  static std::unique_ptr<const Part> part;
  const std::lock_guard lock(mutex);
  if (!part || !part->fits(row)) {
    part.reset();
    part = std::make_unique<const Part>(row);
  }
  return *part;
}

/// One thread's reads.
class Reader {
 public:
  Reader(l1::L1Map& map, TimePoint now) : map_(map), now_(now) {}

  void ref(const Name& name) {
    const KeyRef key = ref_of(name);
    const epoch::Guard guard;
    take(map_.find(key));
  }
  void copy(const Name& name) {
    const KeyRef key = ref_of(name);
    const epoch::Guard guard;
    const Entry* entry = map_.find(key);
    if (!fresh(entry)) return;
    const auto reply = entry->resp_bulk();
    if (used_ + reply.size() > out_.size()) used_ = 0;
    std::memcpy(out_.data() + used_, reply.data(), reply.size());
    used_ += reply.size();
    benchmark::ClobberMemory();
  }
  void batch(const Name* names) {
    std::array<const Entry*, kBatch> found;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      const std::array<KeyRef, kBatch> keys{ref_of(names[I])...};
      const epoch::Guard guard;
      map_.find_batch(keys, found);
      for (const Entry* entry : found) take(entry);
    }
    (std::make_index_sequence<kBatch>());
  }
  [[nodiscard]] std::uint64_t hits() const { return hits_; }

 private:
  bool fresh(const Entry* entry) {
    if (entry == nullptr || now_ >= entry->deadline()) return false;
    ++hits_;
    return true;
  }
  void take(const Entry* entry) {
    if (fresh(entry)) benchmark::DoNotOptimize(*entry->resp_bulk().data());
  }

  l1::L1Map& map_;
  TimePoint now_;
  std::uint64_t hits_ = 0;
  std::vector<char> out_ = std::vector<char>(std::size_t{64} * 1024);
  std::size_t used_ = 0;
};

void run(benchmark::State& state, const Row& row) {
  const auto& names = prepared<Order>(row).names;
  Reader reader(*prepared<Filled>(row).map, Clock::now());
  const std::size_t step = kDraws / static_cast<std::size_t>(state.threads());
  std::size_t at = step * static_cast<std::size_t>(state.thread_index()) / kBatch * kBatch;
  std::uint64_t reads = 0;
  TimePoint start{};
  while (state.KeepRunningBatch(kBatch)) {  // all threads set off together here
    if (reads == 0) start = Clock::now();
    switch (row.how) {
      case How::ref:
        for (std::size_t i = 0; i < kBatch; ++i) reader.ref(names[at + i]);
        break;
      case How::copy:
        for (std::size_t i = 0; i < kBatch; ++i) reader.copy(names[at + i]);
        break;
      case How::batch16:
        reader.batch(&names[at]);
        break;
    }
    at = (at + kBatch) % kDraws;
    reads += kBatch;
  }
  const std::chrono::duration<double> took = Clock::now() - start;
  state.counters["ops_per_s"] = static_cast<double>(reads) / took.count();
  if (reader.hits() != (row.map == "none" ? 0 : reads)) {
    fail();
    state.SkipWithError("a read missed");
  }
}

}  // namespace

void register_l1_get(std::string_view policy) {
  static constexpr std::array<std::string_view, 3> kHow{"ref", "copy", "batch16"};
  const int cores = static_cast<int>(std::max(4U, std::thread::hardware_concurrency()));
  for (const std::uint64_t keys : {1000, 1000000}) {
    for (const std::size_t value : {64, 1024}) {
      for (const auto map : l1::map_names()) {
        for (const bool zipf : {true, false}) {
          for (const How how : {How::ref, How::copy, How::batch16}) {
            const auto name = fmt::format("L1Get/{}/keys:{}/value:{}/{}/{}", map, keys, value,
                                          zipf ? "zipf" : "uniform", kHow[static_cast<int>(how)]);
            benchmark::RegisterBenchmark(name.c_str(), run,
                                         Row{map, policy, keys, value, zipf, how})
                ->ThreadRange(1, cores);
          }
        }
      }
    }
  }
}

}  // namespace nearlane::micro
