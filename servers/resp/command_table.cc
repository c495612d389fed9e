#include "servers/resp/command_table.h"

#include <algorithm>
#include <array>

#include "servers/resp/set_options.h"

namespace nearlane::resp {

namespace {

constexpr std::array kCommands = {
    CommandSpec{"append", 3, Route::write_key, "write denyoom fast", 1, 1, 1},
    CommandSpec{"auth", -2, Route::local, "noscript loading stale fast no_auth"},
    CommandSpec{"client", -2, Route::local, "noscript loading stale"},
    CommandSpec{"command", -1, Route::server, "loading stale"},
    CommandSpec{"config", -2, Route::server, "admin noscript loading stale"},
    CommandSpec{"dbsize", 1, Route::whole, "readonly fast"},
    CommandSpec{"decr", 2, Route::write_key, "write denyoom fast", 1, 1, 1},
    CommandSpec{"decrby", 3, Route::write_key, "write denyoom fast", 1, 1, 1},
    CommandSpec{"del", -2, Route::write_key, "write", 1, -1, 1},
    CommandSpec{"discard", 1, Route::transaction, "noscript loading stale fast"},
    CommandSpec{"echo", 2, Route::local, "loading stale fast"},
    CommandSpec{"exec", 1, Route::transaction, "noscript loading stale skip_slowlog"},
    CommandSpec{"exists", -2, Route::read_key, "readonly fast", 1, -1, 1},
    CommandSpec{"expire", -3, Route::touch, "write fast", 1, 1, 1},
    CommandSpec{"expireat", -3, Route::touch, "write fast", 1, 1, 1},
    CommandSpec{"expiretime", 2, Route::read_key, "readonly fast", 1, 1, 1},
    CommandSpec{"flushall", -1, Route::whole, "write"},
    CommandSpec{"flushdb", -1, Route::whole, "write"},
    CommandSpec{"get", 2, Route::get, "readonly fast", 1, 1, 1},
    CommandSpec{"getdel", 2, Route::write_key, "write fast", 1, 1, 1},
    CommandSpec{"getex", -2, Route::write_key, "write fast", 1, 1, 1},
    CommandSpec{"getrange", 4, Route::read_key, "readonly", 1, 1, 1},
    CommandSpec{"getset", 3, Route::write_key, "write denyoom fast", 1, 1, 1},
    CommandSpec{"hdel", -3, Route::write_key, "write fast", 1, 1, 1},
    CommandSpec{"hello", -1, Route::local, "noscript loading stale fast no_auth"},
    CommandSpec{"hexists", 3, Route::read_key, "readonly fast", 1, 1, 1},
    CommandSpec{"hget", 3, Route::read_key, "readonly fast", 1, 1, 1},
    CommandSpec{"hgetall", 2, Route::read_key, "readonly", 1, 1, 1},
    CommandSpec{"hincrby", 4, Route::write_key, "write denyoom fast", 1, 1, 1},
    CommandSpec{"hincrbyfloat", 4, Route::write_key, "write denyoom fast", 1, 1, 1},
    CommandSpec{"hkeys", 2, Route::read_key, "readonly", 1, 1, 1},
    CommandSpec{"hlen", 2, Route::read_key, "readonly fast", 1, 1, 1},
    CommandSpec{"hmget", -3, Route::read_key, "readonly fast", 1, 1, 1},
    CommandSpec{"hmset", -4, Route::write_key, "write denyoom fast", 1, 1, 1},
    CommandSpec{"hrandfield", -2, Route::embedded, "readonly", 1, 1, 1},
    CommandSpec{"hscan", -3, Route::embedded, "readonly", 1, 1, 1},
    CommandSpec{"hset", -4, Route::write_key, "write denyoom fast", 1, 1, 1},
    CommandSpec{"hsetnx", 4, Route::write_key, "write denyoom fast", 1, 1, 1},
    CommandSpec{"hstrlen", 3, Route::read_key, "readonly fast", 1, 1, 1},
    CommandSpec{"hvals", 2, Route::read_key, "readonly", 1, 1, 1},
    CommandSpec{"incr", 2, Route::write_key, "write denyoom fast", 1, 1, 1},
    CommandSpec{"incrby", 3, Route::write_key, "write denyoom fast", 1, 1, 1},
    CommandSpec{"incrbyfloat", 3, Route::write_key, "write denyoom fast", 1, 1, 1},
    CommandSpec{"info", -1, Route::local, "loading stale"},
    CommandSpec{"keys", 2, Route::whole, "readonly"},
    CommandSpec{"lastsave", 1, Route::server, "loading stale fast"},
    CommandSpec{"latency", -2, Route::server, ""},
    CommandSpec{"mget", -2, Route::mget, "readonly fast", 1, -1, 1},
    CommandSpec{"mset", -3, Route::write_key, "write denyoom", 1, -1, 2},
    CommandSpec{"msetnx", -3, Route::write_key, "write denyoom", 1, -1, 2},
    CommandSpec{"multi", 1, Route::transaction, "noscript loading stale fast"},
    CommandSpec{"nearlane.revoke", 2, Route::revoke, "write", 1, 1, 1},
    CommandSpec{"persist", 2, Route::touch, "write fast", 1, 1, 1},
    CommandSpec{"pexpire", -3, Route::touch, "write fast", 1, 1, 1},
    CommandSpec{"pexpireat", -3, Route::touch, "write fast", 1, 1, 1},
    CommandSpec{"pexpiretime", 2, Route::read_key, "readonly fast", 1, 1, 1},
    CommandSpec{"ping", -1, Route::local, "fast"},
    CommandSpec{"psetex", 4, Route::setex, "write denyoom", 1, 1, 1},
    CommandSpec{"psubscribe", -2, Route::channel, "pubsub noscript loading stale"},
    CommandSpec{"pttl", 2, Route::read_key, "readonly fast", 1, 1, 1},
    CommandSpec{"publish", 3, Route::channel, "pubsub loading stale fast"},
    CommandSpec{"pubsub", -2, Route::channel, "pubsub loading stale"},
    CommandSpec{"punsubscribe", -1, Route::channel, "pubsub noscript loading stale"},
    CommandSpec{"quit", -1, Route::local, "noscript loading stale fast no_auth"},
    CommandSpec{"randomkey", 1, Route::whole, "readonly"},
    CommandSpec{"rename", 3, Route::embedded, "write", 1, 2, 1},
    CommandSpec{"renamenx", 3, Route::embedded, "write fast", 1, 2, 1},
    CommandSpec{"reset", 1, Route::local, "noscript loading stale fast no_auth"},
    CommandSpec{"role", 1, Route::server, "noscript loading stale fast"},
    CommandSpec{"scan", -2, Route::whole, "readonly"},
    CommandSpec{"select", 2, Route::local, "loading stale fast"},
    CommandSpec{"set", -3, Route::set, "write denyoom", 1, 1, 1},
    CommandSpec{"setex", 4, Route::setex, "write denyoom", 1, 1, 1},
    CommandSpec{"setnx", 3, Route::setnx, "write denyoom fast", 1, 1, 1},
    CommandSpec{"setrange", 4, Route::write_key, "write denyoom", 1, 1, 1},
    CommandSpec{"slowlog", -2, Route::server, ""},
    CommandSpec{"strlen", 2, Route::read_key, "readonly fast", 1, 1, 1},
    CommandSpec{"subscribe", -2, Route::channel, "pubsub noscript loading stale"},
    CommandSpec{"substr", 4, Route::read_key, "readonly", 1, 1, 1},
    CommandSpec{"time", 1, Route::server, "loading stale fast"},
    CommandSpec{"touch", -2, Route::read_key, "readonly fast", 1, -1, 1},
    CommandSpec{"ttl", 2, Route::read_key, "readonly fast", 1, 1, 1},
    CommandSpec{"type", 2, Route::read_key, "readonly fast", 1, 1, 1},
    CommandSpec{"unlink", -2, Route::write_key, "write fast", 1, -1, 1},
    CommandSpec{"unsubscribe", -1, Route::channel, "pubsub noscript loading stale"},
    CommandSpec{"unwatch", 1, Route::transaction, "noscript loading stale fast"},
    CommandSpec{"wait", 3, Route::server, "noscript"},
    CommandSpec{"watch", -2, Route::transaction, "noscript loading stale fast", 1, -1, 1},
};

constexpr std::array kSubcommands = {
    Subcommand{"client", "getname", 2},
    Subcommand{"client", "getredir", 2},
    Subcommand{"client", "help", 2},
    Subcommand{"client", "id", 2},
    Subcommand{"client", "info", 2},
    Subcommand{"client", "kill", -3},
    Subcommand{"client", "list", -2},
    Subcommand{"client", "no-evict", 3},
    Subcommand{"client", "reply", 3},
    Subcommand{"client", "setinfo", 4},  // of Redis 7.2: clients name their library unasked
    Subcommand{"client", "setname", 3},
    Subcommand{"client", "trackinginfo", 2},
    Subcommand{"client", "unblock", -3},
    Subcommand{"command", "count", 2},
    Subcommand{"command", "docs", -2},
    Subcommand{"command", "getkeys", -4},
    Subcommand{"command", "help", 2},
    Subcommand{"command", "info", -2},
    Subcommand{"command", "list", -2},
    Subcommand{"config", "get", -3},
    Subcommand{"config", "help", 2},
    Subcommand{"config", "set", -4},
    Subcommand{"latency", "doctor", 2},
    Subcommand{"latency", "graph", 3},
    Subcommand{"latency", "help", 2},
    Subcommand{"latency", "histogram", -2},
    Subcommand{"latency", "history", 3},
    Subcommand{"latency", "latest", 2},
    Subcommand{"latency", "reset", -2},
    Subcommand{"pubsub", "channels", -2},
    Subcommand{"pubsub", "help", 2},
    Subcommand{"pubsub", "numpat", 2},
    Subcommand{"pubsub", "numsub", -2},
    Subcommand{"slowlog", "get", -2},
    Subcommand{"slowlog", "help", 2},
    Subcommand{"slowlog", "len", 2},
    Subcommand{"slowlog", "reset", 2},
};

constexpr bool by_name(const CommandSpec& a, const CommandSpec& b) { return a.name < b.name; }
static_assert(std::is_sorted(kCommands.begin(), kCommands.end(), by_name));

constexpr std::size_t kLongestName = 16;

}  // namespace

std::span<const CommandSpec> commands() noexcept { return kCommands; }
std::span<const Subcommand> subcommands() noexcept { return kSubcommands; }

const CommandSpec* find_command(std::string_view name) noexcept {
  if (name.size() > kLongestName) return nullptr;
  std::array<char, kLongestName> folded;
  std::transform(name.begin(), name.end(), folded.begin(), lower);
  const std::string_view wanted(folded.data(), name.size());
  const auto* found = std::lower_bound(
      kCommands.begin(), kCommands.end(), wanted,
      [](const CommandSpec& spec, std::string_view text) { return spec.name < text; });
  return found != kCommands.end() && found->name == wanted ? found : nullptr;
}

bool has_subcommands(const CommandSpec& spec) noexcept {
  // What has keys has no subcommands here, and is asked the most.
  return spec.first_key == 0 &&
         std::ranges::find(kSubcommands, spec.name, &Subcommand::container) != kSubcommands.end();
}

const Subcommand* find_subcommand(const CommandSpec& spec, std::string_view name) noexcept {
  const auto* found = std::ranges::find_if(kSubcommands, [&](const Subcommand& each) {
    return each.container == spec.name && equals_ignoring_case(name, each.name);
  });
  return found == kSubcommands.end() ? nullptr : found;
}

KeyPositions key_positions(const CommandSpec& spec, std::size_t arguments) noexcept {
  if (spec.first_key == 0) return {};
  const int last = spec.last_key < 0 ? static_cast<int>(arguments) + spec.last_key : spec.last_key;
  return {.first = static_cast<std::size_t>(spec.first_key),
          .end = static_cast<std::size_t>(last) + 1,
          .step = static_cast<std::size_t>(spec.step)};
}

std::size_t index_of(const CommandSpec& spec) noexcept {
  return static_cast<std::size_t>(&spec - kCommands.data());
}

}  // namespace nearlane::resp
