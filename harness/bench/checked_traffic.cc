#include "harness/bench/checked_traffic.h"

#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nearlane::harness {

Measure checked_measure(std::string id, std::string what, std::size_t processes,
                        const TrafficCounts& counts, const HistoryReport& report, Duration lasted) {
  Measure measure{.id = std::move(id),
                  .what = std::move(what),
                  .boundary = "client",
                  .clock_starts = "a newer write's acknowledgement parsed",
                  .clock_stops = "the read that brings the older value about to be sent",
                  .processes = static_cast<int>(processes)};
  auto& repetition = measure.repetitions.emplace_back();
  repetition.add("late", report.lateness);
  auto& values = repetition.values;
  const auto operations = static_cast<double>(counts.operations);
  values["operations_count"] = operations;
  values["rate_per_s"] = operations / std::chrono::duration<double>(lasted).count();
  values["failed_count"] = static_cast<double>(counts.failed);
  values["abandoned_count"] = static_cast<double>(counts.abandoned);
  values["l1_hits_count"] = static_cast<double>(counts.l1_hits);
  values["reads_count"] = static_cast<double>(report.reads);
  values["writes_count"] = static_cast<double>(report.writes);
  values["latest_ns"] = static_cast<double>(report.lateness.max().count());
  values["violations_count"] = static_cast<double>(report.violation_count());
  values["lasted_ns"] = static_cast<double>(lasted.count());
  return measure;
}

Measure settled_measure(std::string id, std::size_t processes, const Settled& settled) {
  Measure measure =
      counting(std::move(id), "every key read at every door after quiescence, against Redis",
               static_cast<int>(processes));
  auto& values = measure.repetitions.back().values;
  values["keys_count"] = static_cast<double>(settled.keys);
  values["compared_count"] = static_cast<double>(settled.compared);
  values["from_l1_count"] = static_cast<double>(settled.from_l1);
  values["different_count"] = static_cast<double>(settled.different);
  return measure;
}

void fail_on_violations(const std::string& where, const HistoryReport& report,
                        ScenarioResult& result) {
  if (report.violation_count() == 0) return;
  result.failures.push_back(fmt::format(
      "{}: {} stale, {} older than the instance's own acknowledgement, {} wrong; {}", where,
      report.stale, report.own_lost, report.wrong, fmt::join(report.violations, "; ")));
}

void fail_on_differences(const std::string& where, const Settled& settled, ScenarioResult& result) {
  if (settled.different == 0) return;
  result.failures.push_back(fmt::format("{}: {} entries stale for ever: {}", where,
                                        settled.different, fmt::join(settled.examples, "; ")));
}

void put_judged(const HistoryReport& load, const HistoryReport& left, const Settled& settled,
                Measure& counts, ScenarioResult& result) {
  auto& values = counts.repetitions.back().values;
  values["late_count"] = static_cast<double>(load.late);
  values["latest_ns"] = static_cast<double>(load.lateness.max().count());
  values["oldest_marked_ns"] = static_cast<double>(load.said_old.max().count());
  values["violations_count"] = static_cast<double>(load.violation_count());
  values["lost_count"] = static_cast<double>(left.violation_count());
  values["different_count"] = static_cast<double>(settled.different);
  values["compared_count"] = static_cast<double>(settled.compared);
  fail_on_violations("under load", load, result);
  fail_on_violations("acknowledged writes lost", left, result);
  fail_on_differences("after it", settled, result);
}

Table judged_table(std::vector<Column> own, Duration bound, Duration max_stale) {
  const auto seconds = [](Duration time) { return std::chrono::duration<double>(time).count(); };
  const std::vector<Column> judged = {
      {"acknowledged writes lost, beyond what Redis itself lost (0)", "counts", "lost_count"},
      {"late reads", "counts", "late_count"},
      {fmt::format("the latest by (allowed: a lease, {} s)", seconds(bound)), "counts",
       "latest_ns"},
      {fmt::format("the oldest marked STALE by (allowed: a lease and {} s)", seconds(max_stale)),
       "counts", "oldest_marked_ns"},
      {"answers that were not allowed (0)", "counts", "violations_count"},
      {"stale for ever (0)", "counts", "different_count"},
      {"for comparison, lost if the store is emptied", "control", "lost_count"}};
  own.insert(own.end(), judged.begin(), judged.end());
  return row_of("What clients were told, and what is left", own);
}

}  // namespace nearlane::harness
