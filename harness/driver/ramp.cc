#include "harness/driver/ramp.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace nearlane::harness {
namespace {

constexpr double kGrowth = 2;
/// As many as a 99th percentile needs for a hundred to lie beyond it.
constexpr double kFewest = 10'000;
/// Of the limit, that the generator's own delay may take before it, not the server, may be what exceeded it.
constexpr int kLagPart = 2;
constexpr int kTailPart = 100;  // of the duration

void judge_step(const RampSpec& spec, RampStep& step) {
  const RunReport& run = step.run;
  const auto p99 = run.response_time.quantile(0.99);
  if (!run.void_reasons.empty()) {
    step.why = run.void_reasons.front();
  } else if (run.failed > 0) {
    step.why =
        fmt::format("{} requests failed{}", run.failed,
                    run.failure_texts.empty() ? "" : ", such as: " + run.failure_texts.front());
  } else if (p99 > spec.p99_most) {
    step.why = "too late";
  }
  step.generator_at_limit =
      run.lagged || (p99 > spec.p99_most && run.send_lag.quantile(0.99) > spec.p99_most / kLagPart);
}

Result<void> check(const RampSpec& spec) {
  const auto refuse = [](std::string text) {
    return Error{Errc::invalid_argument, std::move(text)};
  };
  if (!(spec.load.rate >= RateSearch::kLeast && spec.load.rate <= RateSearch::kMost)) {
    return refuse(fmt::format("a ramp's first rate must be {} to {:.0f}", RateSearch::kLeast,
                              RateSearch::kMost));
  }
  if (spec.p99_most <= Duration::zero() || spec.p99_most > spec.load.duration / kTailPart)
    return refuse("a ramp's limit of p99 must be above 0, and at most a hundredth of the duration");
  return {};
}

}  // namespace

void RateSearch::tell(bool held) noexcept {
  if (!next_) return;
  const double tried = *next_;
  if (!held && !std::exchange(again_, true)) return;
  again_ = false;
  (held ? held_ : failed_) = tried;
  if (!failed_) {
    next_ = std::min(tried * kGrowth, kMost);
  } else if (!held_) {
    next_ = std::max(tried / kGrowth, kLeast);
  } else if (*failed_ - *held_ > kResolution * *failed_) {
    next_ = std::sqrt(*held_ * *failed_);
  } else {
    next_.reset();
  }
  if (next_ == tried) next_.reset();  // the least or the most there is
}

Result<RampReport> run_ramp(const RampSpec& spec,
                            const std::function<Result<LoadReport>(const LoadSpec&)>& run,
                            const std::function<void(const RampStep&)>& tried,
                            const std::atomic<bool>& stop) {
  if (const auto good = check(spec); !good) return good.error();
  RampReport report{.spec = spec, .answer = {}};
  RateSearch search(spec.load.rate);
  LoadSpec load = spec.load;
  while (const auto rate = search.next()) {
    load.rate = *rate;
    load.duration =
        std::max(spec.load.duration,
                 std::chrono::ceil<Duration>(std::chrono::duration<double>(kFewest / *rate)));
    auto ran = run(load);
    if (!ran) return ran.error();
    report.interrupted = stop;
    if (report.interrupted) break;
    load.fill = false;
    RampStep step{.rate = *rate, .run = std::move(ran->run)};
    if (const auto wrong = step.run.failures[static_cast<std::size_t>(Failure::wrong_value)]) {
      return Error{Errc::protocol,
                   fmt::format("at {:.0f} requests/s {} values were read that nobody had written",
                               *rate, wrong)};
    }
    judge_step(spec, step);
    if (tried) tried(step);
    search.tell(step.why.empty());
    // The last one that does not hold is the least.
    if (!step.why.empty()) report.generator_at_limit = step.generator_at_limit;
  }
  report.answer = search.answer();
  return report;
}

std::string ramp_head() {
  return fmt::format("{:>14}{:>12}{:>12}{:>12}{:>18}", "offered", "p50, us", "p99", "max",
                     "generator's p99");
}

std::string to_text(const RampStep& step) {
  const auto& times = step.run.response_time;
  return fmt::format("{:>12.0f}/s{:>12.1f}{:>12.1f}{:>12.1f}{:>18.1f}  {}", step.rate,
                     micros(times.quantile(0.5)), micros(times.quantile(0.99)), micros(times.max()),
                     micros(step.run.send_lag.quantile(0.99)),
                     step.why.empty() ? "holds" : step.why);
}

std::string to_text(const RampReport& report) {
  const std::string limit = fmt::format("p99 <= {:.1f} us", micros(report.spec.p99_most));
  const std::string held = report.answer ? fmt::format("{:.0f} requests/s hold", *report.answer)
                                         : std::string("no rate held");
  return fmt::format("{}{} ({}){}", report.interrupted ? "interrupted; so far " : "", held, limit,
                     report.generator_at_limit
                         ? "; VOID: beyond, it may have been the generator that could not go on"
                         : "");
}

}  // namespace nearlane::harness
