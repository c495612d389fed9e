#include "harness/bench/replicated_store.h"

#include <thread>
#include <utility>

#include "harness/topology/cluster_group.h"
#include "harness/topology/eventually.h"
#include "harness/topology/sentinel_group.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

/// A replica sees at once that a process on the same machine has ended.
constexpr Duration kLinkEndsWithin = 1s;
/// How late an announcement may be noticed.
constexpr Duration kLook = 2ms;

class SentinelStore final : public ReplicatedStore {
 public:
  explicit SentinelStore(SentinelGroup group) : group_(std::move(group)) {}

  [[nodiscard]] std::string url() const override { return group_.url(); }
  [[nodiscard]] std::size_t processes() const override { return 5; }
  [[nodiscard]] RedisServer& primary() override { return group_.servers()[0]; }
  [[nodiscard]] RedisServer& replica() override { return group_.servers()[1]; }

  Result<void> listen() override {
    for (const RedisServer& sentinel : group_.sentinels()) {
      auto& listener = listeners_.emplace_back(sentinel.endpoint());
      const auto subscribed = listener.command({"SUBSCRIBE", "+switch-master"});
      if (!subscribed) return subscribed.error();
    }
    return {};
  }

 private:
  [[nodiscard]] std::vector<RedisServer*> primaries() override {
    return {primary().child().running() ? &primary() : &replica()};
  }
  [[nodiscard]] std::size_t announcers() const override { return listeners_.size(); }
  [[nodiscard]] Result<bool> announces(std::size_t announcer) override {
    const auto heard = listeners_[announcer].listen(Duration::zero());
    if (!heard) return heard.error();
    return heard->has_value();
  }

  SentinelGroup group_;
  std::vector<RedisClient> listeners_;
};

class ClusterStore final : public ReplicatedStore {
 public:
  explicit ClusterStore(ClusterGroup group) : group_(std::move(group)) {}

  [[nodiscard]] std::string url() const override { return group_.url(); }
  [[nodiscard]] std::size_t processes() const override { return 6; }
  [[nodiscard]] RedisServer& primary() override { return group_.servers()[0]; }
  [[nodiscard]] RedisServer& replica() override { return group_.replica_of(0); }

 private:
  static constexpr unsigned kItsSlot = 0;  // the first primary has the first slots

  [[nodiscard]] std::vector<RedisServer*> primaries() override {
    auto& servers = group_.servers();
    return {primary().child().running() ? &primary() : &replica(), &servers[1], &servers[2]};
  }
  /// All but the one that is killed.
  [[nodiscard]] std::size_t announcers() const override { return processes() - 1; }
  [[nodiscard]] Result<bool> announces(std::size_t announcer) override {
    const auto owner = group_.owner_in_map_of(announcer + 1, kItsSlot);
    return owner && *owner == replica().endpoint();
  }

  ClusterGroup group_;
};

}  // namespace

Result<std::unique_ptr<ReplicatedStore>> ReplicatedStore::start_sentinel(
    std::chrono::milliseconds silence) {
  auto group = SentinelGroup::start({.down_after = silence});
  if (!group) return group.error();
  return std::unique_ptr<ReplicatedStore>(std::make_unique<SentinelStore>(std::move(*group)));
}

Result<std::unique_ptr<ReplicatedStore>> ReplicatedStore::start_cluster(
    std::chrono::milliseconds silence) {
  auto group = ClusterGroup::start({.node_timeout = silence});
  if (!group) return group.error();
  return std::unique_ptr<ReplicatedStore>(std::make_unique<ClusterStore>(std::move(*group)));
}

Result<void> ReplicatedStore::learn(std::vector<std::string> names) {
  names_ = std::move(names);
  std::vector<RedisClient> clients;
  for (const RedisServer* server : primaries()) clients.push_back(server->client());
  for (const std::string& name : names_) {
    std::size_t home = 0;
    for (;; ++home) {
      if (home == clients.size()) return Error{Errc::unavailable, name + ": it is no primary's"};
      const auto asked = clients[home].command({"EXISTS", name});
      if (!asked) return asked.error();
      if (!asked->is_error()) break;  // which is MOVED
    }
    homes_.push_back(home);
  }
  return {};
}

Result<void> ReplicatedStore::set(std::size_t key, std::string_view value) {
  const auto done = primaries()[homes_[key]]->client().command({"SET", names_[key], value});
  if (!done) return done.error();
  if (done->is_error()) return Error{Errc::l2_error, done->text};
  return {};
}

Result<std::string> ReplicatedStore::get(RedisClient& client, std::size_t key) const {
  auto got = client.command({"GET", names_[key]});
  if (!got) return got.error();
  if (got->is_error()) return Error{Errc::l2_error, names_[key] + ": " + got->text};
  return std::move(got->text);
}

Result<StoredValues> ReplicatedStore::held_by_replica() {
  auto client = replica().client();
  const bool alone = eventually(
      [&] {
        const auto link = client.info("replication", "master_link_status");
        return link && *link == "down";
      },
      kLinkEndsWithin);
  if (!alone) return Error{Errc::timeout, "the replica does not notice that its primary is gone"};
  (void)client.command({"READONLY"});  // outside a cluster it is an error, and not needed
  StoredValues held(names_.size());
  for (std::size_t key = 0; key < held.size(); ++key) {
    if (!at_primary(key)) continue;
    auto value = get(client, key);
    if (!value) return value.error();
    held[key] = std::move(*value);
  }
  const auto role = client.info("replication", "role");
  if (!role) return role.error();
  if (*role != "slave") return Error{Errc::unavailable, "the replica was promoted too early"};
  return held;
}

Result<ReplicatedStore::Announced> ReplicatedStore::replaced(Duration limit) {
  std::vector<bool> said(announcers());
  std::vector<TimePoint> times;
  for (const TimePoint end = Clock::now() + limit; Clock::now() < end;) {
    for (std::size_t i = 0; i < said.size(); ++i) {
      if (said[i]) continue;
      const auto now_says = announces(i);
      if (!now_says) return now_says.error();
      if (*now_says) times.push_back(Clock::now());
      said[i] = *now_says;
    }
    if (times.size() == said.size()) return Announced{.first = times.front(), .last = times.back()};
    std::this_thread::sleep_for(kLook);
  }
  return Error{Errc::timeout, "no other primary was announced by all"};
}

Result<StoredValues> ReplicatedStore::values() {
  std::vector<RedisClient> clients;
  for (const RedisServer* server : primaries()) clients.push_back(server->client());
  StoredValues all;
  for (std::size_t key = 0; key < names_.size(); ++key) {
    auto value = get(clients[homes_[key]], key);
    if (!value) return value.error();
    all.push_back(std::move(*value));
  }
  return all;
}

Result<void> ReplicatedStore::forget_all() {
  for (const RedisServer* server : primaries()) {
    const auto flushed = server->client().command({"FLUSHALL"});
    if (!flushed) return flushed.error();
  }
  return {};
}

}  // namespace nearlane::harness
