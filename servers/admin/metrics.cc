#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "core/base/epoch.h"
#include "servers/admin/pages.h"

namespace nearlane::admin {

namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

prometheus::ClientMetric metric(prometheus::MetricType type, const Labels& labels, double value) {
  prometheus::ClientMetric out;
  for (const auto& [name, text] : labels) out.label.push_back({name, text});
  if (type == prometheus::MetricType::Counter) {
    out.counter.value = value;
  } else {
    out.gauge.value = value;
  }
  return out;
}

class Page {
 public:
  Page& family(const char* name, const char* help, prometheus::MetricType type) {
    prometheus::MetricFamily next;
    next.name = name;
    next.help = help;
    next.type = type;
    families_.push_back(std::move(next));
    return *this;
  }
  Page& counter(const char* name, const char* help) {
    return family(name, help, prometheus::MetricType::Counter);
  }
  Page& gauge(const char* name, const char* help) {
    return family(name, help, prometheus::MetricType::Gauge);
  }
  Page& add(const Labels& labels, std::uint64_t value) {
    auto& last = families_.back();
    last.metric.push_back(metric(last.type, labels, static_cast<double>(value)));
    return *this;
  }
  Page& add_seconds(double value) {
    auto& last = families_.back();
    last.metric.push_back(metric(last.type, {}, value));
    return *this;
  }
  void add_metric(prometheus::ClientMetric value) {
    families_.back().metric.push_back(std::move(value));
  }
  [[nodiscard]] std::string text() const {
    return prometheus::TextSerializer().Serialize(families_);
  }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

void add_requests(Page& page, const Sources& sources) {
  page.counter("nearlane_requests_total", "Requests by door, command, answering tier and outcome");
  for (const DoorSource& door : sources.doors) {
    for (std::size_t command = 0; command < door.commands.size(); ++command) {
      for (int t = 0; t < static_cast<int>(loop::AnsweredBy::count); ++t) {
        for (int o = 0; o < static_cast<int>(loop::Outcome::count); ++o) {
          const auto tier = static_cast<loop::AnsweredBy>(t);
          const auto outcome = static_cast<loop::Outcome>(o);
          const std::uint64_t total = sum_requests(door, command, tier, outcome);
          // Thousands of combinations never happen; a series begins with its first request.
          if (total == 0) continue;
          page.add({{"proto", std::string(door.name)},
                    {"cmd", std::string(door.commands[command])},
                    {"tier", std::string(name_of(tier))},
                    {"outcome", std::string(name_of(outcome))}},
                   total);
        }
      }
    }
  }
}

/// The cells of Histogram are far finer than what a scrape should carry: powers of four from 1 µs.
void add_latency(Page& page, const Sources& sources) {
  page.family(
      "nearlane_request_duration_seconds",
      "From request bytes in user space to response bytes ready, of requests that L1 answered",
      prometheus::MetricType::Histogram);
  for (const DoorSource& door : sources.doors) {
    const Histogram merged = merged_latency(door);
    prometheus::ClientMetric out;
    out.label = {{"proto", std::string(door.name)}, {"tier", "l1"}};
    out.histogram.sample_count = merged.count();
    out.histogram.sample_sum = merged.mean_ns() * 1e-9 * static_cast<double>(merged.count());
    for (std::uint64_t bound = 1000; bound <= 1'100'000'000; bound *= 4) {
      out.histogram.bucket.push_back(
          {merged.count_at_most(Duration(static_cast<std::int64_t>(bound))),
           static_cast<double>(bound) / 1e9});
    }
    out.histogram.bucket.push_back({merged.count(), std::numeric_limits<double>::infinity()});
    page.add_metric(std::move(out));
  }
}

void add_audits(Page& page, const audit::Auditor& auditor) {
  page.counter("nearlane_audits_total", "Hits of L1 that were compared with L2, by how that ended");
  for (std::size_t i = 0; i < static_cast<std::size_t>(audit::Outcome::count); ++i) {
    const auto outcome = static_cast<audit::Outcome>(i);
    page.add({{"outcome", std::string(name_of(outcome))}}, auditor.ended(outcome));
  }
  page.gauge("nearlane_audits_under_way", "Audits that wait for L2 or for their next look")
      .add({}, auditor.under_way());
  page.counter("nearlane_inconsistency_total",
               "Differences that audits found, by verdict and by how long after the first; "
               "in_flight and late are in order, all others are not");
  for (std::size_t v = 0; v < static_cast<std::size_t>(audit::Verdict::count); ++v) {
    for (std::size_t a = 0; a < static_cast<std::size_t>(audit::Age::count); ++a) {
      const auto verdict = static_cast<audit::Verdict>(v);
      const auto age = static_cast<audit::Age>(a);
      if (!possible(verdict, age)) continue;
      page.add({{"verdict", std::string(name_of(verdict))}, {"age", std::string(name_of(age))}},
               auditor.found(verdict, age));
    }
  }
}

/// Lookups that L1 did not answer in any way. All misses are summed first: what is answered meanwhile must not look like
/// one, and the next page has what this one lacks.
std::uint64_t sum_misses(const Sources& sources) {
  using tier::Count;
  using tier::Counts;
  const std::uint64_t all = Counts::sum(Count::l1_misses);
  const std::uint64_t answered = Counts::sum(Count::l1_negatives) + Counts::sum(Count::l1_stale);
  const std::uint64_t misses = all - std::min(answered, all);
  std::uint64_t said = sources.said_misses.load();
  while (said < misses && !sources.said_misses.compare_exchange_weak(said, misses)) continue;
  return std::max(said, misses);
}

void add_tiers(Page& page, const Sources& sources) {
  using tier::Count;
  const auto sum = [](Count id) { return tier::Counts::sum(id); };
  const l1::L1Stats l1 = sources.tier.l1_stats();
  const Labels ns = {{"ns", "default"}};
  page.gauge("nearlane_l1_bytes", "Bytes of live entries and slots in L1").add(ns, l1.bytes);
  page.gauge("nearlane_l1_capacity_bytes", "Byte budget of L1").add({}, l1.capacity);
  page.gauge("nearlane_l1_entries", "Entries in L1").add({}, l1.entries);
  page.gauge("nearlane_l1_negative_entries", "Entries in L1 that say there is no such key")
      .add({}, l1.negatives);
  page.gauge("nearlane_l1_retired_bytes", "Bytes unlinked and not yet freed")
      .add({}, epoch::retired_bytes());
  page.counter("nearlane_l1_evictions_total", "Entries that left L1, by reason")
      .add({{"reason", "capacity"}}, l1.evictions)
      .add({{"reason", "expired"}}, l1.expirations)
      .add({{"reason", "rejected"}}, l1.rejections);
  page.counter("nearlane_l1_lookups_total", "Lookups in L1")
      .add({{"outcome", "hit"}}, sum(Count::l1_hits))
      .add({{"outcome", "negative"}}, sum(Count::l1_negatives))
      .add({{"outcome", "stale"}}, sum(Count::l1_stale))
      .add({{"outcome", "miss"}}, sum_misses(sources));
  page.counter("nearlane_l2_lookups_total", "Lookups that L2 answered")
      .add({{"outcome", "hit"}}, sum(Count::l2_hits))
      .add({{"outcome", "miss"}}, sum(Count::l2_misses));
  page.counter("nearlane_l2_errors_total", "Calls to L2 that ended in an error of ours")
      .add({}, sum(Count::l2_errors));
  page.counter("nearlane_fills_total", "Fetches sent to L2")
      .add({{"outcome", "sent"}}, sum(Count::fills))
      .add({{"outcome", "revoked"}}, sum(Count::fills_revoked));
  page.counter("nearlane_fill_coalesced_total", "Lookups that joined a fill in flight")
      .add({}, sum(Count::fills_coalesced));
  page.counter("nearlane_lease_confirmations_total", "Lapsed leases renewed by one small command")
      .add({}, sum(Count::confirmations));
  page.counter("nearlane_invalidations_total", "Changes by others that L2 announced")
      .add({{"source", "l2"}}, sum(Count::invalidations));
  page.counter("nearlane_l2_refused_total", "Calls that the breaker kept from L2")
      .add({}, sum(Count::refused));
  const cohere::LaneMap& lanes = sources.tier.lane_map();
  page.gauge("nearlane_l2_lanes", "Lanes to L2, by whose they are")
      .add({{"set", "shared"}}, lanes.shared())
      .add({{"set", "bulk"}}, lanes.bulk());
  page.counter(
          "nearlane_large_in_line_total",
          "Values of 256 KiB and more that went over a shared lane, where small ones wait behind")
      .add({}, sum(Count::large_in_line));
  page.counter("nearlane_writes_total", "Writes sent to L2").add({}, sum(Count::writes));
  page.counter("nearlane_revocations_total", "Strict revocations, of these writes")
      .add({}, sum(Count::revocations));
  page.counter("nearlane_touch_coalesced_total", "Touches that did not go to L2")
      .add({}, sum(Count::touches_coalesced));
  page.counter("nearlane_l2_hot_touches_total",
               "Keys that L2 was told of (TOUCH), since L1 answers for them")
      .add({}, sum(Count::hot_touches));
  page.counter("nearlane_background_fills_total", "Fetches that nobody asked for, of all fills")
      .add({{"why", "refresh"}}, sum(Count::refreshes))
      .add({{"why", "prefetch"}}, sum(Count::prefetches))
      .add({{"why", "refill"}}, sum(Count::refills))
      .add({{"why", "warmup"}}, sum(Count::warmups));
  page.gauge("nearlane_warming",
             "1 while L1 is being filled after a start, and is not ready for it")
      .add({}, sources.tier.warming() == tier::Warming::yes);
  page.counter("nearlane_hot_lists_total", "Hot-key lists left in L2 for the next start")
      .add({{"outcome", "saved"}}, sum(Count::hot_lists_saved))
      .add({{"outcome", "failed"}}, sum(Count::hot_lists_failed));
  page.counter("nearlane_background_fills_used_total", "Values fetched so that were then served")
      .add({}, sum(Count::background_uses));
  page.counter("nearlane_background_fills_dropped_total",
               "Fetches wanted and not sent: unused too often, over a cap, or their lane was lost")
      .add({}, sum(Count::refreshes_dropped));
  page.gauge("nearlane_background_fills_waiting", "Keys that wait to be fetched so")
      .add({}, sources.tier.refreshing());
  page.counter("nearlane_precompressions_total",
               "Values compressed behind their writers, or not, by how that ended")
      .add({{"outcome", "put"}}, sum(Count::precompressed))
      .add({{"outcome", "useless"}}, sum(Count::precompress_useless))
      .add({{"outcome", "late"}}, sum(Count::precompress_late))
      .add({{"outcome", "dropped"}}, sum(Count::precompress_dropped));
  page.gauge("nearlane_precompressions_waiting", "Values that wait to be compressed")
      .add({}, sources.tier.precompressing());
  page.counter("nearlane_hints_total", "Hints between instances")
      .add({{"way", "sent"}}, sum(Count::hints_sent))
      .add({{"way", "heard"}}, sum(Count::hints_heard));
  page.gauge("nearlane_revocations_waiting", "Strict revocations under way")
      .add({}, sources.tier.revoking());
}

}  // namespace

std::string metrics_page(const Sources& sources) {
  Page page;
  add_requests(page, sources);
  page.counter("nearlane_http_fast_lane_answers_total",
               "Requests over HTTP that L1 answered without the whole parser")
      .add({}, sources.fast_lane_answers ? sources.fast_lane_answers() : 0);
  add_latency(page, sources);
  add_tiers(page, sources);
  add_audits(page, sources.tier.auditor());
  const l2::Health health = sources.tier.l2_health();
  page.gauge("nearlane_l2_connections", "Connections to L2, by state")
      .add({{"state", "up"}}, health.lanes_up)
      .add({{"state", "down"}}, health.lanes - std::min(health.lanes, health.lanes_up));
  page.gauge("nearlane_relay_connections",
             "Connections to Redis that speak for clients, idle ones among them")
      .add({}, sources.relays ? sources.relays() : 0);
  page.gauge("nearlane_l2_ready", "Whether calls to L2 have a fair chance").add({}, health.ready);
  auto& breaker = page.gauge("nearlane_breaker_state", "1 for the state in which the breaker is");
  for (const auto state : {guard::Breaker::State::closed, guard::Breaker::State::open,
                           guard::Breaker::State::half_open, guard::Breaker::State::ramp}) {
    breaker.add({{"state", std::string(guard::name_of(state))}}, sources.tier.breaker() == state);
  }
  const Coherence coherence = coherence_in_force(sources);
  page.gauge("nearlane_coherence_mode", "1 for the mode in force")
      .add({{"mode", std::string(coherence.mode)},
            {"bound_ms", std::to_string(coherence.bound.count())}},
           1);
  page.gauge("nearlane_coherence_bound_seconds",
             "What is served is no older than this, against others' acknowledged writes")
      .add_seconds(std::chrono::duration<double>(coherence.bound).count());
  page.counter(
          "nearlane_announcement_gaps_total",
          "Times that announcements of other instances were missed, so that L1 disowned everything")
      .add({}, health.gaps);
  page.gauge("nearlane_connections", "Clients connected").add({}, sources.loops.open_connections());
  page.counter("nearlane_connections_accepted_total", "Clients that connected")
      .add({}, sources.loops.accepted_connections());
  page.counter("nearlane_connections_refused_total", "Clients over max-connections")
      .add({}, sources.loops.refused_connections());
  page.counter("nearlane_connections_refused_by_client_total",
               "Clients over max-connections-per-client")
      .add({}, sources.loops.refused_by_client());
  page.gauge("process_resident_memory_bytes", "Resident memory").add({}, resident_bytes());
  page.gauge("nearlane_uptime_seconds", "Since the start")
      .add_seconds(std::chrono::duration<double>(Clock::now() - sources.started).count());
  page.gauge("nearlane_build_info", "1, with what was built as labels")
      .add({{"version", sources.version},
            {"profile", sources.profile},
            {"l1_map", std::string(sources.tier.l1_name())},
            {"l1_policy", std::string(sources.tier.l1_policy())},
            {"l2", std::string(sources.tier.l2_name())}},
           1);
  return page.text();
}

}  // namespace nearlane::admin
