// `nearlane-bench load`: one generated load against one server that already runs, and what it found.
//
// Errors:   invalid_argument naming the field that cannot be; unavailable, timeout when the server cannot be
//           reached or cannot be filled.
// Threads:  run_load blocks its caller, on whose thread everything runs.
// Cost:     a core while it runs.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "harness/driver/generator.h"
#include "harness/driver/run.h"

namespace nearlane::harness {

struct LoadSpec {
  std::string target;   // resp://HOST:PORT or http://HOST:PORT
  double rate = 0;      // requests/s, open loop; 0 = closed loop, as fast as replies come
  bool poisson = true;  // else evenly spaced
  std::uint32_t connections = 32;
  std::uint32_t pipeline = 1;                    // requests in flight on one connection
  Duration duration = std::chrono::seconds(10);  // of what is measured
  Duration warmup = std::chrono::seconds(1);     // before it
  std::uint64_t keys = 10'000;
  double zipf = 0.99;  // exponent of the keys' popularity; 0 = uniform
  std::size_t value_bytes = 1024;
  std::array<double, 4> mix = {0.9, 0.1, 0, 0};  // shares of get, set, touch, erase; add up to 1
  Duration ttl{};  // of sets and touches; 0 = none, or an hour when there are touches
  std::uint64_t seed = 42;
  std::string prefix = "load:";  // of the keys' names
  bool fill = true;              // sets every key first
  bool verify = true;            // every value read must be a whole document of its key
  std::function<void(const Completion&)> observe =
      {};                         // sees every completion, on the generator's thread
  std::string http_headers = {};  // lines ending in CRLF
  Duration timeout = std::chrono::seconds(5);
};

struct LoadReport {
  LoadSpec spec;
  Duration fill_time{};
  RunReport run;
};

struct Target {
  Protocol protocol = Protocol::resp;
  Endpoint endpoint;

  /// resp://HOST:PORT (redis:// too) or http://HOST:PORT.
  [[nodiscard]] static Result<Target> parse(std::string_view url);
};

[[nodiscard]] Result<LoadReport> run_load(const LoadSpec& spec,
                                          std::function<void(const Progress&)> progress = {},
                                          const std::atomic<bool>* stop = nullptr);

/// For people: what was asked, rates, the percentiles that the count of answers supports, outcomes, failures,
/// and whether the run counts.
[[nodiscard]] std::string to_text(const LoadReport& report);

}  // namespace nearlane::harness
