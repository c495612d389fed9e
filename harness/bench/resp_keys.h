// The keys that RESP scenarios read, and the sequences of requests for them.
//
// A value belongs to its key alone and looks random, as what was sealed does.
//
// Units:    sizes in bytes. Errors: fill's are those of send_bursts.
// Threads:  plain values. A sequence keeps a copy of its keys.
// Cost:     a value is made in about 0.2 ns a byte, and kept nowhere.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "harness/driver/sequence.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

/// What GET, MGET and SET are said in. memcached's has no hashes.
enum class Dialect : std::uint8_t { resp, memcached };

struct RespKeys {
  std::string prefix;
  std::uint64_t count = 0;
  std::uint64_t value_bytes = 0;
  bool canned = false;  // whatever is read has the canned server's value
  Dialect dialect = Dialect::resp;

  /// Of numbers from `count` on there is no key.
  [[nodiscard]] std::string name(std::uint64_t number) const;
  void append_value(std::uint64_t number, std::string& out) const;
};

/// GET of every key once, in an order of its own. Each is one that there is with this probability, else one that there is not.
[[nodiscard]] Sequence gets(const RespKeys& keys, double hits, std::uint64_t seed);
/// MGET of `width` keys each; every key once, but for a rest.
[[nodiscard]] Sequence mgets(const RespKeys& keys, std::uint64_t width, std::uint64_t seed);
/// HGET of the one field that fill_hashes has set.
[[nodiscard]] Sequence hgets(const RespKeys& keys, std::uint64_t seed);

/// Sets every key, over a few connections.
[[nodiscard]] Result<void> fill(const Endpoint& server, const RespKeys& keys);
/// Makes every key a hash with one field.
[[nodiscard]] Result<void> fill_hashes(const Endpoint& server, const RespKeys& keys);

}  // namespace nearlane::harness
