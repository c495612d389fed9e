#include "harness/topology/toxic.h"

#include <array>

#include <fmt/format.h>

namespace nearlane::harness {
namespace {

bool fits(Duration time) { return time >= Duration::zero() && time <= Toxic::kLongest; }

constexpr std::string_view kTimes = "a time must be 0 at least, and 24 hours at most";

// Each says what cannot be, or nothing.
std::string_view wrong(const Latency& kind, Way) {
  return fits(kind.latency) && fits(kind.jitter) ? "" : kTimes;
}
std::string_view wrong(const Bandwidth& kind, Way) {
  return kind.bytes_per_s <= Toxic::kMaxRate ? "" : "a rate must be a TiB/s at most";
}
std::string_view wrong(const SlowClose& kind, Way) { return fits(kind.delay) ? "" : kTimes; }
std::string_view wrong(const Timeout& kind, Way) { return fits(kind.timeout) ? "" : kTimes; }
std::string_view wrong(const ResetPeer& kind, Way) { return fits(kind.timeout) ? "" : kTimes; }
std::string_view wrong(const Slicer& kind, Way) {
  if (kind.average == 0) return "average_size must be 1 at least";
  if (kind.variation >= kind.average) return "size_variation must be less than average_size";
  return fits(kind.delay) ? "" : kTimes;
}
std::string_view wrong(const LimitData&, Way) { return ""; }

constexpr std::string_view kPushes = "pushes go downstream only";

std::string_view wrong(const DropPushes&, Way way) { return way == Way::to_client ? "" : kPushes; }
std::string_view wrong(const DelayPushes& kind, Way way) {
  if (way != Way::to_client) return kPushes;
  return fits(kind.delay) ? "" : kTimes;
}
std::string_view wrong(const CutAtFrame& kind, Way) {
  return kind.frame > 0 ? "" : "frame must be 1 at least";
}

constexpr std::array<std::string_view, std::variant_size_v<ToxicKind>> kTypes = {
    "latency", "bandwidth",  "slow_close",  "timeout",      "reset_peer",
    "slicer",  "limit_data", "drop_pushes", "delay_pushes", "cut_at_frame"};

}  // namespace

std::string_view type_of(const ToxicKind& kind) noexcept { return kTypes[kind.index()]; }

std::string_view stream_of(Way way) noexcept {
  return way == Way::to_server ? "upstream" : "downstream";
}

Result<void> check(const Toxic& toxic) {
  auto problem = std::visit([&](const auto& kind) { return wrong(kind, toxic.way); }, toxic.kind);
  // Written so that what is no number does not pass.
  if (!(toxic.toxicity >= 0 && toxic.toxicity <= 1)) problem = "toxicity must lie between 0 and 1";
  if (toxic.name.empty()) problem = "a toxic needs a name";
  if (toxic.name.size() > Toxic::kMaxName) problem = "its name is longer than 256 bytes";
  if (problem.empty()) return {};
  return Error{Errc::invalid_argument, fmt::format("{}: {}", type_of(toxic.kind), problem)};
}

}  // namespace nearlane::harness
