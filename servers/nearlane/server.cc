#include "servers/nearlane/server.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/l1/l1_map.h"
#include "core/l2/l2_backend.h"
#include "core/tier/tiered_cache.h"
#include "servers/admin/pages.h"
#include "servers/http/door.h"
#include "servers/loop/loop_group.h"
#include "servers/nearlane/secret_file.h"
#include "servers/nearlane/version.h"
#include "servers/resp/door.h"

namespace nearlane::server {

namespace {

constexpr auto kSweepEvery = std::chrono::milliseconds(100);
constexpr std::size_t kSweepEntries = 2000;  // a sweep's share of a core stays below a percent
constexpr unsigned kSpareDescriptors = 128;  // files and L2 connections, beside the clients'

Error bad(std::string text) { return {Errc::invalid_argument, std::move(text)}; }

std::uint64_t memory_of_machine() {
  const auto pages = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 1L));
  std::uint64_t bytes = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  // A container's share, where there is one.
  std::uint64_t limit = 0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> limit && limit > 0)
    bytes = std::min(bytes, limit);
  return bytes;
}

std::uint64_t bytes_of_l1(const Config& config) {
  return config.l1_bytes > 0 ? config.l1_bytes : memory_of_machine() / 4;
}

/// Every client is a descriptor; the soft limit is often 1024 where the hard one is far above.
void raise_descriptor_limit(unsigned clients) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = rlim_t{clients} + kSpareDescriptors;
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = std::min(wanted, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur < wanted) {
    spdlog::warn("the descriptor limit is {}: fewer than --max-connections {} fit", limit.rlim_cur,
                 clients);
  }
}

std::optional<Error> refuse_open_doors(const Config& config) {
  if (config.insecure_bind) return {};
  if (!config.resp.local_only() && config.password_file.empty()) {
    return bad(
        fmt::format("--resp {}: others than this machine could connect without a password; "
                    "give --password-file, or --insecure-bind if you mean it",
                    config.resp.to_text()));
  }
  if (!config.http.local_only() && config.api_key_file.empty()) {
    return bad(
        fmt::format("--http {}: others than this machine could connect without a key; give "
                    "--api-key-file, or --insecure-bind if you mean it",
                    config.http.to_text()));
  }
  return {};
}

/// The key stands there by its hash: names are secrets where they are session ids, and `nearlane why` tells the
/// hash of a name.
void log_finding(const audit::Finding& finding) {
  if (audit::in_order(finding.verdict)) return;
  const char* what = finding.verdict == audit::Verdict::split
                         ? "two connections to L2 disagree about the key"
                         : "L1 and L2 differ, and no change was announced, of the key";
  spdlog::error(
      "audit: {}, {} after it was first seen: {} with hash {:016x} in database {}. L1 has "
      "forgotten it; nearlane why KEY tells more",
      name_of(finding.verdict), name_of(finding.age), what, finding.hash, finding.db);
}

/// As a basic string of TOML.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\u{:04X}", byte);
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + '"';
}

/// What whoever configured this can do about it. `cluster`: there it is another thing.
std::string advice(const tier::LargeValue& value, bool cluster) {
  if (cluster)
    return "over a cluster no prefix can have lanes of its own; a larger --pool makes it rarer";
  if (value.has_table) {
    return fmt::format("to the [[prefix]] table with match = {} add the line lanes = \"bulk\"",
                       quoted(value.prefix));
  }
  if (!value.prefix.empty()) {
    return fmt::format(
        "add to the configuration file the table [[prefix]] with the lines match = {} and "
        "lanes = \"bulk\"",
        quoted(value.prefix));
  }
  return "give such keys names that begin alike, and that a [[prefix]] table, with the line "
         "lanes = \"bulk\"";
}

void log_large(const tier::LargeValue& value, bool cluster) {
  spdlog::warn(
      "l2: a value of {} bytes came over a lane that other keys share, whose small values wait "
      "behind such ones: {} (the key has hash {:016x} in database {}; nearlane_large_in_line_total "
      "counts all)",
      value.bytes, advice(value, cluster), value.hash, value.db);
}

void log_warmup(const tier::WarmupOutcome& outcome) {
  for (const std::string& list : outcome.unreadable)
    spdlog::warn("warmup: a hot-key list is left alone, {}", list);
  if (outcome.in_time) {
    spdlog::info("warmup: done with the {} keys that the hot-key lists name", outcome.keys);
  } else if (outcome.keys == 0) {
    spdlog::warn("warmup: --warmup-timeout has passed, and L2 has not told its hot-key lists yet");
  } else {
    spdlog::warn(
        "warmup: --warmup-timeout has passed with {} of {} keys still to be read; that goes on",
        outcome.left, outcome.keys);
  }
}

/// Which hot-key list this instance writes: the same one after a restart, and most others of a fleet another one.
std::size_t own_hot_list(const loop::Address& resp, const loop::Address& http) {
  std::array<char, 256> host{};
  (void)::gethostname(host.data(), host.size() - 1);
  return std::hash<std::string>{}(
      fmt::format("{} {} {}", host.data(), resp.to_text(), http.to_text()));
}

tier::TierConfig tier_config(const Config& config) {
  tier::TierConfig tier{.negative_ttl = config.negative_ttl,
                        .max_stale = config.max_stale,
                        .lease = config.lease,
                        .max_revocations = config.max_revocations,
                        .breaker = true,
                        .audit = {.rate = config.audit_rate},
                        .on_finding = log_finding,
                        .record_events = true,
                        .refresh = {.reads_per_s = config.refresh_rate,
                                    .bytes_per_s = config.refresh_bytes,
                                    .most_waiting = config.refresh_queue},
                        .refresh_timeout = config.l2_timeout,
                        .precompression = {.threads = config.precompress_threads,
                                           .most_waiting = config.precompress_queue,
                                           .most_bytes = config.precompress_bytes},
                        .hot_touches_per_s = static_cast<double>(config.l2_touch_rate)};
  std::set<std::string> decided;  // tables that say lanes = "shared"
  for (const PrefixConfig& prefix : config.prefixes) {
    if (!prefix.lanes_at.empty()) decided.insert(prefix.match);
  }
  tier.on_large = [cluster = config.l2.starts_with("redis+cluster://"),
                   decided = std::move(decided)](const tier::LargeValue& value) {
    if (!value.has_table || !decided.contains(value.prefix)) log_large(value, cluster);
  };
  tier.types = config.http.kind != loop::Address::Kind::off;
  tier.precompress = config.precompress.value_or(tier::Precompress::off);
  tier.warmup = {.on = config.warmup.value_or(false),
                 .limit = config.warmup_timeout,
                 .interval = config.warmup_interval,
                 .most_keys = config.warmup_keys,
                 .on_end = log_warmup};
  const auto cap = [](std::chrono::milliseconds l1_ttl) {
    return l1_ttl.count() == 0 ? Duration::max() : Duration(l1_ttl);
  };
  tier.l1_ttl = cap(config.l1_ttl);
  for (const PrefixConfig& prefix : config.prefixes) {
    tier.prefixes.push_back(
        {.match = prefix.match,
         .rules = {.l1 = prefix.l1.value_or(true),
                   .l1_ttl = cap(prefix.l1_ttl.value_or(config.l1_ttl)),
                   .negative_ttl = prefix.negative_ttl.value_or(config.negative_ttl),
                   .max_stale = prefix.max_stale.value_or(config.max_stale),
                   .touch_coalescing = prefix.touch_coalescing,
                   .refresh = prefix.refresh,
                   .prefetch = prefix.prefetch,
                   .precompress = prefix.precompress.value_or(tier.precompress),
                   .secret = prefix.secret,
                   .bulk = prefix.bulk,
                   .content_type = prefix.content_type.value_or(tier::KeyRules{}.content_type)}});
  }
  return tier;
}

/// Whether the longest prefix that matches asks for lanes of its own.
std::function<bool(std::string_view)> bulk_keys(const std::vector<tier::Prefix>& prefixes) {
  auto table = std::make_shared<const tier::PrefixTable>(tier::KeyRules{}, prefixes);
  return [table = std::move(table)](std::string_view name) { return table->of(name).bulk; };
}

http::AdminPage admin_page(const admin::Sources& sources, http::Route route) {
  switch (route) {
    case http::Route::metrics:
      return {200, "text/plain; version=0.0.4; charset=utf-8", admin::metrics_page(sources)};
    case http::Route::stats:
      return {200, "application/json", admin::stats_page(sources)};
    case http::Route::readyz: {
      const admin::Readiness now = admin::readiness(sources);
      return {now.ready ? 200U : 503U, "application/json", now.body};
    }
    default:
      return {200, "text/plain; charset=utf-8", "ok\n"};
  }
}

std::vector<std::string_view> command_names(std::span<const resp::CommandSpec> commands) {
  std::vector<std::string_view> names;
  for (const auto& spec : commands) names.push_back(spec.name);
  return names;
}

}  // namespace

// In the order in which each needs those before it.
struct Server::Parts {
  Parts(const Config& settings, unsigned threads)
      : config(settings),
        loops(threads, {.max_connections = config.max_connections,
                        .max_connections_per_client = config.max_connections_per_client,
                        .drain_timeout = config.drain_timeout,
                        .drain_delay = config.drain_delay}) {}

  Config config;
  loop::LoopGroup loops;
  std::unique_ptr<tier::TieredCache> tier;
  std::unique_ptr<admin::Sources> sources;
  std::unique_ptr<resp::Door> resp;
  std::unique_ptr<http::Door> http;
  loop::Address resp_address;
  loop::Address http_address;
};

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::make(const Config& config) {
  if (const auto refused = refuse_open_doors(config)) return *refused;
  auto password = read_secret("--password-file", config.password_file);
  if (password.has_error()) return password.error();
  auto api_keys = read_secrets("--api-key-file", config.api_key_file);
  if (api_keys.has_error()) return api_keys.error();
  raise_descriptor_limit(config.max_connections + config.max_relays);

  const unsigned threads =
      config.threads > 0 ? config.threads : std::max(std::thread::hardware_concurrency(), 1U);
  auto parts = std::make_unique<Parts>(config, threads);
  Parts& p = *parts;

  auto l1 = l1::make_l1({.map = config.l1_map,
                         .policy = config.l1_policy,
                         .bytes = bytes_of_l1(config),
                         .entries = config.l1_entries});
  if (l1.has_error()) return bad("--l1-map, --l1-policy: " + l1.error().detail);
  tier::TierConfig tier = tier_config(config);
  const bool bulk = std::any_of(config.prefixes.begin(), config.prefixes.end(),
                                [](const PrefixConfig& prefix) { return prefix.bulk; });
  const bool hints = std::any_of(config.prefixes.begin(), config.prefixes.end(),
                                 [](const PrefixConfig& prefix) { return prefix.prefetch; });
  auto l2 = l2::make_l2({.url = config.l2,
                         .ca_file = config.l2_ca,
                         .pool = config.pool,
                         .bulk_lanes = bulk ? config.bulk_lanes : 0,
                         .is_bulk = bulk_keys(tier.prefixes),
                         .lease = config.lease,
                         .coherence = *config.coherence,
                         .unannounced_ttl = *config.pubsub_ttl,
                         .hints = hints,
                         .max_value = config.max_value,
                         .fsync = config.l2_fsync},
                        p.loops.contexts());
  if (l2.has_error()) return bad("--l2: " + l2.error().detail);
  const auto relay_to = (*l2)->route();
  auto* const relay_to_nodes = (*l2)->cluster();
  tier.after = [&loops = p.loops](Duration delay, std::function<void()> task) {
    loops.after(delay, std::move(task));
  };
  p.tier = std::make_unique<tier::TieredCache>(std::move(tier), std::move(*l1), std::move(*l2));

  p.sources.reset(new admin::Sources{.tier = *p.tier,
                                     .loops = p.loops,
                                     .doors = {},
                                     .version = kVersion,
                                     .profile = config.profile});
  p.loops.every(std::chrono::seconds(1), [&sources = *p.sources] { admin::sample(sources); });

  p.resp = std::make_unique<resp::Door>(
      p.loops, *p.tier,
      resp::DoorConfig{
          .password = std::move(*password),
          .l2_timeout = config.l2_timeout,
          .limits = {.max_value = config.max_value,
                     .max_held = std::max(resp::SessionLimits{}.max_held,
                                          2 * std::size_t{config.max_value}),
                     .transaction = {.bytes = std::max(resp::CommandQueueLimits{}.bytes,
                                                       2 * std::size_t{config.max_value})}},
          .connection = {.transfer = config.resp_transfer_timeout,
                         .idle = config.resp_idle_timeout},
          .info = [&sources = *p.sources](
                      std::string_view section) { return admin::info_text(sources, section); },
          .relay_to = relay_to,
          .relay_to_nodes = relay_to_nodes,
          .max_relays = config.max_relays});
  http::RoutesConfig routes{
      .api_keys = std::move(*api_keys),
      .l2_timeout = config.l2_timeout,
      .compress = config.compress_per_request,
      .cors = config.full_middleware,
      .fast_lane = config.fast_lane,
      .admin = [&sources = *p.sources](http::Route route) { return admin_page(sources, route); },
      .why =
          [&sources = *p.sources](const KeyRef& key, const tier::Explanation& seen) {
            return http::AdminPage{200, "application/json", admin::why_page(sources, key, seen)};
          }};
  if (config.full_middleware) routes.stages = http::full_middleware();
  p.http =
      std::make_unique<http::Door>(p.loops, *p.tier, std::move(routes),
                                   http::ConnectionLimits{.max_body = config.max_value,
                                                          .idle = config.http_idle_timeout,
                                                          .header = config.http_header_timeout,
                                                          .grace = config.http_transfer_timeout});
  p.sources->fast_lane_answers = [] {
    return http::FastLaneCounts::sum(http::FastLaneCount::answers);
  };
  p.sources->relays = [&door = *p.resp] { return door.relays(); };
  p.sources->doors = {
      {"resp", p.resp->stats(), command_names(resp::commands())},
      {"http", p.http->stats(), {std::begin(http::kCommandNames), std::end(http::kCommandNames)}}};

  if (config.resp.kind != loop::Address::Kind::off) {
    auto bound = p.loops.listen(
        config.resp, resp::refusals(),
        [&door = *p.resp](loop::Loop& home, int socket) { return door.accept(home, socket); });
    if (bound.has_error()) return bound.error();
    p.resp_address = *bound;
    p.sources->resp_port = bound->port;
  }
  if (config.http.kind != loop::Address::Kind::off) {
    auto bound = p.loops.listen(
        config.http, http::refusals(),
        [&door = *p.http](loop::Loop& home, int socket) { return door.accept(home, socket); });
    if (bound.has_error()) return bound.error();
    p.http_address = *bound;
  }
  p.loops.every(kSweepEvery, [&tier = *p.tier] {
    tier.sweep(Clock::now(), kSweepEntries);
    tier.probe();
    tier.refill();
    tier.touch_hottest(Clock::now());
    tier.warm_up();
    tier.audit(Clock::now());
  });
  p.loops.on_drain(
      [&tier = *p.tier](std::function<void()> done) { tier.save_hot_keys(std::move(done)); });
  p.tier->start(own_hot_list(p.resp_address, p.http_address));
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

std::string Server::ready_line() const {
  return fmt::format("nearlane ready resp={} http={} pid={}", parts_->resp_address.to_text(),
                     parts_->http_address.to_text(), ::getpid());
}

loop::Address Server::resp_address() const { return parts_->resp_address; }
loop::Address Server::http_address() const { return parts_->http_address; }

bool Server::run() {
  const bool drained = parts_->loops.run();
  parts_->tier->stop();
  parts_->loops.finish();
  if (!drained) spdlog::warn("not everything in flight was answered: the drain was cut short");
  return drained;
}

void Server::drain() { parts_->loops.drain(); }

}  // namespace nearlane::server
