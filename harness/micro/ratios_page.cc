// A RatioTable as JSON, with every round raw, and as a Markdown page.
#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "harness/micro/ratios.h"
#include "harness/report/result.h"

namespace nearlane::micro {
namespace {

using Json = nlohmann::ordered_json;

/// How one map did in one group of rounds, and how many times as fast the compared map was.
struct Standing {
  std::string name;
  std::vector<double> values = {};
  std::vector<double> ours = {};   // the compared map's, in the same rounds
  std::vector<double> times = {};  // one a round
};

struct Spread {
  double median = 0;
  double mad = 0;
};

Spread spread(const std::vector<double>& values) {
  const auto summary =
      harness::summarise({values.begin(), values.end()}, std::vector<bool>(values.size(), false));
  return {summary.median.value_or(0), summary.mad};
}

/// What a case is called: a quick run has not the keys that its label speaks of.
std::string title(const RatioTable& table, const TableCase& asked) {
  if (!table.options.quick) return std::string(asked.label);
  return "`" + row_name("*", asked.what) + "`" + (asked.metric == Metric::p99_ns ? ", p99" : "");
}

Spread times_as_fast(const Standing& standing) { return spread(standing.times); }

/// The compared map first, with the values of its first group; then whom it is compared with.
std::vector<Standing> standings(const CaseResult& result) {
  std::vector<Standing> all;
  for (const Group& group : result.groups) {
    for (std::size_t i = all.empty() ? 0 : 1; i < group.names.size(); ++i) {
      Standing one{.name = group.names[i]};
      for (const Round& round : group.rounds) {
        const double ours = round.values[0];
        const double theirs = round.values[i];
        one.values.push_back(theirs);
        one.ours.push_back(ours);
        one.times.push_back(result.asked.metric == Metric::ops_per_s ? ours / theirs
                                                                     : theirs / ours);
      }
      all.push_back(std::move(one));
    }
  }
  return all;
}

const Standing* find(const std::vector<Standing>& all, std::string_view name) {
  const auto found = std::ranges::find(all, name, &Standing::name);
  return found == all.end() ? nullptr : &*found;
}

/// Of the registry's other maps the one that comes nearest.
const Standing* best_other(const RatioTable& table, const std::vector<Standing>& all) {
  const Standing* best = nullptr;
  for (const auto& name : table.others) {
    const Standing* one = find(all, name);
    if (one == nullptr) continue;
    if (best == nullptr || times_as_fast(*one).median < times_as_fast(*best).median) best = one;
  }
  return best;
}

const Standing* peer(const std::vector<Standing>& all, std::size_t index) {
  const auto peers = peer_names();
  return index < peers.size() ? find(all, peers[index]) : nullptr;
}

std::string show(Metric metric, const std::vector<double>& values) {
  const Spread found = spread(values);
  if (metric == Metric::ops_per_s) {
    return fmt::format("{:.1f} ± {:.1f} M/s", found.median / 1e6, found.mad / 1e6);
  }
  return fmt::format("{:.1f} ± {:.1f} ns", found.median, found.mad);
}

std::string show_ratio(const Standing* standing, double limit) {
  if (standing == nullptr) return "not built";
  const Spread found = times_as_fast(*standing);
  auto text = fmt::format("{:.2f} ± {:.2f}", found.median, found.mad);
  if (limit > 0) {
    text += fmt::format(" (limit {:.2f}: {})", limit, found.median >= limit ? "met" : "missed");
  }
  return text;
}

std::string best_text(const RatioTable& table, const std::vector<Standing>& all, double limit) {
  const Standing* best = best_other(table, all);
  if (best == nullptr) return "none";
  return best->name + " " + show_ratio(best, limit);
}

/// By how much a hit is longer than without a policy; nothing where that was not measured in ns.
std::optional<Spread> policy_cost(const CaseResult& result) {
  const auto all = standings(result);
  const Standing* without = find(all, kNoPolicy);
  if (without == nullptr || result.asked.metric != Metric::ns_per_op) return std::nullopt;
  std::vector<double> costs;
  for (std::size_t i = 0; i < without->values.size(); ++i) {
    costs.push_back(without->ours[i] - without->values[i]);
  }
  return spread(costs);
}

Spread longest(const Times& times) {
  std::vector<double> ns;
  for (const Duration each : times.longest) ns.push_back(static_cast<double>(each.count()));
  return spread(ns);
}

Json pause_json(const Times& times) {
  const Histogram& of = times.all;
  Json rounds = Json::array();
  for (const Duration each : times.longest) rounds.push_back(each.count());
  return {{"count", of.count()},
          {"p50_ns", of.quantile(0.5).count()},
          {"p999_ns", of.quantile(0.999).count()},
          {"p9999_ns", of.quantile(0.9999).count()},
          {"longest_ns", std::move(rounds)},
          {"histogram", of.to_text()}};
}

std::string pauses_markdown(const std::vector<Pauses>& all) {
  std::string page =
      "\n## Pauses\n\nOne thread puts 64 B under twice as many keys as there is room for, from "
      "nothing; another reads what was put\nlast. `nothing` is that thread when it only looks at "
      "the clock for as long: what the machine does by itself. Longest is the median of the "
      "rounds' "
      "longest, and the longest of all.\n\n"
      "| map | | how many | p50 | p99.9 | p99.99 | longest, of all "
      "|\n|---|---|---|---|---|---|---|\n";
  for (const Pauses& one : all) {
    const auto row = [&](std::string_view what, const Times& times) {
      const Histogram& of = times.all;
      const auto us = [](Duration time) { return static_cast<double>(time.count()) / 1e3; };
      page +=
          fmt::format("| {} | {} | {} | {:.2f} µs | {:.1f} µs | {:.1f} µs | {:.0f}, {:.0f} µs |\n",
                      one.map, what, of.count(), us(of.quantile(0.5)), us(of.quantile(0.999)),
                      us(of.quantile(0.9999)), longest(times).median / 1e3, us(of.max()));
    };
    row("put", one.puts);
    row("find", one.finds);
    row("nothing", one.nothing);
  }
  return page;
}

std::string overheads_markdown(const RatioTable& table) {
  std::string page =
      "\n## What an entry takes\n\nBytes that malloc has given, its own words and rounding "
      "included, "
      "beside those of key and value; nothing has had to leave yet.\n\n"
      "| map | keys | value | bytes an entry |\n|---|---|---|---|\n";
  for (const Overhead& one : table.overheads) {
    page += fmt::format("| {} | {} | {} B | {:.1f} |\n", one.map, one.fill.keys,
                        one.fill.value_bytes, one.bytes_per_entry);
  }
  return page;
}

Json provenance_json(const RatioTable& table) {
  const harness::Provenance& from = table.provenance;
  return {{"revision", from.revision},
          {"dirty", from.dirty},
          {"build_type", from.build_type},
          {"compiler", from.compiler},
          {"flags", from.flags},
          {"peers", peer_build()},
          {"cpu", from.cpu},
          {"cores", from.cores},
          {"memory_bytes", from.memory_bytes},
          {"kernel", from.kernel},
          {"transparent_huge_pages", from.transparent_huge_pages},
          {"date", from.date}};
}

Json spread_json(const std::vector<double>& values) {
  const Spread found = spread(values);
  return {{"median", found.median}, {"mad", found.mad}, {"rounds", values}};
}

Json case_json(const RatioTable& table, const CaseResult& result) {
  const TableCase& asked = result.asked;
  const auto all = standings(result);
  Json rows = Json::array();
  for (const Standing& one : all) {
    Json row = {{"map", one.name},
                {"row", row_name(one.name, asked.what)},
                {"value", spread_json(one.values)}};
    if (&one != all.data()) row["times_as_fast"] = spread_json(one.times);
    rows.push_back(std::move(row));
  }
  Json groups = Json::array();
  for (const Group& group : result.groups) {
    Json rounds = Json::array();
    for (const Round& round : group.rounds) {
      rounds.push_back({{"foreign_share", round.foreign_share}, {"values", round.values}});
    }
    groups.push_back({{"maps", group.names}, {"disturbed", group.disturbed}, {"rounds", rounds}});
  }
  Json limits = Json::object();
  const auto limit = [&limits](std::string_view name, double value) {
    if (value > 0) limits[std::string(name)] = value;
  };
  const auto peers = peer_names();
  if (!peers.empty()) limit(peers.front(), asked.limits.default_peer);
  if (peers.size() > 1) limit(peers[1], asked.limits.tuned_peer);
  limit("best_other", asked.limits.best_other);
  const Standing* best = best_other(table, all);
  const auto cost = policy_cost(result);
  return {{"case", title(table, asked)},
          {"metric", kMetricNames[static_cast<std::size_t>(asked.metric)]},
          {"best_other", best == nullptr ? Json() : Json(best->name)},
          {"limits", limits},
          {"policy_ns", cost ? Json({{"median", cost->median}, {"mad", cost->mad}}) : Json()},
          {"rows", rows},
          {"groups", groups}};
}

}  // namespace

std::string ratios_json(const RatioTable& table) {
  Json cases = Json::array();
  for (const CaseResult& result : table.cases) cases.push_back(case_json(table, result));
  Json pauses = Json::array();
  for (const Pauses& one : table.pauses) {
    pauses.push_back({{"map", one.map},
                      {"put", pause_json(one.puts)},
                      {"find", pause_json(one.finds)},
                      {"nothing", pause_json(one.nothing)}});
  }
  Json overheads = Json::array();
  for (const Overhead& one : table.overheads) {
    overheads.push_back({{"map", one.map},
                         {"keys", one.fill.keys},
                         {"value_bytes", one.fill.value_bytes},
                         {"bytes_per_entry", one.bytes_per_entry}});
  }
  const Json document = {{"schema", "nearlane-ratios/1"},
                         {"quick", table.options.quick},
                         {"map", table.options.map},
                         {"policy", table.options.policy},
                         {"others", table.others},
                         {"peers", peer_names()},
                         {"rounds", table.options.rounds},
                         {"block_s", table.block_s},
                         {"clock_ns", table.clock_ns},
                         {"provenance", provenance_json(table)},
                         {"cases", cases},
                         {"overheads", overheads},
                         {"pauses", pauses}};
  return document.dump(1) + "\n";
}

std::string ratios_markdown(const RatioTable& table) {
  const RatioOptions& options = table.options;
  std::string page = fmt::format(
      "# `{}` under `{}`: how many times as fast\n\n"
      "Each figure is the median of {} interleaved rounds and its median absolute deviation; a "
      "ratio is made "
      "within\na round. Above 1 `{}` is the faster. Threads are one "
      "unless said. DashMap lies in pages of 4 KiB, as in a\nprogram that asks for no others; ours "
      "asks for huge "
      "ones, and a map under every other name lies in them.\n",
      options.map, options.policy, options.rounds, options.map);
  if (options.quick)
    page += "\nA quick run with few keys: it shows that it works and measures nothing.\n";
  page += fmt::format(
      "\n| case | {} | against default DashMap | against tuned DashMap | against the best other |\n"
      "|---|---|---|---|---|\n",
      options.map);
  for (const CaseResult& result : table.cases) {
    const auto all = standings(result);
    const TableCase& asked = result.asked;
    page += fmt::format("| {} | {} | {} | {} | {} |\n", title(table, asked),
                        show(asked.metric, all.front().values),
                        show_ratio(peer(all, 0), asked.limits.default_peer),
                        show_ratio(peer(all, 1), asked.limits.tuned_peer),
                        best_text(table, all, asked.limits.best_other));
  }
  page += fmt::format(
      "\n## Every map\n\n| case | map | figure | `{}` in the same rounds | times |\n"
      "|---|---|---|---|---|\n",
      options.map);
  for (const CaseResult& result : table.cases) {
    for (const Standing& one : standings(result)) {
      if (one.name == options.map) continue;
      page += fmt::format("| {} | {} | {} | {} | {} |\n", title(table, result.asked), one.name,
                          show(result.asked.metric, one.values),
                          show(result.asked.metric, one.ours), show_ratio(&one, 0));
    }
  }
  bool costs = false;
  for (const CaseResult& result : table.cases) {
    const auto cost = policy_cost(result);
    if (!cost) continue;
    if (!costs) {
      page += fmt::format(
          "\n## What `{}` costs a hit\n\nThe difference to `{}` without a policy, within a "
          "round. Nothing has to leave here: it is what\na hit costs within a tick.\n\n"
          "| case | a hit |\n|---|---|\n",
          options.policy, options.map);
    }
    costs = true;
    page += fmt::format("| {} | {:.1f} ± {:.1f} ns |\n", title(table, result.asked), cost->median,
                        cost->mad);
  }
  if (!table.overheads.empty()) page += overheads_markdown(table);
  if (!table.pauses.empty()) page += pauses_markdown(table.pauses);
  page +=
      "\n## Rounds in which others took more than a tenth of the machine\n\n"
      "| case | maps filled together | disturbed, measured again or kept | largest foreign share "
      "kept |\n"
      "|---|---|---|---|\n";
  for (const CaseResult& result : table.cases) {
    for (const Group& group : result.groups) {
      double most = 0;
      for (const Round& round : group.rounds) most = std::max(most, round.foreign_share);
      page += fmt::format("| {} | {} | {} | {:.0f} % |\n", title(table, result.asked),
                          fmt::join(group.names, ", "), group.disturbed, most * 100);
    }
  }
  const harness::Provenance& from = table.provenance;
  page += fmt::format(
      "\n## Where it comes from\n\n"
      "- revision {}{}, {}, {}, `{}`\n- peers: {}\n- {}, {} cores, {:.1f} GiB, {}, transparent "
      "huge pages: {}\n"
      "- {}; {} s a block; reading the clock of isolated reads costs {:.1f} ns, which is "
      "subtracted\n",
      from.revision, from.dirty ? " with changes" : "", from.build_type, from.compiler, from.flags,
      peer_build().empty() ? "not built" : peer_build(), from.cpu, from.cores,
      static_cast<double>(from.memory_bytes) / (1U << 30U), from.kernel,
      from.transparent_huge_pages, from.date, table.block_s, table.clock_ns);
  return page;
}

}  // namespace nearlane::micro
