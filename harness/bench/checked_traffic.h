// What the history checker found, as measures of a result: shared by the coherence scenarios.
//
// Units:    lateness from the overwriting write's acknowledgement at its client to the sending of the read.
// Threads:  plain values.
#pragma once

#include <string>
#include <vector>

#include "harness/check/history.h"
#include "harness/check/traffic.h"
#include "harness/report/result.h"

namespace nearlane::harness {

/// One stretch of traffic: its counts, its late reads with their histogram, its violations.
[[nodiscard]] Measure checked_measure(std::string id, std::string what, std::size_t processes,
                                      const TrafficCounts& counts, const HistoryReport& report,
                                      Duration lasted);
/// What every door said after quiescence.
[[nodiscard]] Measure settled_measure(std::string id, std::size_t processes,
                                      const Settled& settled);

/// Violations and disagreements become failures of the scenario.
void fail_on_violations(const std::string& where, const HistoryReport& report,
                        ScenarioResult& result);
void fail_on_differences(const std::string& where, const Settled& settled, ScenarioResult& result);

/// What a load was answered, and what is left of it: counts into `counts`, and what is not allowed into the failures.
/// `left`: what reading every key afterwards found.
void put_judged(const HistoryReport& load, const HistoryReport& left, const Settled& settled,
                Measure& counts, ScenarioResult& result);

/// What put_judged counted in a measure `counts`, and add_control in `control`, behind the scenario's own columns.
/// `bound`, `max_stale`: how late an answer may be, and how old one that says so beyond that.
[[nodiscard]] Table judged_table(std::vector<Column> own, Duration bound, Duration max_stale);

}  // namespace nearlane::harness
