#include "servers/admin/sources.h"

#include <fstream>

#include <unistd.h>

namespace nearlane::admin {

std::uint64_t sum_requests(const DoorSource& door, std::size_t command, loop::AnsweredBy tier,
                           loop::Outcome outcome) {
  std::uint64_t total = 0;
  for (const auto& stats : door.stats) total += stats->requests(command, tier, outcome);
  return total;
}

std::uint64_t sum_requests(const DoorSource& door) {
  std::uint64_t total = 0;
  for (std::size_t command = 0; command < door.commands.size(); ++command) {
    for (int tier = 0; tier < static_cast<int>(loop::AnsweredBy::count); ++tier) {
      for (int outcome = 0; outcome < static_cast<int>(loop::Outcome::count); ++outcome) {
        total += sum_requests(door, command, static_cast<loop::AnsweredBy>(tier),
                              static_cast<loop::Outcome>(outcome));
      }
    }
  }
  return total;
}

Coherence coherence_in_force(const Sources& sources) {
  const l2::Capabilities l2 = sources.tier.l2_capabilities();
  return {.mode = l2.coherence,
          .bound = std::chrono::duration_cast<std::chrono::milliseconds>(l2.lease),
          .reason = sources.tier.l2_health().distrust};
}

void sample(Sources& sources) {
  std::uint64_t total = 0;
  for (const DoorSource& door : sources.doors) total += sum_requests(door);
  sources.requests_per_second.store(total - sources.sampled_requests, std::memory_order_relaxed);
  sources.sampled_requests = total;
}

Histogram merged_latency(const DoorSource& door) {
  Histogram merged;
  for (const auto& stats : door.stats) merged.merge(stats->l1_latency.snapshot());
  return merged;
}

std::string_view name_of(loop::AnsweredBy tier) noexcept {
  switch (tier) {
    case loop::AnsweredBy::l1:
      return "l1";
    case loop::AnsweredBy::l2:
      return "l2";
    case loop::AnsweredBy::local:
    case loop::AnsweredBy::count:
      break;
  }
  return "local";
}

std::string_view name_of(loop::Outcome outcome) noexcept {
  switch (outcome) {
    case loop::Outcome::hit:
      return "hit";
    case loop::Outcome::miss:
      return "miss";
    case loop::Outcome::ok:
      return "ok";
    case loop::Outcome::error:
    case loop::Outcome::count:
      break;
  }
  return "error";
}

std::string_view name_of(tier::Warming warming) noexcept {
  switch (warming) {
    case tier::Warming::off:
      return "off";
    case tier::Warming::yes:
      return "warming";
    case tier::Warming::late:
      return "late";
    case tier::Warming::done:
      break;
  }
  return "done";
}

std::uint64_t resident_bytes() {
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace nearlane::admin
