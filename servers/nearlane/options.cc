#include "servers/nearlane/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/l1/l1_map.h"
#include "core/tier/hot_keys.h"

namespace nearlane::server {

namespace {

using Problem = std::optional<std::string>;

/// A number followed by one of `units`; the number times the unit's factor.
struct Unit {
  std::string_view suffix;
  std::uint64_t factor;
};

Result<std::uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units,
                                      std::string_view example) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const auto unit =
      std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.suffix == suffix; });
  if (failed != std::errc() || unit == units.end() ||
      number > std::numeric_limits<std::int64_t>::max() / unit->factor) {
    return Error{Errc::invalid_argument, fmt::format("\"{}\" is not {}", text, example)};
  }
  return number * unit->factor;
}

template <class T>
Problem set_number(T& target, std::string_view text, std::uint64_t least,
                   std::uint64_t most = std::numeric_limits<T>::max()) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size() || number < least ||
      number > most) {
    return fmt::format("\"{}\" is not a whole number from {} to {}", text, least, most);
  }
  target = static_cast<T>(number);
  return {};
}

Problem set_size(std::uint64_t& target, std::string_view text) {
  const auto size = parse_size(text);
  if (size.has_error()) return size.error().detail;
  target = *size;
  return {};
}

Problem set_duration(std::chrono::milliseconds& target, std::string_view text) {
  const auto duration = parse_duration(text);
  if (duration.has_error()) return duration.error().detail;
  if (duration->count() == 0) return fmt::format("\"{}\" is no time at all", text);
  target = *duration;
  return {};
}

/// 0 needs no unit.
Problem set_duration_or_none(std::chrono::milliseconds& target, std::string_view text) {
  if (text == "0") {
    target = std::chrono::milliseconds(0);
    return {};
  }
  const auto duration = parse_duration(text);
  if (duration.has_error()) return duration.error().detail;
  target = *duration;
  return {};
}

Problem set_address(loop::Address& target, std::string_view text) {
  const auto address = loop::parse_address(text);
  if (address.has_error()) return address.error().detail;
  target = *address;
  return {};
}

template <class Names>
Problem set_name(std::string& target, std::string_view text, const Names& names) {
  if (std::find(names.begin(), names.end(), text) == names.end()) {
    return fmt::format("\"{}\" is none of {}", text, fmt::join(names, ", "));
  }
  target = text;
  return {};
}

Problem set_switch(bool& target, std::string_view text) {
  if (text != "true" && text != "false") return fmt::format("\"{}\" is not true or false", text);
  target = text == "true";
  return {};
}

constexpr std::array<std::pair<std::string_view, l2::Fsync>, 3> kFsync = {
    {{"always", l2::Fsync::always}, {"everysec", l2::Fsync::everysec}, {"no", l2::Fsync::no}}};
constexpr std::array<std::pair<std::string_view, cohere::Coherence>, 3> kCoherence = {
    {{"lanes", cohere::Coherence::lanes},
     {"pubsub", cohere::Coherence::pubsub},
     {"none", cohere::Coherence::none}}};

constexpr std::array<std::pair<std::string_view, tier::Precompress>, 3> kPrecompress = {
    {{"http", tier::Precompress::asked},
     {"always", tier::Precompress::always},
     {"off", tier::Precompress::off}}};

/// Of PrefixConfig::bulk.
constexpr std::array<std::pair<std::string_view, bool>, 2> kLaneSets = {
    {{"shared", false}, {"bulk", true}}};

template <class Value, std::size_t kSize>
Problem set_one_of(Value& value, std::string_view text,
                   const std::array<std::pair<std::string_view, Value>, kSize>& values) {
  std::string names;
  for (const auto& [name, named] : values) {
    if (text == name) {
      value = named;
      return {};
    }
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return fmt::format("\"{}\" is none of {}", text, names);
}

/// A header's value, which ends with its line.
Problem set_media_type(std::string& target, std::string_view text) {
  const auto may_stand = [](char c) { return c >= ' ' && c <= '~'; };
  const std::size_t slash = text.find('/');
  const bool whole = slash != std::string_view::npos && slash > 0 && slash + 1 < text.size();
  if (!whole || !std::ranges::all_of(text, may_stand))
    return fmt::format("\"{}\" is not a media type such as application/json", text);
  target = text;
  return {};
}

Problem set_http(Config& config, std::string_view text) {
  Problem problem = set_address(config.http, text);
  if (problem) return problem;
  if (config.http.kind == loop::Address::Kind::unix_path) return "HTTP listens on ADDR:PORT only";
  return {};
}

constexpr std::array kOptions = {
    Option{"resp", "ADDR:PORT",
           "RESP door; port 0 picks one, unix:PATH and off also work [127.0.0.1:6380]",
           [](Config& c, std::string_view t) { return set_address(c.resp, t); }},
    Option{"http", "ADDR:PORT", "HTTP door; off disables it [127.0.0.1:8080]", set_http},
    Option{
        "l2", "URL",
        "store, shared by all instances: redis://[user:pass@]host:port[/db], rediss://… over TLS,\n"
        "redis+sentinel://[user:pass@]host:port,host:port/name[/db],\n"
        "redis+cluster://[user:pass@]host:port,host:port; of this one alone:\n"
        "rocksdb:DIRECTORY, memory:, none: [rocksdb:./data]",
        [](Config& c, std::string_view t) {
          c.l2 = t;
          return Problem();
        }},
    Option{"l2-ca", "FILE",
           "whom to trust over rediss://: certificates of authorities, PEM [those that the system "
           "trusts]",
           [](Config& c, std::string_view t) {
             c.l2_ca = t;
             return Problem();
           }},
    Option{"l2-fsync", "WHEN",
           "when rocksdb: syncs its log: always (before a write is acknowledged), everysec, no;\n"
           "only a power cut tells them apart [everysec]",
           [](Config& c, std::string_view t) { return set_one_of(c.l2_fsync, t, kFsync); }},
    Option{"threads", "N", "event loops [one a core]",
           [](Config& c, std::string_view t) { return set_number(c.threads, t, 1, 1024); }},
    Option{"l1-bytes", "SIZE", "memory of L1, such as 256MiB [a quarter of the machine's]",
           [](Config& c, std::string_view t) { return set_size(c.l1_bytes, t); }},
    Option{"l1-entries", "N", "entries in L1 at most; 0: no limit [0]",
           [](Config& c, std::string_view t) { return set_number(c.l1_entries, t, 0); }},
    Option{"l1-map", "NAME", "map of L1 [native]",
           [](Config& c, std::string_view t) { return set_name(c.l1_map, t, l1::map_names()); }},
    Option{
        "l1-policy", "NAME", "which entry leaves L1 when it is full [adaptive]",
        [](Config& c, std::string_view t) { return set_name(c.l1_policy, t, l1::policy_names()); }},
    Option{
        "l1-ttl", "TIME",
        "age at which L1 reads a value again, whatever its TTL; 0: none [0]; spread over the last "
        "tenth",
        [](Config& c, std::string_view t) { return set_duration_or_none(c.l1_ttl, t); }},
    Option{"negative-ttl", "TIME",
           "how long L1 remembers that there is no such key; 0: not at all [0]",
           [](Config& c, std::string_view t) { return set_duration_or_none(c.negative_ttl, t); }},
    Option{
        "max-stale", "TIME",
        "while L2 is not asked, since most calls failed: how long after it was last known to be "
        "right\n"
        "a copy may be served (X-Cache: STALE); 0: never [60s]. Only keys whose time is 0 can be "
        "revoked strictly",
        [](Config& c, std::string_view t) { return set_duration_or_none(c.max_stale, t); }},
    Option{"profile", "NAME", "engine generation: v1.0 v2.0 v3.0 v4.3 head [head]",
           [](Config& c, std::string_view t) {
             static constexpr std::array<std::string_view, 5> kNames = {"v1.0", "v2.0", "v3.0",
                                                                        "v4.3", "head"};
             return set_name(c.profile, t, kNames);
           }},
    Option{"coherence", "MODE",
           "how others' writes are heard of: lanes pubsub none [lanes; pubsub with profile v4.3]. "
           "lanes: Redis tells, and "
           "where it\n"
           "knows no such thing it is as pubsub: instances tell each other. none: L1 is right only "
           "while\n"
           "this instance alone writes",
           [](Config& c, std::string_view t) {
             return set_one_of(c.coherence.emplace(), t, kCoherence);
           }},
    Option{"pubsub-ttl", "TIME",
           "where instances tell each other: how long L1 keeps a copy at most, and so how stale it "
           "may be\n"
           "of what anybody else has written [2s; 1h with profile v4.3]",
           [](Config& c, std::string_view t) { return set_duration(c.pubsub_ttl.emplace(), t); }},
    Option{"lease", "TIME", "staleness bound of L1 towards others' writes [250ms]",
           [](Config& c, std::string_view t) { return set_duration(c.lease, t); }},
    Option{"pool", "N", "connections to L2 [32]",
           [](Config& c, std::string_view t) { return set_number(c.pool, t, 1, 4096); }},
    Option{
        "bulk-lanes", "N",
        "of these, how many are for keys whose [[prefix]] says lanes = \"bulk\" alone, if any does "
        "[4]",
        [](Config& c, std::string_view t) { return set_number(c.bulk_lanes, t, 1, 4095); }},
    Option{"l2-timeout", "TIME", "how long one command may wait for L2 [500ms]",
           [](Config& c, std::string_view t) { return set_duration(c.l2_timeout, t); }},
    Option{"max-value", "SIZE", "largest value [64MiB]",
           [](Config& c, std::string_view t) {
             // What Redis takes, and what we read of its replies.
             Problem problem = set_size(c.max_value, t);
             if (problem) return problem;
             if (c.max_value == 0 || c.max_value > std::uint64_t{512} << 20U) {
               return Problem("must be from 1 to 512MiB");
             }
             return Problem();
           }},
    Option{"max-connections", "N", "clients of all doors together [10000]",
           [](Config& c, std::string_view t) { return set_number(c.max_connections, t, 1); }},
    Option{"max-connections-per-client", "N",
           "and those of one address (of IPv6: of one /64); 0: as many [0]",
           [](Config& c, std::string_view t) {
             return set_number(c.max_connections_per_client, t, 0);
           }},
    Option{"max-revocations", "N", "strict revocations that wait at once [4096]",
           [](Config& c, std::string_view t) { return set_number(c.max_revocations, t, 1); }},
    Option{
        "max-relays", "N",
        "connections to Redis that speak for clients: transactions, scripts, subscribers, and all "
        "commands that are not served from L1 [1024]",
        [](Config& c, std::string_view t) { return set_number(c.max_relays, t, 1); }},
    Option{"audit-rate", "N",
           "hits that are compared with L2, a second at most, and never more than one in a "
           "thousand; 0: none [100]",
           [](Config& c, std::string_view t) { return set_number(c.audit_rate, t, 0, 100'000); }},
    Option{
        "l2-touch-rate", "N",
        "keys a second, of those that L1 answers for, that a Redis which may evict them is told "
        "of (TOUCH); 0: none [250]",
        [](Config& c, std::string_view t) { return set_number(c.l2_touch_rate, t, 0, 100'000); }},
    Option{
        "refresh-rate", "N",
        "reads a second that nobody asked for, at most (prefixes with refresh or prefetch; what a "
        "lost connection has disowned); 0: none [1000]",
        [](Config& c, std::string_view t) { return set_number(c.refresh_rate, t, 0); }},
    Option{"refresh-bytes", "SIZE", "and their bytes a second [64MiB]",
           [](Config& c, std::string_view t) {
             Problem problem = set_size(c.refresh_bytes, t);
             if (!problem && c.refresh_bytes == 0) return Problem("must be more than 0");
             return problem;
           }},
    Option{"refresh-queue", "N", "keys that wait to be read so, at most [16384]",
           [](Config& c, std::string_view t) { return set_number(c.refresh_queue, t, 1); }},
    Option{"warmup", "true|false",
           "whether an instance that begins reads the hot keys that it had before, or others have, "
           "and leaves a\n"
           "list of its own for the next start [true; false with profiles before head]",
           [](Config& c, std::string_view t) { return set_switch(c.warmup.emplace(), t); }},
    Option{"warmup-timeout", "TIME",
           "after which it is ready though it is not done with that [10s]",
           [](Config& c, std::string_view t) { return set_duration(c.warmup_timeout, t); }},
    Option{"warmup-interval", "TIME", "between two such lists, which are names in L2 [60s]",
           [](Config& c, std::string_view t) { return set_duration(c.warmup_interval, t); }},
    Option{"warmup-keys", "N", "keys of a list, and that are read so, at most [8192]",
           [](Config& c, std::string_view t) {
             return set_number(c.warmup_keys, t, 1, tier::kMostHotKeys);
           }},
    Option{"precompress", "WHICH",
           "of which values L1 keeps br and gzip forms for HTTP: http (those written or read over "
           "HTTP),\n"
           "always, off [http; off with profiles before head]",
           [](Config& c, std::string_view t) {
             return set_one_of(c.precompress.emplace(), t, kPrecompress);
           }},
    Option{
        "precompress-threads", "N", "threads that make them, behind all other work [1]",
        [](Config& c, std::string_view t) { return set_number(c.precompress_threads, t, 1, 64); }},
    Option{"precompress-queue", "N", "values that wait for it, at most [1024]",
           [](Config& c, std::string_view t) { return set_number(c.precompress_queue, t, 1); }},
    Option{"precompress-bytes", "SIZE", "and their bytes [64MiB]",
           [](Config& c, std::string_view t) { return set_size(c.precompress_bytes, t); }},
    Option{
        "drain-delay", "TIME",
        "how long SIGTERM serves on while /readyz says no, so that balancers look away; 0: not at "
        "all [1s]",
        [](Config& c, std::string_view t) { return set_duration_or_none(c.drain_delay, t); }},
    Option{"drain-timeout", "TIME", "how long SIGTERM waits for what is in flight [10s]",
           [](Config& c, std::string_view t) { return set_duration(c.drain_timeout, t); }},
    Option{
        "http-fast-lane", "true|false",
        "false: HTTP's plain reads go through the whole parser too; only their cost changes [true]",
        [](Config& c, std::string_view t) { return set_switch(c.fast_lane, t); }},
    Option{
        "http-header-timeout", "TIME",
        "how long a request over HTTP may take from its first byte to the end of its header [10s]",
        [](Config& c, std::string_view t) { return set_duration(c.http_header_timeout, t); }},
    Option{"http-transfer-timeout", "TIME",
           "how long a body or an answer over HTTP may rest, and how long it may take in all "
           "beside a\n"
           "second for each 64KiB of it [30s]",
           [](Config& c, std::string_view t) { return set_duration(c.http_transfer_timeout, t); }},
    Option{"http-idle-timeout", "TIME", "how long a connection over HTTP may ask for nothing [75s]",
           [](Config& c, std::string_view t) { return set_duration(c.http_idle_timeout, t); }},
    Option{"resp-transfer-timeout", "TIME",
           "how long a client over RESP may take none of its replies, and how long a command may "
           "take\nto come beside a second for each 64KiB of it [30s]",
           [](Config& c, std::string_view t) { return set_duration(c.resp_transfer_timeout, t); }},
    Option{
        "resp-idle-timeout", "TIME",
        "how long a connection over RESP may ask for nothing; 0: for ever, as with Redis [0]",
        [](Config& c, std::string_view t) { return set_duration_or_none(c.resp_idle_timeout, t); }},
    Option{"api-key-file", "FILE", "HTTP asks for one of the keys in this file, one a line",
           [](Config& c, std::string_view t) {
             c.api_key_file = t;
             return Problem();
           }},
    Option{"password-file", "FILE", "RESP asks for the password in this file's first line",
           [](Config& c, std::string_view t) {
             c.password_file = t;
             return Problem();
           }},
    Option{"insecure-bind", "", "allow doors without authentication on more than loopback",
           [](Config& c, std::string_view t) { return set_switch(c.insecure_bind, t); }},
};

constexpr std::array kPrefixSettings = {
    PrefixSetting{"match", "the first bytes of the keys meant, in every database",
                  [](PrefixConfig& p, std::string_view t) {
                    p.match = t;
                    return t.empty()
                               ? Problem("all keys begin with nothing: say it without a prefix")
                               : Problem();
                  }},
    PrefixSetting{
        "l1", "false: L1 never holds them",
        [](PrefixConfig& p, std::string_view t) { return set_switch(p.l1.emplace(), t); }},
    PrefixSetting{"l1_ttl", "as --l1-ttl; 0: none, whatever --l1-ttl says",
                  [](PrefixConfig& p, std::string_view t) {
                    return set_duration_or_none(p.l1_ttl.emplace(), t);
                  }},
    PrefixSetting{"negative_ttl", "as --negative-ttl; 0: not at all",
                  [](PrefixConfig& p, std::string_view t) {
                    return set_duration_or_none(p.negative_ttl.emplace(), t);
                  }},
    PrefixSetting{"max_stale", "as --max-stale",
                  [](PrefixConfig& p, std::string_view t) {
                    return set_duration_or_none(p.max_stale.emplace(), t);
                  }},
    PrefixSetting{
        "touch_coalescing",
        "true: a touch that moves the end by less than 5 % (at least 1s) stays here",
        [](PrefixConfig& p, std::string_view t) { return set_switch(p.touch_coalescing, t); }},
    PrefixSetting{"refresh", "true: what was in use when others changed it is read again unasked",
                  [](PrefixConfig& p, std::string_view t) { return set_switch(p.refresh, t); }},
    PrefixSetting{"prefetch", "true: who makes a key tells the others, which read it unasked",
                  [](PrefixConfig& p, std::string_view t) { return set_switch(p.prefetch, t); }},
    PrefixSetting{
        "content_type",
        "Content-Type over HTTP of values that none was put with, such as application/json",
        [](PrefixConfig& p, std::string_view t) {
          return set_media_type(p.content_type.emplace(), t);
        }},
    PrefixSetting{
        "lanes",
        "bulk: connections to Redis of their own (--bulk-lanes), so that small values do not "
        "wait for large ones; shared [shared]",
        [](PrefixConfig& p, std::string_view t) { return set_one_of(p.bulk, t, kLaneSets); }},
    PrefixSetting{"precompress", "as --precompress",
                  [](PrefixConfig& p, std::string_view t) {
                    return set_one_of(p.precompress.emplace(), t, kPrecompress);
                  }},
    PrefixSetting{"secret", "true: never compressed, whatever else is said",
                  [](PrefixConfig& p, std::string_view t) { return set_switch(p.secret, t); }},
};

std::string translate(std::string_view name, char dash, bool upper) {
  std::string out;
  for (const char c : name) {
    out += c == '-' ? dash : (upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  }
  return out;
}

}  // namespace

std::string Option::key() const { return translate(name, '_', false); }
std::string Option::variable() const { return "NEARLANE_" + translate(name, '_', true); }

std::span<const Option> options() noexcept { return kOptions; }
std::span<const PrefixSetting> prefix_settings() noexcept { return kPrefixSettings; }

Result<std::uint64_t> parse_size(std::string_view text) {
  static constexpr std::array<Unit, 8> kUnits = {{{"", 1},
                                                  {"B", 1},
                                                  {"KB", 1000},
                                                  {"MB", 1000 * 1000},
                                                  {"GB", 1000 * 1000 * 1000},
                                                  {"KiB", std::uint64_t{1} << 10U},
                                                  {"MiB", std::uint64_t{1} << 20U},
                                                  {"GiB", std::uint64_t{1} << 30U}}};
  return parse_with_unit(text, kUnits, "a size such as 256MiB");
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  static constexpr std::array<Unit, 4> kUnits = {
      {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}}};
  // Anything longer than this is a slip of the pen, and would not fit nanoseconds.
  constexpr std::uint64_t kLongest = std::uint64_t{365} * 24 * 60 * 60 * 1000;
  const auto ms = parse_with_unit(text, kUnits, "a time such as 250ms, 10s or 5m");
  if (ms.has_error()) return ms.error();
  if (*ms > kLongest) {
    return Error{Errc::invalid_argument, fmt::format("\"{}\" is longer than a year", text)};
  }
  return std::chrono::milliseconds(*ms);
}

std::optional<std::string> apply_profile(Config& config) {
  constexpr std::chrono::milliseconds kPubsubTtl{2000};
  struct Profile {
    std::string_view name;
    std::string_view map;
    std::string_view policy;
    bool middleware;
    bool compress;
    bool fast_lane;
    tier::Precompress precompress;
    bool warmup;
    cohere::Coherence coherence;
    std::chrono::milliseconds pubsub_ttl;
  };
  using cohere::Coherence;
  using tier::Precompress;
  static constexpr std::array<Profile, 5> kProfiles = {
      {{"v1.0", "none", "none", false, false, false, Precompress::off, false, Coherence::lanes,
        kPubsubTtl},
       {"v2.0", "mutex", "lru", true, true, false, Precompress::off, false, Coherence::lanes,
        kPubsubTtl},
       {"v3.0", "sharded", "lru", true, true, false, Precompress::off, false, Coherence::lanes,
        kPubsubTtl},
       {"v4.3", "native", "lru", false, false, true, Precompress::asked, false, Coherence::pubsub,
        std::chrono::hours(1)},  // it had no such bound
       {"head", "native", "adaptive", false, false, true, Precompress::asked, true,
        Coherence::lanes, kPubsubTtl}}};
  const auto* profile = std::find_if(kProfiles.begin(), kProfiles.end(),
                                     [&](const Profile& p) { return p.name == config.profile; });
  if (profile == kProfiles.end()) return "no such profile: " + config.profile;
  if (config.l1_map.empty()) config.l1_map = profile->map;
  if (config.l1_policy.empty()) config.l1_policy = profile->policy;
  if (!config.precompress) config.precompress = profile->precompress;
  if (!config.warmup) config.warmup = profile->warmup;
  if (!config.coherence) config.coherence = profile->coherence;
  if (!config.pubsub_ttl) config.pubsub_ttl = profile->pubsub_ttl;
  config.full_middleware = profile->middleware;
  config.compress_per_request = profile->compress;
  config.fast_lane = config.fast_lane && profile->fast_lane;
  return {};
}

}  // namespace nearlane::server
