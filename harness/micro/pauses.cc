#include "harness/micro/pauses.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "core/base/epoch.h"
#include "core/l1/l1_map.h"
#include "harness/micro/crew.h"
#include "harness/micro/order.h"
#include "harness/micro/ticks.h"
#include "harness/workload/random.h"

namespace nearlane::micro {
namespace {

constexpr std::size_t kValueBytes = 64;
/// Keys that are read: those put last, of which few have been evicted.
constexpr std::uint64_t kRecent = 4096;

void touch(const Entry* entry) {
  if (entry != nullptr) {
    [[maybe_unused]] const char loaded =
        static_cast<const volatile char&>(*entry->resp_bulk().data());
  }
}

/// `read(key)` is timed again and again until all is put.
template <class Read>
void fill(l1::L1Map& map, std::uint64_t keys, Histogram* puts, Histogram& reads, Read read) {
  const double ns = ticks_to_ns();
  const auto length = [ns](std::uint64_t begin, std::uint64_t end) {
    return Duration(static_cast<std::int64_t>(static_cast<double>(end - begin) * ns));
  };
  const std::string value(kValueBytes, 'v');
  std::atomic<std::uint64_t> done{0};
  const std::function<void(unsigned)> job = [&](unsigned thread) {
    if (thread == 0) {
      for (std::uint64_t key = 0; key < keys; ++key) {
        const Name name = name_of(key);
        auto entry = Entry::build(KeyRef(0, name.text()), value, kForever, 1);
        const std::uint64_t begin = ticks_begin();
        map.put(std::move(entry));
        const std::uint64_t end = ticks_end();
        if (puts != nullptr) puts->record(length(begin, end));
        done.store(key + 1, std::memory_order_release);
      }
      return;
    }
    harness::Random random(1);
    for (std::uint64_t end = 0; (end = done.load(std::memory_order_acquire)) < keys;) {
      if (end == 0) continue;
      const Name name = name_of(end - 1 - random.below(std::min(end, kRecent)));
      const std::uint64_t begin = ticks_begin();
      read(name);
      reads.record(length(begin, ticks_end()));
    }
  };
  Crew crew(2, job);
  crew.go();
}

void add(Times& times, const Histogram& round) {
  times.all.merge(round);
  times.longest.push_back(round.max());
}

std::unique_ptr<l1::L1Map> make(std::string_view map, std::string_view policy,
                                std::uint64_t entries) {
  l1::L1Config config{.map = map, .policy = policy, .entries = entries};
  config.bytes += 2 * target_bytes({entries, kValueBytes});
  return std::move(l1::make_l1(config).value());
}

}  // namespace

void measure_pauses(std::string_view policy, std::uint64_t keys, Pauses& pauses) {
  Histogram puts;
  Histogram finds;
  Histogram nothing;
  {
    const auto filled = make(pauses.map, policy, keys);
    fill(*filled, 2 * keys, &puts, finds, [&](const Name& name) {
      const epoch::Guard guard;
      touch(filled->find(KeyRef(0, name.text())));
    });
  }
  epoch::drain();
  {
    const auto filled = make(pauses.map, policy, keys);
    const auto usual = static_cast<double>(finds.quantile(0.5).count()) / ticks_to_ns();
    fill(*filled, 2 * keys, nullptr, nothing, [usual](const Name&) {
      const std::uint64_t begin = ticks_begin();
      while (static_cast<double>(ticks_end() - begin) < usual) continue;
    });
  }
  epoch::drain();
  add(pauses.puts, puts);
  add(pauses.finds, finds);
  add(pauses.nothing, nothing);
}

}  // namespace nearlane::micro
