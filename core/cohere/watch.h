// Watch: the keys that one client watches, and whether any was changed since. Watches: what all clients watch of one
// embedded store, so that whoever executes commands can say which keys he changes.
//
// A key counts as changed if it was written, also with the value that it had; if it is there and was not, or was and is
// not: removed, flushed, expired. So the store reports its writes alone, and what vanishes is seen when it is asked for.
//
// Errors:    none.
// Threads:   a Watch's registration and verdict belong to whoever executes commands, one at a time; it may end on any thread.
// Lifetime:  a Watch that ends is watched for no longer; the two may end in any order.
// Cost:      a load for a write while nobody watches; else one lock and one look-up, and one more for each key of each client
//            that watches what was written.
// Source:    WATCH in Redis 7.0, multi.c.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nearlane::cohere {

class Watch;

class Watches {
 public:
  /// Whether the key is there now, and what time is, the executor knows.
  using IsThere = std::function<bool(std::uint32_t db, std::string_view name)>;

  /// From now on `watch` watches the key, too, unless it does already or anything of it was changed.
  void add(Watch& watch, std::uint32_t db, std::string_view name, bool is_there);
  /// The key was written.
  void changed(std::uint32_t db, std::string_view name) noexcept;
  /// Nobody watches anything.
  [[nodiscard]] bool empty() const noexcept {
    return table_->watched.load(std::memory_order_relaxed) == 0;
  }
  /// Whether nothing was changed; `watch` watches nothing from now on, and says the same when it is asked again.
  [[nodiscard]] bool holds(Watch& watch, const IsThere& is_there);

 private:
  friend class Watch;
  using Name = std::pair<std::uint32_t, std::string>;
  struct Less {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const noexcept {
      return a.first != b.first ? a.first < b.first
                                : std::string_view(a.second) < std::string_view(b.second);
    }
  };
  struct Table {
    std::mutex lock;
    std::map<Name, std::set<Watch*>, Less> by_key;
    std::atomic<std::size_t> watched{0};  // keys

    void leave(Watch& watch) noexcept;  // under the lock
  };

  std::shared_ptr<Table> table_ = std::make_shared<Table>();
};

class Watch {
 public:
  Watch() = default;
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  friend class Watches;
  struct Watched {
    Watches::Name key;
    bool was_there;
  };

  std::shared_ptr<Watches::Table> table_;  // null: it has never watched anything
  std::vector<Watched> keys_;
  bool changed_ = false;
  std::optional<bool> verdict_;
};

}  // namespace nearlane::cohere
