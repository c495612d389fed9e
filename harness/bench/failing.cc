#include "harness/bench/failing.h"

#include <utility>

#include <fmt/format.h>

#include "harness/driver/run.h"

namespace nearlane::harness {

void Failing::add(const Completion& completion) {
  // A value that is another key's was answered.
  if (completion.failure == Failure::none || completion.failure == Failure::wrong_value) return;
  if (completion.kind == Op::get) gets_.record(completion.done - completion.intended);
  if (completion.kind == Op::set) sets_.record(completion.done - completion.intended);
}

Failing::Judgement Failing::judge(Duration limit) const {
  Judgement judgement;
  for (const auto& [what, times] : {std::pair{"read", &gets_}, {"written", &sets_}}) {
    if (times->count() < kFewest) {
      judgement.unknown.push_back(
          fmt::format("How soon fails what cannot be {} is not known: {} did, and {} are needed.",
                      what, times->count(), kFewest));
    } else if (const auto half = times->quantile(0.5); half > limit) {
      judgement.failures.push_back(
          fmt::format("what could not be {} did not fail at once: half took {:.0f} µs or longer, "
                      "{:.0f} are allowed",
                      what, micros(half), micros(limit)));
    }
  }
  return judgement;
}

}  // namespace nearlane::harness
