// What L1 takes from the machine beside what it says it takes: the process's resident memory against the
// budget, under values of 64 B to 2 MB that come and go. One mix a process: one mix's holes are the next one's
// room.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <random>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/epoch.h"
#include "core/l1/l1_map.h"

namespace nearlane::l1 {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
constexpr std::uint64_t kBudget = 256 * kMiB;

std::uint64_t resident_bytes() {
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Sizes between two bounds, each doubling as likely as the next.
struct Mix {
  const char* name;
  double least;
  double most;
};

class Resident : public testing::TestWithParam<Mix> {
 protected:
  static void SetUpTestSuite() { keep_large_values_apart(); }
};

TEST_P(Resident, StaysWithinATenthOfTheBudget) {
  const auto [name, least, most] = GetParam();
  epoch::drain();
  const std::uint64_t before = resident_bytes();
  const auto map = make_l1({.bytes = kBudget}).value();
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> doubling(std::log2(least), std::log2(most));
  const std::string bytes(static_cast<std::size_t>(most), 'v');
  std::uint64_t written = 0;
  std::uint64_t sampled = 0;
  std::uint64_t highest = 0;
  for (std::uint64_t put = 0; written < 3 * kBudget; ++put) {
    const auto size = static_cast<std::size_t>(std::exp2(doubling(random)));
    // Half of the puts are of keys that are there, with another size.
    const std::uint64_t key =
        random() % 2 == 0 ? put : put - random() % std::min(put + 1, std::uint64_t{2000});
    map->put(Entry::build(KeyRef(0, fmt::format("session:{:012}", key)),
                          std::string_view(bytes).substr(0, size), kForever, 0));
    written += size;
    if (written > sampled + kBudget / 64) {
      sampled = written;
      epoch::collect();
      highest = std::max(highest, resident_bytes());
    }
  }
  const double part = static_cast<double>(highest - before) / kBudget;
  RecordProperty("resident_part_of_budget", fmt::format("{:.3f}", part));
  std::printf("%s: resident %.3f of the budget, entries take %.3f\n", name, part,
              static_cast<double>(map->stats().bytes) / kBudget);
  EXPECT_LE(part, 1.1) << name;
}

INSTANTIATE_TEST_SUITE_P(Mixes, Resident,
                         testing::Values(Mix{"64 B to 1 KiB", 64, 1024},
                                         Mix{"64 B to 64 KiB", 64, 65536},
                                         Mix{"64 B to 2 MB", 64, 2e6},
                                         Mix{"350 KB to 2 MB", 350e3, 2e6}));

}  // namespace
}  // namespace nearlane::l1
