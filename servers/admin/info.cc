// INFO: the fields that redis_exporter and clients read, and a section of our own.

#include <array>

#include <fmt/format.h>
#include <unistd.h>

#include "servers/admin/pages.h"

namespace nearlane::admin {

namespace {

using tier::Count;

std::uint64_t sum(Count id) { return tier::Counts::sum(id); }

std::int64_t uptime_seconds(const Sources& sources) {
  return std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - sources.started).count();
}

std::string server(const Sources& sources) {
  return fmt::format(
      "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nos:Linux\r\narch_bits:64\r\n"
      "process_id:{}\r\ntcp_port:{}\r\nuptime_in_seconds:{}\r\nuptime_in_days:{}\r\n"
      "io_threads_active:{}\r\n",
      ::getpid(), sources.resp_port, uptime_seconds(sources), uptime_seconds(sources) / 86400,
      sources.loops.size());
}

std::string clients(const Sources& sources) {
  return fmt::format("# Clients\r\nconnected_clients:{}\r\nmaxclients:{}\r\nblocked_clients:0\r\n",
                     sources.loops.open_connections(), sources.loops.limits().max_connections);
}

std::string memory(const Sources& sources) {
  const l1::L1Stats l1 = sources.tier.l1_stats();
  return fmt::format(
      "# "
      "Memory\r\nused_memory:{}\r\nused_memory_rss:{}\r\nused_memory_dataset:{}\r\nmaxmemory:{}\r\n"
      "maxmemory_policy:{}\r\n",
      l1.bytes, resident_bytes(), l1.bytes, l1.capacity, sources.tier.l1_policy());
}

std::string stats(const Sources& sources) {
  const l1::L1Stats l1 = sources.tier.l1_stats();
  std::uint64_t commands = 0;
  for (const DoorSource& door : sources.doors) commands += sum_requests(door);
  return fmt::format(
      "# Stats\r\ntotal_connections_received:{}\r\ntotal_commands_processed:{}\r\n"
      "instantaneous_ops_per_sec:{}\r\nrejected_connections:{}\r\nexpired_keys:{}\r\nevicted_keys:{"
      "}\r\nkeyspace_hits:{}\r\n"
      "keyspace_misses:{}\r\n",
      sources.loops.accepted_connections(), commands,
      sources.requests_per_second.load(std::memory_order_relaxed),
      sources.loops.refused_connections() + sources.loops.refused_by_client(), l1.expirations,
      l1.evictions, sum(Count::l1_hits) + sum(Count::l2_hits), sum(Count::l2_misses));
}

std::string replication(const Sources&) {
  return "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n";
}

std::string commandstats(const Sources& sources) {
  std::string out = "# Commandstats\r\n";
  for (const DoorSource& door : sources.doors) {
    if (door.name != "resp") continue;
    for (std::size_t command = 0; command < door.commands.size(); ++command) {
      std::uint64_t calls = 0;
      std::uint64_t failed = 0;
      for (int t = 0; t < static_cast<int>(loop::AnsweredBy::count); ++t) {
        for (int o = 0; o < static_cast<int>(loop::Outcome::count); ++o) {
          const auto outcome = static_cast<loop::Outcome>(o);
          const auto total = sum_requests(door, command, static_cast<loop::AnsweredBy>(t), outcome);
          calls += total;
          if (outcome == loop::Outcome::error) failed += total;
        }
      }
      if (calls == 0) continue;
      out += fmt::format(
          "cmdstat_{}:calls={},usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls={}\r\n",
          door.commands[command], calls, failed);
    }
  }
  return out;
}

/// What L1 holds: how many keys L2 holds only L2 knows (DBSIZE). An embedded store can be asked,
/// though not at once: whoever answers INFO writes its lines behind this one
/// (servers/resp/server_commands.cc).
std::string keyspace(const Sources& sources) {
  const l2::Capabilities l2 = sources.tier.l2_capabilities();
  if (l2.stores && !l2.every_command) return "# Keyspace\r\n";
  const std::uint64_t entries = sources.tier.l1_stats().entries;
  if (entries == 0) return "# Keyspace\r\n";
  return fmt::format("# Keyspace\r\ndb0:keys={},expires=0,avg_ttl=0\r\n", entries);
}

std::string nearlane(const Sources& sources) {
  const l2::Health health = sources.tier.l2_health();
  const Coherence coherence = coherence_in_force(sources);
  return fmt::format(
      "# "
      "Nearlane\r\nnearlane_version:{}\r\nprofile:{}\r\ncoherence_mode:{}\r\ncoherence_bound_ms:{}"
      "\r\n"
      "l1_map:{}\r\nl1_policy:{}\r\nl1_entries:{}\r\nl1_hits:{}\r\nl1_misses:{}\r\nl1_stale_hits:{}"
      "\r\nl2:{}\r\nl2_"
      "ready:{}\r\n"
      "l2_lanes_up:{}\r\nl2_hits:{}\r\nl2_misses:{}\r\nl2_errors:{}\r\nfills:{}\r\nfills_coalesced:"
      "{}\r\n"
      "fills_revoked:{}\r\nconfirmations:{}\r\ninvalidations:{}\r\nwrites:{}\r\n"
      "touches_coalesced:{}\r\nrefreshes:{}\r\nprefetches:{}\r\nrefills:{}\r\nprecompressed:{}\r\n"
      "precompress_useless:{}\r\nprecompress_late:{}\r\nprecompress_dropped:{}\r\n",
      sources.version, sources.profile, coherence.mode, coherence.bound.count(),
      sources.tier.l1_name(), sources.tier.l1_policy(), sources.tier.l1_stats().entries,
      sum(Count::l1_hits), sum(Count::l1_misses), sum(Count::l1_stale), sources.tier.l2_name(),
      health.ready ? 1 : 0, health.lanes_up, sum(Count::l2_hits), sum(Count::l2_misses),
      sum(Count::l2_errors), sum(Count::fills), sum(Count::fills_coalesced),
      sum(Count::fills_revoked), sum(Count::confirmations), sum(Count::invalidations),
      sum(Count::writes), sum(Count::touches_coalesced), sum(Count::refreshes),
      sum(Count::prefetches), sum(Count::refills), sum(Count::precompressed),
      sum(Count::precompress_useless), sum(Count::precompress_late),
      sum(Count::precompress_dropped));
}

struct Section {
  std::string_view name;
  std::string (*text)(const Sources&);
  bool by_default;
};

constexpr std::array kSections = {
    Section{"server", server, true},           Section{"clients", clients, true},
    Section{"memory", memory, true},           Section{"stats", stats, true},
    Section{"replication", replication, true}, Section{"commandstats", commandstats, false},
    Section{"keyspace", keyspace, true},       Section{"nearlane", nearlane, true},
};

bool same_name(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

}  // namespace

std::string info_text(const Sources& sources, std::string_view section) {
  const bool by_default = same_name(section, "default");
  const bool all = same_name(section, "all") || same_name(section, "everything");
  std::string out;
  for (const Section& known : kSections) {
    if (!all && !(by_default && known.by_default) && !same_name(section, known.name)) continue;
    if (!out.empty()) out += "\r\n";
    out += known.text(sources);
  }
  return out;
}

}  // namespace nearlane::admin
