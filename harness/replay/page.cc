#include "harness/replay/page.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "core/l1/l1_map.h"
#include "harness/report/plot.h"
#include "harness/report/tables.h"

namespace nearlane::harness {
namespace {

using Grid = std::vector<std::vector<std::string>>;

/// Below it a percent is a matter of single objects. Unit: objects.
constexpr std::uint64_t kEnoughObjects = 500;

template <class Of>
auto each_once(const std::vector<ReplayRow>& rows, const Of& of) {
  std::vector<std::decay_t<decltype(of(rows.front()))>> found;
  for (const auto& row : rows) {
    if (std::ranges::find(found, of(row)) == found.end()) found.push_back(of(row));
  }
  return found;
}

std::vector<ReplayRow> rows_of(const std::vector<ReplayRow>& rows, const std::string& trace) {
  std::vector<ReplayRow> mine;
  std::ranges::copy_if(rows, std::back_inserter(mine),
                       [&](const ReplayRow& row) { return row.trace == trace; });
  return mine;
}

/// The policies of the rows, those that knew the future last.
std::vector<std::string> policies_of(const std::vector<ReplayRow>& rows) {
  auto sorted = rows;
  std::stable_partition(sorted.begin(), sorted.end(),
                        [](const ReplayRow& row) { return !row.offline; });
  return each_once(sorted, [](const ReplayRow& row) { return row.policy; });
}

std::string heading(const std::vector<ReplayRow>& rows, const std::string& policy) {
  const auto known = std::ranges::find(rows, policy, &ReplayRow::policy);
  if (!known->offline) return policy;
  return policy + (policy == kBelady ? " (offline)" : " (offline, greedy)");
}

std::vector<std::uint64_t> capacities_of(const std::vector<ReplayRow>& rows) {
  std::set<std::uint64_t> capacities;
  for (const auto& row : rows) capacities.insert(row.capacity);
  return {capacities.begin(), capacities.end()};
}

const ReplayRow* find_row(const std::vector<ReplayRow>& rows, std::uint64_t capacity,
                          const std::string& policy) {
  const auto found = std::ranges::find_if(
      rows, [&](const ReplayRow& row) { return row.capacity == capacity && row.policy == policy; });
  return found == rows.end() ? nullptr : &*found;
}

std::string render_trace(const std::vector<ReplayRow>& rows, bool plots) {
  const auto& first = rows.front();
  std::string out =
      fmt::format("\n## {}\n\n`{}` (xxh3 {}), {} reads of {} keys, map `{}`. Miss ratios.\n\n",
                  first.trace, first.file, first.file_hash, first.requests, first.keys, first.map);
  const auto policies = policies_of(rows);
  Grid grid{{fmt::format("capacity ({})", to_string(first.unit))}};
  if (first.unit == Unit::objects) grid[0].emplace_back("of keys");
  for (const auto& policy : policies) grid[0].push_back(heading(rows, policy));
  for (const auto capacity : capacities_of(rows)) {
    auto& line = grid.emplace_back();
    line.push_back(fmt::format("{}", capacity));
    if (first.unit == Unit::objects) {
      line.push_back(fmt::format(
          "{:.2f} %", 100.0 * static_cast<double>(capacity) / static_cast<double>(first.keys)));
    }
    for (const auto& policy : policies) {
      const auto* row = find_row(rows, capacity, policy);
      line.push_back(row == nullptr ? "" : fmt::format("{:.4f}", row->miss_ratio()));
    }
  }
  out += aligned(grid);
  if (plots) out += fmt::format("\n![Miss ratio over capacity]({})\n", plot_file(first.trace));
  if (first.unit == Unit::bytes) {
    out +=
        "\nBytes include keys and the map's overheads, so a capacity holds less here than in a "
        "simulator that counts values alone. They are counted as the allocator gives them: from "
        "run "
        "to run misses differ by a few in a thousand.\n";
    for (const auto& row : rows) {
      if (row.rejections == 0) continue;
      out += fmt::format(
          "- {} at {}: {} puts refused, larger than the map's share for one entry, or without room "
          "that the map could make for them\n",
          row.policy, row.capacity, row.rejections);
    }
  }
  return out;
}

std::string percent(double value) {
  auto text = fmt::format("{:+.1f} %", value);
  return text == "-0.0 %" ? "+0.0 %" : text;
}

struct Excess {
  double sum = 0;
  std::size_t rows = 0;
  double worst = -std::numeric_limits<double>::infinity();
  const ReplayRow* at_worst = nullptr;
};

struct Difference {
  double most = -1;
  std::size_t rows = 0;
  const ReplayRow* at_most = nullptr;
};

std::string place(const ReplayRow& row) { return fmt::format("{} at {}", row.trace, row.capacity); }

std::string render_excess(const std::vector<ReplayRow>& rows,
                          const std::vector<std::string>& policies) {
  Grid grid{{"policy", "mean", "worst", "where", "rows"}};
  for (const auto& policy : policies) {
    Excess excess;
    for (const auto& row : rows) {
      if (row.policy != policy || row.unit != Unit::objects || row.capacity < kEnoughObjects) {
        continue;
      }
      const double percents = row.reference->excess_percent;
      excess.sum += percents;
      ++excess.rows;
      if (percents > excess.worst) {
        excess.worst = percents;
        excess.at_worst = &row;
      }
    }
    if (excess.rows == 0) continue;
    grid.push_back({heading(rows, policy), percent(excess.sum / static_cast<double>(excess.rows)),
                    percent(excess.worst), place(*excess.at_worst),
                    fmt::format("{}", excess.rows)});
  }
  if (grid.size() == 1) return "";
  return fmt::format(
             "\nMisses over the reference's best online policy, rows of {} objects or more:\n\n",
             kEnoughObjects) +
         aligned(grid);
}

std::string render_differences(const std::vector<ReplayRow>& rows) {
  std::map<std::pair<std::string, std::string>, Difference> differences;
  for (const auto& row : rows) {
    for (const auto& [theirs, ratio] : row.reference->same) {
      auto& difference = differences[{row.policy, theirs}];
      const double off = std::abs(row.miss_ratio() - ratio);
      ++difference.rows;
      if (off > difference.most) {
        difference.most = off;
        difference.at_most = &row;
      }
    }
  }
  if (differences.empty()) return "";
  Grid grid{{"policy", "reference's", "largest difference of the ratio", "where", "rows"}};
  for (const auto& [names, difference] : differences) {
    grid.push_back({names.first, names.second, fmt::format("{:.5f}", difference.most),
                    place(*difference.at_most), fmt::format("{}", difference.rows)});
  }
  return "\nPolicies of the same name (a reference of four decimals is itself off by up to "
         "0.00005):\n\n" +
         aligned(grid);
}

std::vector<ReplayRow> rows_of_map(const std::vector<ReplayRow>& rows, const std::string& map) {
  std::vector<ReplayRow> mine;
  std::ranges::copy_if(rows, std::back_inserter(mine),
                       [&](const ReplayRow& row) { return row.map == map; });
  return mine;
}

/// How far a row's misses are above those of the same trace, policy and capacity in `first`. Unit: percent.
std::optional<double> above(const ReplayRow& row, const std::vector<ReplayRow>& first) {
  const auto same = std::ranges::find_if(first, [&](const ReplayRow& other) {
    return other.trace == row.trace && other.policy == row.policy && other.capacity == row.capacity;
  });
  if (same == first.end() || same->misses == 0) return {};
  return (static_cast<double>(row.misses) / static_cast<double>(same->misses) - 1) * 100;
}

/// Whether a map that shards has more than one shard there, so that it may differ from one that does not.
bool is_divided(const ReplayRow& row) {
  return row.unit == Unit::bytes || row.capacity >= 2 * l1::kShardEntries;
}

/// What a map's shards change.
std::string render_maps(const std::vector<ReplayRow>& all) {
  const auto maps = each_once(all, [](const ReplayRow& row) { return row.map; });
  if (maps.size() < 2) return "";
  const auto first = rows_of_map(all, maps.front());
  Grid grid{{"map"}};
  std::vector<std::string> policies;
  for (const auto& policy : policies_of(first)) {
    if (!std::ranges::find(first, policy, &ReplayRow::policy)->offline) policies.push_back(policy);
  }
  for (const auto& policy : policies) grid[0].push_back(policy);
  for (auto map = maps.begin() + 1; map != maps.end(); ++map) {
    auto& line = grid.emplace_back();
    line.push_back(*map);
    const auto mine = rows_of_map(all, *map);
    for (const auto& policy : policies) {
      double sum = 0;
      double most = 0;  // the farthest, either way
      int rows = 0;
      for (const auto& row : mine) {
        if (row.policy != policy || !is_divided(row)) continue;
        const auto percent_above = above(row, first);
        if (!percent_above) continue;
        sum += *percent_above;
        if (std::abs(*percent_above) > std::abs(most)) most = *percent_above;
        ++rows;
      }
      line.push_back(rows == 0 ? "" : fmt::format("{}, {}", percent(sum / rows), percent(most)));
    }
  }
  return fmt::format(
             "\n## Other maps\n\nMisses above those in `{}` at the same trace and capacity: mean, "
             "and farthest either way. A map in shards evicts in each by itself. Of the capacities "
             "in objects "
             "those count that make two shards at least, {} objects.\n\n",
             maps.front(), 2 * l1::kShardEntries) +
         aligned(grid);
}

std::string render_reference(const std::vector<ReplayRow>& all) {
  std::vector<ReplayRow> rows;
  std::ranges::copy_if(all, std::back_inserter(rows),
                       [](const ReplayRow& row) { return row.reference.has_value(); });
  if (rows.empty()) return "";
  const auto policies = policies_of(rows);
  Grid grid{{"trace", "capacity", "unit", "best online"}};
  for (const auto& policy : policies) grid[0].push_back(heading(rows, policy));
  for (const auto& trace : traces_of(rows)) {
    const auto mine = rows_of(rows, trace);
    for (const auto capacity : capacities_of(mine)) {
      const auto any = std::ranges::find(mine, capacity, &ReplayRow::capacity);
      auto& line = grid.emplace_back();
      line = {trace, fmt::format("{}", capacity), std::string(to_string(any->unit)),
              fmt::format("{:.4f} {}", any->reference->best, any->reference->best_policy)};
      for (const auto& policy : policies) {
        const auto* row = find_row(mine, capacity, policy);
        line.push_back(row == nullptr ? "" : percent(row->reference->excess_percent));
      }
    }
  }
  return "\n## Against the reference\n\nMisses over those of its best online policy.\n\n" +
         aligned(grid) + render_excess(rows, policies) + render_differences(rows);
}

}  // namespace

std::vector<std::string> traces_of(const std::vector<ReplayRow>& rows) {
  return each_once(rows, [](const ReplayRow& row) { return row.trace; });
}

std::string render_replay(const std::vector<ReplayRow>& rows, bool plots) {
  std::string out = "# Replay\n";
  if (rows.empty()) return out;
  out += fmt::format("\nMade from replay.json by `nearlane-bench replay`, revision {}.\n",
                     rows.front().revision);
  const auto first = rows_of_map(rows, rows.front().map);
  for (const auto& trace : traces_of(first)) out += render_trace(rows_of(first, trace), plots);
  return out + render_reference(first) + render_maps(rows);
}

std::string plot_replay(const std::vector<ReplayRow>& rows, const std::string& trace) {
  const auto mine = rows.empty() ? rows : rows_of(rows_of_map(rows, rows.front().map), trace);
  std::vector<Curve> curves;
  for (const auto& policy : policies_of(mine)) {
    Curve curve{.name = heading(mine, policy), .points = {}};
    for (const auto capacity : capacities_of(mine)) {
      if (const auto* row = find_row(mine, capacity, policy); row != nullptr) {
        curve.points.emplace_back(static_cast<double>(capacity), row->miss_ratio());
      }
    }
    curves.push_back(std::move(curve));
  }
  const auto unit = mine.empty() ? Unit::objects : mine.front().unit;
  return plot_curves(trace, fmt::format("capacity in {}", to_string(unit)), "miss ratio", curves);
}

std::string plot_file(const std::string& trace) { return trace + ".svg"; }

}  // namespace nearlane::harness
