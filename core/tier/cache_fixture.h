// Cache: what the tier's tests share: a TieredCache whose L2 answers at once, in short words.
//
// Threads:   one. For tests alone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/epoch.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::tier {

inline std::unique_ptr<l1::L1Map> make_map(std::string_view name = "sharded") {
  return *l1::make_l1(
      {.map = name, .policy = name == "none" ? "none" : "lru", .bytes = std::uint64_t{64} << 20U});
}

/// Shorthand for a cache whose L2 answers at once.
class Cache {
 public:
  explicit Cache(std::unique_ptr<l2::L2Backend> l2, std::string_view map = "sharded",
                 TierConfig config = {})
      : tier(std::move(config), make_map(map), std::move(l2)) {
    tier.start();
  }

  std::optional<std::string> find(std::string_view key, TimePoint now = Clock::now()) {
    const epoch::Guard guard;
    const Entry* entry = tier.find(KeyRef(0, key), now);
    if (entry == nullptr) return std::nullopt;
    return std::string(entry->value());
  }
  Result<Lookup> get(std::string_view key, ReadFrom from = ReadFrom::l1_first) {
    Result<Lookup> result = Error{Errc::timeout};
    tier.get(Key(KeyRef(0, key)), from, kForever,
             [&](Result<Lookup> answer) { result = std::move(answer); });
    return result;
  }
  Result<StoreOutcome> set(std::string_view key, std::string_view value,
                           StoreOptions options = {}) {
    Result<StoreOutcome> result = Error{Errc::timeout};
    tier.set(KeyRef(0, key), value, options, kForever,
             [&](Result<StoreOutcome> answer) { result = std::move(answer); });
    return result;
  }
  Result<bool> touch(std::string_view key, std::chrono::milliseconds ttl) {
    Result<bool> result = Error{Errc::timeout};
    tier.touch(KeyRef(0, key), ttl, kForever,
               [&](Result<bool> answer) { result = std::move(answer); });
    return result;
  }
  Result<bool> remove(std::string_view key) {
    Result<bool> result = Error{Errc::timeout};
    tier.remove(KeyRef(0, key), kForever, [&](Result<bool> answer) { result = std::move(answer); });
    return result;
  }
  Result<protocol::Reply> execute(std::vector<std::string> args, std::vector<std::string> keys,
                                  bool writes = true) {
    Result<protocol::Reply> result = Error{Errc::timeout};
    tier.execute({.args = std::move(args), .keys = std::move(keys), .writes = writes}, kForever,
                 [&](Result<protocol::Reply> answer) { result = std::move(answer); });
    return result;
  }

  bool watch(std::string_view key, const std::shared_ptr<cohere::Watch>& who) {
    bool watched = false;
    tier.watch(0, {std::string(key)}, who, kForever, [&](Result<bool> done) { watched = *done; });
    return watched;
  }
  Result<protocol::Reply> transact(Transaction what) {
    Result<protocol::Reply> result = Error{Errc::timeout};
    tier.transact(std::move(what), kForever,
                  [&](Result<protocol::Reply> answer) { result = std::move(answer); });
    return result;
  }

  TieredCache tier;
};

}  // namespace nearlane::tier
