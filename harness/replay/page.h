// The pages of a replay: Markdown and SVG made from its rows, and from nothing else.
//
// Threads:  pure functions.
#pragma once

#include <string>
#include <vector>

#include "harness/replay/rows.h"

namespace nearlane::harness {

/// The traces of the rows, each once, as they come.
[[nodiscard]] std::vector<std::string> traces_of(const std::vector<ReplayRow>& rows);

/// A table a trace, a row a capacity and a column a policy, what is offline last; then, where rows carry
/// a reference, how far ours are from its best. All of that of the first row's map; of other maps, how far
/// their misses are from its. `plots`: with a picture a trace, as plot_file names it.
[[nodiscard]] std::string render_replay(const std::vector<ReplayRow>& rows, bool plots);

/// Miss ratio over capacity, a line a policy, in the first row's map.
[[nodiscard]] std::string plot_replay(const std::vector<ReplayRow>& rows, const std::string& trace);
[[nodiscard]] std::string plot_file(const std::string& trace);

}  // namespace nearlane::harness
