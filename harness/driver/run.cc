#include "harness/driver/run.h"

#include <algorithm>

#include <fmt/format.h>

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLagAlwaysAllowed = 1ms;
constexpr double kAchievedShare = 0.99;
/// The last replies may take this part of the run: what queues in an overloaded server is under way as well.
constexpr int kLastRepliesPart = 20;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

/// Whether the load was answered at the rate at which it was due. The last replies may take as long as replies take,
/// which of a short run with slow replies is more than a hundredth.
bool kept_up(const RunReport& report) {
  const Duration under_way =
      std::min<Duration>(report.service_time.quantile(0.99), report.elapsed / kLastRepliesPart);
  const double due = std::max(static_cast<double>(report.scheduled),
                              report.offered_rate * seconds(report.elapsed - under_way));
  return static_cast<double>(report.answered) >= kAchievedShare * due;
}

}  // namespace

std::uint64_t RunReport::count(Op kind, Outcome outcome) const {
  const auto found = response_by_cell.find({kind, outcome});
  return found == response_by_cell.end() ? 0 : found->second.count();
}

std::uint64_t RunReport::count(Outcome outcome) const {
  std::uint64_t sum = 0;
  for (const auto kind : kOps) sum += count(kind, outcome);
  return sum;
}

double RunReport::hit_rate() const {
  std::uint64_t hits = 0;
  for (const auto outcome : {Outcome::hit, Outcome::hit_l1, Outcome::hit_l2, Outcome::stale}) {
    hits += count(Op::get, outcome);
  }
  const auto gets = hits + count(Op::get, Outcome::miss);
  return gets == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(gets);
}

void judge(RunReport& report) {
  report.void_reasons.clear();
  report.lagged = false;
  if (report.elapsed > Duration::zero()) {
    report.achieved_rate = static_cast<double>(report.answered) / seconds(report.elapsed);
  }
  if (report.answered == 0) {
    report.void_reasons.emplace_back("nothing was answered");
    return;
  }
  if (!report.open_loop) return;
  const auto lag = report.send_lag.quantile(0.99);
  const auto response = report.response_time.quantile(0.99);
  report.lagged = lag > std::max<Duration>(kLagAlwaysAllowed, response / 2);
  if (report.lagged) {
    report.void_reasons.push_back(
        fmt::format("the generator lagged: send_lag p99 {:.0f} us, response_time p99 {:.0f} us",
                    micros(lag), micros(response)));
  }
  if (!kept_up(report)) {
    report.void_reasons.push_back(fmt::format("achieved {:.1f} of {:.1f} operations/s offered",
                                              report.achieved_rate, report.offered_rate));
  }
}

}  // namespace nearlane::harness
