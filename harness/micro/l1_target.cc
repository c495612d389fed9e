// A map of the registry as a target, read as the tier reads it (core/tier/tiered_cache.cc): hash, guard,
// find, and for each hit the whole of "may this be served as fresh": the key's lane of 32, its lease, its
// epoch, the entry's deadline, and the note that the lane was used. A write builds the entry, its reply
// included, and puts it.
#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include <benchmark/benchmark.h>

#include "core/base/clock.h"
#include "core/base/epoch.h"
#include "core/cohere/lane_view.h"
#include "core/l1/l1_map.h"
#include "harness/micro/order.h"
#include "harness/micro/parts.h"
#include "harness/micro/ticks.h"

namespace nearlane::micro {
namespace {

/// As many lanes as the server's redis backend has by default.
constexpr std::size_t kLanes = 32;
/// Deadlines and leases that are far away, but are not kForever, which a map might know.
constexpr auto kLong = std::chrono::hours(24);

using Lanes = std::array<cohere::LaneView, kLanes>;

[[gnu::always_inline]] inline KeyRef ref_of(const Name& name) { return {0, name.text()}; }

/// Loads the byte. Google Benchmark's DoNotOptimize would be content with its address.
void touch(const char& byte) {
  [[maybe_unused]] const char loaded = static_cast<const volatile char&>(byte);
}

/// One thread's part.
class Reader {
 public:
  Reader(l1::L1Map& map, const Lanes& lanes, const std::string& value, const Work& work)
      : map_(map), lanes_(lanes), value_(value), work_(work), now_(Clock::now()) {}

  std::uint64_t ref(const Name& name) {
    const KeyRef key = ref_of(name);
    const epoch::Guard guard;
    const TimePoint lease = lane(key).lease_until();
    return take(key, map_.find(key), lease);
  }

  std::uint64_t copy(const Name& name) {
    const KeyRef key = ref_of(name);
    const epoch::Guard guard;
    const TimePoint lease = lane(key).lease_until();
    const Entry* entry = map_.find(key);
    if (!fresh(key, entry, lease)) return 0;
    const auto reply = entry->resp_bulk(key);
    if (used_ + reply.size() > work_.out_bytes) used_ = 0;
    std::memcpy(work_.out + used_, reply.data(), reply.size());
    used_ += reply.size();
    benchmark::ClobberMemory();
    return 1;
  }

  /// One guard and one find_batch, as for a run of GETs in one receive.
  std::uint64_t batch(const std::array<KeyRef, kBatch>& keys, std::size_t reads) {
    std::array<const Entry*, kBatch> found;
    const epoch::Guard guard;
    std::array<TimePoint, kBatch> leases;
    for (std::size_t i = 0; i < reads; ++i) leases[i] = lane(keys[i]).lease_until();
    map_.find_batch(std::span(keys).first(reads), std::span(found).first(reads));
    std::uint64_t hits = 0;
    for (std::size_t i = 0; i < reads; ++i) hits += take(keys[i], found[i], leases[i]);
    return hits;
  }

  void put(const KeyRef& key) {
    map_.put(Entry::build(key, value_, now_ + kLong, lane(key).epoch()));
  }

 private:
  [[nodiscard]] const cohere::LaneView& lane(const KeyRef& key) const noexcept {
    return lanes_[cohere::lane_of(key.hash, kLanes)];
  }
  [[nodiscard]] bool fresh(const KeyRef& key, const Entry* entry, TimePoint lease) const noexcept {
    if (entry == nullptr) return false;
    const cohere::LaneView& view = lane(key);
    if (!view.vouches(*entry, now_, lease) || entry->negative()) return false;
    view.note_hit();
    return true;
  }
  [[nodiscard]] std::uint64_t take(const KeyRef& key, const Entry* entry,
                                   TimePoint lease) const noexcept {
    if (!fresh(key, entry, lease)) return 0;
    touch(*entry->resp_bulk(key).data());
    return 1;
  }

  l1::L1Map& map_;
  const Lanes& lanes_;
  const std::string& value_;
  const Work& work_;
  TimePoint now_;  // read once, as a loop does once a receive
  std::size_t used_ = 0;
};

/// `read(name)` for every draw that is no write, and a put for every other.
template <class Read>
Tally per_key(Reader& reader, const Work& work, Read read) {
  const std::size_t mask = work.draws - 1;
  const std::uint32_t limit = write_limit(work.writes);
  Tally tally;
  if (limit == 0) {
    for (std::size_t i = work.from; i < work.from + work.count; ++i) {
      tally.hits += read(work.names[i & mask]);
    }
    tally.reads = work.count;
    return tally;
  }
  for (std::size_t i = work.from; i < work.from + work.count; ++i) {
    const Name& name = work.names[i & mask];
    if (is_write(i & mask, limit)) {
      reader.put(ref_of(name));
    } else {
      ++tally.reads;
      tally.hits += read(name);
    }
  }
  return tally;
}

/// `read(names, make, reads)` for every sixteen draws: names has the reads first, make() hashes them.
template <class Read>
Tally per_batch(Reader& reader, const Work& work, Read read) {
  const std::size_t mask = work.draws - 1;
  const std::uint32_t limit = write_limit(work.writes);
  Tally tally;
  for (std::size_t i = 0; i < work.count; i += kBatch) {
    const std::size_t from = (work.from + i) & mask;
    const Name* names = work.names + from;
    if (limit == 0) {
      tally.reads += kBatch;
      tally.hits += read([names](std::size_t j) -> const Name& { return names[j]; }, kBatch);
      continue;
    }
    std::array<std::uint8_t, kBatch> order{};  // reads first
    std::size_t reads = 0;
    std::size_t end = kBatch;
    for (std::size_t j = 0; j < kBatch; ++j) {
      order[is_write(from + j, limit) ? --end : reads++] = static_cast<std::uint8_t>(j);
    }
    tally.reads += reads;
    tally.hits +=
        read([names, &order](std::size_t j) -> const Name& { return names[order[j]]; }, reads);
    for (std::size_t j = reads; j < kBatch; ++j) reader.put(ref_of(names[order[j]]));
  }
  return tally;
}

template <class At, std::size_t... I>
std::array<KeyRef, kBatch> keys_of(const At& at, std::index_sequence<I...>) {
  return {ref_of(at(I))...};
}

/// Hashes the names and reads the first `reads` of them.
template <class At>
std::uint64_t read_batch(Reader& reader, const At& at, std::size_t reads) {
  return reader.batch(keys_of(at, std::make_index_sequence<kBatch>()), reads);
}

class L1Target final : public Target {
 public:
  L1Target(std::unique_ptr<l1::L1Map> map, const Fill& fill)
      : map_(std::move(map)), value_(fill.value_bytes, 'v') {
    const TimePoint until = Clock::now() + kLong;
    for (auto& lane : lanes_) lane.set_lease(until);
    for (std::uint64_t key = 0; key < fill.keys; ++key) {
      const Name name = name_of(key);
      const KeyRef ref = ref_of(name);
      map_->put(
          Entry::build(ref, value_, until, lanes_[cohere::lane_of(ref.hash, kLanes)].epoch()));
    }
    entries_ = map_->stats().entries;
  }
  ~L1Target() override {
    map_.reset();
    epoch::drain();  // nobody reads: threads of a measurement end with it
  }
  L1Target(const L1Target&) = delete;
  L1Target& operator=(const L1Target&) = delete;

  [[nodiscard]] std::uint64_t entries() const noexcept { return entries_; }
  [[nodiscard]] bool holds() const noexcept override { return entries_ != 0; }

  Tally run(const Work& work) override {
    Reader reader(*map_, lanes_, value_, work);
    switch (work.how) {
      case How::ref:
        return per_key(reader, work, [&](const Name& name) { return reader.ref(name); });
      case How::copy:
        return per_key(reader, work, [&](const Name& name) { return reader.copy(name); });
      case How::batch16:
        break;
    }
    return per_batch(reader, work, [&](const auto& at, std::size_t reads) {
      return read_batch(reader, at, reads);
    });
  }

  Tally sample(const Work& work, std::uint32_t* ticks) override {
    Reader reader(*map_, lanes_, value_, work);
    std::uint32_t* next = ticks;
    const auto at_hand = [](const Name& name) {  // as in a receive buffer
      touch(name.bytes[0]);
      touch(name.bytes[kNameBytes - 1]);
    };
    const auto timed = [&next](const auto& read) {
      const std::uint64_t begin = ticks_begin();
      const std::uint64_t hits = read();
      const std::uint64_t end = ticks_end();
      *next++ = static_cast<std::uint32_t>(std::min<std::uint64_t>(end - begin, UINT32_MAX));
      return hits;
    };
    Tally tally;
    switch (work.how) {
      case How::ref:
        tally = per_key(reader, work, [&](const Name& name) {
          at_hand(name);
          return timed([&] { return reader.ref(name); });
        });
        break;
      case How::copy:
        tally = per_key(reader, work, [&](const Name& name) {
          at_hand(name);
          return timed([&] { return reader.copy(name); });
        });
        break;
      case How::batch16:
        tally = per_batch(reader, work, [&](const auto& at, std::size_t reads) {
          for (std::size_t i = 0; i < kBatch; ++i) at_hand(at(i));
          return timed([&] { return read_batch(reader, at, reads); });
        });
        break;
    }
    tally.samples = static_cast<std::uint64_t>(next - ticks);
    return tally;
  }

 private:
  std::unique_ptr<l1::L1Map> map_;
  std::string value_;
  Lanes lanes_;
  std::uint64_t entries_ = 0;
};

}  // namespace

std::unique_ptr<Target> make_l1_target(std::string_view map, std::string_view policy,
                                       const Fill& fill) {
  // Twice what the entries take, so that nothing is evicted and every read is a hit, on top of a server's
  // usual budget: a map may cut itself into shards by it, and a small one would not be.
  l1::L1Config config{.map = map, .policy = policy};
  config.bytes += 2 * target_bytes(fill);
  auto made = l1::make_l1(config);
  if (made.has_error()) return nullptr;
  auto target = std::make_unique<L1Target>(std::move(made.value()), fill);
  if (target->holds() && target->entries() != fill.keys) return nullptr;
  return target;
}

}  // namespace nearlane::micro
