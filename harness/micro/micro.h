// What the micro-benchmark program is put together from.
#pragma once

#include <string>
#include <string_view>

namespace nearlane::micro {

/// Registers the rows L1Get/… (rows.h) of every map of the registry under one policy, and of the peers.
/// `together`: the maps of one case are kept filled side by side, as random interleaving needs them;
/// otherwise one map at a time is.
void register_l1_get(std::string_view policy, bool together);

/// Remembers that a row measured something else than it says; the program then exits with 1.
void fail();

struct RatioOptions {
  std::string out;      // of the JSON document; the Markdown page lies beside it
  std::string policy;   // of the maps of the registry
  std::string map;      // the one that is compared
  std::string against;  // the maps of the registry that it is compared with, by commas; empty: all
  unsigned rounds = 9;
  bool quick = false;  // few keys and short blocks: shows that it works, measures nothing
};
/// Measures the table of map against peers (ratios.cc). Answers the exit code.
[[nodiscard]] int run_ratios(const RatioOptions& options);

}  // namespace nearlane::micro
