// Which backend a URL names.
#include <string>
#include <utility>

#include "core/l2/l2_backend.h"
#include "core/l2/memory/memory_backend.h"
#include "core/l2/none/none_backend.h"
#include "core/l2/redis/cluster_backend.h"
#include "core/l2/redis/redis_backend.h"
#include "core/l2/redis/route.h"
#include "core/l2/rocksdb/rocksdb_backend.h"

namespace nearlane::l2 {

namespace {

/// Why there can be no such sets of lanes; empty: there can.
std::string trouble_with_bulk(const L2Config& config, bool cluster) {
  if (config.bulk_lanes == 0) return {};
  if (cluster) {
    return "l2: over redis+cluster:// no keys have lanes of their own (bulk_lanes): slots say "
           "which lane a key belongs to";
  }
  if (config.bulk_lanes >= config.pool) {
    return "l2: " + std::to_string(config.bulk_lanes) + " bulk lanes of " +
           std::to_string(config.pool) + " leave none for other keys";
  }
  return config.is_bulk ? "" : "l2: nobody says which keys the bulk lanes are for";
}

bool is_redis(std::string_view url) {
  return url.starts_with("redis://") || url.starts_with("rediss://") ||
         url.starts_with("redis+sentinel://") || url.starts_with("redis+cluster://");
}

}  // namespace

Result<std::unique_ptr<L2Backend>> make_l2(const L2Config& config,
                                           std::span<boost::asio::io_context* const> loops) {
  const std::string_view url = config.url;
  if (!config.ca_file.empty() && !url.starts_with("rediss://")) {
    return Error{Errc::invalid_argument,
                 "l2: --l2-ca says whom to trust over rediss://, and is of no other use"};
  }
  if (url == "none:") return make_none_backend();
  if (url == "memory:") return make_memory_backend(config.memory_bytes, config.max_value);
  if (constexpr std::string_view kDisk = "rocksdb:"; url.starts_with(kDisk)) {
    return make_rocksdb_backend(
        {.path = std::string(url.substr(kDisk.size())), .fsync = config.fsync},
        {.queue = config.disk_queue,
         .queue_bytes = config.disk_queue_bytes,
         .max_value = config.max_value});
  }
  if (is_redis(url)) {
    auto route = make_route(url, config.ca_file);
    if (!route) return route.error();
    auto trouble = trouble_with_bulk(config, !(*route)->url().nodes.empty());
    if (!trouble.empty()) return Error{Errc::invalid_argument, std::move(trouble)};
    if ((*route)->url().nodes.empty()) return make_redis_backend(std::move(*route), config, loops);
    if (config.coherence == cohere::Coherence::pubsub) {
      return Error{Errc::invalid_argument,
                   "l2: over redis+cluster:// instances do not tell each other of changes "
                   "(coherence = pubsub): nodes pass messages on when it suits them"};
    }
    return make_cluster_backend(std::move(*route), config, loops);
  }
  // No more of it than that: there may be a password behind.
  const std::size_t colon = url.find(':');
  const std::string shown(url.substr(0, colon == std::string_view::npos ? colon : colon + 1));
  return Error{Errc::invalid_argument,
               "l2: '" + shown +
                   "' is not a store that this build has; there are "
                   "none:, memory:, rocksdb:PATH, redis://host[:port][/db], rediss://… for TLS, "
                   "redis+sentinel://host[:port],host[:port]/name[/db], and "
                   "redis+cluster://host[:port],host[:port]"};
}

}  // namespace nearlane::l2
