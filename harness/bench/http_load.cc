#include "harness/bench/http_load.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "harness/driver/generator.h"
#include "harness/topology/process_cpu.h"

namespace nearlane::harness {
namespace {

constexpr Duration kLeast = std::chrono::milliseconds(50);
constexpr double kMostScale = 10;

}  // namespace

Duration load_time(Duration wanted, const Bench& bench) {
  const double scaled = static_cast<double>(wanted.count()) * std::min(bench.scale, kMostScale);
  return std::max(kLeast, Duration(static_cast<std::int64_t>(scaled)));
}

Result<void> load_http(RequestSource& source, const HttpLoad& load, Repetition& repetition) {
  GeneratorOptions generator;
  generator.protocol = Protocol::http;
  generator.targets = {load.target};
  generator.connections = load.connections;
  generator.pipeline = load.in_flight;
  generator.in_bursts = true;
  generator.http_headers = load.headers;
  generator.http_reads = load.reads;
  const ProcessTree server(load.server);
  std::uint64_t answers = 0;
  Duration before{};
  RunOptions options;
  options.open_loop = false;
  options.duration = load.load_for;
  options.check = [&](const Completion& completion) {
    if (answers++ == 0) before = server.cpu();
    return load.check(completion);
  };
  const auto report = generate(source, generator, options);
  if (!report) return report.error();
  const Duration used = server.cpu() - before;
  if (report->failed != 0) {
    return Error{Errc::protocol,
                 fmt::format("{} of {} answers were not as they must be: {}", report->failed,
                             report->answered,
                             report->failure_texts.empty() ? "" : report->failure_texts[0])};
  }
  repetition.void_reasons = report->void_reasons;
  if (answers < 2 || used <= Duration::zero()) {
    repetition.void_reasons.emplace_back("the load had no turn");
    return {};
  }
  repetition.add("", report->service_time);
  const auto each = [](Duration spent, std::uint64_t of) {
    return static_cast<double>(spent.count()) / static_cast<double>(of);
  };
  // The first answer's request was served before the clock was read.
  repetition.values["cpu_ns_per_op"] = each(used, answers - 1);
  repetition.values["load_ns_per_op"] =
      each(report->generator_user + report->generator_system, answers);
  repetition.values["rate_per_s"] = report->achieved_rate;
  repetition.values["response_bytes"] =
      static_cast<double>(report->bytes_in) / static_cast<double>(answers);
  return {};
}

Measure http_load_measure(std::string id, std::string what, const HttpLoad& load) {
  return {.id = std::move(id),
          .what = std::move(what),
          .boundary = "client",
          .clock_starts = "request bytes given to the kernel",
          .clock_stops = "whole reply parsed",
          .processes = 2,
          .parameters = {{"connections", std::to_string(load.connections)},
                         {"in_flight", std::to_string(load.in_flight)}}};
}

}  // namespace nearlane::harness
