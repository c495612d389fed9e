// What the micro-benchmark program is put together from.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nearlane::micro {

struct RowOptions {
  std::string policy;  // of the maps of the registry
  bool together =
      false;  // keep the maps of one case filled side by side, as random interleaving needs them
  std::size_t draws =
      0;  // of each row, once and without isolated reads, so that they can be counted; 0: as time goes
  unsigned slowed = 0;  // percent of the draws that are done twice and counted once (slowed.h)
};
/// Registers the rows L1Get/… (rows.h) of every map of the registry under one policy, and of the peers.
void register_l1_get(const RowOptions& options);

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
