// Two result documents beside each other, metric by metric, and whether they may be compared at all.
//
// Errors:   protocol for a text that is no result document of our schema; detail names it.
// Threads:  any.
// Source:   results/SCHEMA.md.
#pragma once

#include <string>

#include "core/base/result.h"

namespace nearlane::harness {

/// A page for people. First it says whether the scenario's hash, the machine and the build are the same; only then
/// does a ratio say something of the code. `a` and `b` are documents' texts, the names those of their files.
[[nodiscard]] Result<std::string> compare_results(const std::string& a, const std::string& a_name,
                                                  const std::string& b, const std::string& b_name);

}  // namespace nearlane::harness
