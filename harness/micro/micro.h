// What the micro-benchmark program is put together from: each file registers its rows.
#pragma once

#include <string_view>

namespace nearlane::micro {

/// L1Get/<map>/keys:<n>/value:<bytes>/<zipf|uniform>/<ref|copy|batch16>/threads:<t>, for every map of
/// the registry under one policy.
void register_l1_get(std::string_view policy);

/// Remembers that a row measured something else than it says; the program then exits with 1.
void fail();

}  // namespace nearlane::micro
