// nearlane-micro: costs of single parts, in process. A Google Benchmark program, so all of its flags work;
// README.md beside this file says what is measured and lists the flags of our own.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/base/allocator.h"
#include "core/base/key.h"
#include "core/l1/l1_map.h"
#include "harness/micro/micro.h"
#include "harness/micro/target.h"

#ifndef NEARLANE_SLOWED
#define NEARLANE_SLOWED 0  // the variants that the gate is tested with say otherwise
#endif

namespace nearlane::micro {
namespace {

std::atomic<bool> failed{false};

/// Takes `--name=value` out of the arguments. False where it is not there.
bool take_flag(std::vector<char*>& args, std::string_view name, std::string& value) {
  for (auto it = args.begin() + 1; it != args.end(); ++it) {
    std::string_view arg(*it);
    if (!arg.starts_with(name) || !arg.substr(name.size()).starts_with('=')) continue;
    value = arg.substr(name.size() + 1);
    args.erase(it);
    return true;
  }
  return false;
}

bool take_switch(std::vector<char*>& args, std::string_view name) {
  return std::erase_if(args, [&](const char* arg) { return name == arg; }) != 0;
}

/// A number from 1 up.
template <class Number>
bool read_number(const std::string& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number != 0;
}

bool has_flag(const std::vector<char*>& args, std::string_view flag) {
  return std::ranges::any_of(args, [&](std::string_view arg) { return arg.starts_with(flag); });
}

bool asks_for_interleaving(const std::vector<char*>& args) {
  constexpr std::string_view kFlag = "--benchmark_enable_random_interleaving";
  for (const std::string_view arg : args) {
    if (arg == kFlag || arg == std::string(kFlag) + "=true") return true;
  }
  return false;
}

int refuse(std::string_view why) {
  std::fprintf(stderr, "nearlane-micro: %.*s\n", static_cast<int>(why.size()), why.data());
  return 2;
}

/// The flags of our own, and then Google Benchmark's.
void print_help() {
  const l1::L1Config usual;
  std::printf(
      "nearlane-micro: costs of single parts, in process\n\n"
      "  --policy=NAME       L1 policy of the registry's maps (default: %.*s)\n"
      "  --draws=N           each row does N draws, once, and no isolated reads: for counting\n"
      "  --ratios=FILE.json  make the table of one map against others instead of running rows\n"
      "with --ratios:\n"
      "  --map=NAME          the map that is compared (default: %.*s)\n"
      "  --against=A,B       those it is compared with (default: all others that hold anything)\n"
      "  --rounds=N          interleaved rounds (default: %u)\n"
      "  --quick             shows that it works; measures nothing\n\n",
      static_cast<int>(usual.policy.size()), usual.policy.data(),
      static_cast<int>(usual.map.size()), usual.map.data(), RatioOptions{}.rounds);
  benchmark::PrintDefaultHelp();
}

int run(std::vector<char*> args) {
  if (std::ranges::find(args, std::string_view("--help")) != args.end()) {
    print_help();
    return 0;
  }
  RatioOptions ratios;
  ratios.policy = l1::L1Config{}.policy;
  ratios.map = l1::L1Config{}.map;
  std::string rounds;
  std::string draws;
  RowOptions rows;
  rows.slowed = NEARLANE_SLOWED;
  take_flag(args, "--policy", ratios.policy);
  if (take_flag(args, "--draws", draws) && !read_number(draws, rows.draws)) {
    return refuse("--draws wants a number from 1 up");
  }
  const bool table = take_flag(args, "--ratios", ratios.out);
  if (table) {
    if (!draws.empty()) return refuse("--draws is of rows, and --ratios makes none");
    take_flag(args, "--map", ratios.map);
    take_flag(args, "--against", ratios.against);
    ratios.quick = take_switch(args, "--quick");
    if (take_flag(args, "--rounds", rounds) && !read_number(rounds, ratios.rounds)) {
      return refuse("--rounds wants a number from 1 up");
    }
  }
  if (const auto map = l1::make_l1({.map = ratios.map, .policy = ratios.policy, .bytes = 0});
      map.has_error()) {
    return refuse(map.error().detail);
  }
  set_hash_seed(1);  // the same table in every run
  if (table) {
    if (args.size() > 1) return refuse(std::string("unknown argument ") + args[1]);
    return run_ratios(ratios);
  }
  benchmark::AddCustomContext("policy", ratios.policy);
  benchmark::AddCustomContext("peers", std::string(peer_build()));
  rows.policy = ratios.policy;
  rows.together = asks_for_interleaving(args);
  register_l1_get(rows);
  // There are 1,800 rows, and Google Benchmark's own half a second is for a few.
  std::string min_time = "--benchmark_min_time=0.05";
  if (!has_flag(args, "--benchmark_min_time")) args.insert(args.begin() + 1, min_time.data());
  int count = static_cast<int>(args.size());
  benchmark::Initialize(&count, args.data());
  if (benchmark::ReportUnrecognizedArguments(count, args.data())) return 2;
  const auto ran = benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return ran == 0 || failed ? 1 : 0;
}

}  // namespace

void fail() { failed = true; }

}  // namespace nearlane::micro

int main(int argc, char** argv) {
  nearlane::prefer_huge_pages(argv);  // as the server does
  nearlane::keep_large_values_apart();
  return nearlane::micro::run(std::vector<char*>(argv, argv + argc));
}
