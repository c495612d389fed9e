#include "harness/driver/recorder.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <sys/resource.h>

namespace nearlane::harness {
namespace {

constexpr std::size_t kFailureTexts = 5;

Duration from_timeval(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

std::pair<Duration, Duration> thread_cpu() {
  rusage used{};
  ::getrusage(RUSAGE_THREAD, &used);
  return {from_timeval(used.ru_utime), from_timeval(used.ru_stime)};
}

}  // namespace

Recorder::Recorder(const RunOptions& options) : options_(options) {
  report_.open_loop = options.open_loop;
  for (const auto op : kOps) {
    for (const auto outcome : kOutcomes) report_.response_by_cell[{op, outcome}];
  }
  std::tie(user_at_start_, system_at_start_) = thread_cpu();
  start_ = Clock::now();
}

void Recorder::scheduled(Duration intended) noexcept {
  if (intended >= options_.warmup) ++report_.scheduled;
}

void Recorder::fail(const Completion& completion) {
  ++report_.failed;
  ++report_.failures[static_cast<std::size_t>(completion.failure)];
  if (report_.failure_texts.size() < kFailureTexts) {
    report_.failure_texts.push_back(fmt::format(
        "{} {}: {}{}{}", to_string(completion.kind), completion.key.substr(0, 80),
        to_string(completion.failure), completion.value.empty() ? "" : ": ",
        completion.failure == Failure::wrong_value ? "" : completion.value.substr(0, 200)));
  }
}

void Recorder::completed(Completion completion, Duration ready, bool answered) {
  ++completions_;
  if (options_.check && !options_.check(completion) && completion.failure == Failure::none) {
    completion.outcome = Outcome::error;
    completion.failure = Failure::wrong_value;
  }
  if (completion.intended < options_.warmup) return;
  last_done_ = std::max(last_done_, completion.done);
  if (completion.failure != Failure::none) fail(completion);
  if (!answered) return;
  const auto response = completion.done - completion.intended;
  ++report_.answered;
  report_.response_time.record(response);
  report_.service_time.record(completion.done - completion.sent);
  report_.send_lag.record(completion.sent - ready);
  report_.connection_wait.record(ready - completion.intended);
  report_.response_by_cell[{completion.kind, completion.outcome}].record(response);
}

void Recorder::tell_progress(Duration elapsed) const {
  if (!options_.progress) return;
  options_.progress({.elapsed = elapsed,
                     .duration = options_.duration,
                     .answered = report_.answered,
                     .failed = report_.failed});
}

RunReport Recorder::finish(Duration ended, std::uint64_t bytes_out, std::uint64_t bytes_in,
                           std::uint64_t reconnects) {
  const auto [user, system] = thread_cpu();
  report_.generator_user = user - user_at_start_;
  report_.generator_system = system - system_at_start_;
  report_.bytes_out = bytes_out;
  report_.bytes_in = bytes_in;
  report_.reconnects = reconnects;
  report_.elapsed = std::max(std::max(last_done_, ended) - options_.warmup, Duration::zero());
  std::erase_if(report_.response_by_cell, [](const auto& cell) { return cell.second.empty(); });
  if (options_.open_loop && ended > options_.warmup) {
    report_.offered_rate = static_cast<double>(report_.scheduled) /
                           std::chrono::duration<double>(ended - options_.warmup).count();
  }
  judge(report_);
  return std::move(report_);
}

}  // namespace nearlane::harness
