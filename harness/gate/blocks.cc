#include "harness/gate/blocks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "harness/gate/requests.h"
#include "harness/gate/statistics.h"
#include "harness/gate/tool_output.h"
#include "harness/topology/pinned.h"

namespace nearlane::gate {
namespace {

using harness::kClientsCore;
using harness::kServersCore;
using harness::Pinned;

/// Requests in one send, so that what is timed is mostly ours and not the kernel's.
constexpr std::size_t kBurst = 32;
/// Bursts of a slice: some 3 ms of server, shorter than a scheduler's turn, long beside reading its clock. A multiple of
/// 20, so that injected percents are whole bursts.
constexpr unsigned kBursts = 100;
/// Slices of each program before any counts.
constexpr unsigned kWarmSlices = 15;
/// Fours in a block.
constexpr unsigned kFours = 20;

constexpr std::array kKinds = {kRespGet, kHttpGet};
constexpr std::string_view kMicroMetric = "l1_get/cpu_ns";
constexpr Duration kMicroWithin = std::chrono::seconds(120);
/// Repetitions of one run; their lower quartile counts, as a disturbance only ever adds.
constexpr unsigned kMicroRepetitions = 10;
/// Of its output: a document of some 25 lines a repetition.
constexpr std::size_t kMicroLines = 10'000;
/// Duets in a block, an odd number.
constexpr unsigned kDuets = 3;

double thread_cpu_ns() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) * 1e9 + static_cast<double>(used.tv_nsec);
}

/// What a fixed piece of work takes on the servers' core: the median of nine, some 2 ms each.
double spin_ns() {
  const Pinned here(kServersCore);
  std::vector<double> took;
  for (int i = 0; i < 9; ++i) {
    const double before = thread_cpu_ns();
    std::uint64_t x = 1;
    for (int step = 0; step < 500'000; ++step) {
      x = harness::mix64(x);
      asm volatile("" : "+r"(x));
    }
    took.push_back(thread_cpu_ns() - before);
  }
  return median(std::move(took));
}

/// One server with a line of one kind to it.
struct Timing {
  Server server;
  std::optional<Line> line = {};
  unsigned injected = 0;
  std::vector<double> slices = {};  // ns a request

  Result<void> open(const Kind& kind) {
    auto made = Line::open(kind, server.endpoint(kind.protocol), kBurst);
    if (!made) return made.error();
    line.emplace(std::move(*made));
    slices.clear();
    return {};
  }

  Result<double> slice() {
    const double before = server.cpu_ns();
    const unsigned bursts = kBursts + kBursts * injected / 100;
    for (unsigned i = 0; i < bursts; ++i) {
      if (auto done = line->next(); !done) return done.error();
    }
    slices.push_back((server.cpu_ns() - before) / (kBursts * kBurst));
    if (!(slices.back() > 0)) return Error{Errc::unavailable, "a server's CPU time cannot be read"};
    return slices.back();
  }
};

Result<Timing> start(const Side& side) {
  const Pinned here(kServersCore);
  auto server = Server::start({.program = side.program.server});
  if (!server) return server.error();
  auto fill = Line::open(kRespSet, server->endpoint(kRespSet.protocol), kBurst);
  if (!fill) return fill.error();
  if (auto done = fill->send(kKeys); !done) return done.error();
  return Timing{.server = std::move(*server), .injected = side.injected};
}

/// log(second / first) of slices in the order first, second, second, first.
Result<double> four(Timing& first, Timing& second) {
  std::array<double, 4> took{};
  const std::array<Timing*, 4> turns = {&first, &second, &second, &first};
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const auto slice = turns[i]->slice();
    if (!slice) return slice.error();
    took[i] = *slice;
  }
  return (std::log(took[1] / took[0]) + std::log(took[2] / took[3])) / 2;
}

Result<Sample> time_kind(const Kind& kind, Timing& base, Timing& head, bool head_first) {
  for (Timing* each : {&base, &head}) {
    if (auto opened = each->open(kind); !opened) return opened.error();
  }
  for (unsigned i = 0; i < kWarmSlices; ++i) {
    for (Timing* each : {&base, &head}) {
      if (auto slice = each->slice(); !slice) return slice.error();
    }
  }
  base.slices.clear();
  head.slices.clear();
  std::vector<double> ratios;
  for (unsigned i = 0; i < kFours; ++i) {
    const auto ratio = head_first ? four(head, base) : four(base, head);
    if (!ratio) return ratio.error();
    ratios.push_back(head_first ? -*ratio : *ratio);
  }
  return Sample{
      .base = median(base.slices), .head = median(head.slices), .ratio = median(std::move(ratios))};
}

Result<void> time_servers(const Side& base, const Side& head, bool head_first, Block& block) {
  auto first = start(head_first ? head : base);
  if (!first) return first.error();
  auto second = start(head_first ? base : head);
  if (!second) return second.error();
  const Pinned here(kClientsCore);
  for (const Kind& kind : kKinds) {
    auto sample =
        time_kind(kind, head_first ? *second : *first, head_first ? *first : *second, head_first);
    if (!sample) return sample.error();
    block.samples[fmt::format("{}/cpu_ns", kind.id)] = *sample;
  }
  for (Timing* each : {&*first, &*second}) {
    if (auto stopped = each->server.stop(); !stopped) return stopped.error();
  }
  return {};
}

Result<harness::Child> start_micro(const std::filesystem::path& micro) {
  const Pinned here(kServersCore);
  return harness::Child::start(
      {.name = micro.string(),
       .argv = {micro.string(), fmt::format("--benchmark_filter={}$", kMicroRow),
                "--benchmark_min_time=0.01",
                fmt::format("--benchmark_repetitions={}", kMicroRepetitions),
                "--benchmark_format=json"}});
}

/// Unit: ns a read.
Result<double> end_micro(const harness::Child& child) {
  const auto status = child.wait(kMicroWithin);
  if (!status) return status.error();
  auto times = benchmark_ns(child.last_output(kMicroLines));
  if (*status != harness::ExitStatus{} || !times) {
    return Error{Errc::unavailable, fmt::format("{}: {}: {}", child.name(), status->to_string(),
                                                child.last_output(3))};
  }
  std::ranges::sort(*times);
  return quantile(*times, 0.25);
}

/// Both at the same time on the same core: the scheduler gives them slices in turn. Answers what each took.
Result<std::pair<double, double>> duet(const std::filesystem::path& first,
                                       const std::filesystem::path& second) {
  const auto one = start_micro(first);
  if (!one) return one.error();
  const auto two = start_micro(second);
  if (!two) return two.error();
  const auto took_one = end_micro(*one);
  if (!took_one) return took_one.error();
  const auto took_two = end_micro(*two);
  if (!took_two) return took_two.error();
  return std::pair(*took_one, *took_two);
}

Result<Sample> time_micro(const Program& base, const Program& head, bool head_first) {
  std::vector<double> bases;
  std::vector<double> heads;
  std::vector<double> ratios;
  for (unsigned i = 0; i < kDuets; ++i) {
    const bool turned = head_first != (i % 2 == 1);
    auto took = turned ? duet(head.micro, base.micro) : duet(base.micro, head.micro);
    if (!took) return took.error();
    if (turned) std::swap(took->first, took->second);
    bases.push_back(took->first);
    heads.push_back(took->second);
    ratios.push_back(std::log(took->second / took->first));
  }
  return Sample{.base = median(std::move(bases)),
                .head = median(std::move(heads)),
                .ratio = median(std::move(ratios))};
}

}  // namespace

std::vector<Timed> timed_metrics() {
  std::vector<Timed> all;
  all.reserve(kKinds.size() + 1);
  for (const Kind& kind : kKinds) {
    all.push_back(
        {.id = fmt::format("{}/cpu_ns", kind.id),
         .what = fmt::format("{}, {} in one send: the server's CPU time", kind.what, kBurst)});
  }
  all.push_back(
      {.id = std::string(kMicroMetric), .what = "read of the map, nearlane-micro: CPU time"});
  return all;
}

Absent micro_absent(const Program& base, const Program& head) {
  const auto wrong = [](const Program& program) -> std::optional<Error> {
    const auto child = start_micro(program.micro);
    if (!child) return child.error();
    if (const auto ran = end_micro(*child); !ran) return ran.error();
    return std::nullopt;
  };
  const auto first = wrong(base);
  return absent_of(first, wrong(head));
}

Result<Block> time_block(const Side& base, const Side& head, std::size_t number) {
  const bool head_first = number % 2 == 1;
  Block block;
  block.sentinel.before = spin_ns();
  if (auto timed = time_servers(base, head, head_first, block); !timed) return timed.error();
  // A revision that lacks it is timed without it; micro_absent says so.
  if (const auto sample = time_micro(base.program, head.program, head_first)) {
    block.samples[std::string(kMicroMetric)] = *sample;
  }
  block.sentinel.after = spin_ns();
  return block;
}

}  // namespace nearlane::gate
