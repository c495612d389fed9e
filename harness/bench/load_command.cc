#include "harness/bench/load_command.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigaction() is POSIX, not C++
#include <unistd.h>

#include "harness/driver/load.h"
#include "harness/driver/ramp.h"

namespace nearlane::harness {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "it is set in a signal handler");

constexpr double kFirstRate = 4000;  // requests/s, of a ramp

struct Flags {
  LoadSpec spec;
  double duration_s = 10;
  double warmup_s = 1;
  double ttl_s = 0;
  double timeout_s = 5;
  std::vector<double> mix = {90, 10, 0, 0};
  std::vector<std::string> headers;
  bool constant = false;
  std::optional<double> ramp_p99_ms;
  bool no_fill = false;
  bool no_verify = false;
};

Duration from_seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

/// A line that is rewritten on a terminal; elsewhere one every second.
class ProgressLine {
 public:
  ProgressLine() : terminal_(::isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() {
    if (terminal_ && shown_ >= 0) fmt::print(stderr, "\r\033[K");
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const Progress& progress) {
    const auto second = std::chrono::duration_cast<std::chrono::seconds>(progress.elapsed).count();
    if (!terminal_ && second == shown_) return;
    shown_ = second;
    const auto seconds = [](Duration duration) {
      return std::chrono::duration<double>(duration).count();
    };
    fmt::print(stderr, "{}{:.1f} of {:.1f} s, {} answered, {} failed{}", terminal_ ? "\r" : "",
               seconds(progress.elapsed), seconds(progress.duration), progress.answered,
               progress.failed, terminal_ ? "\033[K" : "\n");
  }

 private:
  bool terminal_;
  std::int64_t shown_ = -1;
};

int failed(const Error& error) {
  fmt::print(stderr, "nearlane-bench load: {}\n", error.detail);
  return 2;
}

int once(const LoadSpec& spec) {
  auto report = [&] {
    ProgressLine line;
    return run_load(
        spec, [&](const Progress& progress) { line.show(progress); }, &interrupted);
  }();
  if (!report) return failed(report.error());
  fmt::print("{}", to_text(*report));
  const RunReport& run = report->run;
  // The times are those of all answers, and so of errors, too.
  if (run.failed > 0) {
    fmt::print(stderr, "nearlane-bench load: {} of {} requests failed{}\n", run.failed,
               run.scheduled,
               run.failure_texts.empty() ? "" : "; the first: " + run.failure_texts.front());
  }
  return run.valid() && run.failed == 0 ? 0 : 1;
}

int ramp(const RampSpec& spec) {
  fmt::print("{}\n", ramp_head());
  const auto report = run_ramp(
      spec, [](const LoadSpec& load) { return run_load(load, {}, &interrupted); },
      [](const RampStep& step) {
        fmt::print("{}\n", to_text(step));
        std::fflush(stdout);  // a step takes long enough that somebody waits for its line
      },
      interrupted);
  if (!report) return failed(report.error());
  fmt::print("{}\n", to_text(*report));
  return report->valid() ? 0 : 1;
}

int run(Flags& flags) {
  auto& spec = flags.spec;
  spec.duration = from_seconds(flags.duration_s);
  spec.warmup = from_seconds(flags.warmup_s);
  spec.ttl = from_seconds(flags.ttl_s);
  spec.timeout = from_seconds(flags.timeout_s);
  spec.poisson = !flags.constant;
  spec.fill = !flags.no_fill;
  spec.verify = !flags.no_verify;
  const double total = std::accumulate(flags.mix.begin(), flags.mix.end(), 0.0);
  for (std::size_t i = 0; i < spec.mix.size(); ++i) {
    spec.mix[i] = total > 0 ? flags.mix[i] / total : 0;
  }
  for (const auto& header : flags.headers) spec.http_headers += header + "\r\n";

  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second one ends the program at once
  ::sigaction(SIGINT, &action, nullptr);
  if (!flags.ramp_p99_ms) return once(spec);
  if (spec.rate == 0) spec.rate = kFirstRate;
  return ramp({.load = spec, .p99_most = from_seconds(*flags.ramp_p99_ms / 1000)});
}

}  // namespace

std::function<int()> add_load_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  auto& spec = flags->spec;
  auto* command = app.add_subcommand("load", "a load against one server that already runs");
  command->add_option("target", spec.target, "resp://HOST:PORT or http://HOST:PORT")->required();
  command->add_option("--rate", spec.rate, "requests/s, open loop; 0: closed loop")
      ->capture_default_str();
  command->add_flag("--constant", flags->constant, "evenly spaced, instead of Poisson arrivals");
  command->add_option("--ramp-p99", flags->ramp_p99_ms,
                      "ms; looks for the greatest rate whose p99 is no more than this, from --rate "
                      "on (or 4000/s), --duration for each");
  command->add_option("--conns,--connections", spec.connections, "connections")
      ->capture_default_str();
  command->add_option("--pipeline", spec.pipeline, "requests in flight on one connection")
      ->capture_default_str();
  command->add_option("--duration", flags->duration_s, "seconds that are measured")
      ->capture_default_str();
  command->add_option("--warmup", flags->warmup_s, "seconds before them")->capture_default_str();
  command->add_option("--keys", spec.keys, "number of keys")->capture_default_str();
  command->add_option("--zipf", spec.zipf, "exponent of their popularity; 0: uniform")
      ->capture_default_str();
  command->add_option("--value", spec.value_bytes, "bytes of a value")->capture_default_str();
  command->add_option("--mix", flags->mix, "shares of get:set:touch:delete")
      ->delimiter(':')
      ->expected(4)
      ->default_str("90:10:0:0");
  command->add_option("--ttl", flags->ttl_s, "seconds; 0: none, or an hour where there are touches")
      ->capture_default_str();
  command->add_option("--timeout", flags->timeout_s, "seconds until a reply is given up")
      ->capture_default_str();
  command->add_option("--seed", spec.seed, "of keys, mix and arrivals")->capture_default_str();
  command->add_option("--prefix", spec.prefix, "of the keys' names")->capture_default_str();
  command->add_option("--header", flags->headers, "HTTP header, as 'Name: value'; may be repeated");
  command->add_flag("--no-fill", flags->no_fill, "do not set every key first");
  command->add_flag("--no-verify", flags->no_verify, "do not check the values that are read");
  return [command, flags] { return command->parsed() ? run(*flags) : 0; };
}

}  // namespace nearlane::harness
