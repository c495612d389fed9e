#include "harness/topology/cluster_group.h"

#include <algorithm>
#include <initializer_list>
#include <thread>
#include <utility>

#include "harness/topology/eventually.h"
#include "harness/topology/free_port.h"

namespace nearlane::harness {
namespace {

constexpr unsigned kSlots = 16384;
constexpr std::string_view kMigrateTimeoutMs = "5000";

Result<RedisReply> say(const RedisServer& server, std::initializer_list<std::string_view> command) {
  auto reply = server.client().command(command);
  if (!reply) return reply.error();
  if (reply->is_error())
    return Error{Errc::unavailable, server.endpoint().to_string() + ": " + reply->text};
  return reply;
}

}  // namespace

Result<ClusterGroup> ClusterGroup::start(const ClusterOptions& options) {
  ClusterGroup group(options);
  if (const auto started = group.start_servers(); !started) return started.error();
  if (const auto met = group.meet(); !met) return met.error();
  if (const auto follow = group.replicate(); !follow) return follow.error();
  if (!soon([&] { return group.is_whole(); }, options.ready_within))
    return Error{Errc::timeout, "the nodes of the cluster do not agree"};
  return group;
}

Result<void> ClusterGroup::start_servers() {
  const std::size_t count = options_.primaries * (1 + options_.replicas) + options_.spare;
  const std::string timeout = std::to_string(options_.node_timeout.count());
  for (std::size_t i = 0; i < count; ++i) {
    // Not Redis's own choice of a port, which is another's, or none.
    const auto bus = free_port();
    if (!bus) return bus.error();
    auto server = RedisServer::start(
        {.config = {"--cluster-enabled", "yes", "--cluster-port", std::to_string(*bus),
                    "--cluster-announce-ip", "127.0.0.1", "--cluster-node-timeout", timeout,
                    "--cluster-allow-replica-migration", "no", "--repl-diskless-sync-delay", "0"},
         .folder_in_memory = true});
    if (!server) return server.error();
    servers_.push_back(std::move(*server));
    const std::string epoch = std::to_string(i + 1);
    if (auto set = say(servers_[i], {"CLUSTER", "SET-CONFIG-EPOCH", epoch}); !set)
      return set.error();
    if (i >= options_.primaries) continue;
    const std::string first = std::to_string(kSlots * i / options_.primaries);
    const std::string last = std::to_string((kSlots * (i + 1) / options_.primaries) - 1);
    if (auto added = say(servers_[i], {"CLUSTER", "ADDSLOTSRANGE", first, last}); !added)
      return added.error();
  }
  return {};
}

Result<void> ClusterGroup::meet() {
  for (const RedisServer& server : servers_) {
    if (&server == &servers_[0]) continue;
    auto bus = server.client().command({"CONFIG", "GET", "cluster-port"});
    if (!bus) return bus.error();
    if (bus->elements.size() != 2) return Error{Errc::protocol, "a node has no cluster-port"};
    const Endpoint& at = server.endpoint();
    if (auto met = say(servers_[0], {"CLUSTER", "MEET", at.host, std::to_string(at.port),
                                     bus->elements[1].text});
        !met)
      return met.error();
  }
  const std::string all = std::to_string(servers_.size());
  const bool known = soon(
      [&] {
        return std::ranges::all_of(servers_, [&](const RedisServer& server) {
          const auto info = server.client().command({"CLUSTER", "INFO"});
          return info && info->text.find("cluster_known_nodes:" + all + "\r") != std::string::npos;
        });
      },
      options_.ready_within);
  if (!known) return Error{Errc::timeout, "the nodes of the cluster do not meet"};
  return {};
}

Result<void> ClusterGroup::replicate() {
  for (std::size_t i = 0; i < options_.primaries * options_.replicas; ++i) {
    const auto primary = id_of(i % options_.primaries);
    if (!primary) return primary.error();
    auto follow = say(servers_[options_.primaries + i], {"CLUSTER", "REPLICATE", *primary});
    if (!follow) return follow.error();
  }
  return {};
}

/// Each node knows of all replicas, whose data are up to date.
bool ClusterGroup::is_whole() const {
  const std::size_t replicas = options_.primaries * options_.replicas;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const auto info = servers_[i].client().command({"CLUSTER", "INFO"});
    if (!info || info->text.find("cluster_state:ok") == std::string::npos) return false;
    const auto nodes = servers_[i].client().command({"CLUSTER", "NODES"});
    if (!nodes) return false;
    std::size_t found = 0;
    for (std::size_t at = 0; (at = nodes->text.find("slave ", at)) != std::string::npos; ++at)
      ++found;
    if (found != replicas) return false;
    const bool replica = i >= options_.primaries && i < options_.primaries + replicas;
    if (!replica) continue;
    const auto link = servers_[i].client().info("replication", "master_link_status");
    if (!link || *link != "up") return false;
  }
  return true;
}

std::string ClusterGroup::url() const {
  std::string url = "redis+cluster://";
  for (const RedisServer& server : servers_) url += server.endpoint().to_string() + ",";
  url.pop_back();
  return url;
}

Result<std::string> ClusterGroup::id_of(std::size_t server) const {
  auto id = say(servers_[server], {"CLUSTER", "MYID"});
  if (!id) return id.error();
  return id->text;
}

Result<unsigned> ClusterGroup::slot_of(std::string_view key) const {
  for (const RedisServer& server : servers_) {
    if (auto slot = say(server, {"CLUSTER", "KEYSLOT", key}))
      return static_cast<unsigned>(slot->integer);
  }
  return Error{Errc::unavailable, "no node answers"};
}

Result<std::size_t> ClusterGroup::owner_of(unsigned slot) const {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    auto client = servers_[i].client();
    const auto role = client.info("replication", "role");
    if (!role || *role != "master") continue;
    const auto id = id_of(i);
    const auto slots = client.command({"CLUSTER", "SLOTS"});
    if (!id || !slots) continue;
    for (const RedisReply& range : slots->elements) {
      if (range.elements.size() < 3 || range.elements[2].elements.size() < 3) continue;
      const bool in = range.elements[0].integer <= slot && slot <= range.elements[1].integer;
      if (in && range.elements[2].elements[2].text == *id) return i;
    }
  }
  return Error{Errc::unavailable, "no node owns slot " + std::to_string(slot)};
}

Result<Endpoint> ClusterGroup::owner_in_map_of(std::size_t server, unsigned slot) const {
  const auto slots = say(servers_[server], {"CLUSTER", "SLOTS"});
  if (!slots) return slots.error();
  for (const RedisReply& range : slots->elements) {
    if (range.elements.size() < 3 || range.elements[2].elements.size() < 2) continue;
    const auto& owner = range.elements[2].elements;
    if (range.elements[0].integer <= slot && slot <= range.elements[1].integer)
      return Endpoint{.host = owner[0].text, .port = static_cast<std::uint16_t>(owner[1].integer)};
  }
  return Error{Errc::unavailable, "no node has slot " + std::to_string(slot)};
}

Result<RedisReply> ClusterGroup::ask_owner(std::string_view key,
                                           std::initializer_list<std::string_view> command) const {
  const auto slot = slot_of(key);
  if (!slot) return slot.error();
  const auto owner = owner_of(*slot);
  if (!owner) return owner.error();
  return say(servers_[*owner], command);
}

Result<void> ClusterGroup::begin_migration(unsigned slot, std::size_t from, std::size_t to) {
  const std::string number = std::to_string(slot);
  const auto source = id_of(from);
  const auto target = id_of(to);
  if (!source) return source.error();
  if (!target) return target.error();
  if (auto set = say(servers_[to], {"CLUSTER", "SETSLOT", number, "IMPORTING", *source}); !set)
    return set.error();
  if (auto set = say(servers_[from], {"CLUSTER", "SETSLOT", number, "MIGRATING", *target}); !set)
    return set.error();
  return {};
}

Result<std::size_t> ClusterGroup::migrate_keys(unsigned slot, std::size_t from, std::size_t to,
                                               std::size_t most) {
  const auto keys =
      say(servers_[from], {"CLUSTER", "GETKEYSINSLOT", std::to_string(slot), std::to_string(most)});
  if (!keys) return keys.error();
  const Endpoint& target = servers_[to].endpoint();
  for (const RedisReply& key : keys->elements) {
    if (auto gone = say(servers_[from], {"MIGRATE", target.host, std::to_string(target.port),
                                         key.text, "0", kMigrateTimeoutMs});
        !gone)
      return gone.error();
  }
  return keys->elements.size();
}

Result<void> ClusterGroup::end_migration(unsigned slot, std::size_t from, std::size_t to) {
  const std::string number = std::to_string(slot);
  const auto target = id_of(to);
  if (!target) return target.error();
  // Who gets the slot is told first, as Redis's own tool does.
  for (const std::size_t server : {to, from}) {
    if (auto set = say(servers_[server], {"CLUSTER", "SETSLOT", number, "NODE", *target}); !set)
      return set.error();
  }
  return {};
}

Result<void> ClusterGroup::migrate(unsigned slot, std::size_t from, std::size_t to) {
  if (const auto begun = begin_migration(slot, from, to); !begun) return begun.error();
  for (;;) {
    const auto gone = migrate_keys(slot, from, to, 100);
    if (!gone) return gone.error();
    if (*gone == 0) break;
  }
  return end_migration(slot, from, to);
}

}  // namespace nearlane::harness
