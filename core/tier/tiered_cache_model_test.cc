// TieredCache against a model of Redis, under random schedules.
//
// The model has what coherence depends on: threads that post to one ordered connection, whose posts
// may overtake each other; deadlines that pass while the command goes its way; commands executed
// some time after they were sent, GET and its PTTL at different times; replies and pushes delivered
// in one order, some time after that; a second, untracked connection for commands with several
// keys; a tracking table with OPTIN and NOLOOP as measured on Redis 7.0 (a plain write of our own
// drops the registration, a transaction or a read renews it); and somebody else who writes.
// Checked: what L1 serves is never older, in the store's own order, than what the same instance has
// acknowledged, that there is no such key included; when all is quiet, what L1 says is what the store
// has; everyone who asked is answered. A seed replays a schedule exactly.
#include <array>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "core/base/epoch.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::tier {
namespace {

using protocol::Reply;

/// Every write has a version of its own, a deletion too.
using Version = int;

class ModelRedis final : public l2::L2Backend {
 public:
  explicit ModelRedis(std::mt19937_64& random) : random_(random) { lanes_[0].set_lease(kForever); }

  [[nodiscard]] std::string_view name() const noexcept override { return "model"; }
  [[nodiscard]] l2::Capabilities capabilities() const noexcept override { return {}; }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override { return lanes_; }
  [[nodiscard]] l2::Health health() const override { return {}; }
  void start(l2::Listener& listener) override { listener_ = &listener; }
  void stop() noexcept override {}
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (call->command.wide) {
      wide_to_server_.push_back(Event{.call = std::move(call)});
    } else {
      posted_[random_() % posted_.size()].push_back(std::move(call));
    }
  }

  [[nodiscard]] bool quiet() const {
    return posted_[0].empty() && posted_[1].empty() && to_server_.empty() && to_client_.empty() &&
           wide_to_server_.empty() && wide_to_client_.empty();
  }

  /// One of the things that happen by themselves.
  void advance() {
    if (random_() % 12 == 0) return run_out_of_patience();
    switch (random_() % 6) {
      case 0:
      case 1:
        return post(posted_[random_() % posted_.size()]);
      case 2:
      case 3:
        return random_() % 3 == 0 ? execute_wide() : execute();
      default:
        return random_() % 3 == 0 ? deliver_wide() : deliver();
    }
  }

  /// Somebody else writes.
  void foreign_write(const std::string& key, Version version, bool deletes) {
    write(key, version, deletes);
    announce(key);
  }

  /// The place of a write in the order of all writes of the store; 0 before it was executed.
  [[nodiscard]] int place_of(Version version) const {
    const auto found = places_.find(version);
    return found == places_.end() ? 0 : found->second;
  }

  /// The place of the last write that ended the key; 0 when it never was.
  [[nodiscard]] int ended_at(const std::string& key) const {
    const auto found = ends_.find(key);
    return found == ends_.end() ? 0 : found->second;
  }

  std::map<std::string, Version> store;

 private:
  struct Event {
    std::unique_ptr<l2::Call> call = {};
    l2::Answer answer = {};
    std::string pushed = {};
    bool answered = false;  // its deadline has passed
  };

  void post(std::deque<std::unique_ptr<l2::Call>>& from) {
    if (from.empty()) return;
    Event event{.call = std::move(from.front())};
    from.pop_front();
    event.answer.epoch = lanes_[0].epoch();
    to_server_.push_back(std::move(event));
  }

  void execute() {
    if (to_server_.empty()) return;
    Event& event = to_server_.front();
    const l2::Command& command = event.call->command;
    const std::string& key = command.key.name;
    switch (command.op) {
      case l2::Op::fetch: {
        const auto found = store.find(key);
        if (!half_fetched_) {  // GET; its PTTL comes at another time
          tracked_.insert(key);
          event.answer.reply =
              found == store.end() ? Reply::null() : Reply::bulk(std::to_string(found->second));
          half_fetched_ = true;
          to_client_.push_back(Event{});  // GET's reply, which alone decides nothing
          return;
        }
        half_fetched_ = false;
        event.answer.pttl = found == store.end() ? -2 : -1;
        break;
      }
      case l2::Op::transact:
        if (command.value) {
          write(key, std::stoi(std::string(command.value->value())), false);
          event.answer.reply = Reply::ok();
        } else {
          event.answer.reply = Reply::number(store.contains(key) ? 1 : 0);
        }
        event.answer.pttl = store.contains(key) ? -1 : -2;
        tracked_.insert(key);
        break;
      case l2::Op::raw:
        write(key, std::stoi(command.args[2]), command.args[0] == "DELETE");
        event.answer.reply = Reply::ok();
        tracked_.erase(key);
        break;
      case l2::Op::confirm:
        break;
    }
    to_client_.push_back(std::move(event));
    to_server_.pop_front();
  }

  void execute_wide() {
    if (wide_to_server_.empty()) return;
    Event event = std::move(wide_to_server_.front());
    wide_to_server_.pop_front();
    const auto& args = event.call->command.args;  // KEY VERSION KEY VERSION …
    for (std::size_t i = 1; i + 1 < args.size(); i += 2)
      foreign_write(args[i], std::stoi(args[i + 1]), false);
    wide_to_client_.push_back(std::move(event));
  }

  void write(const std::string& key, Version version, bool deletes) {
    places_[version] = ++writes_;
    if (deletes) {
      store.erase(key);
      ends_[key] = writes_;
    } else {
      store[key] = version;
    }
  }

  void announce(const std::string& key) {
    if (tracked_.erase(key) != 0) to_client_.push_back(Event{.pushed = key});
  }

  /// A deadline passes: the asker is answered at once, while the command goes its way.
  void run_out_of_patience() {
    for (auto* queue : {&to_server_, &to_client_, &wide_to_server_, &wide_to_client_}) {
      if (queue->empty()) continue;
      Event& event = (*queue)[random_() % queue->size()];
      if (!event.call || event.answered) continue;
      event.answered = true;
      const auto timeout = l2::Answer::failed(Errc::timeout, "out of patience");
      event.call->settle(timeout);
      event.call->complete(timeout);
      return;
    }
  }

  void deliver() {
    if (to_client_.empty()) return;
    Event event = std::move(to_client_.front());
    to_client_.pop_front();
    if (!event.pushed.empty()) return listener_->invalidate(event.pushed);
    if (event.call) finish(event);
  }
  void deliver_wide() {
    if (wide_to_client_.empty()) return;
    Event event = std::move(wide_to_client_.front());
    wide_to_client_.pop_front();
    finish(event);
  }
  static void finish(Event& event) {
    if (event.answered) return;
    event.call->settle(event.answer);
    event.call->complete(std::move(event.answer));
  }

  std::mt19937_64& random_;
  std::array<cohere::LaneView, 1> lanes_;
  l2::Listener* listener_ = nullptr;
  std::array<std::deque<std::unique_ptr<l2::Call>>, 2> posted_;
  std::deque<Event> to_server_;
  std::deque<Event> to_client_;
  std::deque<Event> wide_to_server_;
  std::deque<Event> wide_to_client_;
  std::set<std::string> tracked_;
  std::map<Version, int> places_;
  std::map<std::string, int> ends_;
  int writes_ = 0;
  bool half_fetched_ = false;
};

class Schedule {
 public:
  explicit Schedule(std::uint64_t seed) : random_(seed) {
    auto backend = std::make_unique<ModelRedis>(random_);
    redis_ = backend.get();
    cache_.emplace(
        TierConfig{.negative_ttl = random_() % 2 == 0 ? Duration::zero() : Duration::max(),
                   .now = [] { return kNow; }},
        *l1::make_l1({.map = "mutex", .policy = "lru"}), std::move(backend));
    cache_->start();
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) step();
    while (!redis_->quiet()) {
      redis_->advance();
      check_all();
    }
    RC_ASSERT(unanswered_ == 0);
    for (const std::string& key : keys_) {
      const auto served = look(key);
      if (served) RC_ASSERT(redis_->store.contains(key) && redis_->store.at(key) == *served);
      get(key);
      RC_ASSERT(!denied_in_vain_);
      while (!redis_->quiet()) redis_->advance();
    }
  }

 private:
  static constexpr TimePoint kNow{std::chrono::seconds(1)};

  std::optional<Version> look(const std::string& key) {
    const epoch::Guard guard;
    const Entry* entry = cache_->find(KeyRef(0, key), kNow);
    if (entry == nullptr) return std::nullopt;
    return std::stoi(std::string(entry->value()));
  }

  /// Reads a key; that L1 denied it is looked into at once.
  void get(const std::string& key) {
    ++unanswered_;
    cache_->get(Key(KeyRef(0, key)), ReadFrom::l1_first, kForever,
                [this, key](const Result<Lookup>& found) {
                  --unanswered_;
                  if (!found || found->entry || found->source != Source::l1) return;
                  if (redis_->ended_at(key) < acknowledged_[key]) denied_in_vain_ = true;
                  if (redis_->quiet() && redis_->store.contains(key)) denied_in_vain_ = true;
                });
  }

  void check_all() {
    RC_ASSERT(!denied_in_vain_);
    for (const std::string& key : keys_) {
      const auto served = look(key);
      if (served) RC_ASSERT(redis_->place_of(*served) >= acknowledged_[key]);
    }
  }

  void step() {
    const std::string& key = keys_[random_() % keys_.size()];
    const KeyRef ref(0, key);
    switch (random_() % 24) {
      case 0:
      case 1:
        get(key);
        break;
      case 2:
        ++unanswered_;
        cache_->get(Key(ref), ReadFrom::through_l2, kForever,
                    [this](const Result<Lookup>&) { --unanswered_; });
        break;
      case 3:
        ++unanswered_;
        ++versions_;
        cache_->set(ref, std::to_string(versions_), {}, kForever,
                    [this, key, version = versions_](const Result<StoreOutcome>& outcome) {
                      acknowledge({key}, version, outcome.has_value());
                    });
        break;
      case 4:
        raw(random_() % 2 == 0 ? "DELETE" : "WRITE", key);
        break;
      case 5:
        ++unanswered_;
        cache_->touch(ref, std::chrono::seconds(60), kForever,
                      [this](const Result<bool>&) { --unanswered_; });
        break;
      case 6:
        redis_->foreign_write(key, ++versions_, random_() % 4 == 0);
        break;
      case 7: {
        ++unanswered_;
        const Version first = ++versions_;
        const Version second = ++versions_;
        cache_->execute(
            {.args = {"MSET", keys_[0], std::to_string(first), keys_[1], std::to_string(second)},
             .keys = {keys_[0], keys_[1]}},
            kForever, [this, first](const Result<Reply>& reply) {
              acknowledge({keys_[0], keys_[1]}, first, reply.has_value());
            });
        break;
      }
      default:
        redis_->advance();
        break;
    }
    check_all();
  }

  void raw(const std::string& command, const std::string& key) {
    ++unanswered_;
    ++versions_;
    cache_->execute({.args = {command, key, std::to_string(versions_)}, .keys = {key}}, kForever,
                    [this, key, version = versions_](const Result<Reply>& reply) {
                      acknowledge({key}, version, reply.has_value());
                    });
  }

  void acknowledge(const std::vector<std::string>& keys, Version version, bool done) {
    --unanswered_;
    if (!done) return;  // it timed out, and may yet be executed
    for (const std::string& key : keys) {
      acknowledged_[key] = std::max(acknowledged_[key], redis_->place_of(version));
    }
  }

  std::mt19937_64 random_;
  const std::array<std::string, 2> keys_ = {"a", "b"};
  ModelRedis* redis_ = nullptr;
  std::optional<TieredCache> cache_;
  std::map<std::string, int> acknowledged_;  // the place of the last acknowledged write
  Version versions_ = 0;
  int unanswered_ = 0;
  bool denied_in_vain_ = false;
};

RC_GTEST_PROP(TieredCacheModel, ServesNothingOlderThanItAcknowledgedAndConverges,
              (std::uint64_t seed)) {
  for (std::uint64_t round = 0; round < 50; ++round) Schedule(seed + round).run(150);
}

}  // namespace
}  // namespace nearlane::tier
