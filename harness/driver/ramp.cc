#include "harness/driver/ramp.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace nearlane::harness {
namespace {

constexpr double kGrowth = 2;
/// A 99th percentile of fewer says nothing.
constexpr std::uint64_t kFewest = 1000;

std::string micros(Duration duration) {
  return fmt::format("{:.1f}", std::chrono::duration<double, std::micro>(duration).count());
}

/// Empty: it held.
std::string why_not(const RampSpec& spec, const RunReport& run) {
  if (!run.void_reasons.empty()) return run.void_reasons.front();
  if (run.failed > 0) {
    return fmt::format("{} requests failed{}", run.failed,
                       run.failure_texts.empty() ? "" : ", such as: " + run.failure_texts.front());
  }
  const auto p99 = run.response_time.quantile(0.99);
  if (p99 > spec.p99_most) return fmt::format("p99 {} us", micros(p99));
  return {};
}

Result<void> check(const RampSpec& spec) {
  if (spec.load.rate < RateSearch::kLeast || spec.load.rate > RateSearch::kMost)
    return Error{Errc::invalid_argument, "a ramp's first rate must be 100 to 1e8"};
  if (spec.p99_most <= Duration::zero())
    return Error{Errc::invalid_argument, "the limit of p99 must be above 0"};
  return {};
}

}  // namespace

void RateSearch::tell(bool held) noexcept {
  if (!next_) return;
  (held ? held_ : failed_) = next_;
  if (!failed_) {
    next_ = *held_ * kGrowth;
    if (*next_ > kMost) next_.reset();
    return;
  }
  if (!held_) {
    next_ = *failed_ / kGrowth;
    if (*next_ < kLeast) next_.reset();
    return;
  }
  next_ = std::sqrt(*held_ * *failed_);
  if (*failed_ - *held_ <= kResolution * *failed_) next_.reset();
}

Result<RampReport> run_ramp(const RampSpec& spec, const std::function<void(const RampStep&)>& tried,
                            const std::atomic<bool>* stop) {
  if (const auto good = check(spec); !good) return good.error();
  RampReport report{.spec = spec, .steps = {}, .answer = {}};
  RateSearch search(spec.load.rate);
  LoadSpec load = spec.load;
  while (const auto rate = search.next()) {
    load.rate = *rate;
    // Slow rates take longer, or nothing could be said of their 99th percentile.
    const auto least = std::chrono::duration<double>(static_cast<double>(kFewest) / *rate);
    load.duration = std::max(spec.load.duration, std::chrono::ceil<Duration>(least));
    auto ran = run_load(load, {}, stop);
    if (!ran) return ran.error();
    if (stop != nullptr && stop->load()) break;
    load.fill = false;
    RampStep& step = report.steps.emplace_back(RampStep{.rate = *rate, .run = std::move(ran->run)});
    step.why = why_not(spec, step.run);
    if (tried) tried(step);
    search.tell(step.why.empty());
    // Which of the two it was, the least rate that does not hold says: it is the last one of those.
    if (!step.why.empty()) report.limited_by_generator = step.run.lagged;
  }
  report.answer = search.answer();
  return report;
}

std::string to_text(const RampStep& step) {
  const auto& times = step.run.response_time;
  return fmt::format("{:>12.0f}/s{:>12}{:>12}{:>12}  {}", step.rate, micros(times.quantile(0.5)),
                     micros(times.quantile(0.99)), micros(times.max()),
                     step.why.empty() ? "holds" : step.why);
}

std::string to_text(const RampReport& report) {
  const std::string limit = fmt::format("p99 <= {} us", micros(report.spec.p99_most));
  if (!report.answer) return fmt::format("no rate held ({})", limit);
  return fmt::format("{:.0f} requests/s hold ({}){}", *report.answer, limit,
                     report.limited_by_generator
                         ? "; VOID: beyond, it was the generator that could not go on"
                         : "");
}

}  // namespace nearlane::harness
