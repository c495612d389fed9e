#include "harness/topology/sentinel_group.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "harness/topology/eventually.h"

namespace nearlane::harness {
namespace {

/// Of the pairs of names and values that SENTINEL MASTER answers.
std::string field_of(const RedisReply& pairs, std::string_view name) {
  for (std::size_t i = 0; i + 1 < pairs.elements.size(); i += 2) {
    if (pairs.elements[i].text == name) return pairs.elements[i + 1].text;
  }
  return {};
}

}  // namespace

Result<SentinelGroup> SentinelGroup::start(const SentinelGroupOptions& options) {
  SentinelGroup group(options);
  if (const auto started = group.start_servers(); !started) return started.error();
  if (const auto started = group.start_sentinels(); !started) return started.error();
  const bool ready = eventually(
      [&] {
        return std::ranges::all_of(group.sentinels_, [&](const RedisServer& sentinel) {
          return group.knows_everybody(sentinel);
        });
      },
      options.ready_within);
  if (!ready) return Error{Errc::timeout, "the sentinels do not know of everybody"};
  return group;
}

Result<void> SentinelGroup::start_servers() {
  for (std::size_t i = 0; i <= options_.replicas; ++i) {
    RedisOptions options{.config = {"--repl-diskless-sync-delay", "0"}};
    if (i > 0) {
      const Endpoint& master = servers_[0].endpoint();
      options.config.insert(options.config.end(),
                            {"--replicaof", master.host + " " + std::to_string(master.port)});
    }
    auto server = RedisServer::start(std::move(options));
    if (!server) return server.error();
    servers_.push_back(std::move(*server));
  }
  // A sentinel that finds a master without replicas asks it for them again ten seconds later.
  for (std::size_t i = 1; i < servers_.size(); ++i) {
    auto client = servers_[i].client();
    const auto linked = [&] {
      const auto status = client.info("replication", "master_link_status");
      return status && *status == "up";
    };
    if (!eventually(linked, options_.ready_within))
      return Error{Errc::timeout, "a replica does not find its master"};
  }
  return {};
}

Result<void> SentinelGroup::start_sentinels() {
  const Endpoint& master = servers_[0].endpoint();
  const std::string& name = options_.name;
  const std::string file = fmt::format(
      "sentinel monitor {0} {1} {2} {3}\n"
      "sentinel down-after-milliseconds {0} {4}\n"
      "sentinel failover-timeout {0} 3000\n",
      name, master.host, master.port, options_.sentinels / 2 + 1, options_.down_after.count());
  for (std::size_t i = 0; i < options_.sentinels; ++i) {
    // It syncs its file before it votes, and one that waits too long for that does nothing for half a minute (TILT).
    auto sentinel =
        RedisServer::start({.config = {"--sentinel"}, .file = file, .folder_in_memory = true});
    if (!sentinel) return sentinel.error();
    sentinels_.push_back(std::move(*sentinel));
  }
  return {};
}

bool SentinelGroup::knows_everybody(const RedisServer& sentinel) const {
  const auto master = sentinel.client().command({"SENTINEL", "MASTER", options_.name});
  return master && field_of(*master, "num-slaves") == std::to_string(options_.replicas) &&
         field_of(*master, "num-other-sentinels") == std::to_string(options_.sentinels - 1);
}

std::string SentinelGroup::url() const {
  std::string url = "redis+sentinel://";
  for (const RedisServer& sentinel : sentinels_) url += sentinel.endpoint().to_string() + ",";
  url.back() = '/';
  return url + options_.name;
}

Result<Endpoint> SentinelGroup::master_of(const RedisServer& sentinel) const {
  auto address = sentinel.client().command({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", options_.name});
  if (!address) return address.error();
  if (address->elements.size() != 2)
    return Error{Errc::unavailable, "this sentinel knows no master"};
  return Endpoint::parse(address->elements[0].text + ":" + address->elements[1].text);
}

}  // namespace nearlane::harness
