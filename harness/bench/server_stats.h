// What a Nearlane instance says of itself: its /stats page, read over its own HTTP door.
//
// Errors:   unavailable, timeout when it does not answer; protocol for a page that is not as agreed.
// Threads:  any. Cost: a new connection and a page of some KiB; never while something is timed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/base/histogram.h"
#include "core/base/result.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

struct ServerStats {
  std::uint64_t l1_hits = 0;
  std::uint64_t l1_misses = 0;
  std::uint64_t l1_entries = 0;
  std::uint64_t l1_bytes = 0;
  std::uint64_t precompressed = 0;  // values for which forms were made
  std::uint64_t l2_hits = 0;
  std::uint64_t l2_misses = 0;
  std::uint64_t confirmations = 0;  // of a lapsed lease, before L1 answers after all
  std::uint64_t invalidations = 0;
  std::uint64_t large_in_line = 0;  // large values that came over lanes which small ones share
  std::uint64_t resident_bytes = 0;
  std::map<std::string, std::uint64_t> requests;  // by door
  /// By door, for what L1 answered: from request bytes in user space to response bytes ready.
  std::map<std::string, Histogram> l1_latency;
};

/// `headers`: lines that the request carries besides Host, each ending in CRLF, such as an API key's.
[[nodiscard]] Result<ServerStats> read_stats(const Endpoint& http, std::string_view headers = {});
/// The same from the page's text.
[[nodiscard]] Result<ServerStats> parse_stats(std::string_view page);

/// The body of a 200 answer to one GET.
[[nodiscard]] Result<std::string> http_get(const Endpoint& peer, std::string_view path,
                                           std::string_view headers = {});

}  // namespace nearlane::harness
