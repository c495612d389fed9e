#include "harness/bench/progress.h"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

namespace nearlane::harness {
namespace {

constexpr std::size_t kBar = 24;    // columns
constexpr std::size_t kPhase = 44;  // columns, so that a line fits in 100
constexpr auto kRedraw = std::chrono::milliseconds(100);

double seconds(Duration length) { return std::chrono::duration<double>(length).count(); }

}  // namespace

Meter::Meter() : terminal_(isatty(STDERR_FILENO) == 1) {}

Meter::~Meter() {
  if (terminal_ && !scenario_.empty()) fmt::print(stderr, "\n");
}

void Meter::begin(std::string_view scenario, std::uint64_t steps) {
  scenario_ = scenario;
  phase_.clear();
  steps_ = std::max<std::uint64_t>(steps, 1);
  done_ = 0;
  started_ = Clock::now();
  drawn_ = {};
  if (!terminal_) fmt::print(stderr, "{}: begins\n", scenario_);
}

void Meter::phase(std::string_view what) {
  if (phase_ == what) return;
  phase_ = what;
  if (terminal_) {
    draw();
  } else {
    fmt::print(stderr, "{}: {:5.1f} s  {:3.0f} %  {}\n", scenario_,
               seconds(Clock::now() - started_),
               100.0 * static_cast<double>(done_) / static_cast<double>(steps_), phase_);
  }
}

void Meter::advance() {
  done_ = std::min(done_ + 1, steps_);
  if (terminal_ && Clock::now() - drawn_ > kRedraw) draw();
}

void Meter::draw() {
  drawn_ = Clock::now();
  const double elapsed = seconds(drawn_ - started_);
  const double share = static_cast<double>(done_) / static_cast<double>(steps_);
  const auto full = static_cast<std::size_t>(share * static_cast<double>(kBar));
  // Too early to tell below a twentieth.
  const std::string expected = share > 0.05 ? fmt::format("{:.0f}", elapsed / share) : "?";
  fmt::print(stderr, "\r\x1b[K{} [{:#<{}}{:.<{}}] {:.0f}/{} s {}", scenario_, "", full, "",
             kBar - full, elapsed, expected, phase_.substr(0, kPhase));
  (void)std::fflush(stderr);
}

void Meter::end(std::string_view verdict) {
  fmt::print(stderr, "{}{}: {} after {:.1f} s\n", terminal_ ? "\r\x1b[K" : "", scenario_, verdict,
             seconds(Clock::now() - started_));
  scenario_.clear();
}

}  // namespace nearlane::harness
