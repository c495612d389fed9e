// nearlane-micro: costs of single parts, in process. A Google Benchmark program, so all of its flags work;
// --policy=NAME, which must come first, chooses the L1 policy (default lru).
#include <atomic>
#include <cstdio>
#include <string>
#include <string_view>

#include <benchmark/benchmark.h>

#include "core/base/key.h"
#include "core/l1/l1_map.h"
#include "harness/micro/micro.h"

namespace nearlane::micro {
namespace {
std::atomic<bool> failed{false};
}
void fail() { failed = true; }
}  // namespace nearlane::micro

int main(int argc, char** argv) {
  constexpr std::string_view kFlag = "--policy=";
  std::string policy = "lru";
  if (argc > 1 && std::string_view(argv[1]).starts_with(kFlag)) {
    policy = argv[1] + kFlag.size();
    argv[1] = argv[0];
    ++argv;
    --argc;
  }
  if (const auto map = nearlane::l1::make_l1({.policy = policy, .bytes = 0}); map.has_error()) {
    std::fprintf(stderr, "nearlane-micro: %s\n", map.error().detail.c_str());
    return 2;
  }
  nearlane::set_hash_seed(1);  // the same table in every run
  benchmark::AddCustomContext("policy", policy);
  nearlane::micro::register_l1_get(policy);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const auto rows = benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return rows == 0 || nearlane::micro::failed ? 1 : 0;
}
