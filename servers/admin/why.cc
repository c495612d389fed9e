#include <algorithm>
#include <optional>
#include <span>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "servers/admin/pages.h"

namespace nearlane::admin {

namespace {

using audit::Event;
using nlohmann::json;
using Service = tier::Explanation::Service;

double ms_of(Duration time) { return std::chrono::duration<double, std::milli>(time).count(); }
/// A time that may not come is null.
json ms_until(TimePoint then, TimePoint now) {
  return then == kForever ? json() : json(ms_of(then - now));
}
/// Unlimited is null.
json ms_or_none(Duration time) { return time == Duration::max() ? json() : json(ms_of(time)); }

std::string reason_of(const tier::Explanation& seen, const Coherence& coherence) {
  switch (seen.service) {
    case Service::served:
      return seen.copy->negative ? "L1 knows that there is no such key, and says so"
                                 : "L1 serves its copy";
    case Service::disowned:
      return "L1 has a copy that was read in another epoch of its lane: changes may have been "
             "missed "
             "since, so L2 is asked";
    case Service::expired:
      return "L1 has a copy whose deadline has passed: L2 is asked";
    case Service::lapsed:
      return "L1 has a copy, and only its lane's lease has run out: one PING, and it is served";
    case Service::absent:
      break;
  }
  if (!seen.rules.l1) return "a [[prefix]] says l1 = false: every read goes to L2";
  if (!coherence.reason.empty()) return "L1 takes nothing: " + coherence.reason;
  return "L1 has no copy: L2 is asked";
}

json in_l2_of(const tier::Explanation::InL2& in_l2) {
  if (in_l2.error) {
    return {{"error", fmt::format("{}: {}", to_string(in_l2.error->code), in_l2.error->detail)}};
  }
  json page = {{"exists", in_l2.exists}};
  if (in_l2.exists) page["ttl_ms"] = in_l2.ttl ? json(ms_of(*in_l2.ttl)) : json();
  if (in_l2.same) page["as_in_l1"] = *in_l2.same;
  return page;
}

/// The last event of one of these kinds.
json last_of(const tier::Explanation& seen, std::initializer_list<Event> kinds) {
  const auto found = std::find_if(seen.events.rbegin(), seen.events.rend(), [&](const auto& event) {
    return std::find(kinds.begin(), kinds.end(), event.event) != kinds.end();
  });
  return found == seen.events.rend() ? json() : json(ms_of(seen.at - found->at));
}

/// The last ones, so that the page of a key with thousands holds no loop up.
constexpr std::size_t kMostEvents = 256;

}  // namespace

std::string why_page(const Sources& sources, const KeyRef& key, const tier::Explanation& seen) {
  const Coherence coherence = coherence_in_force(sources);
  json copy;
  if (seen.copy) {
    copy = {
        {"negative", seen.copy->negative}, {"bytes", seen.copy->bytes},
        {"br_bytes", seen.copy->br_bytes}, {"gzip_bytes", seen.copy->gzip_bytes},
        {"epoch", seen.copy->epoch},       {"deadline_ms", ms_until(seen.copy->deadline, seen.at)}};
  }
  json events = json::array();
  const auto shown = std::span(seen.events).last(std::min(seen.events.size(), kMostEvents));
  const bool all_shown = shown.size() == seen.events.size();
  const TimePoint complete_since = all_shown ? seen.events_since : shown.front().at;
  for (const audit::Happened& happened : shown) {
    events.push_back({{"event", name_of(happened.event)},
                      {"ago_ms", ms_of(seen.at - happened.at)},
                      {"epoch", happened.epoch}});
  }
  const bool leased = seen.lease_until > TimePoint::min();
  const bool from_l1 = seen.service == Service::served || seen.service == Service::lapsed;
  const json page = {
      {"key", key.name},
      {"db", key.db},
      {"hash", fmt::format("{:016x}", seen.hash)},
      {"tier", from_l1 ? "l1" : "l2"},
      {"service", name_of(seen.service)},
      {"reason", reason_of(seen, coherence)},
      {"l1", copy},
      {"lane",
       {{"number", seen.lane},
        {"of", sources.tier.lanes()},
        {"set", sources.tier.lane_map().is_bulk(seen.lane) ? "bulk" : "shared"},
        {"epoch", seen.lane_epoch},
        // Negative: it ran out so long ago. Null: it has none, or needs none.
        {"lease_ms", leased ? ms_until(seen.lease_until, seen.at) : json()}}},
      {"l2", in_l2_of(seen.in_l2)},
      {"rules",
       {{"l1", seen.rules.l1},
        {"l1_ttl_ms", ms_or_none(seen.rules.l1_ttl)},
        {"negative_ttl_ms", ms_or_none(seen.rules.negative_ttl)},
        {"max_stale_ms", ms_or_none(seen.rules.max_stale)},
        {"touch_coalescing", seen.rules.touch_coalescing},
        {"refresh", seen.rules.refresh},
        {"prefetch", seen.rules.prefetch},
        {"secret", seen.rules.secret}}},
      {"coherence", {{"mode", coherence.mode}, {"bound_ms", coherence.bound.count()}}},
      {"audited", seen.sampled},
      {"last_ms_ago",
       {{"fill", last_of(seen, {Event::fill})},
        {"push", last_of(seen, {Event::push})},
        {"write", last_of(seen, {Event::write, Event::write_dropped})},
        {"bump", last_of(seen, {Event::bump})}}},
      {"events", events},
      {"complete_for_ms",
       complete_since == TimePoint::min() ? json() : json(ms_of(seen.at - complete_since))}};
  return page.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace nearlane::admin
