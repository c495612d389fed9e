#include "harness/driver/load.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "harness/driver/workload_source.h"
#include "harness/workload/document.h"
#include "harness/workload/workload.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFillWithin = 10min;
constexpr double kWorstCounted = 100;  // recordings above a quantile for it to be told

/// Every key once, in order, until the last.
class Fill final : public RequestSource {
 public:
  explicit Fill(const LoadSpec& spec) : spec_(spec) {}

  bool next(Request& into) override {
    if (number_ == spec_.keys) return false;
    write_key_name(spec_.prefix, number_++, into.key);
    into.kind = Op::set;
    into.ttl = std::chrono::ceil<std::chrono::milliseconds>(spec_.ttl);
    write_document(into.key, 0, spec_.value_bytes, into.value);
    return true;
  }

 private:
  const LoadSpec& spec_;
  std::uint64_t number_ = 0;
};

Result<void> check(const LoadSpec& spec) {
  const auto refuse = [](std::string_view field, std::string_view range) {
    return Error{Errc::invalid_argument, fmt::format("{} must be {}", field, range)};
  };
  const auto positive = [](double share) { return share >= 0 && share <= 1; };
  if (!(spec.rate >= 0 && spec.rate <= 1e8)) return refuse("rate", "0 to 1e8");
  if (spec.duration <= Duration::zero() || spec.duration > 24h)
    return refuse("duration", "up to a day");
  if (spec.warmup < Duration::zero() || spec.warmup > 24h) return refuse("warmup", "up to a day");
  if (spec.keys == 0 || spec.keys > 10'000'000'000U) return refuse("keys", "1 to 10,000,000,000");
  if (!(spec.zipf >= 0 && spec.zipf <= 10)) return refuse("zipf", "0 (uniform) to 10");
  if (spec.value_bytes < kMinDocumentBytes || spec.value_bytes > (std::size_t{64} << 20U)) {
    return refuse("value bytes", fmt::format("{} to 64 MiB", kMinDocumentBytes));
  }
  if (!std::all_of(spec.mix.begin(), spec.mix.end(), positive) ||
      std::abs(std::accumulate(spec.mix.begin(), spec.mix.end(), 0.0) - 1) > 1e-6) {
    return refuse("mix", "shares of get, set, touch and erase that add up to 1");
  }
  if (spec.ttl < Duration::zero()) return refuse("ttl", "0 or more");
  if (spec.timeout < 1ms) return refuse("timeout", "at least 1 ms");
  return {};
}

Result<void> fill(const LoadSpec& spec, const GeneratorOptions& base) {
  GeneratorOptions options = base;
  options.pipeline = std::max(options.pipeline, 16U);
  Fill source(spec);
  auto report = generate(source, options, {.open_loop = false, .duration = kFillWithin});
  if (!report) return report.error();
  if (report->failed > 0) {
    return Error{Errc::unavailable,
                 fmt::format("{} of {} keys could not be set: {}", report->failed, spec.keys,
                             report->failure_texts.empty() ? "" : report->failure_texts.front())};
  }
  if (report->answered < spec.keys)
    return Error{Errc::timeout, "the keys could not be set in time"};
  return {};
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

void add_percentiles(std::string& out, std::string_view name, const Histogram& histogram) {
  fmt::format_to(std::back_inserter(out), "  {:<16}", name);
  for (const double q : {0.5, 0.9, 0.99, 0.999, 0.9999}) {
    const bool supported = static_cast<double>(histogram.count()) * (1 - q) >= kWorstCounted;
    fmt::format_to(
        std::back_inserter(out), "{:>11}",
        supported ? fmt::format("{:.1f}", micros(histogram.quantile(q))) : std::string("-"));
  }
  fmt::format_to(std::back_inserter(out), "{:>11.1f}\n", micros(histogram.max()));
}

}  // namespace

Result<Target> Target::parse(std::string_view url) {
  Target target;
  const auto scheme_end = url.find("://");
  const auto scheme = url.substr(0, std::min(scheme_end, url.size()));
  if (scheme == "http") {
    target.protocol = Protocol::http;
  } else if (scheme != "resp" && scheme != "redis") {
    return Error{Errc::invalid_argument,
                 fmt::format("'{}' is not resp://HOST:PORT or http://HOST:PORT", url)};
  }
  auto rest = url.substr(scheme_end + 3);
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  auto endpoint = Endpoint::parse(rest);
  if (!endpoint) return endpoint.error();
  target.endpoint = std::move(*endpoint);
  return target;
}

Result<LoadReport> run_load(const LoadSpec& asked, std::function<void(const Progress&)> progress,
                            const std::atomic<bool>* stop) {
  if (auto good = check(asked); !good) return good.error();
  auto target = Target::parse(asked.target);
  if (!target) return target.error();
  LoadReport report;
  report.spec = asked;
  auto& spec = report.spec;
  if (spec.mix[static_cast<std::size_t>(Op::touch)] > 0 && spec.ttl == Duration::zero())
    spec.ttl = 1h;

  GeneratorOptions generator;
  generator.protocol = target->protocol;
  generator.targets = {target->endpoint};
  generator.connections = spec.connections;
  generator.pipeline = spec.pipeline;
  generator.http_headers = spec.http_headers;
  generator.timeout = spec.timeout;
  if (spec.fill) {
    const auto begun = Clock::now();
    if (auto filled = fill(spec, generator); !filled) return filled.error();
    report.fill_time = Clock::now() - begun;
  }

  WorkloadSpec work;
  work.name = "load";
  work.source = "generated";
  work.seed = spec.seed;
  work.operations = UINT64_MAX;
  work.rate = spec.rate;
  work.poisson = spec.poisson;
  work.sizes = {{spec.value_bytes, 1.0}};
  work.ttl = spec.ttl;
  work.keys = spec.keys;
  work.distribution = spec.zipf > 0 ? "zipf" : "uniform";
  work.theta = spec.zipf;
  work.mix = spec.mix;
  work.prefix = spec.prefix;
  auto opened = open_workload(work, {});
  if (!opened) return opened.error();
  WorkloadSource source(*opened->stream);
  RunOptions run{.open_loop = spec.rate > 0,
                 .duration = spec.warmup + spec.duration,
                 .warmup = spec.warmup,
                 .progress = std::move(progress),
                 .stop = stop};
  run.check = [&spec](const Completion& done) {
    if (spec.observe) spec.observe(done);
    return !spec.verify || document_of_its_key(done);
  };
  auto done = generate(source, generator, run);
  if (!done) return done.error();
  report.run = std::move(*done);
  return report;
}

std::string to_text(const LoadReport& report) {
  const auto& spec = report.spec;
  const auto& run = report.run;
  std::string out;
  const auto line = [&out]<class... Args>(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
    out.push_back('\n');
  };
  line("{}, {}: {} connections, {} in flight on each", spec.target,
       run.open_loop ? fmt::format("open loop, {:.0f} requests/s {}", spec.rate,
                                   spec.poisson ? "by Poisson" : "evenly spaced")
                     : std::string("closed loop (its times say nothing of arrival rates)"),
       spec.connections, spec.pipeline);
  line(
      "{} keys {}, values of {} bytes, get {:.0f} % set {:.0f} % touch {:.0f} % erase {:.0f} %, "
      "seed {}",
      spec.keys, spec.zipf > 0 ? fmt::format("by Zipf {}", spec.zipf) : std::string("uniform"),
      spec.value_bytes, spec.mix[0] * 100, spec.mix[1] * 100, spec.mix[2] * 100, spec.mix[3] * 100,
      spec.seed);
  if (spec.fill) line("filled in {:.2f} s", seconds(report.fill_time));
  line("");
  line("{} requests in {:.2f} s: {:.1f}/s{}", run.answered, seconds(run.elapsed), run.achieved_rate,
       run.open_loop ? fmt::format(" of {:.1f}/s offered", run.offered_rate) : std::string());
  line("  {:<16}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}", "us", "p50", "p90", "p99", "p99.9", "p99.99",
       "max");
  if (run.open_loop) add_percentiles(out, "response_time", run.response_time);
  add_percentiles(out, "service_time", run.service_time);
  if (run.open_loop) add_percentiles(out, "send_lag", run.send_lag);
  if (run.open_loop) add_percentiles(out, "connection_wait", run.connection_wait);
  for (const auto& [cell, histogram] : run.response_by_cell) {
    add_percentiles(out, fmt::format("{} {}", to_string(cell.first), to_string(cell.second)),
                    histogram);
  }
  line("");
  for (const auto& [cell, histogram] : run.response_by_cell) {
    line("  {:<16}{:>11}", fmt::format("{} {}", to_string(cell.first), to_string(cell.second)),
         histogram.count());
  }
  line(
      "hit rate {:.4f}; {:.1f} MB out, {:.1f} MB in; generator CPU {:.2f} us a request, {:.0f} % "
      "of a core",
      run.hit_rate(), static_cast<double>(run.bytes_out) / 1e6,
      static_cast<double>(run.bytes_in) / 1e6,
      run.answered == 0 ? 0
                        : seconds(run.generator_user + run.generator_system) * 1e6 /
                              static_cast<double>(run.answered),
      run.elapsed == Duration::zero() ? 0
                                      : 100 * seconds(run.generator_user + run.generator_system) /
                                            seconds(run.elapsed + spec.warmup));
  if (run.failed > 0 || run.reconnects > 0) {
    line("{} failed, {} reconnects", run.failed, run.reconnects);
    for (std::size_t i = 1; i < kFailures; ++i) {
      if (run.failures[i] > 0)
        line("  {:<16}{:>11}", to_string(Failure{static_cast<std::uint8_t>(i)}), run.failures[i]);
    }
    for (const auto& text : run.failure_texts) line("  such as: {}", text);
  }
  for (const auto& reason : run.void_reasons) line("VOID: {}", reason);
  return out;
}

}  // namespace nearlane::harness
