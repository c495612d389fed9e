#include "harness/micro/rows.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>

#include <fmt/format.h>

#include "core/base/clock.h"
#include "harness/micro/crew.h"
#include "harness/micro/ticks.h"

namespace nearlane::micro {

std::string row_name(std::string_view map, const Case& what) {
  auto name = fmt::format("L1Get/{}/keys:{}/value:{}/{}/{}/threads:{}", map, what.fill.keys,
                          what.fill.value_bytes, what.zipf ? "zipf" : "uniform",
                          kHowNames[static_cast<std::size_t>(what.how)], what.threads);
  if (what.writes != 0) name += fmt::format("/writes:{}", what.writes);
  return name;
}

const Order& order_for(const Case& what) {
  static std::array<std::unique_ptr<const Order>, 2> orders;
  for (auto& order : orders) {
    if (order && order->keys != what.fill.keys) order.reset();
  }
  auto& order = orders[what.zipf ? 1 : 0];
  if (!order) order = std::make_unique<const Order>(what.fill.keys, what.zipf);
  return *order;
}

Measurement::Measurement(Target& target, const Case& what, const Order& order)
    : target_(target),
      case_(what),
      order_(order),
      outs_(what.threads, std::vector<char>(kOutBytes)) {}

Work Measurement::work(unsigned thread, std::size_t from, std::size_t count) {
  const std::size_t start = kDraws / case_.threads * thread + from;
  return {.names = order_.names.data(),
          .draws = kDraws,
          .from = start / kBatch * kBatch % kDraws,
          .count = count / case_.threads,
          .out = outs_[thread].data(),
          .out_bytes = kOutBytes,
          .how = case_.how,
          .writes = case_.writes};
}

void Measurement::check(const std::vector<Tally>& tallies) {
  for (const Tally& tally : tallies) {
    if (tally.hits != (target_.holds() ? tally.reads : 0)) right_ = false;
  }
}

void Measurement::run(std::size_t from, std::size_t count,
                      const std::function<void(const std::function<void()>&)>& around) {
  std::vector<Tally> tallies(case_.threads);
  std::vector<double> rates(case_.threads);
  const std::function<void(unsigned)> job = [&](unsigned thread) {
    const Work mine = work(thread, from, count);
    const TimePoint start = Clock::now();
    const Tally tally = target_.run(mine);
    const std::chrono::duration<double> took = Clock::now() - start;
    tallies[thread] = tally;
    rates[thread] = static_cast<double>(mine.count) / took.count();
  };
  Crew crew(case_.threads, job);
  around([&crew] { crew.go(); });
  rate_ = 0;
  for (const double rate : rates) rate_ += rate;
  check(tallies);
}

std::vector<double> Measurement::sample(std::size_t from, std::size_t count) {
  const double ns = ticks_to_ns();
  const double clock = clock_ticks();
  std::vector<Tally> tallies(case_.threads);
  std::vector<std::vector<std::uint32_t>> ticks(case_.threads,
                                                std::vector<std::uint32_t>(count / case_.threads));
  const std::function<void(unsigned)> job = [&](unsigned thread) {
    tallies[thread] = target_.sample(work(thread, from, count), ticks[thread].data());
  };
  Crew(case_.threads, job).go();
  check(tallies);
  std::vector<double> samples;
  samples.reserve(count);
  for (unsigned thread = 0; thread < case_.threads; ++thread) {
    for (std::uint64_t i = 0; i < tallies[thread].samples; ++i) {
      samples.push_back(std::max(0.0, static_cast<double>(ticks[thread][i]) - clock) * ns);
    }
  }
  std::ranges::sort(samples);
  return samples;
}

double quantile(const std::vector<double>& sorted, double fraction) {
  return sorted[static_cast<std::size_t>(fraction * static_cast<double>(sorted.size() - 1))];
}

}  // namespace nearlane::micro
