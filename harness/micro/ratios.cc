// The table of one map against the maps of the registry and the peers: --ratios.
//
// Absolute rates drift by tens of per cent within minutes, so only figures of the same round are compared.
// A round measures one case on every map that is filled, a fraction of a second each, in an order that is
// shuffled anew; a ratio is made within a round, and what is reported is the median over the rounds with
// its median absolute deviation. A round in which others took more than a tenth of the machine is measured
// again, as long as there are not more such rounds than good ones were asked for.
//
// All maps of a case are filled side by side as far as memory goes. Where it does not (10M keys), they are
// taken in groups: the compared map stays, the others come a few at a time, and a ratio still has both its
// halves from one round.
#include "harness/micro/ratios.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>

#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/l1/l1_map.h"
#include "harness/micro/ticks.h"
#include "harness/report/files.h"
#include "harness/workload/random.h"

namespace nearlane::micro {
namespace {

/// How long one map is measured in one round: long beside a time slice of the scheduler, short enough that
/// a whole round sees one state of the machine. Unit: s.
constexpr double kBlock = 0.25;
constexpr double kQuickBlock = 0.002;
/// Isolated reads for a p99, in one round.
constexpr std::size_t kSamples = 100000;
/// A round is disturbed beyond this share of the machine's time.
constexpr double kDisturbed = 0.10;
constexpr std::uint64_t kSeed = 7;

constexpr Fill kHot{1000, 1024};
constexpr Fill kLarge{1000000, 1024};
constexpr Fill kMany{10000000, 64};

/// The table, with what we set out to reach. Cases of the same fill stand together, those that write last.
constexpr std::array kTable{
    TableCase{"hot 1,000 × 1 KiB uniform, by reference",
              {.fill = kHot},
              Metric::ns_per_op,
              {.default_peer = 1 / 0.75, .tuned_peer = 1 / 1.5, .best_other = 1 / 1.15}},
    TableCase{"hot Zipf, 2 threads, 100 % reads, total rate",
              {.fill = kHot, .zipf = true, .threads = 2},
              Metric::ops_per_s,
              {.default_peer = 5, .tuned_peer = 4, .best_other = 3}},
    TableCase{"hot Zipf, 2 threads, 95 % reads, total rate",
              {.fill = kHot, .zipf = true, .threads = 2, .writes = 5},
              Metric::ops_per_s,
              {.default_peer = 3, .tuned_peer = 1.5, .best_other = 1.5}},
    TableCase{"1M × 1 KiB uniform, by reference",
              {.fill = kLarge},
              Metric::ns_per_op,
              {.default_peer = 1 / 0.20, .tuned_peer = 1 / 0.65, .best_other = 1 / 0.45}},
    TableCase{"1M × 1 KiB uniform, copied",
              {.fill = kLarge, .how = How::copy},
              Metric::ns_per_op,
              {.default_peer = 1 / 0.30, .tuned_peer = 1 / 0.80, .best_other = 1 / 0.60}},
    TableCase{"1M × 1 KiB uniform, p99 of an isolated read",
              {.fill = kLarge},
              Metric::p99_ns,
              {.default_peer = 1 / 0.65}},
    TableCase{"10M × 64 B uniform, by reference",
              {.fill = kMany},
              Metric::ns_per_op,
              {.default_peer = 1 / 0.20, .tuned_peer = 1 / 0.50, .best_other = 1 / 0.40}},
    TableCase{"10M × 64 B uniform, batches of 16",
              {.fill = kMany, .how = How::batch16},
              Metric::ns_per_op,
              {.default_peer = 1 / 0.10}},
};

/// Keys that there is room for when pauses are measured.
constexpr std::uint64_t kPausesKeys = 250'000;
constexpr unsigned kPausesRounds = 5;

/// Fewer keys, for a run that only shows that it works.
constexpr std::uint64_t kQuickKeys = 5000;

struct Filled {
  std::string name;
  std::unique_ptr<Target> target;
};

/// How much of the machine's time others have used since it was made.
class Foreign {
 public:
  [[nodiscard]] double share() const {
    const double machine = machine_busy() - machine_;
    const double mine = own() - own_;
    const std::chrono::duration<double> took = Clock::now() - start_;
    const auto cores = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
    return std::max(0.0, machine - mine) / (took.count() * cores);
  }

 private:
  static double machine_busy() {
    std::ifstream in("/proc/stat");
    std::string cpu;
    std::array<double, 8> field{};  // user nice system idle iowait irq softirq steal
    in >> cpu;
    for (auto& value : field) in >> value;
    const double all = std::accumulate(field.begin(), field.end(), 0.0);
    return (all - field[3] - field[4]) / static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  static double own() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }

  TimePoint start_ = Clock::now();
  double machine_ = machine_busy();
  double own_ = own();
};

/// What malloc has given and not got back, with its own words and rounding, and what was mapped beside it, as large
/// tables are. Unit: bytes.
std::size_t allocated() {
  std::ifstream in("/proc/self/status");
  std::size_t mapped = 0;  // all that is private, malloc's own among it
  for (std::string word; mapped == 0 && in >> word;) {
    if (word == "VmData:") in >> mapped;
  }
  const auto info = mallinfo2();
  return mapped * 1024 - info.arena + info.uordblks;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto comma = text.find(',');
    parts.emplace_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
  }
  return parts;
}

class Run {
 public:
  Run(RatioTable& table, std::vector<std::string> rivals)
      : table_(table), rivals_(std::move(rivals)), random_(kSeed) {}

  /// False when a read missed or a map does not hold what was put.
  bool fill_and_measure(const Fill& fill, const std::vector<CaseResult*>& cases) {
    const std::size_t places = std::max<std::size_t>(places_for(fill), 2);
    std::vector<Filled> filled;
    if (!add(filled, table_.options.map, fill)) return false;
    for (std::size_t next = 0; next < rivals_.size();) {
      while (next < rivals_.size() && filled.size() < places) {
        if (!add(filled, rivals_[next++], fill)) return false;
      }
      for (CaseResult* result : cases) {
        result->groups.push_back(measure(result->asked, filled));
        if (wrong_) return false;
      }
      filled.resize(1);
    }
    return true;
  }

 private:
  bool add(std::vector<Filled>& filled, const std::string& name, const Fill& fill) {
    std::fprintf(stderr, "nearlane-micro: filling %s with %llu keys of %zu B\n", name.c_str(),
                 static_cast<unsigned long long>(fill.keys), fill.value_bytes);
    const std::size_t before = allocated();
    auto target = name == kNoPolicy ? make_target(table_.options.map, "none", fill)
                                    : make_target(name, table_.options.policy, fill);
    if (!target) {
      std::fprintf(stderr, "nearlane-micro: %s does not hold what was put\n", name.c_str());
      return false;
    }
    const double bytes =
        static_cast<double>(allocated() - before) / static_cast<double>(fill.keys) -
        static_cast<double>(kNameBytes + fill.value_bytes);
    table_.overheads.push_back({name, fill, bytes});
    filled.push_back({name, std::move(target)});
    return true;
  }

  Group measure(const TableCase& asked, std::vector<Filled>& filled) {
    std::fprintf(stderr, "nearlane-micro: %s\n", std::string(asked.label).c_str());
    const Order& order = order_for(asked.what);
    Group group;
    std::vector<std::size_t> counts;  // draws of a block, by map
    for (const Filled& each : filled) {
      group.names.push_back(each.name);
      counts.push_back(calibrated(*each.target, asked.what, order));
    }
    std::vector<std::size_t> turn(filled.size());
    std::iota(turn.begin(), turn.end(), 0);
    const unsigned wanted = table_.options.rounds;
    const unsigned most = table_.options.quick ? wanted : 2 * wanted;
    std::vector<Round> good;
    std::vector<Round> bad;
    for (unsigned number = 0; good.size() < wanted && number < most && !wrong_; ++number) {
      for (std::size_t i = turn.size(); i > 1; --i) std::swap(turn[i - 1], turn[random_.below(i)]);
      Round round{std::vector<double>(filled.size())};
      const Foreign foreign;
      for (const std::size_t i : turn) {
        round.values[i] = block(*filled[i].target, asked, order, counts[i], number);
        if (wrong_) {
          std::fprintf(stderr, "nearlane-micro: a read of %s missed\n", group.names[i].c_str());
          break;
        }
      }
      round.foreign_share = foreign.share();
      // The machine's own count is in hundredths of a second, which a quick block is far below.
      const bool disturbed = !table_.options.quick && round.foreign_share > kDisturbed;
      (disturbed ? bad : good).push_back(std::move(round));
    }
    // Where there were too few good rounds the least disturbed of the others count, and the page says so.
    group.disturbed = static_cast<unsigned>(bad.size());
    std::ranges::sort(bad, {}, &Round::foreign_share);
    group.rounds = std::move(good);
    for (auto it = bad.begin(); it != bad.end() && group.rounds.size() < wanted; ++it) {
      group.rounds.push_back(std::move(*it));
    }
    return group;
  }

  /// Draws that take about one block.
  std::size_t calibrated(Target& target, const Case& what, const Order& order) const {
    Measurement measurement(target, what, order);
    const std::size_t unit = measurement.unit();
    const std::size_t probe = (table_.options.quick ? 1000 : 200000) / unit * unit;
    measurement.run(0, probe, [](const std::function<void()>& go) { go(); });
    const auto draws = static_cast<std::size_t>(measurement.rate() * table_.block_s);
    return std::max(draws / unit * unit, unit);
  }

  double block(Target& target, const TableCase& asked, const Order& order, std::size_t count,
               unsigned round) {
    Measurement measurement(target, asked.what, order);
    const std::size_t unit = measurement.unit();
    const auto go_on = [](const std::function<void()>& go) { go(); };
    // Each round goes on elsewhere in the order, at the same place for every map, and a part of a block
    // goes before the clock: the last map's data have left the caches by then.
    const std::size_t from = kDraws / 16 * (round % 16);
    const std::size_t warm = std::max(count / 8 / unit * unit, unit);
    measurement.run(from, warm, go_on);
    double value = 0;
    if (asked.metric == Metric::p99_ns) {
      const std::size_t samples = std::max(std::min(count, kSamples) / unit * unit, unit);
      value = quantile(measurement.sample(from + warm, samples), 0.99);
    } else {
      measurement.run(from + warm, count, go_on);
      value = asked.metric == Metric::ops_per_s ? measurement.rate() : 1e9 / measurement.rate();
    }
    if (!measurement.right()) wrong_ = true;
    return value;
  }

  RatioTable& table_;
  std::vector<std::string> rivals_;
  harness::Random random_;
  bool wrong_ = false;
};

/// Not so the null twin, which holds nothing that could be read.
bool holds(const std::string& map, const std::string& policy) {
  const auto target = make_target(map, policy, {1, 1});
  return target && target->holds();
}

/// What the map is compared with; false for a name that does not exist, or holds nothing.
bool choose_others(RatioTable& table) {
  const auto known = l1::map_names();
  for (const auto& name : split(table.options.against)) {
    if (std::ranges::find(known, name) == known.end()) {
      std::fprintf(stderr, "nearlane-micro: unknown map '%s' in --against\n", name.c_str());
      return false;
    }
    if (!holds(name, table.options.policy)) {
      std::fprintf(stderr, "nearlane-micro: %s in --against holds nothing that could be read\n",
                   name.c_str());
      return false;
    }
    if (name != table.options.map) table.others.push_back(name);
  }
  if (!table.options.against.empty()) return true;
  for (const auto name : known) {
    const std::string other(name);
    if (other != table.options.map && holds(other, table.options.policy)) {
      table.others.push_back(other);
    }
  }
  return true;
}

std::string page_beside(const std::string& document) {
  constexpr std::string_view kEnd = ".json";
  return (document.ends_with(kEnd) ? document.substr(0, document.size() - kEnd.size()) : document) +
         ".md";
}

bool write(const std::string& path, const std::string& text) {
  const auto done = harness::write_file(path, text);
  if (!done) std::fprintf(stderr, "nearlane-micro: %s\n", done.error().detail.c_str());
  return done.has_value();
}

}  // namespace

int run_ratios(const RatioOptions& options) {
  RatioTable table{.options = options, .provenance = harness::provenance()};
  table.block_s = options.quick ? kQuickBlock : kBlock;
  table.clock_ns = clock_ticks() * ticks_to_ns();
  if (!choose_others(table)) return 2;
  if (!holds(options.map, options.policy)) {
    std::fprintf(stderr, "nearlane-micro: %s holds nothing to compare\n", options.map.c_str());
    return 2;
  }
  // Before the minutes that the rest takes.
  if (!std::ofstream(options.out, std::ios::app)) {
    std::fprintf(stderr, "nearlane-micro: %s cannot be written\n", options.out.c_str());
    return 2;
  }
  std::vector<std::string> rivals = table.others;
  for (const auto peer : peer_names()) rivals.emplace_back(peer);
  if (options.policy != "none") rivals.emplace_back(kNoPolicy);
  if (rivals.empty()) {
    std::fprintf(stderr, "nearlane-micro: there is nothing to compare with\n");
    return 2;
  }
  for (TableCase asked : kTable) {
    if (options.quick) asked.what.fill.keys = std::min(asked.what.fill.keys, kQuickKeys);
    table.cases.push_back({asked, {}});
  }
  Run run(table, rivals);
  for (auto first = table.cases.begin(); first != table.cases.end();) {
    const Fill fill = first->asked.what.fill;
    std::vector<CaseResult*> cases;
    for (; first != table.cases.end() && first->asked.what.fill == fill; ++first) {
      cases.push_back(&*first);
    }
    if (!run.fill_and_measure(fill, cases)) return 1;
  }
  std::vector<std::string> maps = table.others;
  maps.insert(maps.begin(), options.map);
  for (const std::string& map : maps) table.pauses.push_back({.map = map});
  const unsigned rounds = options.quick ? 1 : kPausesRounds;
  for (unsigned round = 0; round < rounds; ++round) {
    std::fprintf(stderr, "nearlane-micro: pauses, round %u of %u\n", round + 1, rounds);
    for (Pauses& pauses : table.pauses) {
      measure_pauses(options.policy, options.quick ? kQuickKeys : kPausesKeys, pauses);
    }
  }
  const std::string page = ratios_markdown(table);
  if (!write(options.out, ratios_json(table)) || !write(page_beside(options.out), page)) return 2;
  std::fputs(page.c_str(), stdout);
  return 0;
}

}  // namespace nearlane::micro
