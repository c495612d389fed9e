// CacheNode: one TieredCache with event loops of its own, as a server has, but inside this process.
//
// Tests of coherence run several of them over one real Redis and ask questions that no door asks.
//
// Threads:   the calls block their caller until the answer is there; find() is the plain hit path.
// Lifetime:  stops its loops when it goes.
// Errors:    timeout if an answer does not come within kPatience: a handler was lost.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tier/tiered_cache.h"

namespace nearlane::harness {

class CacheNode {
 public:
  explicit CacheNode(const std::string& l2_url, l2::L2Config config = {}, unsigned loops = 2,
                     tier::TierConfig tier = {});
  ~CacheNode();
  CacheNode(const CacheNode&) = delete;
  CacheNode& operator=(const CacheNode&) = delete;

  /// What L1 serves as fresh right now.
  [[nodiscard]] std::optional<std::string> find(std::string_view key);
  [[nodiscard]] Result<tier::Lookup> get(std::string_view key,
                                         tier::ReadFrom from = tier::ReadFrom::l1_first);
  Result<tier::StoreOutcome> set(std::string_view key, std::string_view value,
                                 tier::StoreOptions options = {});
  Result<bool> touch(std::string_view key, std::chrono::milliseconds ttl);
  Result<bool> remove(std::string_view key);
  Result<protocol::Reply> execute(std::vector<std::string> args, std::vector<std::string> keys,
                                  bool writes = true);

  /// Waits until all lanes are up.
  [[nodiscard]] bool ready_within(Duration patience);

  [[nodiscard]] tier::TieredCache& tier() noexcept;

  /// Deadline of every call.
  Duration timeout = std::chrono::milliseconds(500);

 private:
  struct Loops;
  std::unique_ptr<Loops> loops_;
  std::unique_ptr<tier::TieredCache> tier_;
};

}  // namespace nearlane::harness
