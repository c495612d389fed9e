// Configuration: every flag is also a TOML key (l1-bytes is l1_bytes) and a variable
//                (NEARLANE_L1_BYTES).
//
// A flag wins over the environment, the environment over the file, the file over the default.
//
// Units:    sizes in bytes, written 256MiB, 64KiB or 1000; durations written 250ms, 10s, 5m.
// Only the file has [[prefix]] tables: settings of the keys that begin with `match`. The longest match
// of a key decides, and what it does not say is as the flags say, whatever a shorter one says.
//
// Errors:   invalid_argument, naming the flag, variable, or the file's line and key.
// Threads:  plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/l2/l2_backend.h"
#include "core/tier/prefix_table.h"
#include "servers/loop/address.h"

namespace nearlane::server {

/// A [[prefix]] table: what is said of the keys that begin with `match`. What is empty is as for all keys.
struct PrefixConfig {
  std::string match = {};
  std::optional<bool> l1 = {};
  std::optional<std::chrono::milliseconds> l1_ttl = {};  // 0: no cap, whatever holds for all keys
  std::optional<std::chrono::milliseconds> negative_ttl = {};
  std::optional<std::chrono::milliseconds> max_stale = {};
  bool touch_coalescing = false;
  bool refresh = false;
  bool prefetch = false;
  std::optional<tier::Precompress> precompress = {};
  bool secret = false;
  std::optional<std::string> content_type = {};
  bool bulk = false;  // its keys have lanes of their own
  // Where these stand, for what is wrong with one of them and something else.
  std::string touch_coalescing_at = {};
  std::string lanes_at = {};
};

struct Config {
  loop::Address resp{.kind = loop::Address::Kind::tcp, .host = "127.0.0.1", .port = 6380};
  loop::Address http{.kind = loop::Address::Kind::tcp, .host = "127.0.0.1", .port = 8080};
  std::string l2 = "rocksdb:./data";
  std::string l2_ca = {};  // empty: whom the system trusts
  l2::Fsync l2_fsync = l2::Fsync::everysec;
  unsigned threads = 0;        // 0: one a core
  std::uint64_t l1_bytes = 0;  // 0: a quarter of the memory
  std::uint64_t l1_entries = 0;
  std::string l1_map = {};  // empty: what the profile says
  std::string l1_policy = {};
  std::string profile = "head";
  std::optional<cohere::Coherence> coherence = {};           // empty: what the profile says
  std::optional<std::chrono::milliseconds> pubsub_ttl = {};  // empty: what the profile says
  std::chrono::milliseconds lease{250};
  std::chrono::milliseconds l1_ttl{0};          // 0: no cap
  std::chrono::milliseconds negative_ttl{0};    // 0: nothing is remembered
  std::chrono::milliseconds max_stale{60'000};  // 0: never
  std::vector<PrefixConfig> prefixes = {};
  unsigned pool = 32;
  unsigned bulk_lanes = 4;  // of the pool, where a prefix asks for them
  std::chrono::milliseconds l2_timeout{500};
  unsigned max_revocations = 4096;
  unsigned max_relays = 1024;                              // connections to Redis
  unsigned audit_rate = 100;                               // a second; 0: none
  unsigned l2_touch_rate = 250;                            // keys a second; 0: none
  unsigned refresh_rate = 1000;                            // reads a second; 0: none
  std::uint64_t refresh_bytes = std::uint64_t{64} << 20U;  // a second
  unsigned refresh_queue = 16'384;                         // keys
  std::optional<bool> warmup = {};                         // empty: what the profile says
  std::chrono::milliseconds warmup_timeout{10'000};
  std::chrono::milliseconds warmup_interval{60'000};
  unsigned warmup_keys = 8192;
  std::optional<tier::Precompress> precompress = {};  // empty: what the profile says
  unsigned precompress_threads = 1;
  unsigned precompress_queue = 1024;                           // values
  std::uint64_t precompress_bytes = std::uint64_t{64} << 20U;  // of them
  std::uint64_t max_value = std::uint64_t{64} << 20U;
  unsigned max_connections = 10'000;
  unsigned max_connections_per_client = 0;      // 0: as many
  std::chrono::milliseconds drain_delay{1000};  // 0: none
  std::chrono::milliseconds drain_timeout{10'000};
  bool fast_lane = true;
  std::chrono::milliseconds http_header_timeout{10'000};
  std::chrono::milliseconds http_transfer_timeout{30'000};
  std::chrono::milliseconds http_idle_timeout{75'000};
  std::chrono::milliseconds resp_transfer_timeout{30'000};
  std::chrono::milliseconds resp_idle_timeout{0};  // 0: none
  std::string api_key_file = {};
  std::string password_file = {};
  bool insecure_bind = false;

  // Of the profile: HTTP's middleware as it was in those versions.
  bool full_middleware = false;
  bool compress_per_request = false;
};

/// What a command line asks for.
struct Invocation {
  Config config;
  std::string answer = {};  // not empty: print it and end, for --help and --version
};

using Environment = std::function<const char*(const char*)>;

/// Reads flags (without the program's name), environment, and the file that --config names.
[[nodiscard]] Result<Invocation> read_config(const std::vector<std::string>& args,
                                             const Environment& environment);

[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace nearlane::server
