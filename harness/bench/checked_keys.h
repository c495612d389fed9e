// The keys of a judged load before it and after: written past all instances, read into L1, and taken away to show that
// it would be noticed.
//
// Errors:   those of the calls that are handed in.
// Threads:  the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "core/base/result.h"
#include "harness/check/history.h"
#include "harness/check/traffic.h"
#include "harness/report/result.h"
#include "harness/topology/endpoint.h"
#include "harness/topology/redis_client.h"

namespace nearlane::harness {

/// Takes a key's number and its value, to the store itself.
using SetKey = std::function<Result<void>(std::size_t, const std::string&)>;

/// Writes every key, and tells the history.
[[nodiscard]] Result<void> fill_keys(std::uint64_t keys, std::size_t value_bytes, History& history,
                                     const SetKey& set);
/// With a single Redis, many at once.
[[nodiscard]] Result<void> fill_keys(std::uint64_t keys, std::size_t value_bytes, History& history,
                                     const Endpoint& redis);
/// Reads every key over HTTP once, so that L1 has what it has room for; answers are not judged.
void read_keys(std::uint64_t keys, const Endpoint& http);

/// What a store would leave that forgets: a measure `control`, and a failure of the scenario if nobody noticed.
[[nodiscard]] Result<void> add_control(const std::string& what, int processes, History& history,
                                       ScenarioResult& result,
                                       const std::function<Result<void>()>& forget,
                                       const std::function<Result<Settled>()>& settle);
/// The same of a single Redis, by FLUSHALL.
[[nodiscard]] Result<void> add_control(RedisClient redis, int processes, History& history,
                                       ScenarioResult& result,
                                       const std::function<Result<Settled>()>& settle);

}  // namespace nearlane::harness
