#include <nlohmann/json.hpp>

#include "servers/admin/pages.h"

namespace nearlane::admin {

namespace {

using nlohmann::json;

/// One spelling with the harness, which looks for it.
constexpr const char* kBoundary = "request bytes in user space -> response bytes ready";

json latency(const Histogram& histogram) {
  return {{"boundary", kBoundary},
          {"count", histogram.count()},
          {"mean_ns", histogram.mean_ns()},
          {"p50_ns", histogram.quantile(0.5).count()},
          {"p99_ns", histogram.quantile(0.99).count()},
          {"p99_9_ns", histogram.quantile(0.999).count()},
          {"max_ns", histogram.max().count()},
          {"histogram", histogram.to_text()}};
}

json health_of(const l2::Health& health) {
  return {{"ready", health.ready},
          {"lanes", health.lanes},
          {"lanes_up", health.lanes_up},
          {"detail", health.detail}};
}

json coherence_of(const Coherence& coherence) {
  json page = {{"mode", coherence.mode}, {"bound_ms", coherence.bound.count()}};
  if (!coherence.reason.empty()) page["reason"] = coherence.reason;
  return page;
}

}  // namespace

std::string stats_page(const Sources& sources) {
  using tier::Count;
  const auto sum = [](Count id) { return tier::Counts::sum(id); };
  const l1::L1Stats l1 = sources.tier.l1_stats();
  json doors = json::object();
  for (const DoorSource& door : sources.doors) {
    doors[std::string(door.name)] = {{"requests", sum_requests(door)},
                                     {"l1_latency", latency(merged_latency(door))}};
  }
  const json page = {
      {"version", sources.version},
      {"profile", sources.profile},
      {"uptime_s",
       std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - sources.started).count()},
      {"threads", sources.loops.size()},
      {"connections", sources.loops.open_connections()},
      {"resident_bytes", resident_bytes()},
      {"coherence", coherence_of(coherence_in_force(sources))},
      {"l1",
       {{"map", sources.tier.l1_name()},
        {"policy", sources.tier.l1_policy()},
        {"entries", l1.entries},
        {"bytes", l1.bytes},
        {"capacity_bytes", l1.capacity},
        {"evictions", l1.evictions},
        {"expirations", l1.expirations},
        {"rejections", l1.rejections},
        {"negative_entries", l1.negatives},
        {"precompressed", sum(Count::precompressed)},
        {"precompress_useless", sum(Count::precompress_useless)},
        {"precompress_late", sum(Count::precompress_late)},
        {"precompress_dropped", sum(Count::precompress_dropped)},
        {"hits", sum(Count::l1_hits)},
        {"misses", sum(Count::l1_misses)},
        {"negatives", sum(Count::l1_negatives)},
        {"stale_hits", sum(Count::l1_stale)}}},
      {"l2",
       {{"name", sources.tier.l2_name()},
        {"health", health_of(sources.tier.l2_health())},
        {"hits", sum(Count::l2_hits)},
        {"misses", sum(Count::l2_misses)},
        {"errors", sum(Count::l2_errors)},
        {"fills", sum(Count::fills)},
        {"fills_coalesced", sum(Count::fills_coalesced)},
        {"fills_revoked", sum(Count::fills_revoked)},
        {"confirmations", sum(Count::confirmations)},
        {"invalidations", sum(Count::invalidations)},
        {"writes", sum(Count::writes)},
        {"large_in_line", sum(Count::large_in_line)},
        {"touches_coalesced", sum(Count::touches_coalesced)},
        {"hot_touches", sum(Count::hot_touches)},
        {"refreshes", sum(Count::refreshes)},
        {"prefetches", sum(Count::prefetches)},
        {"refills", sum(Count::refills)},
        {"warmups", sum(Count::warmups)},
        {"background_uses", sum(Count::background_uses)},
        {"hints_sent", sum(Count::hints_sent)},
        {"hints_heard", sum(Count::hints_heard)}}},
      {"doors", doors}};
  return page.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Readiness readiness(const Sources& sources) {
  const l2::Health health = sources.tier.l2_health();
  const bool draining = sources.loops.draining();
  const tier::Warming warming = sources.tier.warming();
  const bool ready = health.ready && warming != tier::Warming::yes && !draining;
  const json page = {{"ready", ready},
                     {"draining", draining},
                     {"warmup", name_of(warming)},
                     {"coherence", coherence_of(coherence_in_force(sources))},
                     {"l2", {{"name", sources.tier.l2_name()}, {"health", health_of(health)}}}};
  return {.ready = ready, .body = page.dump(2, ' ', false, json::error_handler_t::replace) + "\n"};
}

}  // namespace nearlane::admin
